"""Configurations by task: new ones, their check, and those of recorded runs.

Nothing here imports JAX unless a name has to be looked up, so that a wrong key is an error at once.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
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

    Args:
        recorded: the contents of a run's ``config.json``.

    Raises:
        InputError: it is of no task that there is, or a value is out of its range.
    """
    config = recorded.get("config")
    if not isinstance(config, Mapping):
        raise InputError("config.json holds no configuration: restore it")
    return options.restore(config_class(config.get("task")), config)


def recorded_images(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """What a network's images are like, as its config.json tells.

    Args:
        recorded: the config.json of a run or of converted weights.

    Returns:
        ``image_size``, ``mean`` and ``std`` as far as they are known.
    """
    if "config" in recorded:
        data = recorded["config"]["data"]
    else:  # of converted weights; older ones tell the size alone
        size = {"image_size": recorded["model"].get("image_size")}
        data = {**size, **recorded.get("preprocessing", {})}
    images = {key: data.get(key) for key in ("image_size", "mean", "std")}
    return {key: tuple(v) if isinstance(v, list) else v for key, v in images.items() if v}


def own_config(recorded: Mapping[str, Any], path: Path) -> ConfigDict:
    """The configuration of a run, or of converted weights: then of their images, without data.

    Args:
        recorded: the content of its config.json.
        path: of the run directory, for the message.

    Raises:
        InputError: weights whose images' mean and std are not recorded.
    """
    if "config" in recorded:
        return restored_config(recorded)
    if len(recorded_images(recorded)) < 3:
        raise InputError(
            f"{path} does not tell mean and std of its images: choose a configuration that does, "
            "or convert the weights again"
        )
    return weights_config(recorded)


def weights_config(recorded: Mapping[str, Any]) -> ConfigDict:
    """A configuration for the images of converted weights, as far as they are known."""
    made = new_config("classification")
    made.train.total_epochs = 1  # nothing is trained, but the check wants a duration
    for key, value in recorded_images(recorded).items():
        options.set_key(made, f"data.{key}", value)
    return made


def config_to_go_on(config: ConfigDict, recorded: Mapping[str, Any]) -> ConfigDict:
    """``config`` as a recorded run has to be gone on with.

    Keys that came after the run keep what it did, unless they are set to something else.
    """
    return options.with_old_meanings(config_class(config.task), config, recorded["config"])
