"""Grids of runs: what is trained, what is resumed, and how it is summed up."""

import csv

import numpy as np
import pytest

from jaxbio.commands import sweep
from jaxbio.commands.main import main
from jaxbio.errors import NonFiniteError
from jaxbio.tasks import loop


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """What would be trained: a run's result is its learning rate and seed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "start_jax", lambda _: None)
    seen = []

    def train(config, workdir):
        seen.append((config, workdir))
        if config.optimizer.learning_rate > 1:
            raise NonFiniteError("loss at step 1")
        return {"top1": config.optimizer.learning_rate + 0.1 * config.seed, "run": workdir}

    monkeypatch.setattr(loop, "train", train)
    return seen


def test_every_point_with_every_seed_and_no_mean_over_points(trained, capsys, tmp_path):
    words = ["svp_resnet", "optimizer.learning_rate=0.1,0.2,5", "train.batch_size=32"]
    assert main(["sweep", *words, "--config.data.mean=0,0,0", "--seeds=0:3"]) == 0
    assert len({workdir for _, workdir in trained}) == len(trained) == 9
    for config, workdir in trained:
        assert config.train.batch_size == 32
        assert config.data.mean == (0.0, 0.0, 0.0)
        assert f"seed={config.seed}" in workdir
    table = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines() if "." in line[:3]}
    deviation = f"{np.std([0.0, 0.1, 0.2], ddof=1):.4f}"
    assert rows["0.1"] == ["3", "0.2000", deviation, "0"]
    assert rows["0.2"] == ["3", "0.3000", deviation, "0"]
    assert "diverged: loss at step 1" in table
    with open(tmp_path / "runs" / "svp_resnet_digits_sweep" / "sweep.csv") as file:
        lines = list(csv.DictReader(file))
    assert [line["state"] for line in lines] == ["finished"] * 6 + ["diverged"] * 3
    assert float(lines[1]["top1"]) == pytest.approx(0.2)


def test_seeds_of_one_experiment(trained):
    assert main(["train", "svp_resnet", "optimizer.learning_rate=0.5", "--seeds=2:4"]) == 0
    assert [config.seed for config, _ in trained] == [2, 3]
    assert [config.optimizer.learning_rate for config, _ in trained] == [0.5, 0.5]


def test_values_with_commas_stand_in_brackets(trained):
    assert main(["sweep", "svp_resnet", "data.mean=(0,0,0),(1,1,1)", "seed=4,5"]) == 0
    found = [(config.data.mean, config.seed) for config, _ in trained]
    assert found == [((m, m, m), seed) for m in (0.0, 1.0) for seed in (4, 5)]


def test_a_sweep_that_is_stopped_stops(trained, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(loop, "train", lambda *words: calls.append(words))  # None: interrupted
    assert main(["sweep", "svp_resnet", "--seeds=0:3"]) == 0
    assert len(calls) == 1
    assert "sweep.csv" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.learning_rate=0.1,nan"], "optimizer.learning_rate=nan"),
        (["optimizer.learning_rat=0.1,0.2"], "did you mean"),
        (["--seeds=3"], "--seeds=3: use FIRST:END"),
        (["--seeds=5:2"], "--seeds=5:2"),
        (["--seeds=0:99999999999999"], "use fewer"),
        (["--seeds=0:5", "seed=1,2"], "use one"),
        (
            [
                ",".join(["seed=0", *map(str, range(1, 200))]),
                "train.batch_size=" + ",".join(map(str, range(1, 99))),
            ],
            "vary less",
        ),
    ],
)
def test_wrong_sweeps_train_nothing(words, message, trained, capsys):
    assert main(["sweep", "svp_resnet", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not trained
