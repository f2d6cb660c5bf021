"""Configurations by task: new ones, their check, and those of recorded runs.

Nothing here imports JAX unless a name has to be looked up, so that a wrong key is an error at once.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxbio import options
from jaxbio.errors import InputError
from jaxbio.tasks import TASKS


def config_class(task: Any) -> Any:
    """The dataclass ``Config`` of ``jaxbio.tasks.<task>.config``.

    Raises:
        InputError: an unknown task.
    """
    if task not in TASKS:
        raise InputError(f"task={task!r}: use one of {', '.join(TASKS)}")
    return importlib.import_module(f"jaxbio.tasks.{task}.config").Config


def new_config(task: str) -> ConfigDict:
    """Every key that a task reads, with its default; locked."""
    return options.defaults(config_class(task))


def check_config(config: ConfigDict) -> None:
    """Checks every key: types and ranges at once, then what needs an import.

    Raises:
        InputError: one line with the key, its value and its range.
    """
    cls = config_class(config.get("task"))
    checked = options.read(cls, config)
    options.check_names(cls, config)
    checked.check_names()


def check_training(config: ConfigDict) -> None:
    """Checks what only a training needs, besides :func:`check_config`.

    Raises:
        InputError: one line with the key and the remedy.
    """
    options.read(config_class(config.task), config).check_training()


def restored_config(recorded: Mapping[str, Any]) -> ConfigDict:
    """Today's configuration of a recorded run; see :func:`jaxbio.options.restore`.

    Raises:
        InputError: it is of no task that there is, or a value is out of its range.
    """
    config = recorded.get("config")
    if not isinstance(config, Mapping):
        raise InputError("config.json holds no configuration: restore it")
    return options.restore(config_class(config.get("task")), config)


def config_to_go_on(config: ConfigDict, recorded: Mapping[str, Any]) -> ConfigDict:
    """``config`` as a recorded run has to be gone on with.

    Keys that came after the run keep what it did, unless they are set to something else.
    """
    return options.with_old_meanings(config_class(config.task), config, recorded["config"])
