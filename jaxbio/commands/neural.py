"""Describes or converts neural recordings.

  jaxbio neural describe PATH
  jaxbio neural convert PATH --output=FILE.npz

PATH is a file or folder of any format of docs/neural.md, or the word "synthetic".
"""

import argparse
import json
from pathlib import Path

from jaxbio.commands.command_line import Parser
from jaxbio.measures.similarity import add_recordings, chosen_recordings


def options(parser: Parser) -> None:
    """The command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    describe = actions.add_parser("describe", help="say what the recordings hold, as JSON")
    convert = actions.add_parser("convert", help="write them as a portable .npz or .h5 file")
    for action in (describe, convert):
        action.add_argument("path", help='file or folder, or "synthetic"')
        add_recordings(action.add_argument)
        action.add_argument("--seed", type=int, default=0, help="of the synthetic recordings")
    convert.add_argument("--output", type=Path, required=True, help="file to write (.npz, .h5)")
    convert.add_argument(
        "--image_size",
        type=int,
        default=0,
        help="store images of files resized to this side in pixels; 0: store their paths",
    )


def run(options: argparse.Namespace) -> None:
    """Describes, and writes if asked."""
    from jaxbio.neural.portable import write_recordings

    recordings = chosen_recordings(options.path, options, seed=options.seed)
    if options.action == "convert":
        write_recordings(recordings, options.output, image_size=options.image_size)
        print(f"written to {options.output}")
    print(json.dumps(recordings.describe(), indent=2))
