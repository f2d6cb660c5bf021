"""Longer than planned, and from an older checkpoint: as one run that was so from the start."""

import json
import subprocess
import sys
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

from configs import lc_snn, svp_resnet
from jaxbio.commands.main import main
from jaxbio.errors import InputError
from jaxbio.runs.checkpoints import Checkpointer
from jaxbio.tasks import loop
from jaxbio.tasks.classification import opened
from jaxbio.tasks.extension import Beginning, check_extension
from tests.tasks.counting import Counting, config
from tests.tasks.tiny import Tiny

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def counting(monkeypatch):
    monkeypatch.setattr(loop, "prepare", lambda c: Counting(c, c.train.total_steps))


def _config(steps=4, **changes):
    keys = {"train.total_steps": steps, "schedule.name": "constant", "checkpoint.keep_last": 9}
    return config(**keys, **changes)


def _total(run):
    checkpointer = Checkpointer(run / "checkpoints", best_by="accuracy")
    state = checkpointer.restore_latest(Counting(config()).like)
    checkpointer.close()
    return int(state.step), np.unique(state.total).item()


def _steps(run, split="train"):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if line["split"] == split]


def test_a_finished_run_is_made_longer(tmp_path, counting, capsys):
    assert loop.train(_config(), str(tmp_path))["step"] == 4
    results = loop.train(_config(), str(tmp_path), extend="3steps")
    assert results["step"] == 7
    assert _total(tmp_path) == (7, sum(range(7)))
    assert _steps(tmp_path) == [1, 2, 3, 4, 5, 6, 7]
    recorded = json.loads((tmp_path / "config.json").read_text())
    assert recorded["config"]["train"]["total_steps"] == 7
    assert recorded["resolved"]["steps"] == 7
    capsys.readouterr()
    assert loop.train(_config(), str(tmp_path), extend="3steps") == results  # the same command
    assert "has finished" in capsys.readouterr().out
    assert loop.train(_config(), str(tmp_path), extend="5steps")["step"] == 9


def test_an_extension_that_was_stopped_goes_on(tmp_path, counting, monkeypatch):
    loop.train(_config(), str(tmp_path))

    class Stopping(loop.Interrupts):
        def stop_requested(self, step):
            return step == 5

    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interrupts", Stopping)
        assert loop.train(_config(), str(tmp_path), extend="3steps") is None
    assert not (tmp_path / "results.json").exists()
    assert loop.train(_config(), str(tmp_path), extend="3steps")["step"] == 7
    assert _total(tmp_path) == (7, sum(range(7)))


def test_what_cannot_be_longer(tmp_path, counting):
    with pytest.raises(InputError, match="not trained yet"):
        loop.train(_config(), str(tmp_path / "none"), extend="3steps")
    assert not (tmp_path / "none").exists()
    loop.train(_config(8), str(tmp_path))
    with pytest.raises(InputError, match="the run has 8"):
        loop.train(_config(4), str(tmp_path), extend="3steps")
    with pytest.raises(InputError, match="another configuration"):
        loop.train(_config(4, **{"seed": 3}), str(tmp_path), extend="6steps")


@pytest.mark.parametrize(
    ("changes", "amount", "message"),
    [
        ({}, "2", "--extend=2steps"),
        ({"train.total_steps": None, "train.total_epochs": 4.0}, "2steps", "--extend=2"),
        ({}, "0steps", "use a number of epochs"),
        ({}, "-1", "use a number of epochs"),
        ({}, "1.5steps", "whole steps"),
        ({"schedule.name": "cosine"}, "2steps", r"cosine has come down.*model\.init_from"),
        ({"schedule.name": "timm_cosine"}, "2steps", "timm_cosine"),
    ],
)
def test_why_not(changes, amount, message):
    changed = _config()
    for key, value in changes.items():
        section, name = key.split(".")
        changed[section][name] = value
    with pytest.raises(InputError, match=message):
        check_extension(changed, amount)


def test_a_spiking_network_is_told_what_to_do():
    with pytest.raises(InputError, match=r"spiking\.start_from"):
        check_extension(lc_snn.get_config(), "2")


def test_a_new_run_begins_with_an_older_checkpoint(tmp_path, counting, monkeypatch):
    old, new = tmp_path / "old", tmp_path / "new"
    loop.train(_config(8), str(old))
    before = {p: p.read_bytes() for p in old.rglob("*") if p.is_file()}
    beginning = Beginning.parse("4", str(old))
    kept = _config(8, **{"seed": 3})  # a new run may have another configuration

    class Stopping(loop.Interrupts):
        def stop_requested(self, step):
            return step == 5

    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interrupts", Stopping)
        assert loop.train(kept, str(new), beginning=beginning) is None
    assert loop.train(kept, str(new))["step"] == 8  # the flag is not needed again
    assert _total(new) == (8, sum(range(8)))
    assert _steps(new) == list(range(1, 9))
    assert _steps(new, "test") == [2, 4, 6, 8]
    assert {p: p.read_bytes() for p in old.rglob("*") if p.is_file()} == before
    recorded = json.loads((new / "config.json").read_text())["resolved"]["from_checkpoint"]
    assert recorded == {"run": str(old), "step": 4}
    with pytest.raises(InputError, match=f"began with step 4 of {old}"):
        loop.train(kept, str(new), beginning=Beginning(str(old), 2))
    with pytest.raises(InputError, match="began with no checkpoint"):
        loop.train(_config(8), str(old), beginning=beginning)


def test_no_such_checkpoint_leaves_nothing_behind(tmp_path, counting):
    old, new = tmp_path / "old", tmp_path / "new"
    loop.train(_config(4), str(old))
    for step, message in ((3, "it has 2, 4"), (4, "the training ends at step 4")):
        with pytest.raises(InputError, match=message):
            loop.train(_config(4), str(new), beginning=Beginning(str(old), step))
        assert not new.exists()
    for text, message in (("x", "use STEP"), ("none:3", "not trained yet"), (":", "use STEP")):
        with pytest.raises(InputError, match=message):
            Beginning.parse(text, str(old))


def test_a_refused_configuration_leaves_no_directory(tmp_path, monkeypatch):
    def refuse(_):
        raise InputError("no such data")

    monkeypatch.setattr(loop, "prepare", refuse)
    with pytest.raises(InputError, match="no such data"):
        loop.train(_config(), str(tmp_path / "runs" / "new"))
    assert not (tmp_path / "runs").exists()
    (tmp_path / "kept").mkdir()
    with pytest.raises(InputError, match="no such data"):
        loop.train(_config(), str(tmp_path / "kept"))
    assert (tmp_path / "kept").is_dir()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--extend=3"], "cosine"),
        (["--extend=x", "schedule.name=constant"], "number of epochs"),
        (["--from_checkpoint=10"], "not trained yet"),
        (["--extend=2", "--seeds=0:2"], "leave out --seeds"),
        (["--devices=0"], "--devices=0"),
        (["--process_id=1"], "--coordinator"),
        (["--coordinator=localhost"], "HOST:PORT"),
        (["--coordinator=localhost:99", "--num_processes=0"], "--num_processes=0"),
        (["--coordinator=localhost:99", "--num_processes=2", "--process_id=2"], "0 to 1"),
        (["--coordinator=localhost:99"], "--num_processes=N"),
    ],
)
def test_the_command_refuses_in_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "svp_resnet", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_devices_are_as_many_as_asked_for():
    code = (
        "import argparse; from jaxbio.commands.command_line import start_jax; import jax\n"
        "words = dict.fromkeys(['coordinator', 'distributed', 'num_processes', 'process_id'])\n"
        "start_jax(argparse.Namespace(devices=3, **words)); assert jax.device_count() == 3"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=_ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["constant", "step", "multistep"])
def test_a_longer_run_equals_one_long_run_bit_for_bit(tmp_path, monkeypatch, schedule):
    monkeypatch.setattr(opened, "build_model", lambda arguments: Tiny(arguments["num_classes"]))
    flat = {
        **{"train.batch_size": 64, "train.total_epochs": 2.0, "eval.every_epochs": 0.0},
        **{"eval.batch_size": 96, "train.ema_decay": 0.9, "schedule.name": schedule},
        **{"schedule.drop_every_steps": 30, "schedule.milestones_steps": "10,50"},
        **{"optimizer.learning_rate": 0.02, "log.tensorboard": False},
    }

    def short(**changes):
        made = svp_resnet.get_config()
        made.update_from_flattened_dict({**flat, **changes})
        return made

    loop.train(short(**{"train.total_epochs": 3.0}), str(tmp_path / "whole"))
    loop.train(short(), str(tmp_path / "parts"))
    loop.train(short(), str(tmp_path / "parts"), extend="1")
    found = [
        opened.open_session(None, str(tmp_path / run), "last").variables
        for run in ("whole", "parts")
    ]
    assert all(map(bool, jax.tree.leaves(jax.tree.map(lambda a: a.size > 0, found[0]))))
    chex.assert_trees_all_equal(*found)
