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


def test_values_out_of_their_valid_range_are_missing():
    raw = np.array([0, 5, 100, -3], "i2")
    nan = np.nan
    for limits in ({"valid_range": np.int16([0, 50])}, {"valid_min": 0, "valid_max": np.int16(50)}):
        np.testing.assert_array_equal(hdf5.unpacked(raw, limits), [0, 5, nan, nan])
    # In the unpacked type they speak of unpacked values.
    packed = {"scale_factor": 0.1, "valid_range": [0.0, 1.0]}
    np.testing.assert_allclose(hdf5.unpacked(raw, packed), [0, 0.5, nan, nan])


def test_markers_of_other_types():
    raw = np.array([0, -32768, 7], "i2")
    for marker in (np.nan, 1e20, 70_000, np.float32(9.97e36)):  # none of these numbers is there
        assert hdf5.unpacked(raw, {"missing_value": marker}).dtype == np.int16
    np.testing.assert_array_equal(hdf5.unpacked(raw, {"missing_value": "7"}), [0, -32768, np.nan])
    single = hdf5.unpacked(np.array([1, 1e20, 3], "f4"), {"missing_value": 1e20})
    np.testing.assert_array_equal(single, np.array([1, np.nan, 3], "f4"))
    byte = hdf5.unpacked(np.array([-1, 3], "i1"), {"_Unsigned": "true", "_FillValue": np.int8(-1)})
    np.testing.assert_array_equal(byte, [np.nan, 3])
    signed = hdf5.unpacked(np.array([255, 3], "u1"), {"_Unsigned": "false"})
    np.testing.assert_array_equal(signed, [-1, 3])
    np.testing.assert_array_equal(hdf5.unpacked(raw, {}, fill=-32768), [0, np.nan, 7])
    for attribute in ({"scale_factor": "x"}, {"add_offset": [1.0, 2.0]}, {"_FillValue": b"z"}):
        with pytest.raises(InputError, match=r"add_offset|no number"):
            hdf5.unpacked(raw, attribute)


def _file(path, **entries):
    with h5py.File(path, "w") as file:
        for name, value in entries.items():
            file[name] = value
    return path


def test_deep_groups_are_refused_quickly(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file
        for _ in range(500):
            group = group.create_group("a")
    with pytest.raises(InputError, match="nest deeper"):
        hdf5.open_hdf5(tmp_path / "a.h5")
    _file(tmp_path / "b.h5", x=[1], itself=h5py.SoftLink("/"))
    hdf5.open_hdf5(tmp_path / "b.h5").close()


def test_what_only_a_reference_leads_to_is_checked(tmp_path):
    """Cells of MATLAB 7.3 are reached by references: links alone do not show all."""
    (tmp_path / "secret").write_bytes(bytes(24))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        there = file.create_dataset(
            "x", (3, 2), "<f4", external=[(str(tmp_path / "secret"), 0, 24)]
        )
        with pytest.raises(InputError, match="another file"):
            hdf5.check_dataset(there)


def test_one_long_text_does_not_fill_the_memory(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        texts = ["x" * 2**16] + ["y"] * 5000
        file.create_dataset("stimulus_ids", data=texts, dtype=h5py.string_dtype())
    with pytest.raises(InputError, match="stimulus_ids' declares"):
        open_recordings(path)


def test_one_data_set_of_many_names_is_read_once(tmp_path):
    path = _file(tmp_path / "a.h5", stimulus_ids=["a", "b"], responses=np.ones((2, 3)))
    with h5py.File(path, "a") as file:
        big = {"chunks": (2**20,), "compression": "gzip"}
        file.create_dataset("neuroid_0", (2**24,), "f8", **big)[:] = 1
        for i in range(1, 100):
            file[f"neuroid_{i}"] = file["neuroid_0"]
    with pytest.raises(InputError, match="entries, not 3"):
        open_recordings(path)


@pytest.mark.parametrize("value", [np.zeros(2, [("a", "f4")]), np.void(b"abc"), h5py.Empty("f4")])
def test_what_is_neither_number_nor_text_is_named(tmp_path, value):
    path = _file(tmp_path / "a.h5", stimulus_ids=["a", "b"], responses=value)
    with pytest.raises(InputError, match="must be numbers or text"):
        open_recordings(path)
