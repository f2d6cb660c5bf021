"""From what a user types to a configuration: an experiment's name or file, and changed keys."""

import contextlib
import importlib
import re
import runpy
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

import jaxbio.configs
from jaxbio.commands.command_line import Parser
from jaxbio.errors import InputError, suggest
from jaxbio.options import flat, set_key
from jaxbio.tasks.config import check_config, restored_config, weights_config

_FOLDER = Path(jaxbio.configs.__path__[0]).resolve()
_BOOLS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number"}

# What was typed, a key, a value: of one change.
Override = tuple[str, str, str]


def add_experiment(parser: Parser, more: str = "") -> None:
    """The arguments that choose an experiment: its name or file, and changed keys."""
    parser.overrides = True
    parser.add_argument(
        "words",
        nargs="*",
        metavar=f"EXPERIMENT[:VARIANT]{more} | KEY=VALUE",
        help=f"name of an experiment ({', '.join(names())}) or file of one's own; and changes of "
        "its keys, such as train.total_epochs=3",
    )
    parser.add_argument(
        "--config",
        metavar="FILE[:VARIANT]",
        help="the experiment, if not the first word; --config.KEY=VALUE changes a key",
    )
    parser.add_argument("--workdir", metavar="DIR", help="run directory; default: runs/NAME")
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="pictures by class, a folder, a tar or shards: short for data.source=folder (or "
        "shards) and data.data_dir=DIR",
    )


def names() -> list[str]:
    """The experiments that jaxbio brings."""
    files = sorted(_FOLDER.glob("*.py"))
    return [file.stem for file in files if "def get_config(variant" in file.read_text()]


def chosen(options: Any) -> tuple[str | None, list[Override]]:
    """The experiment and the changed keys, of parsed arguments.

    Raises:
        InputError: two experiments.
    """
    experiment, overrides = options.config, list(options.overrides)
    for word in options.words:
        key, equals, value = word.partition("=")
        if equals:
            overrides.append((key, key, value))
        elif experiment is None:
            experiment = word
        else:
            raise InputError(f"unexpected argument '{word}': changed keys are KEY=VALUE")
    if options.data is not None:
        from jaxbio.data.sources import source_of

        values = {"data.source": source_of(options.data), "data.data_dir": options.data}
        overrides += [("--data", key, value) for key, value in values.items()]
    return experiment, overrides


def open_config(experiment: str, overrides: Iterable[Override] = ()) -> ConfigDict:
    """An experiment's configuration, locked.

    Args:
        experiment: ``NAME[:VARIANT]`` of an experiment that jaxbio brings, or ``FILE[:VARIANT]``.
        overrides: changes, in order.

    Raises:
        InputError: an unknown experiment, variant or key, or a value of the wrong type or out of
            its range.
    """
    return _changed(_load(experiment), overrides)


def config_of_run(recorded: Mapping[str, Any], overrides: Iterable[Override]) -> ConfigDict:
    """A run's own configuration with changes, locked; of converted weights, one for their images.

    ``recorded`` is the content of its config.json.

    Raises:
        InputError: see :func:`open_config`.
    """
    made = restored_config(recorded) if "config" in recorded else weights_config(recorded)
    return _changed(made, overrides)


def _changed(config: ConfigDict, overrides: Iterable[Override]) -> ConfigDict:
    config.lock()
    for flag, key, text in overrides:
        _change(config, flag, key, text)
    check_config(config)
    return config


def find_run(text: str) -> Path:
    """A run directory: as given, or that of an experiment in ``runs/``.

    Raises:
        InputError: there is no such run yet.
    """
    name = text.partition(":")[0]
    known = name.endswith(".py") or (_FOLDER / f"{name}.py").is_file()
    if known and not Path(text).is_dir():
        return trained(Path("runs") / open_config(text).name, text)
    return trained(Path(text), None)


def trained(workdir: Path, experiment: str | None) -> Path:
    """``workdir``, if a run has been there, of ``experiment`` where that is known.

    Raises:
        InputError: says how to train it.
    """
    if not (workdir / "config.json").exists():
        remedy = f"jaxbio train {experiment or 'EXPERIMENT'} --workdir={workdir}"
        raise InputError(f"{workdir} is not trained yet: {remedy}")
    return workdir


def _load(experiment: str) -> ConfigDict:
    path, *variant = experiment.split(":", 1)
    name = Path(path).stem
    is_file = path.endswith(".py") or "/" in path
    if is_file and not Path(path).exists() and not path.endswith(".py"):
        raise InputError(f"{path} does not exist: neither a run directory nor an experiment's file")
    if is_file and not Path(path).is_file():
        raise InputError(
            f"--config={path} does not exist: {suggest(name, names(), 'jaxbio brings')}"
        )
    if not is_file and not (_FOLDER / f"{path}.py").is_file():
        raise InputError(f"unknown experiment '{path}': {suggest(path, names(), 'use a file or')}")
    try:
        if not is_file or Path(path).resolve().parent == _FOLDER:
            get_config = importlib.import_module(f"jaxbio.configs.{name}").get_config
        else:
            get_config = _run_file(path)["get_config"]
        return get_config(*variant)
    except Exception as error:  # whatever a file of the user's own may raise
        raise InputError(f"{experiment}: {_last_line(error)}") from error


def _run_file(path: str) -> Mapping[str, Any]:
    """The names in a file of the user's own, which may import its neighbours."""
    sys.path.insert(0, str(Path(path).resolve().parent))
    try:
        return runpy.run_path(path)
    finally:
        sys.path.pop(0)


def _change(config: ConfigDict, flag: str, key: str, text: str) -> None:
    if key not in flat(config):
        set_key(config, key, text)  # says what is wrong with the key
    *sections, name = key.split(".")
    section: Any = config
    for part in sections:
        section = section[part]
    if text == "None":
        with contextlib.suppress(TypeError):  # a key that always has a value
            section[name] = None
            return
    kind = section.get_type(name)
    try:
        value = _parse(text, kind, section[name])
    except ValueError:
        expected = _EXPECTED.get(kind, "numbers with commas")
        raise InputError(f"{flag}={text}: use {expected}") from None
    set_key(config, key, value)


def _parse(text: str, kind: type, now: Any) -> Any:
    """A value of a type; ``now``, the present one, says what a tuple holds. A ``ValueError`` if it
    is none.
    """
    if kind is bool:
        if text.lower() not in _BOOLS:
            raise ValueError
        return _BOOLS[text.lower()]
    if kind in (tuple, list):
        items = [item.strip(" '\"") for item in re.sub(r"[()\[\]]", "", text).split(",")]
        of_item = {type(item) for item in now or ("",)}
        item_type = float if float in of_item else of_item.pop()
        return kind(_parse(item, item_type, item_type()) for item in items if item)
    return kind(text)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
