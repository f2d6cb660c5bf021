"""A configuration from what a program gives: an experiment's name or file, or a ConfigDict."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxbio.commands.experiments import open_config
from jaxbio.errors import InputError
from jaxbio.options import flat, set_key
from jaxbio.tasks.config import check_config, new_config


def make_config(
    config: str | Path | ConfigDict, overrides: Mapping[str, Any] | None = None
) -> ConfigDict:
    """A complete and checked configuration of its own.

    Args:
        config: ``NAME[:VARIANT]``, ``FILE[:VARIANT]``, or a configuration, whose missing keys take
            their defaults.
        overrides: values by key: ``{"train.total_epochs": 3}``.

    Raises:
        InputError: an unknown experiment, variant or key; a value of another type or out of range.
    """
    if isinstance(config, str | Path):
        made = open_config(str(config))
    elif isinstance(config, ConfigDict):
        made = new_config(config.get("task", "classification"))
        for path, value in flat(config).items():
            set_key(made, path, value)
    else:
        raise InputError(
            f"config is a {type(config).__name__}: give an experiment's name, a file or a "
            "ConfigDict"
        )
    return changed(made, overrides)


def changed(config: ConfigDict, overrides: Mapping[str, Any] | None) -> ConfigDict:
    """``config`` with other values, checked.

    Raises:
        InputError: as :func:`make_config`.
    """
    if overrides is not None and not isinstance(overrides, Mapping):
        raise InputError(
            f"overrides is a {type(overrides).__name__}: give a dict such as "
            "{'train.total_epochs': 3}"
        )
    for path, value in (overrides or {}).items():
        set_key(config, path, value)
    check_config(config)
    return config
