"""What a network of the user's own returns, as logits and layers by name."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxbio.errors import InputError

LOGITS = "logits"
_UNITS = (1, 2, 3)  # axes of one image's activity: [C], [positions, C], [H, W, C]


def split_output(output: Any, inner: Mapping[str, Any], count: int) -> tuple[Any, dict[str, Any]]:
    """Logits ``[N, K]`` (or None), and layers by name; the last is the logits, or ``output``.

    Args:
        output: an array ``[N, K]``; a mapping, whose entry ``logits`` they are; or a tuple, the
            first part of which is one of these, and whose first mapping has layers.
        inner: the activity of modules within; it counts unless the output names layers itself.
        count: N.

    Returns:
        What has one of the shapes ``[N, C]``, ``[N, positions, C]`` or ``[N, H, W, C]``; layers
        that the output names may have a time axis before these.
    """
    own: dict[str, Any] = {}
    if isinstance(output, tuple | list) and output:
        own |= next((part for part in output[1:] if isinstance(part, Mapping)), {})
        output = output[0]
    if isinstance(output, Mapping):
        own |= output
        output = own.pop(LOGITS, None)
    own.pop(LOGITS, None)
    named = {name: x for name, x in own.items() if is_layer(x, count, timed=True)}
    layers = named or {name: x for name, x in inner.items() if is_layer(x, count)}
    layers.pop(LOGITS, None)
    if len(getattr(output, "shape", ())) == 2:
        return output, {**layers, LOGITS: output}
    return None, {**layers, "output": output} if is_layer(output, count) else layers


def is_layer(x: Any, count: int, *, timed: bool = False) -> bool:
    """Whether an array is the activity of a layer in ``count`` images."""
    shape = tuple(getattr(x, "shape", ()))
    return bool(shape) and (
        (shape[0] == count and len(shape) - 1 in _UNITS)
        or (timed and len(shape) > 2 and shape[1] == count and len(shape) - 2 in _UNITS)
    )


def choose(names: Iterable[str], wanted: Sequence[str] | None) -> list[str]:
    """The names that are ``wanted`` (names, or patterns with ``*``; None: all), in their own order,
    and the logits.

    Raises:
        InputError: one fits no name.
    """
    names = list(names)
    if wanted is None:
        return names
    fitting = [fnmatch.filter(names, pattern) for pattern in wanted]
    for pattern, found in zip(wanted, fitting, strict=True):
        if not found:
            raise InputError(f"layers: no layer is called '{pattern}': use {', '.join(names)}")
    kept = {LOGITS}.union(*fitting)
    return [name for name in names if name in kept]
