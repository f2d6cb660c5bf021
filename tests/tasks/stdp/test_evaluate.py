"""Saved spiking networks are tested again: all of a population, or one, with any readout."""

import csv
import json

import pytest

from configs import lc_snn
from jaxbio.data.digits import open_digits
from jaxbio.errors import InputError
from jaxbio.tasks.loop import train
from jaxbio.tasks.stdp import saved
from jaxbio.tasks.stdp.evaluate import report_spiking


def _config(**changes):
    config = lc_snn.get_config()
    small = {
        "spiking.filters": 4,
        "spiking.crop": 12,
        "spiking.kernel": 8,
        "spiking.steps": 60,
        "spiking.train_images": 20,
        "spiking.calibration_images": 60,
        "spiking.test_images": 30,
        "spiking.images_per_step": 10,
        "eval.batch_size": 30,
        "population.seeds": 2,
        "log.tensorboard": False,
    }
    config.update_from_flattened_dict({**small, **changes})
    return config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "tiny"
    return path, train(_config(), str(path))


@pytest.mark.slow
def test_all_networks_are_tested_again(run, capsys):
    path, trained = run
    again = report_spiking(None, str(path), "last")
    assert again["readouts"] == trained["readouts"]
    assert again["population"] == trained["population"]
    assert json.loads((path / "evaluation" / "accuracy.json").read_text()) == again
    assert f"{len(trained['population'])}      " in capsys.readouterr().out.splitlines()[4]


@pytest.mark.slow
def test_each_presentation_of_one_network_is_recorded(tmp_path):
    path = tmp_path / "runs" / "one"
    train(_config(**{"population.seeds": 1}), str(path))
    result = report_spiking(None, str(path), "last")
    rows = list(csv.DictReader((path / "evaluation" / "predictions.csv").open()))
    readout = result["readouts"][result["readout"]]
    assert len(rows) == readout["count"] == 30
    assert sum(int(row["correct"]) for row in rows) / 30 == pytest.approx(readout["accuracy"])
    labels = open_digits().eval.labels
    assert all(labels[int(row["picture"])] == int(row["class"]) for row in rows)


@pytest.mark.slow
def test_one_network_and_another_readout(run, capsys, monkeypatch):
    path, trained = run
    report_spiking(None, str(path), member=1)  # records the activity
    monkeypatch.setattr(saved.Stdp, "activity", None)  # not called again
    config = _config(**{"spiking.readout": "top_n", "spiking.top_n": 4})
    one = report_spiking(config, str(path), member=1)
    readouts = one["readouts"]
    assert one["accuracy"] == readouts["top_n"]["accuracy"] == readouts["all_voting"]["accuracy"]
    kept = trained["population"][1]["readouts"]["linear"]["accuracy"]
    assert readouts["linear"]["accuracy"] == kept
    assert one["member"] == {"number": 1, "seed": 1, "changes": {}}
    assert (path / "evaluation" / "accuracy_member_1.json").exists()
    assert "top_n " in capsys.readouterr().out.splitlines()[-2]


def test_a_test_may_have_fewer_images(run):
    path, _ = run
    one = report_spiking(_config(**{"spiking.test_images": 10}), str(path), member=0)
    assert one["readouts"]["linear"]["count"] == 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spiking.readout": "vote"}, "spiking.readout='vote'"),
        ({"spiking.top_n": 5}, "spiking.top_n=5: use 1 to 4"),
        ({"spiking.kernel": 4}, r"spiking.kernel=4 \(there 8\)"),
        ({"seed": 3}, r"seed=3 \(there 0\)"),
    ],
)
def test_another_network_or_readout_is_refused(run, changes, words):
    with pytest.raises(InputError, match=words):
        report_spiking(_config(**changes), str(run[0]))


def test_how_it_was_trained_does_not_matter(run):
    report_spiking(_config(**{"spiking.train_images": 50}), str(run[0]), member=0)


def test_an_unknown_member(run):
    with pytest.raises(InputError, match="--member=99"):
        report_spiking(None, str(run[0]), member=99)
