"""The layout of Cadieu et al. 2014, as .mat, folder and archive."""

import struct
import zipfile

import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.neural import load_cadieu, open_recordings
from tests.neural.files import SITES, VIEWS, cadieu_rows, write_cadieu, write_images


def _names():
    return [row.split()[0] for row in cadieu_rows()]


def _archive(folder, path, prefix="PLoSCB2014_data_20141216/"):
    with zipfile.ZipFile(path, "w") as file:
        for source in sorted(folder.rglob("*")):
            if source.is_file():
                file.write(source, prefix + str(source.relative_to(folder)))
    return path


def test_images_are_grouped_by_category_and_objects_follow_each_other(tmp_path):
    recordings = load_cadieu(write_cadieu(tmp_path), objects_per_category=2)
    labels = recordings.stimuli.labels
    assert labels.tolist() == ["Animals"] * 6 + ["Cars"] * 6
    assert recordings.stimuli.objects[:6].tolist() == ["Animals_0"] * VIEWS + ["Animals_1"] * VIEWS
    # Row 1 of the file is the first animal; rows keep their order within a category.
    np.testing.assert_array_equal(recordings.responses[0, :, 0], np.arange(SITES) + SITES)
    assert recordings.stimuli.paths[1] == "images/im003.png"
    assert recordings.stimuli.splits.tolist() == [[1, 1]] * 6 + [[0, 1]] * 6
    assert recordings.stimuli.images is None


def test_folder_and_archive_bring_their_images(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_cadieu(folder, "IT")
    write_cadieu(folder, "V4", features=np.ones((12, 3)))
    write_images(folder, _names())
    archive = _archive(folder, tmp_path / "data.zip")
    for path in (folder, archive):
        recordings = open_recordings(path, objects_per_category=2)
        reds = recordings.stimuli.read_images(8)[:, 0, 0, 0]
        assert reds.tolist() == [1, 3, 5, 7, 9, 11, 0, 2, 4, 6, 8, 10]
        assert open_recordings(path, region="V4", objects_per_category=2).responses.shape[1] == 3
    part = recordings.select(stimuli=np.array([3, 0]))
    assert part.stimuli.read_images(4)[:, 0, 0, 0].tolist() == [7, 1]


def test_a_single_file_says_its_area(tmp_path):
    path = write_cadieu(tmp_path, "V4")
    assert set(open_recordings(path, objects_per_category=1).neuroids["region"]) == {"V4"}
    with pytest.raises(InputError, match="--region=IT"):
        open_recordings(path, region="IT")


@pytest.mark.parametrize("member", ["../evil.mat", "/etc/evil.mat", "a/../../b", "C:evil"])
def test_members_outside_the_folder_are_refused(tmp_path, member):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(zipfile.ZipInfo(member), b"x")
    with pytest.raises(InputError, match="outside its folder"):
        load_cadieu(path)


def test_links_in_an_archive_are_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        load_cadieu(tmp_path / "data.zip")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"features": None}, "field 'features' is missing; it has meta"),
        ({"meta": None}, "field 'meta' is missing"),
        ({"features": np.zeros((12, 2, 2))}, "field 'features' is float64 of shape"),
        ({"features": np.zeros((11, 2))}, "meta has 12 rows and features 11"),
        ({"meta": np.zeros(12)}, "field 'meta' is float64"),
        ({"meta": np.array(["a.png Cars 1"] * 11 + ["b.png Cars 2"])}, "'meta', row 12"),
        ({"meta": np.array(["a.png Cars 1"] * 11 + ["b.png Cars"])}, "'meta', row 12"),
        ({"meta": np.array([f"../{i}.png Cars" for i in range(12)])}, "outside its folder"),
        ({"meta": np.array(["a.png Cars"] * 12)}, "stimuli.ids are not unique"),
    ],
)
def test_malformed_fields_are_named(tmp_path, changed, message):
    path = write_cadieu(tmp_path, **changed)
    with pytest.raises(InputError, match=message) as error:
        load_cadieu(path, objects_per_category=1)
    assert "\n" not in str(error.value)


def test_counts_that_do_not_divide_into_objects(tmp_path):
    with pytest.raises(InputError, match="category 'Animals' has 6 images"):
        load_cadieu(write_cadieu(tmp_path))


def test_unreadable_files(tmp_path):
    path = tmp_path / "NeuralData_IT_multiunits.mat"
    path.write_bytes(b"no matlab file at all" * 20)
    with pytest.raises(InputError, match="cannot be read as a MATLAB file"):
        load_cadieu(path)
    header = b"MATLAB 7.3 MAT-file".ljust(124) + (0x0200).to_bytes(2, "little") + b"IM"
    for begin in (header, header[:124] + b"\x00\x01IM"):  # said to be 7.3, and 5
        path.write_bytes(begin + struct.pack("<II", 15, 2**31) + bytes(512))
        with pytest.raises(InputError, match=r"NeuralData_IT_multiunits\.mat"):
            load_cadieu(path)
    (tmp_path / "data.zip").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(InputError, match="cannot be read as a zip archive"):
        load_cadieu(tmp_path / "data.zip")
    with pytest.raises(InputError, match="has no NeuralData_V4"):
        load_cadieu(tmp_path, "V4")


def test_missing_and_undecodable_images(tmp_path):
    write_cadieu(tmp_path)
    write_images(tmp_path, _names())
    (tmp_path / "images" / "im004.png").write_bytes(b"\x89PNG broken")
    recordings = load_cadieu(tmp_path, objects_per_category=2)
    with pytest.raises(InputError, match=r"image images/im004\.png .*no picture"):
        recordings.stimuli.read_images(8)
    (tmp_path / "images" / "im004.png").unlink()
    with pytest.raises(InputError, match=r"1 of 12 images are missing: images/im004\.png"):
        load_cadieu(tmp_path, objects_per_category=2)
