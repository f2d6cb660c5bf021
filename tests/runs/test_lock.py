"""Two processes on one run directory."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxbio.errors import InputError, WriteError
from jaxbio.runs import lock
from jaxbio.runs.lock import RunLock

_HOLD = """
import sys, time, pathlib
from jaxbio.runs.lock import RunLock
with RunLock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def _enter(run):
    with RunLock(run):
        pass


def test_the_second_is_told_who_has_it_and_the_dead_are_taken_over(tmp_path, owner):
    with pytest.raises(InputError, match=rf"process {owner.pid} of .* since 2") as caught:
        _enter(tmp_path)
    assert caught.value.exit_code == 2
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with RunLock(tmp_path) as mine:
        mine.check()
        assert json.loads((tmp_path / "lock").read_text())["process"] == os.getpid()
    assert os.listdir(tmp_path) == []


def _left_by_another_machine(run):
    (run / "lock").write_text(json.dumps({**lock._owner(), "boot": "other", "host": "far"}))


def test_a_lock_of_another_machine_that_lives(tmp_path, monkeypatch):
    """Where the file system does not tell: the file's time does."""
    monkeypatch.setattr(lock, "_DEAD_SECONDS", 5.0)
    _left_by_another_machine(tmp_path)
    ended = threading.Event()

    def beat():
        while not ended.wait(0.2):
            os.utime(tmp_path / "lock")

    thread = threading.Thread(target=beat)
    thread.start()
    with pytest.raises(InputError, match="on far since"):
        _enter(tmp_path)
    ended.set()
    thread.join()


def test_a_lock_of_another_machine_that_is_dead(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_DEAD_SECONDS", 0.2)
    _left_by_another_machine(tmp_path)
    _enter(tmp_path)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock, "_DEAD_SECONDS", 0.2)
    monkeypatch.setattr(lock, "_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with RunLock(tmp_path):
        monkeypatch.setattr(lock, "_DEAD_SECONDS", 5.0)
        with pytest.raises(InputError, match="in use"):
            _enter(tmp_path)
    _enter(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff{", b"[1]", b"{}"])
def test_a_damaged_lock_file_of_nobody(tmp_path, content):
    (tmp_path / "lock").write_bytes(content)
    _enter(tmp_path)


def test_a_run_directory_that_goes_is_noticed(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with RunLock(run) as mine:
        mine.check()
        (run / "lock").unlink()
        with pytest.raises(WriteError, match="has gone"):
            mine.check()
    with pytest.raises(WriteError, match="lock"):
        _enter(tmp_path / "none")


def test_it_beats(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_BEAT_SECONDS", 0.02)
    with RunLock(tmp_path):
        os.utime(tmp_path / "lock", (0, 0))
        deadline = time.monotonic() + 5
        while (tmp_path / "lock").stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (tmp_path / "lock").stat().st_mtime > 0


def test_a_link_in_its_place_is_not_written_through(tmp_path):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "lock").symlink_to("mine")
    with pytest.raises(WriteError, match="lock"):
        _enter(tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"
