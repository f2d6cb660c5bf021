"""What the commands share: flags, one-line errors, start-up of JAX.

Nothing here imports JAX before the flags are parsed, so that ``--help`` is immediate.
"""

import contextlib
import difflib
import logging
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from jaxbio.errors import InputError, shorten_warnings

_EXIT_INPUT_ERROR = 2
_EXIT_INTERRUPTED = 130
_NOT_EXPERIMENTS = (
    "__init__.py",
    "base.py",
    "datasets.py",
    "cornet.py",
    "dnrt.py",
    "spiking_data.py",
)


def define_flags() -> None:
    """Flags of every command: the configuration, the run directory, the processes."""
    config_flags.DEFINE_config_file(
        "config",
        None,
        "Experiment: configs/NAME.py[:VARIANT]. Override any key of configs/base.py with "
        "--config.KEY=VALUE, for example --config.train.total_epochs=3.",
    )
    flags.DEFINE_string("workdir", None, "Run directory. Default: runs/<name of the experiment>.")
    flags.DEFINE_bool(
        "distributed", False, "Join the other processes of a cluster job (found automatically)."
    )
    flags.DEFINE_string("coordinator", None, "Or say where they meet: HOST:PORT of process 0.")
    flags.DEFINE_integer("num_processes", None, "With --coordinator: how many processes.")
    flags.DEFINE_integer("process_id", None, "With --coordinator: which one this is, from 0.")


def run(main: Callable[[ConfigDict | None, flags.FlagValues], Any]) -> None:
    """Parses the flags and calls ``main(config, flags)``.

    Wrong input ends with one line on standard error and exit code 2.

    Args:
      main: the command. ``config`` is None if ``--config`` was not given.
    """

    def guarded(argv: list[str]) -> None:
        with _one_line_errors():
            if len(argv) > 1:
                raise InputError(f"unexpected argument '{argv[1]}': see --help")
            main(flags.FLAGS.config, flags.FLAGS)

    app.run(guarded, flags_parser=_parse)


def start_jax() -> None:
    """Joins the other processes if asked, turns on the persistent compilation cache, and makes
    messages short."""
    import jax

    values = flags.FLAGS
    if values.coordinator or values.distributed:
        jax.distributed.initialize(values.coordinator, values.num_processes, values.process_id)
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(_cache_home() / "jaxbio" / "xla"))
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, force=True)
    logging.getLogger("jaxbio").setLevel(logging.INFO)
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of its own defaults
    shorten_warnings()


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _parse(argv: list[str]) -> list[str]:
    with _one_line_errors():
        _check_config_argument(argv[1:])
        try:
            return flags.FLAGS(argv)
        except (flags.Error, TypeError, ValueError, OSError) as error:
            raise InputError(_last_line(error)) from error


def _check_config_argument(arguments: list[str]) -> None:
    """Finds wrong files, variants and keys, which the flags library reports as tracebacks."""
    file = None
    overrides = []
    for number, argument in enumerate(arguments):
        name, has_value, value = argument.lstrip("-").partition("=")
        if not argument.startswith("-"):
            continue
        if name == "config":
            following = arguments[number + 1 : number + 2]
            file = value if has_value else (following or [""])[0]
        elif name.startswith("config."):
            overrides.append(name.removeprefix("config."))
    if file is None:
        if overrides:
            raise InputError(f"--config.{overrides[0]} needs --config=configs/NAME.py as well")
        return
    config = _load(file)
    for key in overrides:
        _check_key(config, key)


def _load(file: str) -> ConfigDict:
    path, *variant = file.split(":", 1)
    if not Path(path).is_file():
        files = (p for p in Path("configs").glob("*.py") if p.name not in _NOT_EXPERIMENTS)
        known = ", ".join(sorted(map(str, files))) or "none here"
        raise InputError(f"--config={path} does not exist: choose a file ({known})")
    try:
        return runpy.run_path(path)["get_config"](*variant)
    except Exception as error:
        raise InputError(f"--config={file}: {_last_line(error)}") from error


def _check_key(config: ConfigDict, key: str) -> None:
    section: Any = config
    for depth, part in enumerate(key.split(".")):
        if not isinstance(section, ConfigDict) or part not in section:
            prefix = ".".join(key.split(".")[:depth])
            known = list(section.keys()) if isinstance(section, ConfigDict) else []
            close = difflib.get_close_matches(part, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(known))}"
            raise InputError(
                f"unknown key --config.{key}: {prefix or 'config'} has no '{part}'; {hint}"
            )
        section = section[part]
    if isinstance(section, ConfigDict):
        raise InputError(f"--config.{key} is a section: set one of its keys ({', '.join(section)})")


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        if os.environ.get("JAXBIO_TRACEBACK"):
            traceback.print_exc()
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        sys.exit(_EXIT_INPUT_ERROR)
    except KeyboardInterrupt:
        print(f"{Path(sys.argv[0]).name}: interrupted; repeat the command", file=sys.stderr)
        sys.exit(_EXIT_INTERRUPTED)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cleaned = [line for line in lines if not line.startswith(("Pass --help", "File ", "^"))]
    return (cleaned or [type(error).__name__])[-1]
