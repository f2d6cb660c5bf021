"""The three tasks killed again and again: the end is what it would have been, bit for bit."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxbio.files import read_json

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[2]
_KILLS = 5
_COMMON = ("--config.log.every_steps=1", "--config.log.tensorboard=false")
_TASKS = {
    "classification": (
        "--config=configs/svp_resnet.py",
        "--config.model.name=cornet_z",
        "--config.model.front_end=none",
        "--config.train.total_steps=12",
        "--config.train.batch_size=32",
        "--config.checkpoint.every_steps=2",
        "--config.eval.every_steps=4",
        "--config.eval.batch_size=64",
    ),
    "stdp": (
        "--config=configs/lc_snn.py",
        "--config.spiking.train_images=120",
        "--config.spiking.calibration_images=40",
        "--config.spiking.test_images=40",
        "--config.spiking.images_per_step=10",
        "--config.checkpoint.every_steps=2",
        "--config.eval.every_steps=6",
    ),
    "rdm": (
        "--config=configs/rdm_finetune.py:synthetic",
        "--config.train.total_steps=8",
        "--config.eval.every_steps=4",
        "--config.checkpoint.every_steps=2",
        "--config.rdm.sit_splits=10",
    ),
}


def _start(task, run):
    command = [sys.executable, "train.py", *_TASKS[task], *_COMMON, f"--workdir={run}"]
    environment = {**os.environ, "XLA_FLAGS": ""}
    return subprocess.Popen(
        command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _finish(task, run):
    """Runs it to its end; the seconds from its lock on."""
    with _start(task, run) as process:
        while process.poll() is None and not _is_owner(process, run):
            time.sleep(0.01)
        began = time.monotonic()
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out.decode()
    return time.monotonic() - began


def _is_owner(process, run):
    try:
        return json.loads((run / "lock").read_text())["process"] == process.pid
    except (OSError, ValueError):
        return False


def _digests(run):
    """Of the bits of every checkpoint, by step and item."""
    return {
        folder.name: {
            name: value
            for name, value in read_json(folder / "digests" / "metadata").items()
            if name != "check"
        }
        for folder in (run / "checkpoints").iterdir()
    }


def _metrics(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_s"} for line in lines]


@pytest.mark.parametrize("task", _TASKS)
def test_killed_runs_end_as_others(tmp_path, task):
    whole, run = tmp_path / "whole", tmp_path / "run"
    seconds = _finish(task, whole)
    chance = random.Random(task)
    for _ in range(_KILLS):
        with _start(task, run) as process:
            while process.poll() is None and not _is_owner(process, run):
                time.sleep(0.01)
            time.sleep(chance.uniform(0, seconds))
            process.kill()
    _finish(task, run)
    results = [
        {k: v for k, v in read_json(r / "results.json").items() if k != "run"} for r in (whole, run)
    ]
    assert results[0] == results[1]
    assert _metrics(run) == _metrics(whole)
    assert _digests(run) == _digests(whole)
    stray = [p for p in run.rglob("*") if p.name.startswith(".") or "tmp" in p.name]
    assert stray == []
    assert sorted(os.listdir(run)) == sorted(os.listdir(whole))
