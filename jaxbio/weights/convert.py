"""PyTorch state dicts to flax variables, by a mapping computed from the model's own variables.

The flax modules carry PyTorch's names with ``.<n>`` written ``_<n>``, so the expected PyTorch name,
shape and layout of every tensor follow from the variable tree; what differs the model's class says.
"""

import dataclasses
import logging
import math
import os
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError
from jaxbio.models import create_model
from jaxbio.models.body import Body
from jaxbio.models.front_end import v2_constants
from jaxbio.models.pathway import Pathway
from jaxbio.ops.v1 import bank_to_constants
from jaxbio.weights.state_dict import StateDict, find_state_dict, is_array

_logger = logging.getLogger("jaxbio")
_NAMES_IN_AN_ERROR = 4
# A classifier: where it is, its name, perhaps an index in a Sequential, the tensor.
_HEAD = re.compile(
    r"(?P<where>model\.|backend\.|)"
    r"(fc|classifier|head|head\.fc|heads\.head|linear|last_linear|decoder\.linear)(\.\d+)?"
    r"\.(?P<leaf>weight|bias)"
)
_POSITIONS = re.compile(r"(?<![^.])(pos_embed\d?|patch_pos)$")
# Where PyTorch's name of an array is another than ours.
_LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("params", "shift_kernel"): "shift_proj_weight",
    ("params", "shift_bias"): "shift_proj_bias",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}


class WeightMismatchError(InputError):
    """A state dict does not fit the model; ``report`` says which tensors do not, by name."""

    def __init__(self, model: str, report: "WeightReport") -> None:
        self.report = report
        super().__init__(f"weights do not fit {model}: {report}")


@dataclasses.dataclass(frozen=True)
class WeightReport:
    """What did not fit: PyTorch names, without ``module.``.

    Attributes:
        missing: tensors that the model needs and the file lacks.
        unexpected: tensors of the file that the model has no place for.
        mismatched: name to (shape in the file, shape that the model needs), PyTorch's layout.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = dataclasses.field(
        default_factory=dict
    )

    def brief(self) -> str:
        """The first names, and how many more there are."""
        names = [*self.missing, *self.unexpected, *self.mismatched]
        more = len(names) - _NAMES_IN_AN_ERROR
        rest = f" and {more} more" if more > 0 else ""
        shown = ", ".join(names[:_NAMES_IN_AN_ERROR])
        return f"{shown}{rest} missing, unexpected or of another shape"

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        parts = []
        if self.missing:
            parts.append(f"missing: {', '.join(self.missing)}")
        if self.unexpected:
            parts.append(f"unexpected: {', '.join(self.unexpected)}")
        if self.mismatched:
            shapes = (f"{k} is {a}, needs {b}" for k, (a, b) in self.mismatched.items())
            parts.append(f"wrong shape: {', '.join(shapes)}")
        return "; ".join(parts) or "everything fits"


@dataclasses.dataclass(frozen=True)
class _Target:
    path: tuple[str, ...]  # in the variable tree, collection first
    shape: tuple[int, ...]  # in PyTorch's layout
    map_channels: int = 0  # of the map that a linear layer flattens; 0 elsewhere
    step: int | None = None  # place in an array that stacks several steps' tensors


def from_torch(
    name: str,
    state_dict: Mapping[str, Any],
    *,
    strict: bool = True,
    entry: str | None = None,
    prefix: str | None = None,
    **model_kwargs: Any,
) -> Any:
    """Flax variables for ``create_model(name, **model_kwargs)`` from a PyTorch state dict.

    Accepted are torchvision's names, timm's for its vision transformers and VGGs, those of the SVP
    networks (``voneblock.*``, ``vtwoblock.*``, ``backend.*``) and of VOneNets (``vone_block.*``,
    ``bottleneck.weight``, ``model.*``). Wrappers (``module.``, ``_orig_mod.``), a common prefix and
    the entry that holds them are found, see
    :func:`jaxbio.weights.state_dict.find_state_dict`. A Gabor bank in the checkpoint replaces the
    one that the front-end would draw, colour choice included.

    Args:
        name: one of ``jaxbio.list_models()``.
        state_dict: PyTorch names to arrays, or a whole checkpoint.
        strict: whether anything missing, unexpected or of another shape is an error.
        entry: the entry of the checkpoint to take.
        prefix: take the names that begin so.
        **model_kwargs: arguments of ``create_model``: ``image_size``, ``num_classes``,
            ``front_end``, ... The positions of a vision transformer are interpolated where
            ``image_size`` is another than the file's.

    Returns:
        The variables (``params``, ``batch_stats``, ``constants`` as the model has them). With
        ``strict=False`` a pair ``(variables, WeightReport)``; tensors that did not fit hold the
        model's initial values then (seed 0).

    Raises:
        WeightMismatchError: if strict and the state dict does not fit; it names every tensor.
        ValueError: if the model's arguments are not valid.

    Example:
        >>> variables = from_torch("resnet50", state_dict)
        >>> logits, _ = create_model("resnet50").apply(variables, images)
    """
    plan = Plan(name, model_kwargs)
    variables, report, notes = plan.fill(plan.find(state_dict, entry, prefix), strict)
    for note in notes:
        _logger.warning("%s: %s", name, note)
    return variables if strict else (variables, report)


def load_torch(name: str, path: str | os.PathLike, *, strict: bool = True, **more: Any) -> Any:
    """Reads a PyTorch checkpoint (no code of the file is run) and converts it.

    Args:
        name: one of ``jaxbio.list_models()``.
        path: a ``.pt``, ``.pth`` or ``.safetensors`` file.
        strict: see :func:`from_torch`.
        **more: ``entry``, ``prefix`` and arguments of ``create_model``.

    Returns:
        As :func:`from_torch`.

    Raises:
        FileNotFoundError: if there is no such file.
        WeightMismatchError: if strict and the checkpoint does not fit.
    """
    from jaxbio.weights.reader import read_torch

    return from_torch(name, read_torch(path), strict=strict, **more)


def load_v2(path: str | os.PathLike) -> dict[str, jax.Array]:
    """Constants of the V2 front-end from a file: an AlexNet checkpoint, or just weight and bias.

    Args:
        path: a PyTorch file with ``features.3.weight`` and ``features.3.bias`` (AlexNet's second
            convolution) or with ``weight`` and ``bias``: ``[192, 64, 5, 5]`` and ``[192]``.

    Returns:
        The contents of ``variables["constants"]["v2"]``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file holds neither pair, or one of another shape.
    """
    from jaxbio.weights.reader import read_torch

    names = ("features.3.weight", "features.3.bias", "weight", "bias")
    given = find_state_dict(read_torch(path), names).tensors
    for prefix in ("features.3.", ""):
        weight, bias = given.get(f"{prefix}weight"), given.get(f"{prefix}bias")
        if weight is None or bias is None:
            continue
        if weight.shape != (192, 64, 5, 5) or bias.shape != (192,):
            raise InputError(
                f"{path}: {prefix}weight is {weight.shape} and {prefix}bias {bias.shape}; V2 needs "
                "(192, 64, 5, 5) and (192,)"
            )
        return v2_constants(np.asarray(weight, np.float32), np.asarray(bias, np.float32))
    raise InputError(
        f"{path}: no V2 weights; needs features.3.weight and features.3.bias (AlexNet), or weight "
        "and bias"
    )


class Plan:
    """A model, and where in its variables each tensor of a PyTorch file belongs."""

    def __init__(self, name: str, arguments: Mapping[str, Any]) -> None:
        self.name = name
        self.model = create_model(name, **arguments)
        size = arguments.get("image_size", 224)
        self.image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
        key = jax.eval_shape(lambda: jax.random.key(0))
        tree = jax.eval_shape(self.model.init, key, self.image)
        self.body = self.model if isinstance(self.model, Body) else self.model.body
        self.targets = _targets(self.model, self.body, tree)
        self.constants = _constants(self.model)
        self.wanted = {*self.targets, *(name for part in self.constants.values() for name in part)}

    def find(self, content: Any, entry: str | None, prefix: str | None) -> StateDict:
        """The file's tensors by the names of this model."""
        found = find_state_dict(content, self.wanted, self.body.torch_renames, entry, prefix)
        return dataclasses.replace(found, tensors=_with_head(found.tensors, self.targets))

    def fill(self, found: StateDict, strict: bool) -> tuple[Any, WeightReport, list[str]]:
        """The variables, what did not fit, and what was done to make it fit."""
        given = found.tensors
        notes = [found.choice] if found.choice else []
        if found.others:
            notes.append(f"left out {found.others} tensors that do not begin with {found.prefix!r}")
        variables: dict[str, Any] = {}
        missing: list[str] = []
        mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}

        def take(name: str, shape: tuple[int, ...]) -> Any:
            if name not in given:
                missing.append(name)
                return None
            if not is_array(given[name]):
                raise InputError(
                    f"{name} is {given[name]!r}, which no array holds; in PyTorch, save it dense "
                    "(to_dense(), dequantize())"
                )
            value = np.asarray(given[name], np.float32)
            if _POSITIONS.search(name) and value.shape != shape and _squares(value.shape, shape):
                notes.append(f"positions interpolated from {value.shape[1]} to {shape[1]} tokens")
                value = interpolate_positions(value, shape)
            if value.ndim == 4 and len(shape) == 2 and value.shape[0] == shape[0]:
                value = value.reshape(len(value), -1)  # a linear layer that is a convolution there
            if value.shape == shape:
                return value
            mismatched[name] = (value.shape, shape)
            return None

        stacks: dict[tuple[str, ...], list[Any]] = {}  # in the order of the steps
        for name, target in self.targets.items():
            value = take(name, target.shape)
            value = None if value is None else _to_flax(value, target.map_channels)
            if target.step is not None:
                stacks.setdefault(target.path, []).append(value)
            elif value is not None:
                _insert(variables, target.path, jnp.asarray(value))
        for path, steps in stacks.items():
            if all(step is not None for step in steps):
                _insert(variables, path, jnp.asarray(np.stack(steps)))
        for part, shapes in self.constants.items():
            arrays = [take(name, shape) for name, shape in shapes.items()]
            if all(array is not None for array in arrays):
                if part == "v1":
                    q0, q1 = arrays
                    value = bank_to_constants(q0, q1, self.model.v1.simple_channels)
                else:
                    value = v2_constants(*arrays)
                _insert(variables, ("constants", part), value)

        unexpected = [k for k, v in given.items() if is_array(v) and k not in self.wanted]
        report = WeightReport(tuple(missing), tuple(unexpected), mismatched)
        if strict and report:
            raise WeightMismatchError(self.name, report)
        if missing or mismatched:
            images = jnp.zeros(self.image.shape, self.image.dtype)
            variables = _overlay(jax.jit(self.model.init)(jax.random.key(0), images), variables)
        return variables, report, notes


def _with_head(given: dict[str, Any], targets: Mapping[str, "_Target"]) -> dict[str, Any]:
    """The classifier by the model's own name, where the file gives it another or an index."""
    given = dict(given)
    for name in targets:
        own = _HEAD.fullmatch(name)
        if own is None or name in given:
            continue
        others = [
            key
            for key in given.keys() - targets.keys()
            if (m := _HEAD.fullmatch(key))
            and (m["where"], m["leaf"]) == (own["where"], own["leaf"])
        ]
        if len(others) == 1:
            given[name] = given.pop(others[0])
    return given


def _squares(*shapes: tuple[int, ...]) -> bool:
    """Whether shapes are of positions of as many features: a square, or a class token and one."""
    tokens = [shape[1] for shape in shapes if len(shape) == 3 and shape[::2] == shapes[0][::2]]
    if len(tokens) != len(shapes):
        return False
    return any(all(math.isqrt(n - k) ** 2 == n - k > 0 for n in tokens) for k in (0, 1))


def interpolate_positions(positions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Positions of a square of patches for another square, bicubic as timm; a class token stays."""
    side, new = math.isqrt(positions.shape[1]), math.isqrt(shape[1])
    first = positions.shape[1] - side * side
    grid = positions[:, first:].reshape(1, side, side, -1)
    resized = jax.image.resize(grid, (1, new, new, grid.shape[-1]), "cubic", antialias=True)
    resized = np.asarray(resized).reshape(1, new * new, -1)
    return np.concatenate([positions[:, :first], resized], axis=1)


def _targets(model: Body | Pathway, body: Body, tree: Mapping[str, Any]) -> dict[str, _Target]:
    """PyTorch names that the model's parameters and running statistics have."""
    map_linear, map_channels = body.map_linear
    targets = {}
    for collection in ("params", "batch_stats"):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree.get(collection, {})):
            keys = tuple(entry.key for entry in path)
            name = model.torch_name((*keys[:-1], _LEAVES.get((collection, keys[-1]), keys[-1])))
            if "{step}" in name:
                each = _torch_shape(leaf.shape[1:])
                for step in range(leaf.shape[0]):
                    place = _Target((collection, *keys), each, step=step)
                    targets[name.format(step=step + 1)] = place
                continue
            shape = _torch_shape(leaf.shape)
            flattened = map_channels if keys[-2:-1] == (map_linear,) and len(shape) == 2 else 0
            targets[name] = _Target((collection, *keys), shape, flattened)
    return targets


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that PyTorch gives one of our arrays."""
    if len(shape) == 4:
        return (shape[3], shape[2], shape[0], shape[1])
    return shape[::-1] if len(shape) == 2 else shape


def _to_flax(value: np.ndarray, map_channels: int) -> np.ndarray:
    """A tensor in flax's layout; ``map_channels`` > 0: a flattened (C, H, W) becomes (H, W, C)."""
    value = np.asarray(value, np.float32)
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    if value.ndim != 2:
        return value
    if map_channels:
        side = round((value.shape[1] // map_channels) ** 0.5)
        value = value.reshape(-1, map_channels, side, side).transpose(0, 2, 3, 1)
        value = value.reshape(value.shape[0], -1)
    return value.T


def _constants(model: Body | Pathway) -> dict[str, dict[str, tuple[int, ...]]]:
    """Fixed filters of the front-ends: PyTorch's names and shapes of each part."""
    if isinstance(model, Body):
        return {}
    v1, prefixes = model.v1, model.torch_prefixes
    colours = 3 if model.retina is None else model.retina.channels
    bank = (v1.simple_channels + v1.complex_channels, colours, v1.kernel_size, v1.kernel_size)
    parts: dict[str, dict[str, tuple[int, ...]]]
    parts = {"v1": {f"{prefixes['v1']}simple_conv_{q}.weight": bank for q in ("q0", "q1")}}
    if model.v2 is not None:
        weight, bias = f"{prefixes['v2']}weight", f"{prefixes['v2']}bias"
        parts["v2"] = {weight: (192, 64, 5, 5), bias: (192,)}
    return parts


def _insert(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value


def _overlay(base: Any, top: Any) -> Any:
    """``base`` with the leaves of ``top`` in place of its own; ``constants`` parts go whole."""
    if not isinstance(base, Mapping) or not isinstance(top, Mapping):
        return top
    return {key: _overlay(value, top[key]) if key in top else value for key, value in base.items()}
