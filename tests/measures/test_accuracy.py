"""A network of three classes, on other folders: by name, in any order, a subset, without train/."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from jaxbio.commands.main import main
from jaxbio.errors import InputError
from jaxbio.measures.measure import measure
from jaxbio.tasks import loop
from jaxbio.tasks.classification import opened
from jaxbio.tasks.config import new_config
from tests.tasks.tiny import Tiny

_LEVELS = {"ant": 30, "bee": 128, "cow": 225}


def _write(root, split, classes, count):
    rng = np.random.default_rng(count)
    for name, level in classes.items():
        folder = root / split / name
        folder.mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(rng.normal(level, 12, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


def _config(folder, **changes):
    config = new_config("classification")
    config.update_from_flattened_dict(
        {
            "data.source": "folder",
            "data.data_dir": str(folder),
            "data.resize_size": 32,
            "model.front_end": "none",
            "train.batch_size": 8,
            "train.total_steps": 60,
            "optimizer.learning_rate": 0.01,
            "eval.every_epochs": 0.0,
            "checkpoint.every_epochs": 0.0,
            "eval.batch_size": 8,
            "log.tensorboard": False,
            **changes,
        }
    )
    return config


@pytest.fixture(autouse=True, scope="module")
def tiny_model():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            opened,
            "build_model",
            lambda arguments: Tiny(arguments["num_classes"], dropout=0.0, batch_norm=False),
        )
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Learned three brightnesses, without a mistake."""
    folder = _write(tmp_path_factory.mktemp("data"), "train", _LEVELS, 8)
    _write(folder, "val", _LEVELS, 4)
    workdir = tmp_path_factory.mktemp("run")
    results = loop.train(_config(folder), str(workdir))
    assert results["top1"] == 1
    return workdir


def _accuracy(run, folder, **changes):
    return measure(opened.open_session(_config(folder, **changes), str(run)), "accuracy")


def test_class_names_are_part_of_a_run(run):
    resolved = json.loads((run / "config.json").read_text())["resolved"]
    assert resolved["class_names"] == ["ant", "bee", "cow"]


def test_a_subset_is_matched_by_name(run, tmp_path):
    _write(tmp_path, "val", {"bee": 128, "cow": 225}, 3)
    found = _accuracy(run, tmp_path)
    assert (found["top1"], found["count"]) == (1, 6)
    assert [c["class"] for c in found["classes"]] == ["bee", "cow"]
    assert "answers_among" not in found


def test_answers_among_the_classes_of_the_data(run, tmp_path):
    # Pictures that look like bees lie in the folder of cows: only there they are right.
    _write(tmp_path, "val", {"ant": 30, "cow": 128}, 3)
    everything = _accuracy(run, tmp_path)
    assert everything["top1"] == 0.5
    assert everything["classes"][1]["mostly"] == "bee"
    among = _accuracy(run, tmp_path, **{"eval.classes": "data"})
    assert among["answers_among"] == 2
    lines = list(csv.DictReader((run / "evaluation" / "predictions.csv").open()))
    assert {line["answer"] for line in lines} <= {"ant", "cow"}
    session = opened.open_session(_config(tmp_path, **{"eval.classes": "data"}), str(run))
    assert measure(session, "accuracy")["top1"] == among["top1"]
    with pytest.raises(InputError, match=r"eval\.classes=data"):
        measure(session, "attacks")


def test_unknown_classes_are_refused(run, tmp_path):
    _write(tmp_path, "val", {"bee": 128, "crow": 225}, 1)
    with pytest.raises(InputError, match=r"'crow': did you mean 'cow'\?"):
        _accuracy(run, tmp_path)


def test_answers_are_written_by_picture_and_class(run, tmp_path):
    _write(tmp_path, "val", _LEVELS, 2)
    (tmp_path / "val" / "ant" / "1.png").unlink()
    (tmp_path / "val" / "cow" / "0.png").rename(tmp_path / "val" / "bee" / "cow.png")
    found = _accuracy(run, tmp_path)
    assert found["top1"] == pytest.approx(4 / 5)
    assert found["mean_class_top1"] == pytest.approx((1 + 2 / 3 + 1) / 3)
    bee = found["classes"][1]
    assert bee == {"class": "bee", "count": 3, "top1": pytest.approx(2 / 3), "mostly": "cow"}
    lines = list(csv.DictReader((run / "evaluation" / "predictions.csv").open()))
    assert len(lines) == 5
    wrong = [line for line in lines if line["correct"] == "0"]
    assert [(line["class"], line["answer"]) for line in wrong] == [("bee", "cow")]
    assert wrong[0]["picture"].endswith("bee/cow.png")
    rows = list(csv.reader((run / "evaluation" / "confusion.csv").open()))
    assert rows == [
        ["class", "ant", "bee", "cow"],
        ["ant", "1", "0", "0"],
        ["bee", "0", "2", "1"],
        ["cow", "0", "0", "1"],
    ]
    assert (run / "report" / "confusion.png").stat().st_size > 1000


def test_predict_says_the_runs_names_wherever_its_data_are(run, tmp_path, capsys):
    _write(tmp_path, "pictures", {"x": 225}, 1)
    picture = tmp_path / "pictures" / "x" / "0.png"
    assert main(["predict", str(run), str(picture), f"--output={tmp_path / 'out.csv'}"]) == 0
    (line,) = csv.DictReader((tmp_path / "out.csv").open())
    assert line["class"] == "cow"
    assert "cow" in capsys.readouterr().out


def _write_arrays(folder, kinds, levels):
    labels = np.tile(np.arange(len(levels)), 5)
    np.save(folder / "labels.npy", labels)
    for kind in kinds:
        images = np.zeros((len(labels), 32, 32, 3), np.uint8)
        images += np.array(levels, np.uint8)[labels].reshape(-1, 1, 1, 1)
        images[: len(levels)] = levels[0]  # severity 1: all look like the first class
        np.save(folder / f"{kind}.npy", images)


@pytest.mark.slow
def test_a_published_set_of_folders(run, tmp_path):
    _write(tmp_path / "data", "val", _LEVELS, 2)
    for kind in ("noise/gaussian_noise", "blur/motion_blur"):
        for severity in range(1, 6):
            levels = _LEVELS if severity < 5 else {"ant": 30, "bee": 225, "cow": 225}
            _write(tmp_path / "c" / kind, str(severity), levels, 2)
    session = opened.open_session(_config(tmp_path / "data"), str(run))
    found = measure(session, "robustness", corrupted=str(tmp_path / "c"), severities="1,5")
    top1 = {cell: of["top1"] for cell, of in found["cells"].items()}
    assert len(top1) == 4
    assert top1["gaussian_noise/5"] == top1["motion_blur/5"] == pytest.approx(2 / 3)
    assert found["scores"]["mean_error"] == pytest.approx(1 / 6)
    assert found["scores"]["mce_published"] is None
    assert (run / "evaluation" / "robustness_published.json").is_file()
    with pytest.raises(InputError, match="did you mean 'motion_blur'"):
        measure(session, "robustness", corrupted=str(tmp_path / "c"), corruptions="motion_blurr")
    with pytest.raises(InputError, match="neither"):
        measure(session, "robustness", corrupted=str(tmp_path / "data"))


def test_a_published_set_of_arrays(run, tmp_path, monkeypatch):
    from jaxbio.data import corrupted

    monkeypatch.setitem(corrupted.NAMES, "cifar10", ("cow", "bee", "ant"))
    _write_arrays(tmp_path, ["fog", "snow"], [225, 128, 30])
    _write(tmp_path, "val", _LEVELS, 1)
    session = opened.open_session(_config(tmp_path), str(run))
    found = measure(session, "robustness", corrupted=str(tmp_path), severities="1,2")
    assert {k: v["top1"] for k, v in found["cells"].items()} == {
        "fog/1": pytest.approx(1 / 3),
        "fog/2": 1,
        "snow/1": pytest.approx(1 / 3),
        "snow/2": 1,
    }
    with pytest.raises(InputError, match="--corruptions is empty: use all or some of fog, snow"):
        measure(session, "robustness", corrupted=str(tmp_path), corruptions=[])
    np.save(tmp_path / "fog.npy", np.zeros((7, 32, 32, 3), np.uint8))
    with pytest.raises(InputError, match="all five severities"):
        measure(session, "robustness", corrupted=str(tmp_path), corruptions="fog", severities="3")


def test_a_run_of_distances_predicts_nothing(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"config": {"task": "rdm"}, "resolved": {}}))
    assert main(["predict", str(tmp_path), "x.png"]) == 2
    text = capsys.readouterr().err
    assert "task rdm" in text
    assert text.count("\n") == 1
