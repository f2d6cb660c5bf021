"""BrainIO assemblies, NetCDF-4 and classic."""

import zipfile

import h5py
import numpy as np
import pytest
import scipy.io

from jaxbio.errors import InputError
from jaxbio.neural import load_brainio, open_recordings
from tests.neural.files import Assembly, write_csv, write_images


@pytest.mark.parametrize("kind", ["write_hdf5", "write_classic"])
def test_presentations_become_stimuli(tmp_path, kind, caplog):
    assembly = Assembly()
    path = getattr(assembly, kind)(tmp_path / "assembly.nc")
    write_csv(tmp_path / "stimuli.csv", category_name=["x", "y", "x", "y"])
    write_images(tmp_path, ["a.png", "b.png", "c.png", "d.png"])
    recordings = load_brainio(path)
    assert recordings.stimuli.ids.tolist() == ["a", "b", "c", "d"]
    assert recordings.stimuli.labels.tolist() == ["x", "y", "x", "y"]
    assert recordings.stimuli.objects.tolist() == [f"object {i}" for i in "abcd"]
    assert recordings.stimuli.read_images(8)[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    values = assembly.values
    np.testing.assert_allclose(recordings.responses[0], values[[1, 4, 8]].mean(0), rtol=1e-6)
    np.testing.assert_array_equal(recordings.repetitions[:, 1], values[[0, 5]])
    assert recordings.repetitions.shape == (2, 4, 3, 2)
    assert recordings.time_bins.tolist() == [[0.0, 50.0], [50.0, 100.0]]
    assert "shown 2 to 3 times" in caplog.text
    v4 = open_recordings(tmp_path, region="V4")
    np.testing.assert_array_equal(v4.responses[:, 0], recordings.responses[:, 1])
    assert v4.repetitions.shape == (2, 4, 1, 2)


@pytest.mark.parametrize("kind", ["write_hdf5", "write_classic"])
def test_packed_values_and_missing_trials(tmp_path, kind):
    """A neuroid that lacks a trial keeps the mean of the others."""
    assembly = Assembly(bins=1)
    raw = np.round(100 * assembly.values).astype(np.int16)
    raw[0, 1] = -32767  # the first showing of "b"
    assembly.values, meant = raw, raw * 0.01 + 3
    path = getattr(assembly, kind)(tmp_path / "assembly.nc", data_type="i2")
    attributes = {"scale_factor": 0.01, "add_offset": 3.0, "_FillValue": np.int16(-32767)}
    if kind == "write_hdf5":
        with h5py.File(path, "a") as file:
            file["xarray_data"].attrs.update(attributes)
    else:
        with scipy.io.netcdf_file(path, "a") as file:
            for name, value in attributes.items():
                setattr(file.variables["responses"], name, value)
    recordings = load_brainio(path)
    assert recordings.stimuli.ids[0] == "b"
    np.testing.assert_allclose(recordings.responses[0, [0, 2], 0], meant[[0, 5]].mean(0)[[0, 2], 0])
    np.testing.assert_allclose(recordings.responses[0, 1, 0], meant[5, 1, 0])
    assert recordings.repetitions is None  # one of them was recorded once


def test_without_a_csv_the_assembly_speaks_for_itself(tmp_path):
    recordings = load_brainio(Assembly(bins=1).write_hdf5(tmp_path / "assembly.nc"))
    assert recordings.stimuli.ids.tolist() == ["b", "a", "d", "c"]
    assert recordings.stimuli.objects[0] == "object b"
    assert recordings.stimuli.images is None


def test_images_in_an_archive_of_the_csv_s_name(tmp_path):
    path = Assembly().write_hdf5(tmp_path / "assembly.nc")
    write_csv(tmp_path / "set.csv")
    folder = tmp_path / "elsewhere"
    write_images(folder, ["a.png", "b.png", "c.png", "d.png"])
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as file:
        for name in "abcd":
            file.write(folder / f"{name}.png", f"{name}.png")
    assert load_brainio(path).stimuli.read_images(4)[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_of_several_folders_in_an_archive_the_first_counts(tmp_path):
    path = Assembly().write_hdf5(tmp_path / "assembly.nc")
    write_csv(tmp_path / "set.csv")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as file:
        for number in range(40):
            for name in "abcd":
                file.writestr(f"{number}/{name}.png", b"")
    assert load_brainio(path).stimuli.images.names.tolist() == [f"0/{name}.png" for name in "abcd"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"ids": ("a", "b", "c")}, "1 stimuli are not in .* .the first is 'd'"),
        ({"ids": ("a", "b", "c", "d", "a")}, "the same id twice"),
        ({"filename": ["../x.png"] * 4}, "outside its folder"),
    ],
)
def test_bad_stimulus_sets(tmp_path, table, message):
    path = Assembly().write_hdf5(tmp_path / "assembly.nc")
    write_csv(tmp_path / "set.csv", **table)
    with pytest.raises(InputError, match=message):
        load_brainio(path)


def test_a_csv_without_ids(tmp_path):
    path = Assembly().write_hdf5(tmp_path / "assembly.nc")
    (tmp_path / "set.csv").write_text("name,file\na,b\n")
    with pytest.raises(InputError, match="column 'stimulus_id' is missing; found name, file"):
        load_brainio(path)
    (tmp_path / "set.csv").write_text("stimulus_id,filename\na\n")
    with pytest.raises(InputError, match="line 2 has 1 cells, the header has 2"):
        load_brainio(path)


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("xarray_data", "0 variables over 'presentation' and 'neuroid'"),
        ("stimulus_id", "presentation coordinate 'stimulus_id' is missing"),
        ("time_bin_end", "'time_bin_start' and 'time_bin_end' are missing"),
    ],
)
def test_missing_variables_are_named(tmp_path, remove, message):
    path = Assembly().write_hdf5(tmp_path / "assembly.nc")
    with h5py.File(path, "a") as file:
        del file[remove]
    with pytest.raises(InputError, match=message):
        load_brainio(path)


def test_damaged_files(tmp_path):
    whole = Assembly().write_hdf5(tmp_path / "assembly.nc").read_bytes()
    for damaged in (whole[:300], b"CDF\x01 broken", b"", b"\x89HDF\r\n\x1a\n"):
        (tmp_path / "bad.nc").write_bytes(damaged)
        with pytest.raises(InputError, match=r"bad\.nc cannot be read as a NetCDF file"):
            load_brainio(tmp_path / "bad.nc")
