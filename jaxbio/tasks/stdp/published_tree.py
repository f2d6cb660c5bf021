"""The tree of objects that the published spiking program saves, without its classes.

Objects are inert records (:mod:`jaxbio.weights.reader`): here they are checked and asked for arrays
and numbers by name.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxbio.errors import InputError
from jaxbio.weights.reader import Record


class Part:
    """An object of the tree: its arrays, numbers and attributes by name."""

    def __init__(self, record: Any, name: str, kinds: tuple[str, ...]) -> None:
        if not isinstance(record, Record) or not isinstance(record.state, dict):
            raise InputError(f"network: {name} is no {' or '.join(kinds)}")
        self.name, self.kind = name, record.name.rpartition(".")[2]
        if self.kind not in kinds:
            raise InputError(
                f"network: {name} is of class {_short(record.name)}, the program has "
                f"{' or '.join(kinds)} there"
            )
        self.values = dict(record.state)
        for group in ("_buffers", "_parameters"):
            inner = record.state.get(group)
            self.values |= inner if isinstance(inner, dict) else {}

    def part(self, name: str, kinds: tuple[str, ...]) -> "Part":
        """The module of that name, of one of these classes."""
        modules = self.values.get("_modules")
        if not isinstance(modules, dict) or name not in modules:
            raise InputError(f"network: it has no {name}: X, Y, X_to_Y and Y_to_Y are needed")
        return Part(modules[name], name, kinds)

    def number(self, name: str) -> float:
        """An attribute or array of one element."""
        return number_of(self.values.get(name), f"network: {self.name}.{name}")

    def numbers(self, name: str, least: int = 1) -> list[float]:
        """A list or tuple of at least that many."""
        values = self.values.get(name)
        if not isinstance(values, list | tuple) or len(values) < least:
            raise InputError(f"network: {self.name}.{name} is no list of {least} numbers or more")
        return [number_of(value, f"network: {self.name}.{name}") for value in values]

    def sizes(self, name: str, least: int = 1) -> list[int]:
        """The same of whole numbers above 0."""
        values = self.numbers(name, least)
        if not all(value.is_integer() and value > 0 for value in values):
            raise InputError(f"network: {self.name}.{name}={values} has something that is no size")
        return [int(value) for value in values]

    def side(self, name: str) -> int:
        """Of a square; the last of its sizes."""
        *_, rows, columns = self.sizes(name, least=2)
        if rows != columns:
            raise InputError(f"network: {self.name}.{name} is {rows} x {columns}, no square")
        return columns

    def array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Float32 of that shape, whatever axes of the same size in all it has in the file."""
        value = self.values.get(name)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
            raise InputError(f"network: {self.name}.{name} is no array of numbers")
        if value.size != math.prod(shape):
            raise InputError(
                f"network: {self.name}.{name} is {list(value.shape)}, {list(shape)} is needed"
            )
        value = value.astype(np.float32).reshape(shape)
        if not np.isfinite(value).all():
            raise InputError(f"network: {self.name}.{name} has NaN or infinite values")
        return value


def check_classes(root: Any) -> None:
    """Raises an ``InputError`` where an object is of a class that is none of the program's."""
    for record in _records(root):
        known = record.name.startswith("bindsnet.") or (
            # torch.mean and methods of the program, as its learning rules name them.
            record.name == "builtins.getattr"
            and bool(record.args)
            and not (isinstance(record.args[0], str) and not record.args[0].startswith("torch."))
        )
        if not known:
            called = record.name
            if called == "builtins.getattr" and record.args:
                called = f"{record.args[0]}"
            raise InputError(f"network: class {_short(called)} is none of the published program's")


def _records(root: Any) -> Iterator[Record]:
    """Every object of a tree, which may contain itself."""
    todo, seen = [root], set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Record):
            yield node
            todo += [node.state, *node.args, *node.items]
        elif isinstance(node, dict):
            todo += node.values()
        elif isinstance(node, list | tuple | set | frozenset):
            todo += node


def number_of(value: Any, name: str) -> float:
    """A number or an array of one; anything else is an ``InputError``."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise InputError(f"{name} is no number")
    return float(value)


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
