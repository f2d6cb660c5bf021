import contextlib
import functools
import json
import logging
import shutil
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import pytest

from configs import base
from jaxbio.errors import InputError
from jaxbio.runs import checkpoints as checkpointing
from jaxbio.runs.checkpoints import Checkpointer, export_variables, load_variables
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.verified import CheckpointMismatchError
from jaxbio.tasks.classification.build import create_state
from jaxbio.tasks.classification.optimizers import make_optimizer
from tests.tasks.tiny import Tiny


@functools.cache
def _state(step=0, ema=False, num_classes=10):
    optimizer = make_optimizer(base.get_config().optimizer)
    model = Tiny(num_classes)
    state = create_state(model, optimizer, jax.random.key(step), (32, 32, 3), ema=ema)
    return state.replace(step=jnp.int32(step))


def _like(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path)
    run.create()
    return run


def _save(run, *states, metrics=None, **options):
    checkpointer = Checkpointer(run.checkpoints, **options)
    for i, state in enumerate(states):
        checkpointer.save(state, None if metrics is None else {"top1": metrics[i]})
    checkpointer.close()


@pytest.mark.parametrize("ema", [False, True])
def test_what_comes_back_is_what_was_saved(run, ema):
    state = _state(3, ema=ema)
    _save(run, state)
    restored = Checkpointer(run.checkpoints).restore_latest(_like(_state(0, ema=ema)))
    chex.assert_trees_all_equal(restored, state)


def test_an_empty_directory_restores_nothing(run):
    assert Checkpointer(run.checkpoints).restore_latest(_like(_state())) is None


def test_last_and_best_are_kept(run):
    states = [_state(step) for step in (1, 2, 3, 4)]
    _save(run, *states, metrics=[0.2, 0.9, 0.3, 0.4], keep_last=1, keep_best=1)
    kept = sorted(path.name for path in run.checkpoints.iterdir() if path.is_dir())
    assert kept == ["step_2", "step_4"]
    like = _like(_state().variables())
    assert load_variables(run, like, "best")[1] == 2
    assert load_variables(run, like, "last")[1] == 4
    with pytest.raises(InputError, match=r"--checkpoint=7: .*\[2, 4\]"):
        load_variables(run, like, "7")


def _truncate(file: Path):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _flip(file: Path):
    """Bits in many places: some bytes of a file (names, padding) do not matter."""
    content = bytearray(file.read_bytes())
    for place in range(len(content) // 4, len(content) // 2):
        content[place] ^= 1
    file.write_bytes(bytes(content))


def _data_files(run, step):
    """Files that hold arrays, largest first."""
    folder = run.checkpoints / f"step_{step}" / "variables"
    return sorted((f for f in folder.rglob("*") if f.is_file()), key=lambda f: -f.stat().st_size)


@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink], ids=["cut", "flip", "remove"])
def test_a_damaged_checkpoint_falls_back_and_says_so(run, damage, caplog):
    good, bad = _state(1), _state(2)
    _save(run, good, bad)
    damage(_data_files(run, 2)[0])
    checkpointer = Checkpointer(run.checkpoints)
    chex.assert_trees_all_equal(checkpointer.restore_latest(_like(_state())), good)
    assert "step_2" in caplog.text
    assert "damaged" in caplog.text
    assert (run.path / "damaged" / "step_2").is_dir()
    checkpointer.save(bad)  # the place is free again
    checkpointer.close()
    chex.assert_trees_all_equal(Checkpointer(run.checkpoints).restore_latest(_like(good)), bad)


def test_no_file_of_a_checkpoint_can_be_cut_unnoticed(run):
    """Every file that matters, each cut in half in turn: an error or the right arrays."""
    state = _state(1)
    _save(run, state)
    like = _like(state.variables())
    for file in [f for f in (run.checkpoints / "step_1").rglob("*") if f.is_file()]:
        content = file.read_bytes()
        _truncate(file)
        with contextlib.suppress(checkpointing.DamagedCheckpointError):
            restored, _ = load_variables(run, like, "last")
            chex.assert_trees_all_equal(restored, state.variables())
        file.write_bytes(content)


def _flip_one_bit(file: Path):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def test_a_changed_score_is_noticed(run):
    """The digests cover themselves: one character of a number is another number."""
    _save(run, _state(1), _state(2), metrics=[0.25, 0.5])
    file = run.checkpoints / "step_2" / "digests" / "metadata"
    assert '"score": 0.5' in file.read_text()
    file.write_text(file.read_text().replace('"score": 0.5', '"score": 0.1'))
    like = _like(_state())
    assert load_variables(run, like.variables(), "best")[1] == 1
    with pytest.raises(checkpointing.DamagedCheckpointError, match="step_2"):
        load_variables(run, like.variables(), "last")
    assert int(Checkpointer(run.checkpoints).restore_latest(like).step) == 1
    assert (run.path / "damaged" / "step_2").is_dir()


def test_a_damaged_score_of_an_older_version_blocks_nothing(run):
    """Version 0.1.0 kept scores in a file of their own."""
    states = [_state(1), _state(2)]
    _save(run, *states)
    for step, score in ((1, '{"score": 0.75}'), (2, '{"score": 0.5}')):
        folder = run.checkpoints / f"step_{step}"
        digests = json.loads((folder / "digests" / "metadata").read_text())
        del digests["check"]
        (folder / "digests" / "metadata").write_text(json.dumps(digests))
        about = json.loads((folder / "_CHECKPOINT_METADATA").read_text())
        about["item_handlers"]["metrics"] = about["item_handlers"]["digests"]
        (folder / "_CHECKPOINT_METADATA").write_text(json.dumps(about))
        (folder / "metrics").mkdir()
        (folder / "metrics" / "metrics").write_text(score)
    like = _like(_state())
    assert load_variables(run, like.variables(), "best")[1] == 1
    for bad in (b'{{score": 0.75}', b"", b"\xff", b"[1]", b'{"score": "x"}', b'{"score": NaN}'):
        (run.checkpoints / "step_1" / "metrics" / "metrics").write_bytes(bad)
        assert load_variables(run, like.variables(), "best")[1] == 2
        checkpointer = Checkpointer(run.checkpoints)
        chex.assert_trees_all_equal(checkpointer.restore_latest(like), states[1])
        checkpointer.close()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [_truncate, _flip, _flip_one_bit, Path.unlink])
def test_any_damaged_file_of_the_newest_checkpoint(run, damage):
    """Every file in turn: the newest state as it was saved, or the one before it."""
    states = {step: _state(step) for step in (1, 2)}
    _save(run, *states.values(), metrics=[0.5, 0.25])
    whole = run.path / "whole"
    shutil.copytree(run.checkpoints, whole)
    files = [f.relative_to(whole) for f in sorted((whole / "step_2").rglob("*")) if f.is_file()]
    assert len(files) > 20
    for file in files:
        shutil.rmtree(run.checkpoints)
        shutil.copytree(whole, run.checkpoints)
        damage(run.checkpoints / file)
        like = _like(_state())
        with contextlib.suppress(checkpointing.DamagedCheckpointError):
            variables, step = load_variables(run, like.variables(), "last")
            chex.assert_trees_all_equal(variables, states[step].variables())
        checkpointer = Checkpointer(run.checkpoints)
        restored = checkpointer.restore_latest(like)
        checkpointer.close()
        chex.assert_trees_all_equal(restored, states[int(restored.step)])


@pytest.mark.parametrize("name", ["step_99", "step_abc", "x.orbax-checkpoint-tmp"])
@pytest.mark.parametrize("folder", [True, False])
def test_strays_among_the_checkpoints(run, name, folder):
    state = _state(1)
    _save(run, state)
    stray = run.checkpoints / name
    stray.mkdir() if folder else stray.touch()
    chex.assert_trees_all_equal(Checkpointer(run.checkpoints).restore_latest(_like(state)), state)


def test_all_checkpoints_damaged_is_an_error(run):
    _save(run, _state(1))
    _truncate(_data_files(run, 1)[0])
    with pytest.raises(InputError, match=r"no checkpoint .* can be read"):
        Checkpointer(run.checkpoints).restore_latest(_like(_state()))


def test_another_model_is_named(run):
    _save(run, _state(1))
    other = _like(_state(num_classes=7))
    with pytest.raises(CheckpointMismatchError, match=r"params/fc/(bias|kernel)"):
        Checkpointer(run.checkpoints).restore_latest(other)


def test_exported_variables_load_with_constants_of_their_own_shape(tmp_path):
    variables = _state(0).variables()
    variables["constants"] = {"fixed": jnp.ones((5, 5, 3, 8))}
    export_variables(tmp_path / "out", {"name": "tiny"}, variables, provenance={"file": "a.pth"})
    run = RunDirectory(tmp_path / "out")
    assert json.loads(run.config_file.read_text())["model"] == {"name": "tiny"}
    restored, _ = load_variables(run, _like(_state().variables()))
    chex.assert_trees_all_equal(restored, variables)
    with pytest.raises(InputError, match="not empty"):
        export_variables(tmp_path / "out", {}, variables, provenance={})


def test_missing_checkpoints_are_an_error(run):
    with pytest.raises(InputError, match="has no checkpoints"):
        load_variables(run, _like(_state().variables()))


def test_sharded_state_restores_onto_its_devices(run):
    from jaxbio.runs.mesh import make_mesh, state_shardings

    state = _state(5)
    shardings = state_shardings(state, make_mesh(data=2, fsdp=4))
    sharded = jax.device_put(state, shardings)
    _save(run, sharded)
    restored = Checkpointer(run.checkpoints).restore_latest(_like(sharded))
    assert restored.params["fc"]["kernel"].sharding == sharded.params["fc"]["kernel"].sharding
    chex.assert_trees_all_equal(jax.device_get(restored), jax.device_get(state))


def test_of_arrays_that_a_full_disk_stops_one_is_told():
    def tells(error):
        info = (type(error), error, None)
        record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "never retrieved", (), info)
        return bool(logging.getLogger("asyncio").filter(record))

    assert not tells(ValueError("No space left on device [os_error_code='28']"))
    assert tells(ValueError("something else"))
