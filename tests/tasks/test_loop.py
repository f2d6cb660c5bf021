"""The loop in one process, on real digits, with a tiny model in place of the registry's."""

import json
import os
import shutil
import signal
from pathlib import Path

import chex
import jax
import pytest

from configs import svp_resnet
from jaxbio.errors import InputError
from jaxbio.measures.measure import measure
from jaxbio.runs.checkpoints import Checkpointer
from jaxbio.runs.mesh import put_batches
from jaxbio.runs.schedules import Periods
from jaxbio.tasks import loop
from jaxbio.tasks.classification import opened as session
from jaxbio.tasks.classification.build import create_state
from jaxbio.tasks.classification.optimizers import make_optimizer
from tests.tasks import counting
from tests.tasks.tiny import Tiny


@pytest.fixture(autouse=True)
def tiny_model(monkeypatch):
    monkeypatch.setattr(session, "build_model", lambda arguments: Tiny(arguments["num_classes"]))


def _config(**changes):
    config = svp_resnet.get_config()
    flat = {
        "train.batch_size": 64,
        "train.total_steps": 30,
        "eval.every_steps": 10,
        "eval.batch_size": 96,
        "checkpoint.every_steps": 10,
        "optimizer.learning_rate": 0.02,
        "log.every_steps": 5,
        "log.tensorboard": False,
        **changes,
    }
    config.update_from_flattened_dict(flat)
    return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of the plain configuration and its results. Not to be changed: take a `copy`."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "build_model", lambda arguments: Tiny(arguments["num_classes"]))
        return workdir, loop.train(_config(), str(workdir))


@pytest.fixture
def copy(finished, tmp_path):
    return Path(shutil.copytree(finished[0], tmp_path / "run"))


def _final_state(config, workdir):
    like = create_state(
        Tiny(10),
        make_optimizer(config.optimizer),
        jax.random.key(0),
        (32, 32, 3),
        ema=config.train.ema_decay > 0,
    )
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like)
    checkpointer = Checkpointer(workdir / "checkpoints")
    state = checkpointer.restore_latest(like)
    checkpointer.close()
    return state


def _lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_a_run_learns_and_leaves_its_files(finished):
    tmp_path, results = finished
    assert results["count"] > 300
    assert results["top1"] > 0.6  # chance is 0.1
    recorded = json.loads((tmp_path / "config.json").read_text())
    assert recorded["config"]["train"]["total_steps"] == 30
    assert recorded["resolved"]["model"]["num_classes"] == 10
    assert json.loads((tmp_path / "results.json").read_text()) == results
    splits = [(line["step"], line["split"]) for line in _lines(tmp_path)]
    assert splits.count((30, "test")) == 1
    assert [s for s, split in splits if split == "train"] == [5, 10, 15, 20, 25, 30]


def test_the_test_is_compiled_before_the_first_step():
    """A signal that comes while it compiles costs nothing then; and it is compiled once."""
    task = loop.prepare(_config())
    state = task.initial_state()
    task.warm_up(state)
    variables = state.variables(averaged=True)
    batch = next(iter(put_batches(task.classifier.batches(), task.classifier.mesh)))
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name)
    )
    try:
        jax.block_until_ready(task.classifier.eval_step(variables, batch))
    finally:
        jax.monitoring.clear_event_listeners()
    assert not [name for name in compiled if "backend_compile" in name]


def test_runs_of_a_sweep_share_a_program():
    """What differs in seed and learning rate alone is compiled once, also by other processes."""
    programs = set()
    for changes in ({}, {"seed": 4294967295}, {"optimizer.learning_rate": 0.5}):
        task = loop.prepare(_config(**changes))
        step = task.train_step()
        shapes = {"image": ((64, 32, 32, 3), "uint8"), "label": ((64,), "int32")}
        batch = {name: jax.ShapeDtypeStruct(*shape) for name, shape in shapes.items()}
        programs.add(step.func.lower(task.like, batch, **step.keywords).as_text())
    assert len(programs) == 1


def test_a_finished_run_says_so_and_does_nothing(copy, finished, capsys, monkeypatch):
    monkeypatch.setattr(loop, "_Loop", None)  # would fail if called
    assert loop.train(_config(), str(copy)) == finished[1]
    out = capsys.readouterr().out
    assert "has finished" in out
    assert str(copy) in out


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"train.ema_decay": 0.9, "schedule.name": "plateau"},  # all that a state can hold
    ],
)
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, monkeypatch, changes):
    config = _config(**changes)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    loop.train(config, str(whole))

    class TermAt13(loop.Interrupts):
        def stop_requested(self, step):
            if step == 13:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().stop_requested(step)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interrupts", TermAt13)
        assert loop.train(config, str(parts)) is None
    assert int(_final_state(config, parts).step) == 13
    loop.train(config, str(parts))
    chex.assert_trees_all_equal(_final_state(config, whole), _final_state(config, parts))

    def numbers(workdir):
        """Without the speed, and without windows that the stop cut in two."""
        return [
            {k: v for k, v in line.items() if k != "images_per_s"}
            for line in _lines(workdir)
            if line["split"] == "test"
        ]

    assert numbers(whole) == numbers(parts)


def test_evaluation_repeats_the_final_numbers(copy, finished):
    results = finished[1]
    opened = session.open_session(None, str(copy), "last")
    measured = measure(opened, "accuracy")
    for name in ("loss", "top1", "top5", "count"):
        assert measured[name] == pytest.approx(results[name], rel=1e-5)
    written = json.loads((copy / "evaluation" / "accuracy.json").read_text())
    assert written["top1"] == measured["top1"]


@pytest.mark.slow
def test_the_exact_test_set_whatever_the_batch_size(copy):
    seen = []
    for size in (8, 104, 368):
        opened = session.open_session(_config(**{"eval.batch_size": size}), str(copy))
        seen.append(opened.measure(opened.batches()))
    assert seen[0]["count"] == opened.source.num_eval
    for other in seen[1:]:
        assert other["top1"] == seen[0]["top1"]
        assert other["loss"] == pytest.approx(seen[0]["loss"], rel=1e-5)


def test_nan_stops_the_run_and_names_step_and_checkpoint(tmp_path):
    config = _config(**{"optimizer.learning_rate": 1e25, "checkpoint.every_steps": 1})
    with pytest.raises(loop.NonFiniteError, match=r"at step \d+.*checkpoint"):
        loop.train(config, str(tmp_path))
    state = _final_state(config, tmp_path)
    assert state is None or all(
        bool(jax.numpy.isfinite(p).all()) for p in jax.tree.leaves(state.params)
    )


def test_another_configuration_is_refused_by_name(copy):
    with pytest.raises(InputError, match=r"optimizer.learning_rate=0.5 \(there 0.02\)"):
        loop.train(_config(**{"optimizer.learning_rate": 0.5}), str(copy))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.num_classes": 7}, "model.num_classes=7, but digits has 10"),
        ({"train.batch_size": 33}, "train.batch_size=33 must be a multiple of 8 devices"),
        ({"train.accumulate": 3}, "train.accumulate=3"),
        ({"eval.batch_size": 7}, "eval.batch_size=7"),
        ({"mesh.fsdp": 3}, "mesh.fsdp=3 does not make 8 devices"),
        ({"train.total_steps": None}, "set one"),
        ({"model.dtype": "float16"}, "model.dtype='float16'"),
        ({"data.source": "imagenett"}, "imagenett"),
    ],
)
def test_wrong_settings_are_one_line(tmp_path, changes, message):
    config = _config(**changes)
    if "train.total_steps" in changes:
        config.train.total_epochs = None
    with pytest.raises(InputError, match=message) as caught:
        loop.train(config, str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_file_in_the_way_of_the_run_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not writable"):
        loop.train(_config(), str(tmp_path / "file" / "run"))


def test_evaluating_nothing_or_another_model(copy, tmp_path):
    with pytest.raises(InputError, match=r"config.json does not exist"):
        session.open_session(None, str(tmp_path / "none"))
    other = _config(**{"model.name": "resnet34"})
    with pytest.raises(InputError, match=r"another model: name='resnet34' \(there 'resnet18'\)"):
        session.open_session(other, str(copy))


def test_minutes_between_checkpoints_need_no_log_lines(tmp_path, monkeypatch):
    config = counting.config(**{"log.every_steps": 0, "checkpoint.every_minutes": 1e-9})
    task, saved = counting.Counting(config, 250), []
    task.periods = Periods(250, evaluate=0, checkpoint=0)
    monkeypatch.setattr(loop, "prepare", lambda config: task)
    monkeypatch.setattr(Checkpointer, "save", lambda self, state, _: saved.append(int(state.step)))
    loop.train(config, str(tmp_path / "run"))
    assert saved == [100, 200, 250]
