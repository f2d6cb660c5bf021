"""Folders of pictures with dissimilarities of them."""

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import squareform

from jaxbio.errors import InputError
from jaxbio.neural import open_recordings


@pytest.fixture
def folder(tmp_path):
    for i in range(4):
        Image.fromarray(np.full((8, 8, 3), 50 * i, np.uint8)).save(tmp_path / f"image_{i}.png")
    np.savez(tmp_path / "fmri_EVC_RDMs.npz", _rdms(0, 5))
    np.save(tmp_path / "IT_RDM.npy", _rdms(1, 1)[0])
    return tmp_path


def _rdms(seed, count, images=4):
    rng = np.random.default_rng(seed)
    pairs = images * (images - 1) // 2
    return np.stack([squareform(rng.uniform(size=pairs)) for _ in range(count)])


def test_regions_are_files_and_pictures_are_in_alphabetical_order(folder):
    recordings = open_recordings(folder)
    assert recordings.rdms.keys() == {"EVC", "IT"}
    np.testing.assert_array_equal(recordings.rdms["EVC"], _rdms(0, 5))
    np.testing.assert_array_equal(recordings.rdms["IT"], _rdms(1, 1))
    grey = recordings.stimuli.read_images(8)[:, 0, 0, 0]
    assert grey.tolist() == [0, 50, 100, 150]
    assert open_recordings(folder, region="IT").rdms.keys() == {"IT"}


@pytest.mark.parametrize(
    "array",
    [_rdms(0, 2, images=5), np.zeros((4, 4), "U3"), np.arange(16.0), np.ones((2, 4, 4))],
    ids=["other pictures", "text", "a vector", "no zero diagonal"],
)
def test_wrong_files_are_named(folder, array):
    np.savez(folder / "fmri_EVC_RDMs.npz", array)
    with pytest.raises(InputError, match="EVC"):
        open_recordings(folder)


def test_a_file_of_several_arrays_is_refused(folder):
    np.savez(folder / "fmri_EVC_RDMs.npz", a=_rdms(0, 1), b=_rdms(0, 1))
    with pytest.raises(InputError, match="a, b"):
        open_recordings(folder)
