"""What may be done from the page where it is allowed: the commands that one would type."""

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from jaxbio.board.digit import Networks
from jaxbio.board.index import Index
from jaxbio.errors import InputError
from jaxbio.runs.lock import training_process

_MOST_JOBS = 8  # at a time
_SHOWN_BYTES = 4000  # of what a job says
_MODES = ("accuracy", "robustness", "attacks", "similarity", "time", "physiology")
_NAME = re.compile(r"[\w][\w.,=+-]*(/[\w][\w.,=+-]*)*")
_VARIANT = re.compile(r"[\w.-]*")
_EXTENSION = re.compile(r"(\d+(\.\d+)?(steps)?)?")
_CHANGE = re.compile(r"[a-z_]\w*(\.\w+)*=[^\0\n]{0,300}")


@dataclass(frozen=True)
class Job:
    """A command that was started: its words after ``jaxbio``, and what it says."""

    words: Sequence[str]
    process: "subprocess.Popen[bytes]"
    output: IO[bytes]


class Actions:
    """Starts and stops commands on the runs of a folder.

    A command goes on when the board ends: it is a process of its own session.

    Attributes:
        token: whoever knows it may act.
        experiments: names that may be started.
    """

    def __init__(self, index: Index, experiments: Sequence[str]):
        self.token = secrets.token_urlsafe(18)
        self.experiments = list(experiments)
        self._index = index
        self._networks = Networks(index.folder)
        self._jobs: list[Job] = []
        self._lock = threading.Lock()

    def knows(self, token: str) -> bool:
        """Whether a token is ours."""
        return secrets.compare_digest(token.encode(errors="replace"), self.token.encode())

    def start(
        self, experiment: str, name: str, changes: Sequence[str] = (), extend: str = ""
    ) -> Any:
        """Trains an experiment that jaxbio brings, in ``<folder>/<name>``; goes on if it is there.

        An experiment may have a variant after a colon; ``extend`` is what ``--extend`` takes, ""
        trains as long as configured.

        Raises:
            InputError: an unknown experiment, a name that is none, changes that are not KEY=VALUE.
        """
        known, _, variant = str(experiment).partition(":")
        if known not in self.experiments or not _VARIANT.fullmatch(variant):
            raise InputError(f"experiment '{experiment}': use {', '.join(self.experiments)}")
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise InputError(f"name '{name}': use letters, digits and . , = + - _")
        if not isinstance(changes, list | tuple):
            raise InputError("changes are a list of KEY=VALUE")
        for change in changes:
            if not _CHANGE.fullmatch(str(change)):
                raise InputError(f"'{change}': changes are KEY=VALUE")
        if not _EXTENSION.fullmatch(str(extend)):
            raise InputError(f"'{extend}': longer by epochs (10) or by steps (500steps)")
        longer = [f"--extend={extend}"] if extend else []
        workdir = self._index.folder.absolute() / name
        return self._begin("train", experiment, *changes, *longer, f"--workdir={workdir}")

    def stop(self, run: str) -> Any:
        """Asks the process that trains a run to save and end.

        Raises:
            InputError: none does, or one of another machine.
        """
        process = training_process(self._index.path(run).absolute())
        os.kill(process, signal.SIGTERM)
        return {"stopped": process}

    def evaluate(self, run: str, mode: str) -> Any:
        """Takes a measure of a run.

        Raises:
            InputError: no such run or measure.
        """
        if mode not in _MODES:
            raise InputError(f"mode '{mode}': use {', '.join(_MODES)}")
        return self._begin("evaluate", str(self._index.path(run).absolute()), f"--mode={mode}")

    def classify(self, run: str, picture: Sequence[Sequence[int]]) -> Any:
        """Shows a drawn digit to a spiking network; see :meth:`Networks.classify`."""
        self._index.path(run)
        return self._networks.classify(run, picture)

    def jobs(self) -> Any:
        """What was started, the newest first, and how it goes."""
        with self._lock:
            return [_about(job) for job in reversed(self._jobs)]

    def _begin(self, *words: str) -> Any:
        with self._lock:
            if sum(job.process.poll() is None for job in self._jobs) >= _MOST_JOBS:
                raise InputError(f"{_MOST_JOBS} commands run already: wait for one")
            output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the job
            process = subprocess.Popen(
                [sys.executable, "-m", "jaxbio", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._jobs.append(Job(words, process, output))
            return _about(self._jobs[-1])


def _about(job: Job) -> dict[str, Any]:
    size = os.fstat(job.output.fileno()).st_size
    said = os.pread(job.output.fileno(), _SHOWN_BYTES, max(0, size - _SHOWN_BYTES))
    return {
        "command": " ".join(["jaxbio", *job.words]),
        "code": job.process.poll(),
        "said": said.decode(errors="replace"),
    }
