"""A run directory: what belongs to one run, written so that a crash never leaves half a file.

``config.json`` (the configuration and what was resolved from it), ``checkpoints/``,
``metrics.jsonl``, TensorBoard events, ``results.json`` once the run has finished, and ``report/``.
"""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from jaxbio.errors import InputError
from jaxbio.files import read_json, remove_left, write_json
from jaxbio.options import flat

# These change where and how a run executes, not its numbers.
_FREE_KEYS = (
    "data.data_dir",
    "data.num_threads",
    "data.prefetch",
    "data.cache",
    "data.resident",
    "eval.classes",
    "eval.corrupt",
    "eval.preprocessing",
    "log.",
    "mesh.",
)


class RunDirectory:
    """Paths and small files of one run.

    Args:
        path: the directory; need not exist.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).absolute()
        self.config_file = self.path / "config.json"
        self.checkpoints = self.path / "checkpoints"
        self.metrics_file = self.path / "metrics.jsonl"
        self.results_file = self.path / "results.json"
        self._made: list[Path] = []  # by create(), the innermost first

    def create(self) -> None:
        """Makes the directory, or raises an ``InputError`` if that is not possible."""
        try:
            str(self.path).encode()  # checkpoints cannot be written to other names
            self._made = [p for p in (self.path, *self.path.parents) if not p.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except UnicodeEncodeError as error:
            name = os.fsencode(self.path).decode(errors="backslashreplace")
            raise InputError(f"--workdir={name} is not UTF-8: choose another") from error
        except OSError as error:
            raise InputError(
                f"--workdir={self.path} is not writable ({error.strerror}): choose another"
            ) from error
        for folder in (self.path, self.path / "report"):
            remove_left(folder)

    def remove_if_empty(self) -> None:
        """Takes back what :meth:`create` made, as far as nothing is in it."""
        with contextlib.suppress(OSError):
            for folder in self._made:
                folder.rmdir()

    def recorded(self) -> dict[str, Any] | None:
        """The contents of ``config.json``, or None if the run has not begun.

        Raises:
            InputError: it is damaged, or of converted weights.
        """
        if not self.config_file.exists():
            return None
        recorded = read_json(self.config_file)
        if "config" not in recorded and "model" in recorded:
            raise InputError(
                f"{self.path} holds converted weights, no run: choose another --workdir"
            )
        if not all(isinstance(recorded.get(key), dict) for key in ("config", "resolved")):
            raise InputError(f"{self.config_file} is not of a run: restore it or remove the run")
        return recorded

    def record_config(
        self,
        config: dict[str, Any],
        resolved: dict[str, Any],
        then: dict[str, Any] | None = None,
    ) -> None:
        """Writes ``config.json``, or checks that an existing one describes the same run.

        Args:
            config: the configuration as nested dicts.
            resolved: facts derived from it (class count, data fingerprint, versions).
            then: the recorded configuration in today's keys, if the run has begun.

        Raises:
            InputError: the directory holds a run with another configuration or other data.
        """
        if then is None:
            write_json(self.config_file, {"config": config, "resolved": resolved})
            return
        compare_configs(then, config, self.path)
        old, now = read_json(self.config_file)["resolved"].get("data"), resolved.get("data")
        if old != now:
            raise InputError(
                f"{self.path} holds a run on other data ({old}, now {now}): "
                "restore the data or choose another --workdir"
            )

    def record_length(self, train: dict[str, Any], steps: int) -> None:
        """Changes the length of the recorded training: ``train`` of the configuration, in steps."""
        recorded = read_json(self.config_file)
        lengths = {key: train[key] for key in ("total_epochs", "total_steps")}
        recorded["config"]["train"] |= lengths
        recorded["resolved"]["steps"] = steps
        write_json(self.config_file, recorded)

    def steps(self) -> list[int]:
        """Of the checkpoints; none is opened."""
        numbers = [step.name.removeprefix("step_") for step in self.checkpoints.glob("step_*")]
        return [int(number) for number in numbers if number.isdecimal()]

    def results(self) -> dict[str, Any] | None:
        """The final results, or None while the run has not finished."""
        return read_json(self.results_file) if self.results_file.exists() else None


def compare_configs(recorded: dict[str, Any], config: dict[str, Any], where: Path) -> None:
    """Raises an ``InputError`` naming the keys in which a run differs from a configuration.

    Keys that only one of them has are not compared.
    """
    old, new = (flat(json.loads(json.dumps(tree))) for tree in (recorded, config))
    changed = [
        f"{key}={new[key]!r} (there {old[key]!r})"
        for key in sorted(old.keys() & new.keys())
        if old[key] != new[key] and not key.startswith(_FREE_KEYS)
    ]
    if changed:
        raise InputError(
            f"{where} holds a run with another configuration: {', '.join(changed[:4])}"
            f"{' and more' if len(changed) > 4 else ''}; use its settings or another --workdir"
        )
