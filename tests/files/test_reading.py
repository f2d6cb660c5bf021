"""Other things than files, and damage, whoever reads."""

import json
import os
import struct

import h5py
import numpy as np
import pytest

from jaxbio import features
from jaxbio.behaviour.trials import read_trials
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.files.reading import check_regular, reading, reason
from jaxbio.files.sizes import check_size, inflated, text_array
from jaxbio.neural import open_recordings
from jaxbio.physiology.distributions import read_csv
from jaxbio.runs.metrics_file import read_metrics


@pytest.mark.parametrize("kind", ["pipe", "zero", "loop", "folder"])
def test_nothing_but_files_is_read(tmp_path, kind):
    def make(name):
        path = tmp_path / name
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero" if kind == "zero" else name)
        return path

    for suffix in ("mat", "npz", "h5", "nc", "nwb", "csv", "npy"):
        with pytest.raises(InputError, match=f"a.{suffix}") as caught:
            open_recordings(make(f"a.{suffix}"))
        assert "\n" not in str(caught.value)
    readers = {"b.h5": features.load, "c.json": read_json, "e.csv": read_csv}
    if kind != "folder":
        readers["d.csv"] = read_trials
    for name, read in readers.items():
        with pytest.raises(InputError, match=name):
            read(make(name))
    assert read_metrics(make("metrics.jsonl")) == []


def test_reasons_are_short():
    assert reason(ValueError("one\ntwo")) == "one"
    assert reason(KeyError()) == "KeyError"
    assert len(reason(OSError("x" * 999))) == 200
    with pytest.raises(InputError, match=r"a cannot be read as b \(c\)"), reading("a", "b"):
        raise RuntimeError("c\nd")
    with pytest.raises(InputError, match="does not exist"):
        check_regular("nowhere")
    with pytest.raises(InputError, match="cannot be read"):
        check_regular("a\0b")


def test_what_unfolds_into_far_more_is_refused():
    assert inflated(1000) == 1_032_000
    assert inflated(2**20) == 2**28
    assert inflated(2**30) == 100 * 2**30
    with pytest.raises(InputError, match="made to fill the memory"):
        check_size("a", "b", 3 * 2**30, inflated(3 * 2**20))
    assert text_array("a", "b", ["x", 1], 10).tolist() == ["x", "1"]
    with pytest.raises(InputError, match="declares"):
        text_array("a", "b", ["x" * 10_000] + ["y"] * 10_000, 20_000)


@pytest.mark.parametrize(
    "header",
    [
        b"(" * 9000,
        b"{'descr': '<f8', 'shape': (1,",
        b"'''",
        b"{'descr': '<U0', 'fortran_order': False, 'shape': (4611686018427387904,)}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-5, -5)}",
    ],
)
def test_damaged_headers_of_numpy(tmp_path, header):
    content = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header) + 1) + header + b"\n"
    (tmp_path / "a.npy").write_bytes(content)
    (tmp_path / "s.csv").write_text("stimulus_id\na\n")
    with pytest.raises(InputError, match=r"a\.npy") as caught:
        open_recordings(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "rest"), [(1, b""), (2, b"\5\0\4\0\x08\0\0\0\1\0\0\0\0\0\0\0")])
def test_cells_take_no_room_that_the_file_has_not(tmp_path, kind, rest):
    shape = struct.pack("<II2i", 5, 8, 2**14, 2**14)
    body = struct.pack("<IIII", 6, 8, kind, 0) + shape + struct.pack("<HH4s", 1, 1, b"a") + rest
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + struct.pack("<II", 14, len(body))
    (tmp_path / "a.mat").write_bytes(head + body)
    with pytest.raises(InputError, match="cells or structs of shape"):
        open_recordings(tmp_path / "a.mat")


def test_version_4_of_matlab_declares_no_more_than_it_has(tmp_path):
    (tmp_path / "a.mat").write_bytes(struct.pack("<5i", 0, 2**30, 8, 0, 2) + b"a\0")
    with pytest.raises(InputError, match="declares"):
        open_recordings(tmp_path / "a.mat")


def test_spikes_have_to_belong_to_units(tmp_path):
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file["units/spike_times"] = np.arange(10.0)
        file["units/spike_times_index"] = [6, 4, 10]
        file["intervals/trials/start_time"] = np.arange(4.0)
        file["intervals/trials/stimulus_id"] = ["a", "b"] * 2
    with pytest.raises(InputError, match="spike_times_index does not divide"):
        open_recordings(tmp_path / "a.nwb")


@pytest.mark.parametrize(
    ("key", "value"),
    [("layers", "[]"), ("layers", json.dumps({"a": {"bad": 1}})), ("about", "["), ("about", 3.5)],
)
def test_damaged_words_of_a_file_of_features(tmp_path, key, value):
    texts = {"description": "{}", "about": "{}", "layers": "{}", "content_key": "k", key: value}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update({**texts, "format": "jaxbio features", "complete": True})
        for name in ("image", "skipped"):
            file.create_dataset(name, data=["x"], dtype=h5py.string_dtype())
    if value == 3.5:
        assert features.load(tmp_path / "a.h5").about == 3.5
        return
    with pytest.raises(InputError, match="cannot be read as a file of features"):
        features.load(tmp_path / "a.h5")
