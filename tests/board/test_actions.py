"""What the page may do where it is allowed, and what it may not."""

import json
import os
import signal
import subprocess
import sys
import time
from email.message import Message

import pytest

from jaxbio.board.actions import Actions
from jaxbio.board.answers import Answers
from jaxbio.board.index import Index
from jaxbio.errors import InputError
from tests.board.runs import write_run


@pytest.fixture
def actions(tmp_path):
    write_run(tmp_path / "a")
    return Actions(Index(tmp_path), ["svp_resnet", "lc_snn"])


@pytest.fixture
def started(actions, monkeypatch):
    """The words of commands that would have been started."""
    words = []
    real = subprocess.Popen

    def start(command, **options):
        assert command[:3] == [sys.executable, "-m", "jaxbio"]
        words.append(command[3:])
        return real([sys.executable, "-c", "print('said')"], **options)

    monkeypatch.setattr("subprocess.Popen", start)
    yield words
    for job in actions._jobs:
        job.process.wait()
        job.output.close()


def post(actions, what, asked, token=None):
    headers = Message()
    headers["X-Board-Token"] = actions.token if token is None else token
    answers = Answers(actions._index, actions)
    answer = answers.post(f"/api/do/{what}", headers, json.dumps(asked).encode())
    return int(answer.status), answer.body.decode()


def test_commands_are_those_that_one_would_type(actions, started, tmp_path):
    asked = {"experiment": "lc_snn:mnist", "name": "new/x=1", "changes": ["spiking.filters=4"]}
    assert post(actions, "start", asked)[0] == 200
    longer = {"experiment": "svp_resnet", "name": "a", "extend": "500steps"}
    assert post(actions, "start", longer)[0] == 200
    assert post(actions, "evaluate", {"run": "a", "mode": "attacks"})[0] == 200
    assert started == [
        ["train", "lc_snn:mnist", "spiking.filters=4", f"--workdir={tmp_path / 'new/x=1'}"],
        ["train", "svp_resnet", "--extend=500steps", f"--workdir={tmp_path / 'a'}"],
        ["evaluate", str(tmp_path / "a"), "--mode=attacks"],
    ]
    for job in actions._jobs:
        job.process.wait()
    jobs = json.loads(post(actions, "jobs", {})[1])
    assert [job["command"].split()[1] for job in jobs] == ["evaluate", "train", "train"]
    assert [(job["code"], job["said"]) for job in jobs] == [(0, "said\n")] * 3


@pytest.mark.parametrize("token", ["", "guess", "\u00e9"])
def test_nothing_without_the_token(actions, started, token):
    assert post(actions, "evaluate", {"run": "a", "mode": "accuracy"}, token)[0] == 403
    assert started == []


@pytest.mark.parametrize(
    ("what", "asked"),
    [
        ("start", {"experiment": "/tmp/evil.py", "name": "x"}),
        ("start", {"experiment": "lc_snn:../x", "name": "x"}),
        ("start", {"experiment": "none", "name": "x"}),
        ("start", {"experiment": "lc_snn", "name": "../outside"}),
        ("start", {"experiment": "lc_snn", "name": "/tmp/x"}),
        ("start", {"experiment": "lc_snn", "name": ""}),
        ("start", {"experiment": "lc_snn", "name": 5}),
        ("start", {"experiment": "lc_snn", "name": "x", "changes": ["--distributed"]}),
        ("start", {"experiment": "lc_snn", "name": "x", "changes": ["--config=/tmp/evil.py"]}),
        ("start", {"experiment": "lc_snn", "name": "x", "changes": ["seed"]}),
        ("start", {"experiment": "lc_snn", "name": "x", "changes": 3}),
        ("start", {"experiment": "lc_snn", "name": "x", "extend": "1 --seeds=0:9"}),
        ("evaluate", {"run": "../a", "mode": "accuracy"}),
        ("evaluate", {"run": "a", "mode": "features"}),
        ("stop", {"run": "a"}),
        ("stop", {"run": "b"}),
        ("stop", {"run": ["a"]}),
        ("classify", {"run": "b", "picture": []}),
        ("classify", {"run": "a", "picture": [[0]]}),
        ("classify", {"run": "a", "picture": [[0] * 8] * 8}),
        ("classify", {"run": "a", "picture": [[300] * 8] * 8}),
        ("classify", {"run": "a", "picture": [["9"] * 8] * 8}),
        ("stop", {"run": "a", "more": 1}),
        ("stop", [1]),
        ("rm", {}),
    ],
)
def test_what_is_refused_is_said_in_a_line(actions, started, what, asked):
    code, said = post(actions, what, asked)
    assert code in (400, 404, 409)
    assert said.count("\n") == 1
    assert started == []


def test_a_run_is_stopped_by_its_own_process_only(actions, tmp_path):
    lock = """
import sys, time
from pathlib import Path
from jaxbio.runs.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", lock, str(tmp_path / "a")], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        assert actions.stop("a") == {"stopped": process.pid}
        assert process.wait(10) == -signal.SIGTERM
    # The lock file is still there, and fresh; its process is not.
    assert (tmp_path / "a" / "lock").exists()
    os.utime(tmp_path / "a" / "lock", (time.time(),) * 2)
    with pytest.raises(InputError, match="not training"):
        actions.stop("a")
