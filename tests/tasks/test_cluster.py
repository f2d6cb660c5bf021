"""Two real processes that train one job from shards: each its share, and one of them killed."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from jaxbio.commands.main import main
from jaxbio.data import open_source, train_batches
from tests.commands.test_commands import _train_lines, _wait_for_step
from tests.environment import of_one_device

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[2]
_STEPS = 40
_BOUND = 60  # seconds in which the one that is left has to end


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """The digits as PNG in 64 shards."""
    folder = tmp_path_factory.mktemp("data") / "digits"
    assert main(["data", "shard", "digits", str(folder), "--shards=64"]) == 0
    return folder


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _pair(data, workdir):
    """The two processes of a training, a device each."""
    words = [
        "data.source=shards",
        f"data.data_dir={data}",
        "mesh.fsdp=2",
        f"train.total_steps={_STEPS}",
        "eval.every_steps=20",
        "checkpoint.every_steps=4",
        "log.every_steps=1",
        "log.tensorboard=False",
        f"--workdir={workdir}",
        f"--coordinator=127.0.0.1:{_free_port()}",
        "--num_processes=2",
    ]
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.tasks.sharing", *words, f"--process_id={i}"],
            cwd=_ROOT,
            env=of_one_device(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]


def _variables(run):
    """The arrays of the last checkpoint, read without jaxbio; both halves of what was split."""
    reader = ocp.Checkpointer(ocp.PyTreeCheckpointHandler())
    folder = run / "checkpoints" / f"step_{_STEPS}" / "variables"
    as_numpy = jax.tree.map(
        lambda _: ocp.RestoreArgs(restore_type=np.ndarray),
        reader.metadata(folder).item_metadata.tree,
    )
    return reader.restore(folder, args=ocp.args.PyTreeRestore(restore_args=as_numpy))["params"]


def _finish(pair, seconds=200):
    outputs = [process.communicate(timeout=seconds) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], outputs
    return outputs


@pytest.fixture(scope="module")
def undisturbed(sharded, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    _finish(_pair(sharded, workdir))
    return workdir


def test_each_has_its_share(sharded, undisturbed):
    """What both have seen is what one would have: an epoch has no picture twice."""
    cfg = SimpleNamespace(source="shards", data_dir=str(sharded), augmentation="shift")
    source = open_source(cfg)
    batches = train_batches(source, cfg, global_batch_size=16, seed=0, num_steps=_STEPS)
    index = np.array([batch["index"] for batch in batches])
    assert len(np.unique(index)) == index.size == 16 * _STEPS
    seen = [line["seen"] for line in _train_lines(undisturbed)]
    np.testing.assert_allclose(seen, index.mean(1), rtol=1e-6)
    squares = [line["seen_squared"] for line in _train_lines(undisturbed)]
    np.testing.assert_allclose(squares, (index.astype(float) ** 2).mean(1), rtol=1e-6)


def _kill(pair, killed):
    """Kills one of them; what the other says before it ends."""
    pair[killed].send_signal(signal.SIGKILL)
    try:
        said, err = pair[1 - killed].communicate(timeout=_BOUND)
    except subprocess.TimeoutExpired:
        pair[1 - killed].kill()
        pytest.fail(f"it hangs: {pair[1 - killed].communicate()}")
    pair[killed].communicate()
    assert pair[1 - killed].returncode != 0
    return said, err


def test_the_other_ends_and_both_resume_bit_for_bit(sharded, undisturbed, tmp_path):
    """One run, whose processes are killed in turn: every start of two takes half a minute."""
    pair = _pair(sharded, tmp_path / "run")
    _wait_for_step(tmp_path / "run", 10, pair[0])
    _, err = _kill(pair, 1)
    assert pair[0].returncode == 1
    assert err.count("\n") == 1, err
    assert "process 0 of 2" in err
    pair = _pair(sharded, tmp_path / "run")
    _wait_for_step(tmp_path / "run", 26, pair[0])
    # Without process 0, where the processes meet, JAX ends the others, in many lines.
    _kill(pair, 0)
    said = _finish(_pair(sharded, tmp_path / "run"))[0][0]
    resumed = int(re.search(r"resuming at step (\d+)", said)[1])
    assert resumed > 12  # of what the second pair has saved
    expected, ours = _variables(undisturbed), _variables(tmp_path / "run")
    assert expected["first"].shape == (3072, 16)
    for name, value in expected.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
    assert [line["step"] for line in _train_lines(tmp_path / "run")] == list(range(1, _STEPS + 1))
    results = [
        json.loads((d / "results.json").read_text()) for d in (undisturbed, tmp_path / "run")
    ]
    assert results[0]["top1"] == results[1]["top1"]
