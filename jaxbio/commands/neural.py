"""Describes or converts neural recordings.

  jaxbio neural describe PATH
  jaxbio neural convert PATH --output=FILE.npz

PATH is a file or folder of any format of docs/neural.md, or the word "synthetic".
"""

import argparse
import json
from pathlib import Path

from jaxbio.commands.command_line import Parser


def options(parser: Parser) -> None:
    """The command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    describe = actions.add_parser("describe", help="say what the recordings hold, as JSON")
    convert = actions.add_parser("convert", help="write them as a portable .npz or .h5 file")
    for action in (describe, convert):
        action.add_argument("path", help='file or folder, or "synthetic"')
        action.add_argument("--region", help="only these neuroids, or this RDM")
        action.add_argument("--stimuli", type=Path, help="where the images are, or BrainIO's CSV")
        action.add_argument(
            "--objects_per_category",
            type=int,
            default=7,
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


def run(options: argparse.Namespace) -> None:
    """Describes, and writes if asked."""
    from jaxbio.neural.open import open_recordings
    from jaxbio.neural.portable import write_recordings

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
    print(json.dumps(recordings.describe(), indent=2))
