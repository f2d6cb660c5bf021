"""Plain tables of responses: ``.csv`` and ``.npy``, images x neurons or neurons x images.

Which axis is which is told by ids, never by sizes alone where both would fit. A ``.csv`` has ids in
its first row and first column. A ``.npy`` has none: the stimuli, a CSV with a column
``stimulus_id`` or a folder (or zip) of images in the order of their names, say how many images
there are.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np

from jaxbio.errors import InputError
from jaxbio.files.npz import read_npy
from jaxbio.files.pictures import SUFFIXES as PICTURES
from jaxbio.neural.images import ImageFiles, zip_members
from jaxbio.neural.presentations import IDS, column, read_csv, stimulus_set
from jaxbio.neural.recordings import Recordings, StimulusSet

SUFFIXES = (".csv", ".npy")
_OF_IMAGES = (*IDS, "stimulus", "image", "picture", "filename")
_OF_NEURONS = ("neuroid_id", "neuroid", "neuron_id", "neuron", "unit_id", "unit", "site", "voxel")


def load_table(path: str | Path, stimuli: str | Path | None = None) -> Recordings:
    """Loads one response per neuron and image.

    Args:
        path: ``.csv`` or ``.npy``.
        stimuli: what was shown: a CSV with ``stimulus_id``, or a folder or zip of images. Default:
            for an ``.npy`` the only CSV beside it.

    Returns:
        Responses ``[S, N, 1]`` in the order of the stimuli, in that of the table without.

    Raises:
        InputError: not numbers, ids that do not fit, or axes that cannot be told apart.
    """
    path = Path(path)
    if stimuli is None and path.suffix == ".npy":
        beside = sorted(path.parent.glob("*.csv"))
        stimuli = beside[0] if len(beside) == 1 else None
    shown = _stimuli(Path(stimuli)) if stimuli else None
    if path.suffix == ".npy":
        if shown is None:
            raise InputError(
                f"{path} names no images: give their CSV or folder with --stimuli=PATH"
            )
        values = _oriented(_read_npy(path), len(shown), path)
        neuroids = np.array([f"neuroid_{i}" for i in range(values.shape[1])])
    else:
        values, images, neuroids = _read_csv(path, shown)
        if shown is None:
            shown = StimulusSet(ids=images, labels=images, objects=images)
        else:
            values = values[_positions(images, shown.ids, path, Path(cast(Any, stimuli)))]
    return Recordings(
        name=path.stem,
        stimuli=shown,
        responses=values[:, :, None],
        neuroids={"neuroid_id": neuroids},
        source=path.name,
    )


def _stimuli(source: Path) -> StimulusSet:
    if source.suffix == ".csv":
        rows = read_csv(source)
        return stimulus_set(column(rows, IDS, f"{source}: column"), [], {}, rows, source)
    return folder_stimuli(source)


def folder_stimuli(source: Path) -> StimulusSet:
    """The pictures of a folder or zip archive, by name; each a category of its own.

    Raises:
        InputError: there are none.
    """
    if source.is_dir():
        names: Any = [str(f.relative_to(source)) for f in source.rglob("*") if f.is_file()]
    elif source.exists():
        names = zip_members(source)
    else:
        raise InputError(f"--stimuli={source} does not exist: give a CSV, or a folder of images")
    names = np.array(sorted(n for n in names if n.lower().endswith(PICTURES)), str)
    if not len(names):
        raise InputError(f"--stimuli={source} has no images ({' '.join(PICTURES)})")
    return StimulusSet(names, names, names, paths=names, images=ImageFiles(source, names))


def _read_npy(path: Path) -> np.ndarray:
    values = read_npy(path)
    if values.ndim != 2 or values.dtype.kind not in "fiu" or not values.size:
        raise InputError(
            f"{path} is {values.dtype} of shape {values.shape}: must be numbers, images x neurons "
            "or neurons x images"
        )
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def _oriented(values: np.ndarray, count: int, path: Path) -> np.ndarray:
    fitting = [axis for axis in (0, 1) if values.shape[axis] == count]
    if len(fitting) != 1:
        problem = "either axis can be the images" if fitting else f"no axis has {count} entries"
        raise InputError(
            f"{path} has shape {values.shape} for {count} images: {problem}; give a .csv with ids, "
            "or other --stimuli"
        )
    return values if fitting[0] == 0 else values.T


def _read_csv(path: Path, shown: StimulusSet | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Responses ``[images, neurons]`` and the ids of both."""
    columns = read_csv(path)
    names = list(columns)
    rows, across = columns[names[0]], np.array(names[1:], str)
    try:
        values = np.stack([columns[name].astype(np.float64) for name in names[1:]], axis=1)
    except ValueError as error:
        raise InputError(f"{path}: not numbers below the first row ({error})") from error
    first = names[0].strip().lower()
    by_image = first in _OF_IMAGES
    if not by_image and first not in _OF_NEURONS:
        among = [_share(ids, shown) for ids in (rows, across)]
        if among[0] == among[1]:
            raise InputError(
                f"{path}: neither the first row nor the first column is known as ids of images: "
                "name the first field stimulus_id or neuroid_id, or give --stimuli=CSV"
            )
        by_image = among[0] > among[1]
    return (values, rows, across) if by_image else (values.T, across, rows)


def _share(ids: np.ndarray, shown: StimulusSet | None) -> float:
    """How many ids are those of stimuli; without stimuli: names of pictures."""
    if shown is not None:
        return float(np.isin(ids, shown.ids).mean()) if len(ids) else 0.0
    return float(np.mean([str(i).lower().endswith(PICTURES) for i in ids])) if len(ids) else 0.0


def _positions(images: np.ndarray, ids: np.ndarray, path: Path, stimuli: Path) -> list[int]:
    place = {name: i for i, name in enumerate(images)}
    missing = [name for name in ids if name not in place]
    if missing or len(place) != len(images) or len(images) != len(ids):
        what = f"no '{missing[0]}'" if missing else f"{len(images)} images for {len(ids)}"
        raise InputError(
            f"{path}: has {what} of --stimuli={stimuli}: give the stimuli of this table"
        )
    return [place[name] for name in ids]
