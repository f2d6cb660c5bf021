"""What all commands share: the parser, exit codes and one-line errors, the start-up of JAX.

Nothing here imports JAX before the arguments are parsed, so that ``--help`` is immediate.
"""

import argparse
import contextlib
import difflib
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from jaxbio.errors import InputError, NonFiniteError, shorten_warnings
from jaxbio.files import cache_folder

_EXIT_ENVIRONMENT = 1  # the user's input, 2, and others say so themselves: error.exit_code
_EXIT_INTERRUPTED = 130
_OVERRIDE = re.compile(r"--?(no)?config\.([^=]+)(?:=(.*))?", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors, ``did you mean`` and no abbreviations.

    Attributes:
        overrides: whether ``--config.KEY=VALUE`` is taken; ``parse`` puts (flag, KEY, VALUE) of
            each into the option of that name.
        words: what will be parsed, for options that depend on other options.
        elsewhere: flags that the command has in another mode, and which one.
    """

    def __init__(self, **settings: Any):
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(allow_abbrev=False, formatter_class=formatter, **settings)
        self.overrides = False
        self.words: Sequence[str] = ()
        self.elsewhere: dict[str, str] = {}

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parses; flags and positional arguments may come in any order.

        Raises:
            InputError: wrong arguments.
        """
        found, rest = _split_overrides(words) if self.overrides else ([], list(words))
        options, unknown = (
            self.parse_known_args(rest)
            if self._subparsers
            else self.parse_known_intermixed_args(rest)
        )
        if unknown:
            self._refuse(unknown[0])
        if self.overrides:
            options.overrides = found
        return options

    def actions(self) -> "dict[str, Parser]":
        """The parsers of the command's actions, by name."""
        known: Any = self._actions
        return next((a.choices for a in known if isinstance(a, argparse._SubParsersAction)), {})

    def error(self, message: str) -> NoReturn:
        """Argparse's errors as ours."""
        raise InputError(f"{' '.join(message.split())} (see {self.prog} --help)")

    def _refuse(self, word: str) -> NoReturn:
        flag = word.partition("=")[0]
        if not word.startswith("-"):
            self.error(f"unexpected argument '{word}'")
        if flag in self.elsewhere:
            self.error(f"{flag} is an option of {self.elsewhere[flag]}")
        close = difflib.get_close_matches(flag, all_flags(self), n=1)
        self.error(f"unknown option {flag}" + (f": did you mean {close[0]}?" if close else ""))


def all_flags(parser: Parser) -> list[str]:
    """Every flag of a command and of its actions."""
    inner = [flag for action in parser.actions().values() for flag in all_flags(action)]
    return [*parser._option_string_actions, *inner]


def add_processes(parser: Parser) -> None:
    """The flags of distributed runs."""
    group = parser.add_argument_group("several devices and processes")
    add = group.add_argument
    add(
        "--devices",
        type=int,
        metavar="N",
        help="of this process: as many accelerators, or parts of the CPU; default: all, one CPU",
    )
    add(
        "--distributed",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="join the other processes of a cluster job (found automatically)",
    )
    add(
        "--coordinator", metavar="HOST:PORT", help="or say where they meet: an address of process 0"
    )
    add("--num_processes", type=int, metavar="N", help="with --coordinator")
    add("--process_id", type=int, metavar="N", help="with --coordinator: this one, from 0")


def start_jax(options: argparse.Namespace | None = None) -> None:
    """Joins the other processes if asked by the flags of :func:`add_processes`, turns on the
    persistent compilation cache, and makes messages short.

    Raises:
        InputError: there are fewer devices than asked for, or the flags do not name a process of
            a job.
    """
    import jax

    devices = getattr(options, "devices", None)
    if devices is not None:
        _choose_devices(devices)
    if options is not None:
        _join(options)
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
    if not os.environ.get("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        # Not 1 s: reading takes milliseconds, and a command has dozens of programs below a second.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, force=True)
    logging.getLogger("jaxbio").setLevel(logging.INFO)
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of its own defaults
    shorten_warnings()
    if devices is not None and jax.local_device_count() != devices:
        kind = jax.local_devices()[0].device_kind
        raise InputError(f"--devices={devices}: there are {jax.local_device_count()} ({kind})")


def _join(options: argparse.Namespace) -> None:
    """Meets the other processes of the job, if there are any."""
    address, number, this = options.coordinator, options.num_processes, options.process_id
    if not (address or options.distributed):
        for flag, value in (("num_processes", number), ("process_id", this)):
            if value is not None:  # or each would train alone
                raise InputError(f"--{flag}={value} goes with --coordinator=HOST:PORT")
        return
    if address and not re.fullmatch(r".+:\d{1,5}", address):
        raise InputError(f"--coordinator={address}: use HOST:PORT, an address of process 0")
    if number is not None and number < 1:
        raise InputError(f"--num_processes={number}: use 1 or more")
    if this is not None and not 0 <= this < (number or this + 1):
        raise InputError(f"--process_id={this}: use 0 to {number - 1 if number else 'N - 1'}")
    import jax

    try:
        jax.distributed.initialize(address, number, this)
    except (ValueError, RuntimeError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(
            f"the processes of the job do not meet ({why}): give each --coordinator=HOST:PORT, "
            "--num_processes=N and its --process_id"
        ) from error


def _choose_devices(count: int) -> None:
    """Lets JAX see the first accelerators only, or cuts the CPU; before it looks for them."""
    if count < 1:
        raise InputError(f"--devices={count}: use 1 or more")
    import jax

    first = ",".join(map(str, range(count)))
    jax.config.update("jax_cuda_visible_devices", first)
    jax.config.update("jax_rocm_visible_devices", first)
    flags = os.environ.get("XLA_FLAGS", "").split()
    cut = [flag for flag in flags if "xla_force_host_platform_device_count" not in flag]
    os.environ["XLA_FLAGS"] = " ".join([*cut, f"--xla_force_host_platform_device_count={count}"])


@contextlib.contextmanager
def one_line_errors(program: str) -> Iterator[None]:
    """Ends the process with one line and the exit code of what went wrong.

    2: the user's input; 1: the environment, such as a full disk, or training that diverged; 130:
    interrupted. Anything else is a bug and keeps its traceback. JAXBIO_TRACEBACK=1 shows all. One
    of several processes ends at once, whatever the others do.

    Raises:
        SystemExit: with that code.
    """
    try:
        yield
    except (InputError, NonFiniteError, OSError) as error:
        if os.environ.get("JAXBIO_TRACEBACK"):
            traceback.print_exc()
        print(f"{program}: error: {' '.join(str(error).split())}", file=sys.stderr)
        _exit(getattr(error, "exit_code", _EXIT_ENVIRONMENT))
    except KeyboardInterrupt:
        print(f"{program}: interrupted; repeat the command", file=sys.stderr)
        _exit(_EXIT_INTERRUPTED)
    except Exception:
        if not _is_one_of_several():
            raise
        traceback.print_exc()
        _exit(_EXIT_ENVIRONMENT)


def _exit(code: int) -> NoReturn:
    if _is_one_of_several():
        from jaxbio.runs.processes import end_alone

        end_alone(code)
    sys.exit(code)


def _is_one_of_several() -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()


def _split_overrides(words: Sequence[str]) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Takes ``--config.KEY=VALUE``, ``--config.KEY VALUE``, ``--[no]config.KEY`` out of them."""
    found, rest, waiting = [], [], list(words)
    while waiting:
        word = waiting.pop(0)
        match = _OVERRIDE.fullmatch(word)
        if match is None:
            rest.append(word)
            continue
        negated, key, value = match.groups()
        if value is None and negated:
            value = "false"
        elif value is None:
            value = "true" if not waiting or waiting[0].startswith("--") else waiting.pop(0)
        found.append((f"--config.{key}", key, value))
    return found, rest
