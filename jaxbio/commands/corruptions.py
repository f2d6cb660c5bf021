"""``jaxbio corruptions IMAGE --output=sheet.png``: an image under all corruptions."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from jaxbio.corruptions.selection import parse_corruptions, parse_severities
from jaxbio.corruptions.sheet import picture_sheet


def _read(path: Path, size: int) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"no image at {path}")
    try:
        with Image.open(path) as image:
            picture = image.convert("L" if image.mode in ("1", "L", "LA", "I;16") else "RGB")
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not an image that Pillow can read") from error
    if size:
        factor = size / min(picture.size)
        picture = picture.resize([max(1, round(n * factor)) for n in picture.size])
    return np.asarray(picture)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the picture sheet; returns the exit status."""
    parser = argparse.ArgumentParser(prog="jaxbio corruptions", description=__doc__)
    parser.add_argument("image", type=Path, help="picture of at least 32 by 32 pixels")
    parser.add_argument("--output", type=Path, required=True, help="sheet to write (.png, .pdf)")
    parser.add_argument(
        "--severities", "--severity", default="1,3,5", help="comma-separated, 1 to 5"
    )
    parser.add_argument(
        "--corruptions", default="all", help="all, benchmark, validation, or names with commas"
    )
    parser.add_argument("--size", type=int, default=0, help="shorter side to resize to first")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        names = parse_corruptions(options.corruptions.split(","))
        severities = parse_severities(options.severities.split(","))
        if options.size < 0:
            raise ValueError(f"--size={options.size}: give a positive number of pixels")
        if not options.output.parent.is_dir():
            raise FileNotFoundError(f"no folder {options.output.parent} for --output")
        image = _read(options.image, options.size)
        figure = picture_sheet(image, names, severities, options.seed)
        suffix = options.output.suffix or ".png"
        temporary = options.output.with_name(f".{options.output.stem}.{os.getpid()}{suffix}")
        try:
            figure.savefig(temporary, dpi=150)
            os.replace(temporary, options.output)
        finally:
            temporary.unlink(missing_ok=True)
    except (FileNotFoundError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(names)} corruptions of {options.image} -> {options.output}")
    return 0
