"""An image under all corruptions: jaxbio corruptions IMAGE --output=sheet.png."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jaxbio.commands.command_line import Parser
from jaxbio.errors import InputError
from jaxbio.measures.measure import split_list

if TYPE_CHECKING:
    import numpy as np


def options(parser: Parser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("image", type=Path, help="picture of at least 32 by 32 pixels")
    add("--output", type=Path, required=True, metavar="FILE", help="sheet to write (.png, .pdf)")
    add(
        "--severities",
        "--severity",
        type=split_list,
        default="1,3,5",
        metavar="LIST",
        help="1 to 5, or all; default: %(default)s",
    )
    add(
        "--corruptions",
        "--corruption",
        type=split_list,
        default="all",
        metavar="LIST",
        help="all (default), benchmark, validation, or names",
    )
    add("--size", type=int, default=0, metavar="N", help="shorter side to resize to first, pixels")
    add("--seed", type=int, default=0, metavar="N", help="of the random ones; default: 0")


def run(options: argparse.Namespace) -> None:
    """Writes the picture sheet."""
    from jaxbio.corruptions.selection import parse_corruptions, parse_severities
    from jaxbio.corruptions.sheet import picture_sheet
    from jaxbio.plotting.saving import save_figure

    names = parse_corruptions(options.corruptions)
    severities = parse_severities(options.severities)
    if options.size < 0:
        raise InputError(f"--size={options.size}: give a positive number of pixels")
    if not options.output.parent.is_dir():
        raise InputError(f"--output={options.output}: there is no folder {options.output.parent}")
    image = _read(options.image, options.size)
    try:
        figure = picture_sheet(image, names, severities, options.seed)
    except ValueError as error:
        raise InputError(f"{options.image}: {error}") from error
    save_figure(figure, options.output)
    print(f"{len(names)} corruptions of {options.image} -> {options.output}")


def _read(path: Path, size: int) -> "np.ndarray":
    import numpy as np

    from jaxbio.files.pictures import open_picture

    picture = open_picture(path)
    if size:
        factor = size / min(picture.size)
        picture = picture.resize([max(1, round(n * factor)) for n in picture.size])
    return np.asarray(picture)
