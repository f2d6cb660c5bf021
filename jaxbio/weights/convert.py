"""PyTorch state dicts to flax variables, by a mapping computed from the model's own variables.

The flax modules carry PyTorch's names with ``.<n>`` written ``_<n>``, so the expected PyTorch name,
shape and layout of every tensor follow from the variable tree; what differs the model's class says.
"""

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError
from jaxbio.models import create_model
from jaxbio.models.body import Body
from jaxbio.models.pathway import Pathway

_LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("params", "cls_token"): "cls_token",
    ("params", "pos_embed"): "pos_embed",
    ("params", "shift"): "shift",
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
    name: str, state_dict: Mapping[str, Any], *, strict: bool = True, **model_kwargs: Any
) -> Any:
    """Flax variables for ``create_model(name, **model_kwargs)`` from a PyTorch state dict.

    Accepted are torchvision's names, those of the SVP networks (``voneblock.*``, ``vtwoblock.*``,
    ``backend.*``) and of VOneNets (``vone_block.*``, ``bottleneck.weight``, ``model.*``), with or
    without DataParallel's ``module.``, bare or under a ``state_dict`` or ``model`` entry. A Gabor
    bank in the checkpoint replaces the one that the front-end would draw, colour choice included.

    Args:
        name: one of ``jaxbio.list_models()``.
        state_dict: PyTorch names to arrays.
        strict: whether anything missing, unexpected or of another shape is an error.
        **model_kwargs: arguments of ``create_model``: ``image_size``, ``num_classes``,
            ``front_end``, ...

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
    model = create_model(name, **model_kwargs)
    image_size = model_kwargs.get("image_size", 224)
    front_end = model_kwargs.get("front_end", "none")
    image = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    tree = jax.eval_shape(model.init, key, image)
    body = model if front_end == "none" else model.body
    given = _normalised(state_dict, body.torch_renames)

    variables: dict[str, Any] = {}
    used: set[str] = set()
    missing: list[str] = []
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    stacks: dict[tuple[str, ...], list[np.ndarray]] = {}  # in the order of the steps
    targets = _targets(model, body, tree)
    for torch_name, target in targets.items():
        if torch_name not in given:
            missing.append(torch_name)
            continue
        used.add(torch_name)
        value = np.asarray(given[torch_name])
        if value.shape != target.shape:
            mismatched[torch_name] = (value.shape, target.shape)
            continue
        value = _to_flax(value, target.map_channels)
        if target.step is None:
            _insert(variables, target.path, jnp.asarray(value))
        else:
            stacks.setdefault(target.path, []).append(value)
    incomplete = {targets[k].path for k in (*missing, *mismatched)}
    for path, steps in stacks.items():
        if path not in incomplete:
            _insert(variables, path, jnp.asarray(np.stack(steps)))
    _add_constants(variables, model, tree, front_end, given, used, missing, mismatched)

    unexpected = tuple(k for k in given if k not in used)
    report = WeightReport(tuple(missing), unexpected, mismatched)
    if strict:
        if report:
            raise WeightMismatchError(name, report)
        return variables
    if report.missing or report.mismatched:
        initial = jax.jit(model.init)(jax.random.key(0), jnp.zeros(image.shape, image.dtype))
        variables = _overlay(initial, variables)
    return variables, report


def load_torch(name: str, path: str | os.PathLike, *, strict: bool = True, **model_kwargs: Any):
    """Reads a PyTorch checkpoint (no code of the file is run) and converts it.

    Args:
        name: one of ``jaxbio.list_models()``.
        path: a ``.pt`` or ``.pth`` file.
        strict: see :func:`from_torch`.
        **model_kwargs: arguments of ``create_model``.

    Returns:
        As :func:`from_torch`.

    Raises:
        FileNotFoundError: if there is no such file.
        WeightMismatchError: if strict and the checkpoint does not fit.
    """
    from jaxbio.weights.reader import read_torch

    return from_torch(name, read_torch(path), strict=strict, **model_kwargs)


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
    from jaxbio.models.front_end import v2_constants
    from jaxbio.weights.reader import read_torch

    given = _normalised(read_torch(path))
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


def _normalised(
    state_dict: Mapping[str, Any], renames: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Tensors by today's names: unwrapped, without ``module.`` and batch counters."""
    for entry in ("state_dict", "model"):
        if isinstance(state_dict.get(entry), Mapping):
            state_dict = state_dict[entry]
    given = {}
    for name, value in state_dict.items():
        name = name.removeprefix("module.")
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        if not name.endswith("num_batches_tracked"):
            given[name] = value
    return given


def _targets(model: Body | Pathway, body: Body, tree: Mapping[str, Any]) -> dict[str, _Target]:
    """PyTorch names that the model's parameters and running statistics have."""
    map_linear, map_channels = body.map_linear
    targets = {}
    for collection in ("params", "batch_stats"):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree.get(collection, {})):
            keys = tuple(entry.key for entry in path)
            name = model.torch_name((*keys[:-1], _LEAVES[collection, keys[-1]]))
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


def _add_constants(
    variables: dict[str, Any],
    model: Any,
    tree: Mapping[str, Any],
    front_end: str,
    given: Mapping[str, Any],
    used: set[str],
    missing: list[str],
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]],
) -> None:
    """Fixed filters of the front-ends; fills the last three arguments with what went wrong."""
    if front_end == "none":
        return
    from jaxbio.models.front_end import bank_to_constants, v2_constants

    def take(shapes: Mapping[str, tuple[int, ...]]) -> list[np.ndarray] | None:
        used.update(shapes.keys() & given.keys())
        missing.extend(name for name in shapes if name not in given)
        for name, shape in shapes.items():
            if name in given and np.shape(given[name]) != shape:
                mismatched[name] = (np.shape(given[name]), shape)
        if any(name not in given or name in mismatched for name in shapes):
            return None
        return [np.asarray(given[name], np.float32) for name in shapes]

    v1 = model.v1
    prefix = model.torch_prefixes["v1"]
    bank = (v1.simple_channels + v1.complex_channels, 3, v1.kernel_size, v1.kernel_size)
    banks = take({f"{prefix}simple_conv_{q}.weight": bank for q in ("q0", "q1")})
    if banks is not None:
        _insert(variables, ("constants", "v1"), bank_to_constants(*banks, v1.simple_channels))
    if front_end == "svp":
        prefix = model.torch_prefixes["v2"]
        fixed = take({f"{prefix}weight": (192, 64, 5, 5), f"{prefix}bias": (192,)})
        if fixed is not None:
            _insert(variables, ("constants", "v2"), v2_constants(*fixed))


def _insert(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value


def _overlay(base: Any, top: Any) -> Any:
    """``base`` with the leaves of ``top`` in place of its own; ``constants`` parts go whole."""
    if not isinstance(base, Mapping) or not isinstance(top, Mapping):
        return top
    return {key: _overlay(value, top[key]) if key in top else value for key, value in base.items()}
