"""Small files in the published layouts, written by the tests themselves."""

import csv
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from PIL import Image

CATEGORIES = ("Cars", "Animals")
OBJECTS, VIEWS, SITES = 2, 3, 5
PRESENTED = 2  # how often the BrainIO stimuli are shown


def write_images(folder: Path, names) -> None:
    """One plain colour per image: the number is the red level."""
    for number, name in enumerate(names):
        file = folder / str(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 12), (number, 100, 200)).save(file)


def cadieu_rows() -> list[str]:
    """Rows in an order that mixes the categories."""
    total = len(CATEGORIES) * OBJECTS * VIEWS
    return [f"images/im{i:03d}.png {CATEGORIES[i % 2]} {i % 2} 1" for i in range(total)]


def write_cadieu(folder: Path, area: str = "IT", **changed) -> Path:
    rows = cadieu_rows()
    features = np.arange(len(rows) * SITES, dtype=float).reshape(len(rows), SITES)
    variables = {"features": features, "meta": np.array(rows), **changed}
    path = folder / f"NeuralData_{area}_multiunits.mat"
    scipy.io.savemat(path, {k: v for k, v in variables.items() if v is not None})
    return path


class Assembly:
    """A BrainIO assembly of 4 stimuli shown twice and more, 3 neuroids, 2 time bins."""

    ids = ("b", "a", "d", "c", "a", "b", "c", "d", "a")  # "a" is shown three times
    repetition = (0, 0, 0, 0, 1, 1, 1, 1, 2)

    def __init__(self, bins: int = 2):
        rng = np.random.default_rng(0)
        self.values = rng.standard_normal((len(self.ids), 3, bins)).astype(np.float32)
        self.coordinates = {
            "presentation": {
                "stimulus_id": np.array(self.ids),
                "object_name": np.array([f"object {i}" for i in self.ids]),
                "repetition": np.array(self.repetition, np.int32),
            },
            "neuroid": {
                "neuroid_id": np.array(["n0", "n1", "n2"]),
                "region": np.array(["IT", "V4", "IT"]),
            },
            "time_bin": {
                "time_bin_start": 50.0 * np.arange(bins),
                "time_bin_end": 50.0 * np.arange(bins) + 50.0,
            },
        }

    def write_hdf5(self, path: Path, data_type: str = "f4") -> Path:
        """As the netCDF-4 library lays it out: scales for dimensions, variable-length text."""
        with h5py.File(path, "w") as file:
            for dim, size in zip(self.coordinates, self.values.shape, strict=True):
                scale = file.create_dataset(dim, (size,), "f4")
                scale.make_scale(f"This is a netCDF dimension but not a netCDF variable {size:9d}")
            for dim, columns in self.coordinates.items():
                for name, values in columns.items():
                    if values.dtype.kind == "U":
                        data = file.create_dataset(
                            name, data=values.astype(object), dtype=h5py.string_dtype()
                        )
                    else:
                        data = file.create_dataset(name, data=values)
                    data.dims[0].attach_scale(file[dim])
            # Another order of the axes than ours: names decide, not places.
            data = file.create_dataset(
                "xarray_data", data=self.values.transpose(1, 0, 2).astype(data_type)
            )
            for axis, dim in enumerate(("neuroid", "presentation", "time_bin")):
                data.dims[axis].attach_scale(file[dim])
        return path

    def write_classic(self, path: Path, data_type: str = "f4") -> Path:
        """Classic NetCDF: big-endian numbers, text as an axis of characters."""
        with scipy.io.netcdf_file(path, "w") as file:
            for dim, size in zip(self.coordinates, self.values.shape, strict=True):
                file.createDimension(dim, size)
            for dim, columns in self.coordinates.items():
                for name, values in columns.items():
                    if values.dtype.kind == "U":
                        raw = np.char.encode(values, "utf-8")
                        file.createDimension(f"{name}_length", raw.dtype.itemsize)
                        variable = file.createVariable(name, "S1", (dim, f"{name}_length"))
                        variable[:] = raw.view("S1").reshape(len(raw), -1)
                    else:
                        variable = file.createVariable(name, values.dtype, (dim,))
                        variable[:] = values
            data = file.createVariable("responses", data_type, tuple(self.coordinates))
            data[:] = self.values
        return path


def write_csv(path: Path, ids=("a", "b", "c", "d"), **columns) -> Path:
    names = {"stimulus_id": ids, "filename": [f"{i}.png" for i in ids], **columns}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(zip(*names.values(), strict=True))
    return path
