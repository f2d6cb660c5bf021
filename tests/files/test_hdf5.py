"""HDF5 from others: values of other files, packing, declared sizes."""

import h5py
import numpy as np
import pytest

from jaxbio import features
from jaxbio.errors import InputError
from jaxbio.files import hdf5
from jaxbio.files.sizes import check_size
from jaxbio.neural import open_recordings


def external_storage(file, folder):
    (folder / "secret.bin").write_bytes(np.arange(6, dtype="<f4").tobytes())
    file.create_dataset("responses", (3, 2), "<f4", external=[(str(folder / "secret.bin"), 0, 24)])


def external_link(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["responses"] = np.ones((3, 2))
    file["responses"] = h5py.ExternalLink(str(folder / "other.h5"), "responses")


def virtual(file, folder):
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "nowhere.h5"), "r", (3, 2))
    file.create_virtual_dataset("responses", layout, fillvalue=7)


@pytest.mark.parametrize("make", [external_storage, external_link, virtual])
@pytest.mark.parametrize("suffix", ["h5", "nc", "nwb", "mat"])
def test_values_of_other_files_are_refused(tmp_path, make, suffix):
    path = tmp_path / f"a.{suffix}"
    with h5py.File(path, "w") as file:
        file["stimulus_ids"] = ["a", "b", "c"]
        make(file.create_group("deep") if suffix == "nwb" else file, tmp_path)
    with pytest.raises(InputError, match=r"responses' takes its values from another file"):
        open_recordings(path)
    with pytest.raises(InputError, match="takes its values from another file"):
        features.load(path)


def test_packed_and_missing_values():
    raw = np.array([100, -32767, 0, 7], ">i2")
    packed = {"scale_factor": [0.5], "add_offset": 3.0, "_FillValue": np.int16(-32767)}
    np.testing.assert_array_equal(hdf5.unpacked(raw, packed), [53, np.nan, 3, 6.5])
    np.testing.assert_array_equal(
        hdf5.unpacked(raw, {"missing_value": [0.0, 7.0]}), [100, -32767, np.nan, np.nan]
    )
    assert hdf5.unpacked(raw, {}).dtype == np.int16
    single = hdf5.unpacked(np.array([1, -9999], "f4"), {"missing_value": -9999.0})
    np.testing.assert_array_equal(single, np.array([1, np.nan], "f4"))
    unsigned = hdf5.unpacked(np.array([-1], "i1"), {"_Unsigned": b"true", "scale_factor": 2.0})
    np.testing.assert_array_equal(unsigned, [510])


def test_sizes_are_held_against_the_file_and_the_memory(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["stimulus_ids"] = ["a", "b"]
        file.create_dataset("responses", (2, 2**40), "f8", chunks=(1, 1024), compression="gzip")
    with pytest.raises(InputError, match=r"a.h5: '/responses' declares 17592186044416 bytes"):
        open_recordings(tmp_path / "a.h5")
    with pytest.raises(InputError, match="GiB of memory"):
        check_size("x", "y", 2**60)
