"""The list of runs, and two runs side by side."""

import json
import os
import time

import numpy as np
import pytest
from scipy.stats import binom

from jaxbio.commands.experiments import open_config
from jaxbio.commands.main import main
from jaxbio.commands.runs import list_runs
from jaxbio.measures.paired import compare_answers
from jaxbio.runs.listing import differences


def _write(folder, experiment, results=None, steps=()):
    folder.mkdir(parents=True)
    config = open_config(experiment).to_dict()
    (folder / "config.json").write_text(json.dumps({"config": config, "resolved": {}}))
    for step in steps:
        (folder / "checkpoints" / f"step_{step}").mkdir(parents=True)
    if results is not None:
        (folder / "results.json").write_text(json.dumps(results))


def test_every_task_and_state_has_a_row(tmp_path, capsys):
    _write(tmp_path / "a", "svp_resnet", {"top1": 0.875, "loss": 1.0})
    _write(tmp_path / "sweep" / "seed=0", "lc_snn", steps=(9, 10))
    _write(tmp_path / "sweep" / "killed", "lc_snn", steps=(3,))
    for name, age in (("seed=0", 0), ("killed", 3600)):
        lock = tmp_path / "sweep" / name / "lock"
        lock.touch()
        os.utime(lock, (time.time() - age,) * 2)
    _write(tmp_path / "sweep" / "seed=1", "lc_snn", {"accuracy": 0.5})
    _write(tmp_path / "tuned", "rdm_finetune", {"similarity": 0.25})
    _write(tmp_path / "new", "cornet_s")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "config.json").write_text('{"model": {"name": "resnet50"}}')
    (tmp_path / "no_run").mkdir()
    rows = {row.name: row[1:] for row in list_runs(tmp_path)}
    assert rows == {
        "a": ("classification", "digits", "resnet18 + svp", "top-1 87.50%", "finished"),
        "new": ("classification", "digits", "cornet_s", "", "no step yet"),
        "sweep/killed": ("stdp", "digits", "lc 25/12", "", "step 3"),
        "sweep/seed=0": ("stdp", "digits", "lc 25/12", "", "step 10, training"),
        "sweep/seed=1": ("stdp", "digits", "lc 25/12", "accuracy 50.00%", "finished"),
        "tuned": ("rdm", "synthetic", "squeezenet1_1", "similarity 0.250", "finished"),
        "weights": ("", "", "resnet50", "", "converted weights"),
    }
    assert main(["runs", "list", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(rows)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b"[1]"),
        ("config.json", b"\xff\xfe"),
        ("config.json", b"{}"),
        ("config.json", b'{"config": {"task": 3}}'),
        ("config.json", b'{"config": 7}'),
        ("config.json", None),
        ("results.json", b"{"),
        ("results.json", b'{"top1": "high"}'),
        ("results.json", b"{}"),
    ],
)
def test_a_damaged_run_is_a_marked_row_beside_the_others(file, content, tmp_path):
    _write(tmp_path / "bad", "svp_resnet", {"top1": 0.5})
    _write(tmp_path / "good", "svp_resnet", {"top1": 0.5})
    (tmp_path / "bad" / file).unlink()
    if content is None:
        (tmp_path / "bad" / file).mkdir()
    else:
        (tmp_path / "bad" / file).write_bytes(content)
    bad, good = list_runs(tmp_path)
    assert bad.state.startswith("DAMAGED: ")
    assert "\n" not in bad.state
    assert good.state == "finished"


def test_folders_without_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 2
    (tmp_path / "runs").mkdir()
    assert main(["runs"]) == 0
    assert "no runs below runs" in capsys.readouterr().out


def test_differing_keys():
    one, other = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5}
    assert differences(one, other) == [("a.c", "2", "4"), ("d", "3", "-"), ("e", "-", "5")]
    assert differences(one, one) == []


def test_paired_comparison_of_answers():
    rng = np.random.default_rng(0)
    first, second = rng.random(400) < 0.7, rng.random(400) < 0.8
    found = compare_answers(first, second)
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    assert (found.only_first, found.only_second, found.count) == (b, c, 400)
    assert found.p == pytest.approx(min(1.0, 2 * binom.cdf(min(b, c), b + c, 0.5)))
    rows = rng.integers(0, 400, (4000, 400))
    resampled = second[rows].mean(1) - first[rows].mean(1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.005)
    assert found.high == pytest.approx(high, abs=0.005)


def test_equal_answers_do_not_differ():
    answers = np.arange(50) % 3 == 0
    found = compare_answers(answers, answers)
    assert (found.p, found.low, found.high) == (1.0, 0.0, 0.0)


def test_what_cannot_be_compared(tmp_path, capsys):
    _write(tmp_path / "snn", "lc_snn")
    assert main(["runs", "compare", str(tmp_path / "snn"), str(tmp_path / "none")]) == 2
    assert "snn is no run of a classifier" in capsys.readouterr().err
