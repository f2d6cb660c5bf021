"""Reading a file of features back."""

import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np

from jaxbio.errors import InputError
from jaxbio.features.layers import Layer, time_labels
from jaxbio.features.npz import TEXTS
from jaxbio.files import hdf5
from jaxbio.files.npz import check_npz
from jaxbio.files.reading import check_regular, reading

FORMAT = "jaxbio features"


class FeatureFile(Mapping[str, np.ndarray]):
    """Features in a file: a mapping from layers to arrays, read when they are asked for.

    ``file[layer]`` reads a whole layer, float32 ``[image, (time,) row, column, channel]`` (less
    after pooling or projection); :meth:`read` a part of it.

    Args:
        path: an ``.h5`` or ``.npz`` that ``evaluate.py --mode=features`` has written.

    Attributes:
        path: the file.
        layers: what each layer's axes are.
        images: file names, one per row.
        skipped: names of images that did not decode; they have no rows.
        description: everything that the features depend on.
        about: where they come from.
        content_key: of the description; files with the same key hold the same features.

    Raises:
        InputError: no such file, not a file of features, or not complete.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._file: h5py.File | np.lib.npyio.NpzFile
        if not os.path.lexists(self.path):
            raise InputError(f"{path} does not exist: make it with --mode=features")
        check_regular(self.path)
        with reading(path, "a file of features"):
            self._open()

    def _open(self) -> None:
        if zipfile.is_zipfile(self.path):
            check_npz(self.path)
            self._file = np.load(self.path, allow_pickle=False)
            text = {name: str(self._file[name]) for name in TEXTS}
            names = {name: self._file[name] for name in ("image", "skipped")}
        else:
            self._file = hdf5.open_hdf5(self.path)
            text = {name: str(self._file.attrs[name]) for name in TEXTS}
            if text["format"] == FORMAT and not self._file.attrs["complete"]:
                raise InputError(
                    f"{self.path} is not complete: repeat the command that makes it, which goes on"
                )
            names = {name: hdf5.read_dataset(self._file[name]) for name in ("image", "skipped")}
        if text["format"] != FORMAT:
            raise InputError(f"{self.path} is not a file of features (format '{text['format']}')")
        if any(
            found.dtype.kind != "U" or found.ndim != 1 for found in names.values() if found.size
        ):
            raise ValueError("names that are no text")
        self.images: list[str] = [str(name) for name in names["image"]]
        self.skipped: list[str] = [str(name) for name in names["skipped"]]
        self.content_key = text["content_key"]
        self.description: dict[str, Any] = json.loads(text["description"])
        self.about: dict[str, Any] = json.loads(text["about"])
        self.layers = {
            name: Layer(**{k: tuple(v) if isinstance(v, list) else v for k, v in layer.items()})  # type: ignore[arg-type]
            for name, layer in json.loads(text["layers"]).items()
        }

    def __enter__(self) -> "FeatureFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getitem__(self, layer: str) -> np.ndarray:
        return self.read(layer)

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def read(
        self,
        layer: str,
        *,
        times: Sequence[int] | None = None,
        images: slice = slice(None),
    ) -> np.ndarray:
        """Reads a layer, or a part of it.

        From HDF5 only what is asked for is read; from NPZ the whole layer.

        Args:
            layer: one of ``layers``.
            times: steps, as they are numbered in the model; None: all.
            images: rows.

        Raises:
            InputError: an unknown layer, or a step that it does not have.
        """
        if layer not in self.layers:
            raise InputError(
                f"{self.path} has no layer '{layer}': use one of {', '.join(self.layers)}"
            )
        if times is None:
            with reading(self.path, "a file of features"):
                return self._stored(layer)[images]
        steps = self.layers[layer].steps or ()
        unknown = [step for step in times if step not in steps]
        if unknown:
            raise InputError(
                f"{self.path}: layer '{layer}' has no step {unknown[0]}: use one of "
                f"{', '.join(map(str, steps)) or 'no steps, it has no time'}"
            )
        with reading(self.path, "a file of features"):
            stored = self._stored(layer)
            return np.stack([stored[images, steps.index(step)] for step in times], axis=1)

    def _stored(self, layer: str) -> np.ndarray | h5py.Dataset:
        if isinstance(self._file, h5py.File):
            stored: Any = self._file[f"layers/{layer}/features"]
            hdf5.check_dataset(stored)
        else:
            stored = self._file[f"layer/{layer}"]
        expected = (len(self.images), *self.layers[layer].feature_shape)
        if stored.dtype != np.float32 or stored.shape != expected:
            raise ValueError(
                f"layer '{layer}' is {stored.dtype} of shape {stored.shape}, not {expected}"
            )
        return stored

    def to_xarray(self, layer: str) -> Any:
        """A layer as an ``xarray.DataArray`` with the coordinates of images, steps and units.

        Raises:
            InputError: an unknown layer, or xarray is not installed.
        """
        try:
            import xarray
        except ImportError:
            raise InputError("xarray is not installed: pip install 'jaxbio[xarray]'") from None
        values = self.read(layer)
        what = self.layers[layer]
        coordinates: dict[str, Any] = {"image": self.images, **what.coordinates()}
        if what.steps is not None:
            coordinates["time_label"] = ("time", time_labels(what))
        return xarray.DataArray(
            values,
            coords=coordinates,
            dims=("image", *what.dims),
            name=layer,
            attrs={"arrival_step": what.arrival_step, "content_key": self.content_key},
        )


@overload
def load(
    path: str | Path, layer: None = None, times: Sequence[int] | None = None
) -> FeatureFile: ...


@overload
def load(path: str | Path, layer: str, times: Sequence[int] | None = None) -> np.ndarray: ...


def load(
    path: str | Path, layer: str | None = None, times: Sequence[int] | None = None
) -> FeatureFile | np.ndarray:
    """Opens a file of features, or reads one layer of it.

    Args:
        path: an ``.h5`` or ``.npz`` that ``evaluate.py --mode=features`` has written.
        layer: None opens the file.
        times: of the layer: steps as they are numbered in the model; None: all.

    Returns:
        A :class:`FeatureFile`, or the layer's float32 ``[image, (time,) ...]``.

    Raises:
        InputError: no such file, not a file of features, not complete; an unknown layer or step.

    Example:
        >>> load("feats.h5", "IT", times=[1]).shape
        (364, 1, 7, 7, 512)
    """
    if layer is None:
        return FeatureFile(path)
    with FeatureFile(path) as file:
        return file.read(layer, times=times)
