"""The files of Kriegeskorte et al. 2008: small ones made here, the real ones where they are."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from scipy.spatial.distance import squareform

from jaxbio.errors import InputError
from jaxbio.neural import load_kriegeskorte, open_recordings
from jaxbio.neural.kriegeskorte import BRAIN_RDMS, SUPPLEMENT

_COUNT = 5


def _rdm(seed):
    return squareform(np.random.default_rng(seed).uniform(size=_COUNT * (_COUNT - 1) // 2))


def _struct(entries, shape):
    dtype = [(name, object) for name in entries[0]]
    array = np.empty(len(entries), dtype)
    for i, entry in enumerate(entries):
        for name, value in entry.items():
            array[name][i] = value
    return array.reshape(shape)


def _write(folder):
    images = np.arange(_COUNT * 6 * 6 * 3, dtype=np.uint8).reshape(_COUNT, 6, 6, 3)
    stimuli = [{"category": f"kind {i % 2}", "image": images[i]} for i in range(_COUNT)]
    figure = [
        {"name": "mIT_674neurons", "RDM": squareform(_rdm(1))[None]},
        {"name": "hITvisStim_316vx", "RDM": squareform(_rdm(2))[None]},
    ]
    scipy.io.savemat(
        folder / SUPPLEMENT,
        {
            "stimuli_92objs": _struct(stimuli, (1, -1)),
            "RDMs_mIT_hIT_fig1": _struct(figure, (1, -1)),
        },
    )
    sessions = [
        {"RDM": _rdm(10 * subject + session), "name": f"hIT | S{subject} | Session: {session}"}
        for subject in (1, 2)
        for session in (1, 2)
    ]
    scipy.io.savemat(folder / BRAIN_RDMS, {"RDMs": _struct(sessions, (1, 2, 2))})
    return images


def test_the_two_files_together(tmp_path):
    images = _write(tmp_path)
    recordings = open_recordings(tmp_path)
    np.testing.assert_array_equal(recordings.stimuli.read_images(6), images)
    assert recordings.stimuli.labels.tolist() == [f"kind {i % 2}" for i in range(_COUNT)]
    human = recordings.rdms["human_it"]
    np.testing.assert_allclose(human[1], (_rdm(21) + _rdm(22)) / 2)
    np.testing.assert_array_equal(recordings.rdms["monkey_it"][0], _rdm(1))
    monkey = open_recordings(tmp_path, region="monkey_it")
    assert set(monkey.rdms) == {"monkey_it"}


def test_each_file_alone(tmp_path):
    _write(tmp_path)
    supplement = open_recordings(tmp_path / SUPPLEMENT)
    np.testing.assert_array_equal(supplement.rdms["human_it"][0], _rdm(2))
    subjects = open_recordings(tmp_path / BRAIN_RDMS)
    assert subjects.rdms["human_it"].shape == (2, _COUNT, _COUNT)
    with pytest.raises(InputError, match="have no images"):
        subjects.stimuli.read_images(8)


def test_the_npz(tmp_path):
    images = _write(tmp_path)
    human = np.stack([[_rdm(11), _rdm(12)], [_rdm(21), _rdm(22)]])
    arrays = {
        "images": images,
        "category": np.array(["a", "b", "a", "b", "a"]),
        "monkey_it_rdm_vec": squareform(_rdm(1)),
        "human_it_rdms": human,
    }
    np.savez(tmp_path / "92.npz", **arrays)
    recordings = open_recordings(tmp_path / "92.npz")
    np.testing.assert_allclose(recordings.rdms["human_it"], human.mean(1))

    for name, value, message in [
        ("images", images.astype(float), "field 'images' is float64"),
        ("human_it_rdms", human[:, :, :4], "field 'human_it_rdms' has shape"),
        ("monkey_it_rdm_vec", np.ones(4), "field 'monkey_it_rdm_vec' has 4 entries"),
        ("category", np.array([{}] * _COUNT, object), "field 'category' cannot be read"),
    ]:
        np.savez(tmp_path / "bad.npz", **{**arrays, name: value})
        with pytest.raises(InputError, match=message):
            load_kriegeskorte(tmp_path / "bad.npz")


def test_other_files_are_refused(tmp_path):
    scipy.io.savemat(tmp_path / "other.mat", {"x": np.ones(3)})
    with pytest.raises(InputError, match="field 'stimuli_92objs' is missing; it has x"):
        open_recordings(tmp_path / "other.mat")
    scipy.io.savemat(tmp_path / "other.mat", {"RDMs": np.ones(3)})
    with pytest.raises(InputError, match="RDMs has no field 'name'"):
        open_recordings(tmp_path / "other.mat")


def _real(name):
    path = Path(os.environ.get("JAXBIO_DATA_DIR", "")) / name
    if not (os.environ.get("JAXBIO_DATA_DIR") and path.exists()):
        pytest.skip(f"JAXBIO_DATA_DIR has no {name}")
    return path


def test_the_published_files_agree_with_each_other():
    npz = open_recordings(_real("kriegeskorte2008_92.npz"))
    mat = load_kriegeskorte(_real(SUPPLEMENT).parent)
    for area in ("human_it", "monkey_it"):
        np.testing.assert_allclose(mat.rdms[area], npz.rdms[area], atol=1e-6)
    np.testing.assert_array_equal(mat.stimuli.labels, npz.stimuli.labels)
    np.testing.assert_array_equal(mat.stimuli.images, npz.stimuli.images)
    mean = open_recordings(_real(SUPPLEMENT)).rdms["human_it"][0]
    np.testing.assert_allclose(npz.rdms["human_it"].mean(0), mean, atol=1e-6)


def test_judgements_and_models_beside_the_recordings(tmp_path):
    _write(tmp_path)
    people = [{"RDM": _rdm(30 + i), "name": f"simJudge | subject{i}"} for i in range(3)]
    scipy.io.savemat(tmp_path / "92_behavRDMs.mat", {"rdms_behav_92": _struct(people, (1, 3))})
    models = [{"RDM": squareform(_rdm(40))[None], "name": "V1"}, {"RDM": _rdm(41), "name": "HMAX"}]
    scipy.io.savemat(tmp_path / "92_modelRDMs.mat", {"Models": _struct(models, (1, 2))})
    rdms = open_recordings(tmp_path).rdms
    assert list(rdms) == ["monkey_it", "human_it", "judgements", "model_v1", "model_hmax"]
    np.testing.assert_array_equal(rdms["judgements"], [_rdm(30), _rdm(31), _rdm(32)])
    np.testing.assert_array_equal(rdms["model_v1"], [_rdm(40)])
    np.testing.assert_array_equal(rdms["model_hmax"], [_rdm(41)])
