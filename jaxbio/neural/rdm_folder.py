"""A folder of pictures with dissimilarities of them, one file a region, as Net2Brain ships fMRI.

Pictures, and ``fmri_EVC_RDMs.npz``, ``fmri_IT_RDMs.npz``, ...: one array each, ``[subjects, S, S]``
or ``[S, S]``, in the alphabetical order of the pictures. ``.npy`` will do as well.

Reference:
    Bersch et al. 2022, "Net2Brain: a toolbox to compare artificial vision models with human brain
    responses", arXiv:2208.09677.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxbio.errors import InputError
from jaxbio.files.npz import read_npy, read_npz
from jaxbio.neural.recordings import Recordings
from jaxbio.neural.tables import folder_stimuli

_FILE = re.compile(r"(?:fmri_)?(?P<region>.+?)_RDMs?\.np[yz]", re.IGNORECASE)


def region_files(folder: Path) -> dict[str, Path]:
    """The folder's files of dissimilarities, by region."""
    found = ((_FILE.fullmatch(file.name), file) for file in sorted(folder.glob("*_RDM*.np[yz]")))
    return {match["region"]: file for match, file in found if match}


def load_rdm_folder(folder: Path, pictures: str | Path | None = None) -> Recordings:
    """The pictures, each an object of its own, and ``rdms`` by region.

    Args:
        folder: holds the files of dissimilarities.
        pictures: where the pictures are; None: in the same folder.

    Raises:
        InputError: no pictures, a malformed file, or sizes that do not fit each other.
    """
    shown = folder_stimuli(Path(pictures or folder))
    shown = replace(shown, labels=np.full(len(shown), "picture"))  # no categories are known
    rdms = {}
    for region, file in region_files(folder).items():
        rdm = _read(file)
        rdms[region] = rdm if rdm.ndim == 3 else rdm[None]
        if rdms[region].shape[1:] != (len(shown), len(shown)):
            raise InputError(
                f"{file} has shape {rdm.shape}: with {len(shown)} pictures it must be "
                f"[subjects, {len(shown)}, {len(shown)}]"
            )
    return Recordings(folder.resolve().name, shown, rdms=rdms, source=folder.name)


def _read(file: Path) -> np.ndarray:
    if file.suffix == ".npz":
        arrays = read_npz(file, optional=None)
        if len(arrays) != 1:
            raise InputError(f"{file} holds {', '.join(arrays) or 'nothing'}: one array is read")
        rdm = next(iter(arrays.values()))
    else:
        rdm = read_npy(file)
    if rdm.dtype.kind != "f" or rdm.ndim not in (2, 3):
        raise InputError(
            f"{file} is {rdm.dtype} of shape {rdm.shape}: must be floats [subjects, S, S] or [S, S]"
        )
    return rdm.astype(np.float64)
