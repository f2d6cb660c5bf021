"""Recordings from a path: the format is recognised by the files' names and fields."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from jaxbio.errors import InputError
from jaxbio.files.matlab import read_mat
from jaxbio.files.npz import npz_names
from jaxbio.files.reading import check_regular, reading
from jaxbio.neural.brainio import load_brainio
from jaxbio.neural.cadieu import OBJECTS_PER_CATEGORY, load_cadieu
from jaxbio.neural.kriegeskorte import BRAIN_RDMS, SUPPLEMENT, load_kriegeskorte
from jaxbio.neural.nwb import load_nwb
from jaxbio.neural.portable import SUFFIXES, read_portable
from jaxbio.neural.rdm_folder import load_rdm_folder, region_files
from jaxbio.neural.recordings import Recordings
from jaxbio.neural.synthetic import synthetic_recordings
from jaxbio.neural.tables import SUFFIXES as TABLES
from jaxbio.neural.tables import load_table

SYNTHETIC = "synthetic"


def open_recordings(
    path: str | Path,
    *,
    region: str | None = None,
    stimuli: str | Path | None = None,
    objects_per_category: int = OBJECTS_PER_CATEGORY,
    drop_nan: bool = False,
    seed: int = 0,
) -> Recordings:
    """Opens a file or folder of any known format.

    Args:
        path: Cadieu 2014 ``.mat``, folder or zip; Kriegeskorte 2008 ``.mat``, folder or ``.npz``; a
            BrainIO ``.nc`` or its folder; a folder of pictures with ``*_RDMs.npz``; a portable
            ``.npz`` or ``.h5``; or the word ``synthetic`` for the offline stand-in.
        region: part of the recordings to keep, for example ``IT``, ``V4`` or ``human_it``; None
            takes all of them (Cadieu: IT).
        stimuli: where the images are, if not beside the recordings: a folder, an archive, or the
            CSV of a stimulus set.
        objects_per_category: Cadieu's layout: objects that a category is made of.
        drop_nan: drop neuroids with NaN responses instead of refusing them.
        seed: of the synthetic recordings.

    Raises:
        InputError: unknown format, malformed file, unknown region, NaN responses.
    """
    if str(path) == SYNTHETIC:
        return synthetic_recordings(seed=seed).select(region=region)
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: give a file or folder of neural recordings")
    if not path.is_dir():
        check_regular(path)
    with reading(path, "neural recordings"):
        load = _loader(path)
        if load is load_cadieu:
            recordings = load_cadieu(
                path, region, objects_per_category=objects_per_category, images=stimuli
            )
        elif load is load_kriegeskorte:  # with its images
            recordings = load(path).select(region=region)
        else:
            recordings = load(path, stimuli).select(region=region)
        return recordings.drop_nan() if drop_nan else recordings.require_finite()


def _loader(path: Path) -> Callable[..., Recordings]:
    if path.is_dir():
        names = {file.name for file in path.rglob("*") if file.suffix in (".mat", ".nc")}
        if any(name.startswith("NeuralData_") for name in names):
            return load_cadieu
        if {SUPPLEMENT, BRAIN_RDMS} <= names:
            return load_kriegeskorte
        if any(name.endswith(".nc") for name in names):
            return load_brainio
        if region_files(path):
            return load_rdm_folder
        raise InputError(
            f"{path} holds none of: NeuralData_*_multiunits.mat, {SUPPLEMENT} with {BRAIN_RDMS}, "
            "*.nc, *_RDMs.npz: it is no known folder of recordings"
        )
    if path.suffix == ".mat":
        return load_cadieu if "features" in read_mat(path) else load_kriegeskorte
    if path.suffix == ".npz":
        return load_kriegeskorte if "monkey_it_rdm_vec" in npz_names(path) else read_portable
    if path.suffix in (".nc", ".nc4"):
        return load_brainio
    if path.suffix == ".nwb":
        return load_nwb
    if path.suffix in TABLES:
        return load_table
    if path.suffix in SUFFIXES:
        return read_portable
    if zipfile.is_zipfile(path):
        return load_cadieu
    raise InputError(
        f"{path}: unknown kind of file: use .mat, .npz, .h5, .nc, .nwb, .csv, .npy, a Cadieu 2014 "
        "zip or a folder"
    )
