"""What is taken for what, and the pictures behind it: of the run's own data, by line only."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from jaxbio.board.details import run_details
from jaxbio.board.index import Index
from jaxbio.board.site import export_site
from jaxbio.board.wrong import Pictures, find_wrong
from jaxbio.data.digits import open_digits
from jaxbio.errors import InputError
from jaxbio.runs.listing import read_run
from tests.board.runs import write_answers, write_run


@pytest.fixture
def run(tmp_path):
    return write_answers(write_run(tmp_path / "runs" / "a"))


def test_answers_are_counted_and_the_surest_mistakes_come_first(run):
    found = run_details(Index(run.parent), "a")["confusion"]
    test = open_digits().eval
    assert (found["images"], found["right"]) == (len(test), len(test) - 3)
    counts = np.array(found["counts"])
    assert counts.sum() == len(test)
    assert (counts.sum(1) == np.bincount(test.labels)).all()
    (pair,) = found["pairs"]
    assert (pair["class"], pair["answer"], pair["count"]) == (3, 8, 3)
    sure = [probability for _, probability in pair["pictures"]]
    assert sure == sorted(sure, reverse=True)


def test_a_picture_is_the_one_that_was_answered(run):
    test = open_digits().eval
    for line in find_wrong(run).names:
        content, kind = Pictures().show(read_run("a", run), line)
        assert kind == "image/png"
        assert (np.asarray(Image.open(io.BytesIO(content))) == test.images[line, ..., 0]).all()
        assert test.labels[line] == 3


def test_other_data_than_were_measured_are_not_shown(run, tmp_path):
    line = next(iter(find_wrong(run).names))
    write_answers(run, fingerprint="another")
    with pytest.raises(InputError, match="not those that were measured"):
        Pictures().show(read_run("a", run), line)
    assert export_site(Index(run.parent), tmp_path / "site") == 1
    text = (tmp_path / "site" / "data" / "0_pictures.js").read_text()
    assert text == 'deliver("pictures:a", {});\n'


def test_photographs_become_small(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    for name in ("cat", "dog"):
        folder = tmp_path / "data" / "val" / name
        folder.mkdir(parents=True)
        Image.fromarray(pixels).save(folder / "x.png")
    changes = {"data__source": "folder", "data__data_dir": str(tmp_path / "data")}
    run = write_answers(write_run(tmp_path / "runs" / "a", **changes), wrong={0: 1})
    content, kind = Pictures().show(read_run("a", run), 0)
    assert kind == "image/jpeg"
    assert Image.open(io.BytesIO(content)).size == (96, 72)
    (tmp_path / "data" / "val" / "cat" / "x.png").write_bytes(b"no picture at all")
    with pytest.raises(InputError):
        Pictures().show(read_run("a", run), 0)


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", "picture,class,answer,probability\n1,2,3,x\n", "\0"]
)
def test_damaged_answers_are_said(run, text):
    (run / "evaluation" / "predictions.csv").write_text(text)
    found = run_details(Index(run.parent), "a")
    assert found["confusion"] is None
    assert any("confusion" in line for line in found["damage"])


def test_an_export_is_bounded(run, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxbio.board.site._OF_A_RUN", 2)
    export_site(Index(run.parent), tmp_path / "site")
    text = (tmp_path / "site" / "data" / "0_pictures.js").read_text()
    held = json.loads(text.removeprefix('deliver("pictures:a", ').removesuffix(");\n"))
    assert len(held) == 2
    assert all(address.startswith("data:image/png;base64,") for address in held.values())


def test_many_classes_are_listed_by_pairs(run):
    rows = "".join(f"{i},c{i % 60},c{i % 59},0.5\n" for i in range(600))
    head = "picture,class,answer,probability\n"
    (run / "evaluation" / "predictions.csv").write_text(head + rows)
    found = find_wrong(run).about
    assert found["counts"] is None
    assert sum(pair["count"] for pair in found["pairs"]) == found["images"] - found["right"]
