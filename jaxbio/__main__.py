"""``python -m jaxbio``: the command line where no ``jaxbio`` is on the path."""

import sys

from jaxbio.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
