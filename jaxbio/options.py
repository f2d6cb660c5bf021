"""Configuration keys: each is declared once, as a field with its default, meaning and range.

A section is a dataclass whose fields are made by :func:`option`; a configuration is a dataclass of
sections. From the declaration come the ``ConfigDict`` that people change, the check of what they
made of it, and today's reading of what an older version recorded. Nothing here imports JAX.
"""

import dataclasses
import functools
import numbers
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from jaxbio.errors import InputError, suggest

T = TypeVar("T")

_NUMBERS = "(-inf, inf)"  # all that are finite
_NOTHING = object()


@dataclasses.dataclass(frozen=True)
class Option:
    """What is known of a key beside its type and default.

    Attributes:
        meaning: one line, with the unit.
        within: the interval of a number, or of every number of a tuple: ``"[0, 1)"``.
        choices: all values, or a function that gives them where that needs an import; it is called
            after everything else has been checked.
        absent: what runs did that were recorded before there was this key; the default if not
            given.
        was: the key's former name, with its section, in older records.
    """

    meaning: str
    within: str = _NUMBERS
    choices: Sequence[Any] | Callable[[], Sequence[Any]] | None = None
    absent: Any = _NOTHING
    was: str = ""


def option(default: Any, meaning: str, within: str = _NUMBERS, **more: Any) -> Any:
    """A field of a section; see :class:`Option`. The default None means "not set"."""
    return dataclasses.field(default=default, metadata={"option": Option(meaning, within, **more)})


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of a configuration.

    Attributes:
        path: with its sections: ``train.total_steps``.
        kind: the type of its values; of an optional one without None.
        default: today's.
        option: the rest.
    """

    path: str
    kind: Any
    default: Any
    option: Option

    @property
    def before(self) -> Any:
        """What a run did that was recorded without this key."""
        return self.default if self.option.absent is _NOTHING else self.option.absent


@functools.cache
def keys(cls: Any) -> dict[str, Key]:
    """Every key of a configuration or section, by its path."""
    return {key.path: key for key in _walk(cls, "")}


def _walk(cls: Any, prefix: str) -> Iterator[Key]:
    kinds = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind = kinds[field.name]
        if dataclasses.is_dataclass(kind):
            yield from _walk(kind, f"{prefix}{field.name}.")
        else:
            if isinstance(kind, types.UnionType) and types.NoneType in typing.get_args(kind):
                (kind,) = set(typing.get_args(kind)) - {types.NoneType}
            yield Key(f"{prefix}{field.name}", kind, field.default, field.metadata["option"])


def defaults(cls: type) -> ConfigDict:
    """A configuration of defaults; locked: a key that nobody reads cannot be set."""
    config = ConfigDict()
    for path, key in keys(cls).items():
        value = placeholder(key.kind) if key.default is None else key.default
        _set(config, path, value)
    return config.lock()


def read(cls: type[T], values: Any, where: str = "") -> T:
    """Checks a section or a whole configuration, and gives it as its dataclass.

    Args:
        cls: the dataclass. Its ``__post_init__`` checks what concerns several keys.
        values: has the keys as items or attributes; absent ones take their defaults, others are
            ignored.
        where: the section with a dot, for messages.

    Raises:
        InputError: names the key, its value and its range.
    """
    section: Any = cls
    kinds, given = typing.get_type_hints(cls), {}
    for field in dataclasses.fields(section):
        value, path = _get(values, field.name), f"{where}{field.name}"
        if dataclasses.is_dataclass(kinds[field.name]):
            if value is not _NOTHING and not isinstance(value, Mapping | ConfigDict):
                raise InputError(f"{path}={value!r}: use a section of keys")
            given[field.name] = read(kinds[field.name], value, f"{path}.")
        elif value is not _NOTHING and not (value is None and field.default is None):
            given[field.name] = check_key(keys(section)[field.name], value, path)
    return cls(**given)


def check_key(key: Key, value: Any, path: str) -> Any:
    """``value`` as the key's type, if it may have it; ``path`` is how the message calls the key.

    Raises:
        InputError: another type, or out of range.
    """
    kind, choices = key.kind, key.option.choices
    if choices is not None and not callable(choices):
        _check_choice(path, value, choices)
        return value
    if typing.get_origin(kind) is tuple:
        kinds = typing.get_args(kind)
        if not isinstance(value, tuple | list) or len(value) != len(kinds):
            raise InputError(f"{path}={value!r}: use {len(kinds)} numbers")
        parts = zip(value, kinds, strict=True)
        return tuple(_number(path, value, part, kind, key.option.within) for part, kind in parts)
    if kind in (int, float):
        return _number(path, value, value, kind, key.option.within)
    if not isinstance(value, kind):
        raise InputError(f"{path}={value!r}: use {'True or False' if kind is bool else 'text'}")
    return value


def check_names(cls: type, values: Any) -> None:
    """Checks the keys whose choices need an import; for after :func:`read`."""
    for path, key in keys(cls).items():
        value = _find(values, path)
        if callable(key.option.choices) and value is not _NOTHING and value is not None:
            _check_choice(path, value, key.option.choices())


def set_key(config: ConfigDict, path: str, value: Any) -> None:
    """Sets a key by its path.

    Raises:
        InputError: there is none, with the closest that there is; or a value of another type.
    """
    section: Any = config
    for depth, part in enumerate(parts := path.split(".")):
        if not isinstance(section, ConfigDict) or part not in section:
            known = list(section.keys()) if isinstance(section, ConfigDict) else []
            elsewhere = [name for name in flat(config) if name.endswith(f".{parts[-1]}")]
            hint = suggest(part, known, "known:")
            if elsewhere:
                hint = f"did you mean {elsewhere[0]!r}?"
            prefix = ".".join(parts[:depth]) or "the configuration"
            raise InputError(f"unknown key {path}: {prefix} has no '{part}': {hint}")
        if depth < len(parts) - 1:
            section = section[part]
    if isinstance(section[parts[-1]], ConfigDict):
        inside = ", ".join(section[parts[-1]])
        raise InputError(f"{path} is a section: set one of its keys ({inside})")
    try:
        section[parts[-1]] = value
    except TypeError:
        kind = section.get_type(parts[-1]).__name__
        raise InputError(f"{path}={value!r}: use a value of type {kind}") from None


def restore(cls: type, recorded: Mapping[str, Any]) -> ConfigDict:
    """Today's configuration of a recorded run.

    Keys that the record lacks take what runs did before there were such keys; recorded keys that
    are no more are left out.

    Raises:
        InputError: a recorded value has another type or is out of its range.
    """
    config = defaults(cls)
    for path, key in keys(cls).items():
        section = path.rpartition(".")[0]
        found = _find(recorded, section) if section else recorded
        if found is not _NOTHING and not isinstance(found, Mapping | ConfigDict):
            raise InputError(f"{section}={found!r} is no section of a configuration: restore it")
        value = _recorded(key, recorded)
        set_key(config, path, key.before if value is _NOTHING else value)
    read(cls, config)
    return config


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested settings by dotted key."""
    values: dict[str, Any] = {}
    for key, value in tree.items():
        inner = isinstance(value, Mapping | ConfigDict)
        values |= flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return values


def with_old_meanings(cls: type, config: ConfigDict, recorded: Mapping[str, Any]) -> ConfigDict:
    """A configuration for going on with a recorded run.

    Keys that the record lacks, and that have their default here, take what the run did before there
    were such keys; all others stay as they are.
    """
    config = config.copy_and_resolve_references()
    for path, key in keys(cls).items():
        if _recorded(key, recorded) is _NOTHING and _find(config, path) == key.default:
            set_key(config, path, key.before)
    return config


def _recorded(key: Key, recorded: Mapping[str, Any]) -> Any:
    value = _find(recorded, key.path)
    return _find(recorded, key.option.was) if value is _NOTHING and key.option.was else value


def _find(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = _get(values, part)
    return values


def _get(values: Any, name: str) -> Any:
    if isinstance(values, Mapping | ConfigDict):
        return values.get(name, _NOTHING)
    return getattr(values, name, _NOTHING)


def _set(config: ConfigDict, path: str, value: Any) -> None:
    *sections, name = path.split(".")
    for part in sections:
        if part not in config:
            config[part] = ConfigDict()
        config = config[part]
    config[name] = value


def _number(path: str, whole: Any, value: Any, kind: type, within: str) -> Any:
    """``value``, which may be one of several in ``whole``, if it lies within the interval."""
    allowed: Any = numbers.Integral if kind is int else numbers.Real
    low, high = (float(end) for end in within[1:-1].split(","))
    if (
        isinstance(value, allowed)
        and not isinstance(value, bool)
        and (low <= value if within[0] == "[" else low < value)
        and (value <= high if within[-1] == "]" else value < high)
    ):
        return kind(value)
    raise InputError(
        f"{path}={whole!r}: {'each' if whole is not value else 'use'} {_words(kind, within)}"
    )


def _words(kind: type, within: str) -> str:
    noun = "an integer" if kind is int else "a number"
    low, high = (end.strip() for end in within[1:-1].split(","))
    if within == _NUMBERS:
        return noun if kind is int else "a finite number"
    if high == "inf" and within[-1] == ")":
        return f"{noun}, {low} or more" if within[0] == "[" else f"{noun} above {low}"
    return f"{noun} in {within}"


def _check_choice(path: str, value: Any, choices: Sequence[Any]) -> None:
    if value not in choices or not isinstance(value, tuple(type(choice) for choice in choices)):
        raise InputError(f"{path}={value!r}: {suggest(value, choices, 'use one of')}")
