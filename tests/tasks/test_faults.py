"""What happens to a run when the disk, the terminal or another process fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxbio.errors import InputError, WriteError
from jaxbio.runs.checkpoints import Checkpointer
from jaxbio.tasks import loop
from tests.tasks.counting import Counting, config

_ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def counting(monkeypatch):
    monkeypatch.setattr(loop, "prepare", Counting)


def _start(run, steps=6, pause=0.0, code="", **options):
    """The run in a process of its own, after ``code``."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nfrom tests.tasks.counting import main"]
    command[-1] += f"\nmain(sys.argv[1], {steps}, {pause})"
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen([*command, str(run)], cwd=_ROOT, **options)


def _ends(run, **options):
    """Exit code and both outputs of such a process."""
    with _start(run, **options) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def _total(run):
    task = Counting(config())
    checkpointer = Checkpointer(run / "checkpoints", best_by="accuracy")
    state = checkpointer.restore_latest(task.like)
    checkpointer.close()
    return int(state.step), np.unique(state.total).item()


def _files(run):
    return sorted(os.listdir(run))


WHOLE = ["checkpoints", "config.json", "metrics.jsonl", "report", "results.json"]


def _is_whole(run):
    assert _files(run) == WHOLE
    assert os.listdir(run / "report") == ["now.png"]
    assert _total(run) == (6, 15.0)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if line["split"] == "train"]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_run(tmp_path):
    loop.train(config(), str(tmp_path))
    _is_whole(tmp_path)
    loop.train(config(), str(tmp_path))
    _is_whole(tmp_path)


def test_the_second_process_is_refused(tmp_path):
    with _start(tmp_path, pause=2.0) as first:
        while not (tmp_path / "metrics.jsonl").exists():
            time.sleep(0.05)
        with pytest.raises(InputError, match=f"process {first.pid} of .* --workdir"):
            loop.train(config(), str(tmp_path))
        first.kill()
    loop.train(config(), str(tmp_path))
    assert "lock" not in _files(tmp_path)


def test_a_full_disk_is_one_line_and_resumable(tmp_path):
    """A limit of file sizes stands for it: nothing longer than 2,000 bytes can be written."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    loop.train(config(), str(tmp_path / "whole"))
    code, _, err = _ends(tmp_path / "run", code=limit)
    assert code == 1
    errors = [line for line in err.splitlines() if not line.startswith(("WARNING", "I0", "W0"))]
    assert len(errors) == 1
    assert "cannot be written" in errors[0]
    loop.train(config(), str(tmp_path / "run"))
    _is_whole(tmp_path / "run")


@pytest.mark.parametrize("name", ["checkpoints", "metrics.jsonl", "results.json", "config.json"])
def test_something_else_in_the_place_of_a_file(tmp_path, name):
    if name == "checkpoints":
        (tmp_path / name).write_text("")
    else:
        (tmp_path / name / "inside").mkdir(parents=True)
    with pytest.raises(InputError, match=name) as caught:
        loop.train(config(), str(tmp_path))
    assert "\n" not in str(caught.value)
    shutil.rmtree(tmp_path / name, ignore_errors=True)
    (tmp_path / name).unlink(missing_ok=True)
    loop.train(config(), str(tmp_path))
    _is_whole(tmp_path)


def test_a_figure_that_cannot_be_written_ends_nothing(tmp_path, caplog):
    (tmp_path / "report").write_text("a file")
    loop.train(config(), str(tmp_path))
    assert "a figure is missing" in caplog.text
    assert _total(tmp_path) == (6, 15.0)


@pytest.mark.parametrize("gone", ["", "lock"])
def test_a_run_directory_that_goes(tmp_path, monkeypatch, gone):
    run = tmp_path / "run"
    real = Counting.batches

    def vanishing(self, start):
        for number in real(self, start):
            if number == 3:
                time.sleep(0.3)  # a checkpoint that is being written would come back
                shutil.rmtree(run) if not gone else (run / gone).unlink()
            yield number

    with monkeypatch.context() as patch:
        patch.setattr(Counting, "batches", vanishing)
        with pytest.raises(WriteError, match="run has gone"):
            loop.train(config(), str(run))
    loop.train(config(), str(run))
    _is_whole(run)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\n", b"[1]\n{}\n3\n", b'{"step": 3, "spl', b'{"step": "x"}\n']
)
def test_damaged_metrics_are_left_out(tmp_path, content, monkeypatch):
    _stop_after(tmp_path, 3, monkeypatch)
    lines = (tmp_path / "metrics.jsonl").read_bytes()
    (tmp_path / "metrics.jsonl").write_bytes(lines + content)
    loop.train(config(), str(tmp_path))
    _is_whole(tmp_path)


def _stop_after(run, step, monkeypatch):
    class Stopping(loop.Interrupts):
        def stop_requested(self, now):
            return now == step

    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interrupts", Stopping)
        assert loop.train(config(), str(run)) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"\xff"),
        ("config.json", b"[]"),
        ("config.json", b"{}"),
        ("config.json", b'{"config": 3, "resolved": 4}'),
        ("config.json", b'{"model": {"name": "resnet18"}, "provenance": {}}'),
        ("results.json", b'{"step": '),
        ("results.json", b"[1]"),
        ("results.json", b"{}"),
        ("results.json", b'{"accuracy": "high", "parameters": [], "step": 6, "run": 3}'),
    ],
)
def test_damaged_small_files_are_named(tmp_path, name, content):
    loop.train(config(), str(tmp_path))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{tmp_path.name}|{name}") as caught:
        loop.train(config(), str(tmp_path))
    assert "\n" not in str(caught.value)


def test_names_that_are_not_utf_8(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/run\xff")
    with pytest.raises(InputError, match=r"run\\xff is not UTF-8"):
        loop.train(config(), name)


_CLOSED = "import os, sys; os.close(1); sys.stdout = None"
_READER_GONE = "import os; r, w = os.pipe(); os.dup2(w, 1); os.close(w); os.close(r)"
_FULL = "import os; f = os.open('/dev/full', os.O_WRONLY); os.dup2(f, 1)"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(_READER_GONE, id="pipe"),
        pytest.param(_CLOSED, id="closed", marks=pytest.mark.slow),
        pytest.param(_FULL, id="full", marks=pytest.mark.slow),
    ],
)
def test_an_output_that_nobody_reads_ends_nothing(tmp_path, code):
    status, _, err = _ends(tmp_path, code=code)
    assert (status, err) == (0, "")
    _is_whole(tmp_path)


def test_a_process_that_compiles_ends_at_once(tmp_path):
    """A long call in C stands for the compiler: Python's own handlers would wait for its end."""
    code = (
        "import hashlib; from tests.tasks import counting\n"
        "slow = lambda *_: hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n"
        "counting.Counting.train_step = lambda self: slow"
    )
    with _start(tmp_path, code=code) as process:
        while "compiling the training step" not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(0.2)
        began = time.monotonic()
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 2.0
    assert process.returncode == -signal.SIGTERM
    assert err == ""
    loop.train(config(), str(tmp_path))
    _is_whole(tmp_path)


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    """Each kill a little later after the start: what comes out is what would have."""
    run = tmp_path / "run"
    for number in range(6):
        with _start(run, pause=0.05) as process:
            while process.poll() is None and not _is_owner(process, run):
                time.sleep(0.005)
            time.sleep(0.1 * number)
            process.kill()
    loop.train(config(), str(run))
    _is_whole(run)
    stray = [p for p in run.rglob("*") if p.name.startswith(".") or "tmp" in p.name]
    assert stray == []


def _is_owner(process, run):
    try:
        return json.loads((run / "lock").read_text())["process"] == process.pid
    except (OSError, ValueError):
        return False


@pytest.mark.slow
def test_stopped_by_a_signal(tmp_path):
    log = tmp_path / "metrics.jsonl"
    with _start(tmp_path, steps=6, pause=0.3) as process:
        while not (log.exists() and log.stat().st_size):  # before the first step it just ends
            time.sleep(0.02)
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "repeat the command to go on" in out
    loop.train(config(), str(tmp_path))
    _is_whole(tmp_path)
