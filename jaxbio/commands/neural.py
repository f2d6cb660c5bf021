"""Describe or convert neural recordings.

``jaxbio neural describe PATH``
``jaxbio neural convert PATH --output=FILE.npz``

PATH is a file or folder of any format of docs/neural.md, or the word "synthetic".
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from jaxbio.errors import InputError
from jaxbio.neural.cadieu import OBJECTS_PER_CATEGORY
from jaxbio.neural.open import open_recordings
from jaxbio.neural.portable import write_recordings


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _fail(f"{message} (see --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      arguments: command line without the program's name; default: that of the process.

    Returns:
      The exit code 0. Errors end in SystemExit with code 2 and one line on stderr.
    """
    options = _parser().parse_args(arguments)
    try:
        recordings = open_recordings(
            options.path,
            region=options.region,
            stimuli=options.stimuli,
            objects_per_category=options.objects_per_category,
            drop_nan=options.drop_nan,
            seed=options.seed,
        )
        if options.action == "convert":
            write_recordings(recordings, options.output, image_size=options.image_size)
            print(f"written to {options.output}")
    except InputError as error:
        _fail(str(error))
    print(json.dumps(recordings.describe(), indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="jaxbio neural",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, parser_class=_Parser)
    describe = actions.add_parser("describe", help="say what the recordings hold, as JSON")
    convert = actions.add_parser("convert", help="write them as a portable .npz or .h5 file")
    for action in (describe, convert):
        action.add_argument("path", help='file or folder, or "synthetic"')
        action.add_argument("--region", help="only these neuroids, or this RDM")
        action.add_argument("--stimuli", type=Path, help="where the images are, or BrainIO's CSV")
        action.add_argument(
            "--objects_per_category",
            type=int,
            default=OBJECTS_PER_CATEGORY,
            help="of files in the layout of Cadieu 2014; 0: unknown",
        )
        action.add_argument("--drop_nan", action="store_true", help="drop neuroids with NaN")
        action.add_argument("--seed", type=int, default=0, help="of the synthetic recordings")
    convert.add_argument("--output", type=Path, required=True, help="file to write (.npz, .h5)")
    convert.add_argument(
        "--image_size",
        type=int,
        default=0,
        help="store images of files resized to this side in pixels; 0: store their paths",
    )
    return parser


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
