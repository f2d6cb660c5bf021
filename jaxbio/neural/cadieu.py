"""Cadieu et al. 2014: multi-unit sites of monkey IT and V4, 1,960 images of 49 objects.

The archive ``PLoSCB2014_data_20141216.zip`` (or its folder) holds ``NeuralData_IT_multiunits.mat``
and ``NeuralData_V4_multiunits.mat``. A file has ``features`` ``[S, N]`` and ``meta``, one text row
per image: path, category, and 0/1 flags of the published training/test splits.

Reference:
    Cadieu et al. 2014, "Deep Neural Networks Rival the Representation of Primate IT Cortex for Core
    Visual Object Recognition", doi:10.1371/journal.pcbi.1003963.
"""

from pathlib import Path

import numpy as np

from jaxbio.errors import InputError
from jaxbio.files.matlab import read_mat, require
from jaxbio.neural.images import image_files, read_member, zip_members
from jaxbio.neural.recordings import Recordings, StimulusSet

_FILES = "NeuralData_{area}_multiunits.mat"
_AREAS = ("IT", "V4")
OBJECTS_PER_CATEGORY = 7


def load_cadieu(
    path: str | Path,
    area: str | None = None,
    *,
    objects_per_category: int = OBJECTS_PER_CATEGORY,
    images: str | Path | None = None,
) -> Recordings:
    """Loads one area.

    Images are grouped by category, stably and in alphabetical order of the names. The file does not
    name objects: within a category they follow each other, with as many images each, which is
    checked as far as counts can tell.

    Args:
        path: the archive, its folder, or one ``.mat`` file of that layout.
        area: ``IT`` or ``V4``; None: the one that a single file is named after, else IT.
        objects_per_category: 7 as published; 0 if unknown: every category is then one object.
        images: folder or archive of the images, if they are not beside the recordings.

    Returns:
        Responses ``[S, N, 1]``, in the file's dtype.

    Raises:
        InputError: a missing or malformed file or field, an archive with members outside its
            folder, or image counts that do not divide into objects.
    """
    path = Path(path)
    area = _area_of(path, area)
    file, data = _find(path, area)
    variables = read_mat(file, data)
    features = _features(require(variables, "features", file), file)
    paths, labels, splits = _parse_meta(require(variables, "meta", file), file)
    if len(paths) != len(features):
        raise InputError(
            f"{file}: meta has {len(paths)} rows and features {len(features)}: must be as many"
        )
    order = np.argsort(labels, kind="stable")
    features, paths, labels, splits = (a[order] for a in (features, paths, labels, splits))
    root = Path(images) if images else (path if path.suffix != ".mat" else path.parent)
    stimuli = StimulusSet(
        ids=paths,
        labels=labels,
        objects=_objects(labels, objects_per_category, file),
        paths=paths,
        images=image_files(root, paths),
        splits=splits,
    )
    count = features.shape[1]
    return Recordings(
        name=f"cadieu2014_{area.lower()}",
        stimuli=stimuli,
        responses=features[:, :, None],
        neuroids={
            "neuroid_id": np.array([f"{area}_{i}" for i in range(count)]),
            "region": np.full(count, area),
        },
        source=file.name,
    )


def _area_of(path: Path, area: str | None) -> str:
    """The area asked for; of a published file the one in its name; else IT."""
    named = next((a for a in _AREAS if path.name == _FILES.format(area=a)), None)
    if area is None:
        return named or _AREAS[0]
    if area not in _AREAS or (named and named != area):
        there = named or " and ".join(_AREAS)
        raise InputError(f"--region={area}: {path.name} has no such region; known: {there}")
    return area


def _find(path: Path, area: str) -> tuple[Path, bytes | None]:
    if path.suffix == ".mat":
        return path, None
    name = _FILES.format(area=area)
    if path.is_dir():
        found = sorted(path.rglob(name))
        if not found:
            raise InputError(f"{path} has no {name}: is it the folder of the Cadieu 2014 data?")
        return found[0], None
    members = [m for m in zip_members(path) if m.rsplit("/", 1)[-1] == name]
    if not members:
        raise InputError(f"{path} has no {name}: is it the archive of the Cadieu 2014 data?")
    return path / members[0], read_member(path, members[0])


def _features(features: np.ndarray, file: Path) -> np.ndarray:
    if features.ndim != 2 or features.dtype.kind not in "fiu" or not features.size:
        raise InputError(
            f"{file}: field 'features' is {features.dtype} of shape {features.shape}: must be "
            "numbers [images, sites]"
        )
    return features if features.dtype.kind == "f" else features.astype(np.float64)


def _parse_meta(meta: np.ndarray, file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paths, categories and flags of rows like ``images/im0.png Animals 1 0 1``."""
    if meta.dtype.kind not in "US":
        raise InputError(f"{file}: field 'meta' is {meta.dtype}: must be rows of text")
    rows = [str(row).split() for row in meta.ravel()]
    for number, row in enumerate(rows):
        well_formed = len(row) >= 2 and all(flag in ("0", "1") for flag in row[2:])
        if not well_formed or len(row) != len(rows[0]):
            raise InputError(
                f"{file}: field 'meta', row {number + 1}: expected 'path category' and "
                f"{max(0, len(rows[0]) - 2)} flags of 0 or 1, found '{' '.join(row)[:60]}'"
            )
    paths, labels = (np.array([row[i] for row in rows]) for i in (0, 1))
    splits = np.array([[int(flag) for flag in row[2:]] for row in rows], np.int64)
    return paths, labels, splits.reshape(len(rows), -1)


def _objects(labels: np.ndarray, per_category: int, file: Path) -> np.ndarray:
    """Object names from order within a category."""
    objects = np.empty(len(labels), f"<U{labels.dtype.itemsize // 4 + 8}")
    for label in np.unique(labels):
        index = np.flatnonzero(labels == label)
        wanted = per_category or 1
        if len(index) % wanted:
            raise InputError(
                f"{file}: category '{label}' has {len(index)} images, which do not divide into "
                f"{wanted} objects: give the number with --objects_per_category (0: unknown)"
            )
        number = np.arange(len(index)) // (len(index) // wanted)
        objects[index] = [f"{label}_{i}" for i in number]
    return objects
