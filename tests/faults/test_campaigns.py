"""Shortened campaigns; docs/reliability.md has the commands of the whole ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import of_one_device

pytestmark = pytest.mark.slow
_ROOT = Path(__file__).parents[2]


def _run(module, work, *options):
    """The program as a user starts it: on one device, forks without the threads of tests."""
    command = [sys.executable, "-m", f"tests.faults.{module}", f"--work={work}", *options]
    done = subprocess.run(
        command, cwd=_ROOT, env=of_one_device(), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_malformed_files(tmp_path):
    """A fortieth of: sound and hand-made files of every kind, two damaged versions of each."""
    said = _run("malformed", tmp_path, "--per_file=2", "--every=40")
    tried = int(said.splitlines()[-1].split()[0])
    assert tried > 35
    assert ", 0 failures;" in said


# One kill of rdm takes four minutes: it is left to the command of docs/reliability.md.
@pytest.mark.parametrize("kind", ["classification", "stdp", "population"])
def test_killed_runs_end_as_others(tmp_path, kind):
    said = _run("kills", tmp_path, f"--kind={kind}", "--kills=2")
    assert said.startswith(f"{kind}: 2 kills")


def test_damaged_checkpoints(tmp_path):
    said = _run("checkpoints", tmp_path, "--times=1")
    assert ", 0 failures:" in said
