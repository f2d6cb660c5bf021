"""``python evaluate.py --config=configs/NAME.py``: what ``jaxbio evaluate`` does."""

import sys

from jaxbio.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]], "evaluate.py"))
