"""``python train.py --config=configs/NAME.py``: what ``jaxbio train`` does."""

import sys

from jaxbio.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]], "train.py"))
