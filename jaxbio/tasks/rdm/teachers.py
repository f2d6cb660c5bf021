"""The batch experiment: one student against every teacher, and the table of gains."""

import warnings
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxbio.errors import InputError
from jaxbio.files import read_json, write_json, write_text
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.progress import format_table, say
from jaxbio.tasks.loop import train
from jaxbio.tasks.rdm.networks import RANDOM
from jaxbio.tasks.rdm.scores import before_after_gain

NEURAL = "neural"


def train_all(config: ConfigDict, workdir: str) -> dict[str, Any] | None:
    """Fine-tunes the student on each teacher in turn, and tabulates what it gained.

    Each teacher has a run directory of its own below ``workdir``: repeating the command goes on
    where an interrupted batch stopped, and adds teachers that have come since. The table is
    ``gains.json`` and ``gains.txt``, written anew after every teacher.

    Args:
        config: task "rdm", with ``teachers``: names with commas, or ``all``: the recordings
            (``neural``) and every run or converted network in ``rdm.teachers_dir``.
        workdir: the directory of the batch.

    Returns:
        The results per teacher; None if a run was asked to stop early.

    Raises:
        InputError: wrong configuration or an unknown teacher.
    """
    if config.task != "rdm":
        raise InputError(f"--config.teachers belongs to task rdm; this is task {config.task}")
    teachers = list_teachers(config)
    batch = RunDirectory(workdir)
    batch.create()
    gains: dict[str, Any] = {}
    for number, name in enumerate(teachers, 1):
        if jax.process_index() == 0:
            say(f"\nteacher {number} of {len(teachers)}: {name}")
        one = config.copy_and_resolve_references()
        one.teachers = ""
        one.rdm.teacher = "" if name == NEURAL else name
        results = train(one, str(batch.path / _folder(name)))
        if results is None:
            return None
        gains[name] = results
        if jax.process_index() == 0:
            write_json(batch.path / "gains.json", gains)
            write_text(batch.path / "gains.txt", gain_table(gains) + "\n")
    if jax.process_index() == 0:
        say(f"\n{gain_table(gains)}\n\nwritten to {batch.path / 'gains.txt'}")
    return gains


def list_teachers(config: ConfigDict) -> list[str]:
    """The teachers that ``config.teachers`` names, each once.

    Raises:
        InputError: one that is neither ``neural`` nor ``random:<model>`` nor a run directory, or
            two of one folder name.
    """
    names = [name.strip() for name in config.teachers.split(",") if name.strip()]
    if "all" in names:
        found = sorted(Path(config.rdm.teachers_dir).glob("*/config.json"))
        runs = [str(file.parent) for file in found if _can_teach(file)]
        names = [NEURAL, *runs, *(name for name in names if name != "all")]
    names = list(dict.fromkeys(names))
    for name in names:
        known = name == NEURAL or name.startswith(RANDOM)
        if not known and not (Path(name) / "config.json").is_file():
            raise InputError(
                f"--config.teachers={name}: use {NEURAL}, {RANDOM}<model>, run directories, or all"
            )
    folders = [_folder(name) for name in names]
    for folder in folders:
        if folders.count(folder) > 1:
            raise InputError(f"--config.teachers: two teachers are called {folder}: rename a run")
    return names


def gain_table(gains: dict[str, dict[str, Any]]) -> str:
    """Scores before and after, and their difference in points, per teacher."""
    rows = [("teacher", "similarity before", "after", "gain", "SVM % before", "after", "gain")]
    for name, results in gains.items():
        similarity = before_after_gain(results, "similarity", 3)
        svm = before_after_gain(results, "svm", 1) if "svm" in results else ("-",) * 3
        rows.append((name, *similarity, *svm))
    return format_table(rows)


def _can_teach(file: Path) -> bool:
    """Whether a directory holds a network: classifiers and converted weights do."""
    try:
        recorded = read_json(file)
    except InputError as error:
        warnings.warn(f"left out: {error}", stacklevel=2)
        return False
    config = recorded.get("config", recorded)  # converted weights have none
    task = config.get("task", "classification") if isinstance(config, dict) else None
    return task == "classification" and (file.parent / "checkpoints").is_dir()


def _folder(teacher: str) -> str:
    return teacher.replace(":", "_") if teacher.startswith(RANDOM) else Path(teacher).name
