"""jaxbio's own files, and what any recordings have to fulfil."""

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest

from jaxbio.commands.main import main
from jaxbio.errors import InputError
from jaxbio.neural import (
    Recordings,
    StimulusSet,
    load_cadieu,
    open_recordings,
    synthetic_recordings,
    write_recordings,
)
from tests.neural.files import cadieu_rows, write_cadieu, write_images


@pytest.fixture(scope="module")
def small():
    return synthetic_recordings(views=2, image_size=16, sites=6, repetitions=3)


def _assert_equal(a: Recordings, b: Recordings):
    for one, two in ((a, b), (a.stimuli, b.stimuli)):
        for field in dataclasses.fields(one):
            x, y = getattr(one, field.name), getattr(two, field.name)
            if field.name != "stimuli":
                np.testing.assert_equal(y, x, err_msg=field.name)


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_round_trip(tmp_path, small, suffix):
    path = tmp_path / f"recordings{suffix}"
    full = dataclasses.replace(small, rdms={"human_it": np.zeros((2, 98, 98))})
    write_recordings(full, path)
    back = open_recordings(path)
    _assert_equal(full, back)
    assert back.synthetic
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # nothing temporary is left


def test_images_of_files_are_stored_resized_or_by_path(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_cadieu(folder)
    write_images(folder, [row.split()[0] for row in cadieu_rows()])
    recordings = load_cadieu(folder, objects_per_category=2)
    write_recordings(recordings, tmp_path / "stored.npz", image_size=8)
    stored = open_recordings(tmp_path / "stored.npz").stimuli.images
    np.testing.assert_array_equal(stored, recordings.stimuli.read_images(8))
    write_recordings(recordings, tmp_path / "paths.npz")
    assert open_recordings(tmp_path / "paths.npz").stimuli.images is None
    beside = open_recordings(tmp_path / "paths.npz", stimuli=folder)
    np.testing.assert_array_equal(beside.stimuli.read_images(8), stored)


def test_a_minimal_file_by_hand(tmp_path):
    np.savez(tmp_path / "mine.npz", stimulus_ids=["a", "b"], responses=np.ones((2, 3)))
    recordings = open_recordings(tmp_path / "mine.npz")
    assert recordings.responses.shape == (2, 3, 1)
    assert recordings.stimuli.objects.tolist() == ["a", "b"]
    assert not recordings.synthetic


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"responses": np.ones((2, 3))}, "field 'stimulus_ids' is missing; it has responses"),
        ({"stimulus_ids": ["a", "b"]}, "responses and rdms are both missing"),
        ({"stimulus_ids": ["a", "a"], "responses": np.ones((2, 3))}, "not unique"),
        ({"stimulus_ids": ["a", "b"], "responses": np.ones((3, 3))}, "responses has shape"),
        (
            {"stimulus_ids": ["a", "b"], "responses": np.ones((2, 3, 2))},
            "time_bins are missing for 2",
        ),
        (
            {
                "stimulus_ids": ["a", "b"],
                "responses": np.ones((2, 3)),
                "repetitions": np.ones((5, 2, 2, 1)),
            },
            "repetitions has shape",
        ),
        (
            {"stimulus_ids": ["a", "b"], "responses": np.ones((2, 3)), "neuroid_region": ["IT"]},
            r"neuroids\['region'\] has 1 entries, not 3",
        ),
        ({"stimulus_ids": ["a", "b"], "rdm_it": np.ones((2, 2))}, r"rdms\['it'\] has shape"),
        (
            {"stimulus_ids": ["a", "b"], "responses": np.ones((2, 3)), "stimulus_splits": [[1]]},
            "stimuli.splits has 1 entries for 2",
        ),
        ({"stimulus_ids": ["a"], "format": "other-9"}, "field 'format' is 'other-9'"),
        (
            {"stimulus_ids": ["a", "b"], "responses": np.array([[{}], [{}]], object)},
            "field 'responses' cannot be read",
        ),
        (
            {"stimulus_ids": ["a"], "responses": np.ones((1, 3)), "stimulus_paths": ["/etc/x"]},
            "outside its folder",
        ),
    ],
)
def test_malformed_files_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message):
        open_recordings(tmp_path / "bad.npz")


def test_nan_responses_are_refused_or_dropped_on_request(tmp_path, small):
    responses, repetitions = small.responses.copy(), small.repetitions.copy()
    responses[3, 1, 0] = np.nan
    repetitions[0, 5, 4, 2] = np.nan
    broken = dataclasses.replace(small, responses=responses, repetitions=repetitions)
    write_recordings(broken, tmp_path / "nan.npz")
    with pytest.raises(InputError, match=r"in 1 of 6 neuroids: .*--drop_nan"):
        open_recordings(tmp_path / "nan.npz")
    kept = open_recordings(tmp_path / "nan.npz", drop_nan=True)
    assert kept.neuroids["neuroid_id"].tolist() == [f"simulated_{i}" for i in (0, 2, 3, 5)]
    np.testing.assert_array_equal(kept.responses, small.responses[:, [0, 2, 3, 5]])
    with pytest.raises(InputError, match="every neuroid"):
        dataclasses.replace(small, responses=np.full_like(responses, np.nan)).drop_nan()


def test_unknown_regions_and_files(tmp_path, small):
    with pytest.raises(InputError, match="--region=V1: synthetic has no such region; known: IT"):
        small.select(region="V1")
    for name, message in [
        ("missing.npz", "does not exist"),
        ("notes.txt", "unknown kind of file"),
        ("broken.npz", "cannot be read as an .npz file"),
        ("broken.h5", "cannot be read as an HDF5 file"),
        ("empty", "no known folder of recordings"),
    ]:
        if name == "empty":
            (tmp_path / name).mkdir()
        elif name != "missing.npz":
            (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(InputError, match=message):
            open_recordings(tmp_path / name)
    with pytest.raises(InputError, match="ends in"):
        write_recordings(small, tmp_path / "out.mat")
    with pytest.raises(InputError, match=r"notes.txt/out.npz cannot be written"):
        write_recordings(small, tmp_path / "notes.txt" / "out.npz")


def test_the_command(tmp_path, capsys):
    np.savez(
        tmp_path / "mine.npz",
        stimulus_ids=["a", "b"],
        responses=np.ones((2, 3)),
        neuroid_region=["IT", "V4", "IT"],
    )
    output = tmp_path / "it.h5"
    assert (
        main(["neural", "convert", str(tmp_path / "mine.npz"), f"--output={output}", "--region=IT"])
        == 0
    )
    facts = capsys.readouterr().out.split("\n", 1)[1]
    assert json.loads(facts)["regions"] == {"IT": 2}
    assert main(["neural", "describe", str(output)]) == 0
    assert json.loads(capsys.readouterr().out)["neuroids"] == 2
    for arguments in (["describe", "nowhere"], ["convert", str(output)], ["describe"]):
        assert main(["neural", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith("jaxbio neural: error: ")
        assert error.count("\n") == 1


def test_selection_keeps_rows_together(small):
    part = small.select(stimuli=np.array([5, 2]))
    np.testing.assert_array_equal(part.responses, small.responses[[5, 2]])
    np.testing.assert_array_equal(part.repetitions, small.repetitions[:, [5, 2]])
    np.testing.assert_array_equal(part.stimuli.images, small.stimuli.images[[5, 2]])
    rdm = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0) ** 2))
    rdm = (rdm + rdm.T)[None] * (1 - np.eye(4))
    stimuli = StimulusSet(*(np.array(list("abcd")),) * 3)
    part = Recordings("r", stimuli, rdms={"it": rdm}).select(stimuli=np.array([3, 1]))
    np.testing.assert_array_equal(part.rdms["it"], rdm[:, [3, 1]][:, :, [3, 1]])


@pytest.mark.parametrize(
    ("rdm", "message"),
    [
        (np.full((1, 3, 3), np.nan), "NaN"),
        (np.triu(np.ones((1, 3, 3)), 1), "not symmetric"),
        (np.ones((1, 3, 3)), "diagonal"),
        (np.full((1, 3, 3), "far"), "must be numbers"),
    ],
)
def test_what_is_no_rdm_is_refused(tmp_path, rdm, message):
    np.savez(tmp_path / "a.npz", stimulus_ids=["a", "b", "c"], rdm_it=rdm)
    with pytest.raises(InputError, match=f"rdms.*{message}"):
        open_recordings(tmp_path / "a.npz")


def test_what_is_no_response_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", stimulus_ids=["a", "b"], responses=[["x"], ["y"]])
    with pytest.raises(InputError, match="responses is <U1: must be numbers"):
        open_recordings(tmp_path / "a.npz")


def test_an_array_larger_than_its_file_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2, 2**36)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("responses.npy", header.getvalue())
    with pytest.raises(InputError, match="field 'responses' declares 1099511627776 bytes"):
        open_recordings(tmp_path / "a.npz")
