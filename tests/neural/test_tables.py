"""Plain tables, NWB and MATLAB 7.3."""

import h5py
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.neural import load_cadieu, open_recordings
from tests.neural.files import cadieu_rows, write_csv, write_images

IMAGES, NEURONS = ("b.png", "a.png", "c.png"), ("n0", "n1")
VALUES = np.arange(6.0).reshape(3, 2)  # images x neurons


def write_table(path, first, transposed=False):
    rows, columns, values = (NEURONS, IMAGES, VALUES.T) if transposed else (IMAGES, NEURONS, VALUES)
    lines = [",".join((first, *columns))]
    lines += [",".join((row, *map(str, v))) for row, v in zip(rows, values, strict=True)]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("first", "transposed"),
    [("stimulus_id", False), ("neuroid_id", True), ("", False), ("", True)],
)
def test_a_csv_tells_its_axes_by_ids(tmp_path, first, transposed):
    path = write_table(tmp_path / "r.csv", first, transposed)
    recordings = open_recordings(path)
    assert recordings.stimuli.ids.tolist() == list(IMAGES)
    assert recordings.neuroids["neuroid_id"].tolist() == list(NEURONS)
    np.testing.assert_array_equal(recordings.responses[:, :, 0], VALUES)
    write_images(tmp_path / "pictures", IMAGES)
    named = open_recordings(path, stimuli=tmp_path / "pictures")
    assert named.stimuli.ids.tolist() == sorted(IMAGES)
    np.testing.assert_array_equal(named.responses[:, :, 0], VALUES[[1, 0, 2]])
    assert named.stimuli.read_images(4)[:, 0, 0, 0].tolist() == [1, 0, 2]


@pytest.mark.parametrize("transposed", [False, True])
def test_an_npy_is_told_by_its_stimuli(tmp_path, transposed):
    np.save(tmp_path / "r.npy", VALUES.T if transposed else VALUES)
    with pytest.raises(InputError, match="--stimuli=PATH"):
        open_recordings(tmp_path / "r.npy")
    write_csv(tmp_path / "stimuli.csv", ids=("a", "b", "c"), category_name=["x", "y", "x"])
    recordings = open_recordings(tmp_path / "r.npy")  # the only CSV beside it
    np.testing.assert_array_equal(recordings.responses[:, :, 0], VALUES)
    assert recordings.stimuli.labels.tolist() == ["x", "y", "x"]


def test_whatever_opens_as_a_picture_is_a_stimulus(tmp_path):
    write_images(tmp_path / "pictures", ("a.jfif", "b.avif", "c.png"))
    np.save(tmp_path / "r.npy", VALUES)
    recordings = open_recordings(tmp_path / "r.npy", stimuli=tmp_path / "pictures")
    assert recordings.stimuli.ids.tolist() == ["a.jfif", "b.avif", "c.png"]
    assert recordings.stimuli.read_images(4).shape == (3, 4, 4, 3)


def test_tables_that_cannot_be_told_or_read(tmp_path):
    write_csv(tmp_path / "stimuli.csv", ids=("a", "b", "c"))
    for values, message in [
        (np.ones((3, 3)), "either axis can be the images"),
        (np.ones((4, 2)), "no axis has 3 entries"),
        (np.ones(3), r"shape \(3,\)"),
        (np.array([["a"]]), "must be numbers"),
    ]:
        np.save(tmp_path / "r.npy", values)
        with pytest.raises(InputError, match=message):
            open_recordings(tmp_path / "r.npy")
    whole = (tmp_path / "r.npy").read_bytes()
    (tmp_path / "r.npy").write_bytes(whole.replace(b"(1, 1)", b"(9" + b"9" * 12 + b",)"))
    with pytest.raises(InputError, match=r"r\.npy"):
        open_recordings(tmp_path / "r.npy")
    plain = tmp_path / "plain.csv"
    plain.write_text("id,x,y\n1,2,3\n")
    with pytest.raises(InputError, match="stimulus_id or neuroid_id"):
        open_recordings(plain)
    plain.write_text("stimulus_id,x\na,much\n")
    with pytest.raises(InputError, match="not numbers"):
        open_recordings(plain)
    with pytest.raises(InputError, match="no 'a'"):
        open_recordings(write_table(tmp_path / "t.csv", "image"), stimuli=tmp_path / "stimuli.csv")


def write_nwb(path, **units):
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.6.0"
        shown = file.create_group("intervals/presentations")
        shown["start_time"] = [0.0, 1.0, 2.0, 3.0]
        shown["stop_time"] = [0.2, 1.2, 2.2, 3.2]
        shown["stimulus_name"] = ["a", "b", "a", "b"]
        group = file.create_group("units")
        group["id"] = [7, 9]
        # One spike in 70 to 170 ms of every presentation of b; of a, two in its second only.
        group["spike_times"] = [1.08, 1.5, 3.1, 2.07, 2.1, 2.171]
        group["spike_times_index"] = [3, 6]
        group["location"] = ["IT", "V4"]
    return path


def test_spikes_around_onsets_of_nwb(tmp_path):
    recordings = open_recordings(write_nwb(tmp_path / "x.nwb"))
    assert recordings.stimuli.ids.tolist() == ["a", "b"]
    np.testing.assert_allclose(recordings.responses[:, :, 0], [[0, 10], [10, 0]])
    np.testing.assert_allclose(recordings.repetitions[:, 0, 1, 0], [0, 20])
    assert recordings.neuroids["neuroid_id"].tolist() == ["7", "9"]
    assert recordings.time_bins.tolist() == [[70, 170]]
    assert open_recordings(tmp_path / "x.nwb", region="V4").responses.shape == (2, 1, 1)


def test_a_table_of_responses_in_nwb(tmp_path):
    with h5py.File(tmp_path / "x.nwb", "w") as file:
        table = file.create_group("processing/vision/responses")
        table["image_id"] = [3, 1, 2]
        table["rates"] = VALUES
    recordings = open_recordings(tmp_path / "x.nwb")
    assert recordings.stimuli.ids.tolist() == ["3", "1", "2"]
    np.testing.assert_array_equal(recordings.responses[:, :, 0], VALUES)


def test_nwb_without_either_is_one_line(tmp_path):
    with h5py.File(tmp_path / "x.nwb", "w") as file:
        file.create_group("acquisition")
    with pytest.raises(InputError, match=r"x\.nwb has neither units with spike_times"):
        open_recordings(tmp_path / "x.nwb")


def test_matlab_7_3(tmp_path):
    rows = cadieu_rows()
    features = np.arange(5.0 * len(rows)).reshape(len(rows), 5)
    path = tmp_path / "NeuralData_IT_multiunits.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["features"] = features.T
        file["features"].attrs["MATLAB_class"] = np.bytes_("double")
        length = max(map(len, rows))
        file["meta"] = np.array([[ord(c) for c in row.ljust(length)] for row in rows], "u2").T
        file["meta"].attrs["MATLAB_class"] = np.bytes_("char")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    recordings = load_cadieu(path, objects_per_category=2)
    order = np.argsort([row.split()[1] for row in rows], kind="stable")
    np.testing.assert_array_equal(recordings.responses[:, :, 0], features[order])
    assert recordings.stimuli.paths[0] == rows[order[0]].split()[0]


def test_structs_and_cells_of_matlab_7_3(tmp_path):
    from jaxbio.files.matlab import read_mat, struct_field, text

    path = tmp_path / "s.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for i, name in enumerate(("hIT | A", "mIT")):
            letters = file.create_dataset(f"#refs#/n{i}", data=np.array([[ord(c)] for c in name]))
            letters.attrs["MATLAB_class"] = np.bytes_("char")
            file[f"#refs#/r{i}"] = np.full((3, 2), float(i))
        struct = file.create_group("RDMs")
        struct.attrs["MATLAB_class"] = np.bytes_("struct")
        for field, letter in (("name", "n"), ("RDM", "r")):
            refs = np.array([[file[f"#refs#/{letter}{i}"].ref] for i in range(2)], h5py.ref_dtype)
            struct.create_dataset(field, data=refs, dtype=h5py.ref_dtype)
        loop = file.create_dataset("loop", (1, 1), h5py.ref_dtype)
        loop.attrs["MATLAB_class"] = np.bytes_("cell")
        loop[0, 0] = file["#refs#/r0"].ref
    found = read_mat(path)
    assert [text(n) for n in struct_field(found["RDMs"], "name", path, "RDMs")] == [
        "hIT | A",
        "mIT",
    ]
    assert [r.shape for r in struct_field(found["RDMs"], "RDM", path, "RDMs")] == [(2, 3)] * 2
    with h5py.File(path, "r+") as file:
        file["loop"][0, 0] = file["loop"].ref
    with pytest.raises(InputError, match="contains itself"):
        read_mat(path)
