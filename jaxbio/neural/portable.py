"""jaxbio's own files of recordings: ``.npz`` and ``.h5`` with the same documented keys.

Keys, all arrays: ``format`` ("jaxbio-recordings-1"), ``name``, ``source``, ``synthetic``;
``stimulus_ids``, ``stimulus_labels``, ``stimulus_objects`` ``[S]`` text, and if known
``stimulus_paths`` ``[S]``, ``stimulus_images`` ``[S, H, W, 3]`` uint8, ``stimulus_splits``
``[S, K]``; ``responses`` ``[S, N, T]`` (or ``[S, N]``), ``repetitions`` ``[R, S, N, T]``,
``time_bins`` ``[T, 2]`` ms, ``neuroid_<property>`` ``[N]``; ``rdm_<name>`` ``[subjects, S, S]``.
Needed are ``stimulus_ids`` and either ``responses`` or an RDM: what is missing is unknown.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np

from jaxbio import files
from jaxbio.errors import InputError
from jaxbio.files import hdf5
from jaxbio.files.npz import read_npz
from jaxbio.files.reading import reading
from jaxbio.files.sizes import check_size, inflated
from jaxbio.neural.images import check_inside, image_files
from jaxbio.neural.recordings import Recordings, StimulusSet

FORMAT = "jaxbio-recordings-1"
SUFFIXES = (".npz", ".h5", ".hdf5")
_STIMULUS_TEXT = ("ids", "labels", "objects", "paths")


def write_recordings(recordings: Recordings, path: str | Path, *, image_size: int = 0) -> None:
    """Writes a portable file, atomically: the old one stays whole until the new one is.

    Args:
        recordings: anything a loader returned.
        path: ``.npz`` or ``.h5``.
        image_size: images in files are stored resized to this side in pixels; 0 stores their paths
            only. Images in memory are stored as they are.

    Raises:
        InputError: another suffix, or the place is not writable.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: a portable file ends in {' or '.join(SUFFIXES)}")
    arrays = _arrays(recordings, image_size)
    with files.atomic(path) as temporary:
        if path.suffix == ".npz":
            with temporary.open("wb") as file:
                np.savez_compressed(file, **cast("dict[str, Any]", arrays))
        else:
            _write_hdf5(temporary, arrays)


def read_portable(path: str | Path, images: str | Path | None = None) -> Recordings:
    """Reads a portable file.

    Args:
        path: ``.npz`` or ``.h5``.
        images: folder or archive of ``stimulus_paths``; default: the file's own folder.

    Raises:
        InputError: unreadable, a missing key, or arrays whose shapes do not fit.
    """
    path = Path(path)
    with reading(path, "a file of recordings"):
        arrays = read_npz(path, optional=None) if path.suffix == ".npz" else _read_hdf5(path)
        return _recordings(arrays, path, Path(images) if images else path.parent)


def _arrays(recordings: Recordings, image_size: int) -> dict[str, np.ndarray]:
    stimuli = recordings.stimuli
    images = stimuli.images
    if images is not None and not isinstance(images, np.ndarray):
        images = stimuli.read_images(image_size) if image_size else None
    arrays: dict[str, Any] = {
        "format": np.array(FORMAT),
        "name": np.array(recordings.name),
        "source": np.array(recordings.source),
        "synthetic": np.array(recordings.synthetic),
        **{f"stimulus_{name}": getattr(stimuli, name) for name in _STIMULUS_TEXT},
        "stimulus_images": images,
        "stimulus_splits": stimuli.splits,
        "responses": recordings.responses,
        "repetitions": recordings.repetitions,
        "time_bins": recordings.time_bins,
        **{_neuroid_key(name): values for name, values in recordings.neuroids.items()},
        **{f"rdm_{name}": rdm for name, rdm in recordings.rdms.items()},
    }
    return {name: value for name, value in arrays.items() if value is not None}


def _recordings(arrays: dict[str, np.ndarray], path: Path, root: Path) -> Recordings:
    found = str(arrays.get("format", FORMAT))
    if found != FORMAT:
        raise InputError(f"{path}: field 'format' is '{found}': this version reads {FORMAT}")
    if "stimulus_ids" not in arrays:
        raise InputError(
            f"{path}: field 'stimulus_ids' is missing; it has {', '.join(arrays) or 'nothing'}"
        )
    ids = arrays["stimulus_ids"].astype(str)
    objects = arrays.get("stimulus_objects", ids).astype(str)
    paths = arrays.get("stimulus_paths")
    paths = None if paths is None else paths.astype(str)
    images: Any = arrays.get("stimulus_images")
    if images is None and paths is not None:
        for name in paths:
            check_inside(str(name), str(path))
        images = image_files(root, paths)
    elif images is not None and (images.ndim != 4 or images.dtype != np.uint8):
        raise InputError(
            f"{path}: field 'stimulus_images' is {images.dtype} of shape {images.shape}: must be "
            "uint8 [S, H, W, 3]"
        )
    responses: Any = arrays.get("responses")
    return Recordings(
        name=str(arrays.get("name", path.stem)),
        stimuli=StimulusSet(
            ids=ids,
            labels=arrays.get("stimulus_labels", objects).astype(str),
            objects=objects,
            paths=paths,
            images=images,
            splits=arrays.get("stimulus_splits"),
        ),
        responses=responses[:, :, None] if np.ndim(responses) == 2 else responses,
        repetitions=arrays.get("repetitions"),
        neuroids={
            _neuroid_property(name): value
            for name, value in arrays.items()
            if name.startswith("neuroid_")
        },
        time_bins=arrays.get("time_bins"),
        rdms={
            name.removeprefix("rdm_"): value
            for name, value in arrays.items()
            if name.startswith("rdm_")
        },
        synthetic=bool(arrays.get("synthetic", False)),
        source=str(arrays.get("source", path.name)),
    )


def _neuroid_key(name: str) -> str:
    return name if name == "neuroid_id" else f"neuroid_{name}"


def _neuroid_property(key: str) -> str:
    return key if key == "neuroid_id" else key.removeprefix("neuroid_")


def _write_hdf5(path: Path, arrays: dict[str, np.ndarray]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        value: Any
        for name, value in arrays.items():
            if value.dtype.kind == "U":
                value = value.astype(object) if value.ndim else str(value)
                file.create_dataset(name, data=value, dtype=h5py.string_dtype())
            else:
                compression = "gzip" if value.ndim else None
                file.create_dataset(name, data=value, compression=compression)


def _read_hdf5(path: Path) -> dict[str, np.ndarray]:
    import h5py

    known: dict[int, np.ndarray] = {}  # by address: one data set may have many names
    arrays, total = {}, 0
    with reading(path, "an HDF5 file"), hdf5.open_hdf5(path) as file:
        for name, dataset in file.items():
            if not isinstance(dataset, h5py.Dataset):
                continue
            address = h5py.h5o.get_info(dataset.id).addr
            if address not in known:
                hdf5.check_dataset(dataset)
                total += (dataset.size or 0) * dataset.dtype.itemsize
                check_size(path, "all fields together", total, inflated(path.stat().st_size))
                known[address] = hdf5.read_dataset(dataset)
            arrays[name] = known[address]
    return arrays
