"""The user's pictures of the texture study: families of textures, and noise of their spectrum."""

from pathlib import Path

import numpy as np

from jaxbio.errors import InputError
from jaxbio.features.pictures import open_pictures
from jaxbio.files.pictures import open_picture
from jaxbio.physiology.examination import Textures

_KINDS = ("noise", "texture")  # in the study's order


def read_textures(folder: str, degrees: float) -> Textures:
    """Reads ``noise/FAMILY/*`` and ``texture/FAMILY/*`` of a folder.

    Args:
        folder: with as many pictures in every family of either kind, squares of one size.
        degrees: what the pictures' side shows.

    Raises:
        InputError: pictures that are missing, too many, do not decode or are of other sizes.
    """
    if not degrees > 0:
        raise InputError(f"--texture_degrees={degrees}: use a number above 0")
    families: dict[tuple[str, str], list[np.ndarray]] = {}
    for kind in _KINDS:
        for path in map(Path, open_pictures(Path(folder) / kind).paths):
            picture = np.asarray(open_picture(path, upright=False).convert("RGB"))
            families.setdefault((kind, path.parent.name), []).append(picture)
    names = {kind: sorted(name for k, name in families if k == kind) for kind in _KINDS}
    counts = {len(pictures) for pictures in families.values()}
    if names["noise"] != names["texture"] or len(counts) != 1 or 1 in counts:
        raise InputError(
            f"--textures={folder}: noise/ and texture/ need the same families, with equally many "
            f"pictures, 2 or more, in each; there are {', '.join(names['noise'])} and "
            f"{', '.join(names['texture'])}, with {', '.join(map(str, sorted(counts)))} pictures"
        )
    shapes = {picture.shape for pictures in families.values() for picture in pictures}
    if len(shapes) != 1 or len({*next(iter(shapes))[:2]}) != 1:
        raise InputError(f"--textures={folder}: pictures have to be squares of one size")
    pictures = [[families[kind, name] for name in names[kind]] for kind in _KINDS]
    return Textures(np.array(pictures), degrees)
