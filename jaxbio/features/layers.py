"""Which layers a model has, and what of them is kept: steps, pooling, projection."""

import dataclasses
import difflib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.errors import InvalidRngError

from jaxbio.errors import InputError
from jaxbio.features.request import FeatureRequest
from jaxbio.models.cornet import OPERATIONS, operations_by_name

# Traced, never computed: a batch size that no other axis of an activation has, so that the batch
# axis shows itself.
_PROBE = 100_003


@dataclasses.dataclass(frozen=True)
class Layer:
    """What is known of a layer's features before any is computed.

    Attributes:
        name: the endpoint's.
        shape: units of one image at one step: ``(H, W, C)``, ``(positions, C)`` or ``(C,)``;
            projected, ``(N,)``.
        steps: time steps that are kept, counted from 0; None if the layer has no time axis.
        arrival_step: first step at which the image can have an effect; before it, the layer's
            activity is the same for every image. 0 for layers without time.
        projected: whether the units are random projections.
        operation: whether it is a single operation within a layer, which ``"all"`` leaves out.
    """

    name: str
    shape: tuple[int, ...]
    steps: tuple[int, ...] | None = None
    arrival_step: int = 0
    projected: bool = False
    operation: bool = False

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one image's features: ``shape``, after the steps where there are any."""
        return self.shape if self.steps is None else (len(self.steps), *self.shape)

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes of ``feature_shape``."""
        if self.projected:
            units: tuple[str, ...] = ("component",)
        else:
            space = {1: (), 2: ("position",), 3: ("row", "column")}[len(self.shape)]
            units = (*space, "channel")
        return units if self.steps is None else ("time", *units)

    def coordinates(self) -> dict[str, list[int]]:
        """Values along every axis of ``dims``: step numbers, and unit numbers from 0."""
        values = [list(range(size)) for size in self.shape]
        if self.steps is not None:
            values.insert(0, list(self.steps))
        return dict(zip(self.dims, values, strict=True))


def layer_shapes(
    model: nn.Module, variables: Mapping[str, Any], image_size: int
) -> dict[str, Layer]:
    """The layers of a model, in its own order; nothing is computed.

    Args:
        model: from :func:`jaxbio.create_model`: returns ``(logits, endpoints)``.
        variables: the model's; arrays or ``jax.ShapeDtypeStruct``.
        image_size: side of the images in pixels.

    Returns:
        A :class:`Layer` for every endpoint, with all its steps.

    Example:
        >>> model = jaxbio.create_model("cornet_s", num_classes=10)
        >>> key, images = jax.random.key(0), jnp.zeros((1, 64, 64, 3))
        >>> variables = jax.eval_shape(model.init, key, images)  # shapes are enough
        >>> layer_shapes(model, variables, 64)["V4"].feature_shape
        (4, 4, 4, 256)
    """
    return inspect_model(model, variables, image_size)[0]


def activity_of(
    model: nn.Module,
    variables: Mapping[str, Any],
    images: jax.Array,
    operations: bool = False,
    **keys: Any,
) -> dict[str, jax.Array]:
    """A model's endpoints.

    Args:
        model: from :func:`jaxbio.create_model`.
        variables: the model's.
        images: normalised, ``[B, S, S, 3]``.
        operations: whether those of single operations are among them, such as ``"V4.conv1_0"`` of a
            CORnet. In a compiled program what is not used of them is not computed.
        **keys: ``rngs``.
    """
    if not operations or not isinstance(model, nn.Module):  # networks of the user's own have none
        _, endpoints = cast(Any, model.apply(variables, images, train=False, **keys))
        return cast("dict[str, jax.Array]", endpoints)
    found = model.apply(variables, images, train=False, mutable=[OPERATIONS], **keys)
    (_, endpoints), collected = cast(Any, found)
    return endpoints | operations_by_name(collected.get(OPERATIONS, {}))


def inspect_model(
    model: nn.Module, variables: Mapping[str, Any], image_size: int, operations: bool = False
) -> tuple[dict[str, Layer], bool]:
    """As :func:`layer_shapes`, and whether the model draws noise even when it is not trained.

    With ``operations`` single ones are among the layers, see :func:`activity_of`.
    """
    order: list[str] = []

    def endpoints(variables: dict[str, Any], images: jax.Array, **keys: Any) -> dict[str, Any]:
        found = activity_of(model, variables, images, operations, **keys)
        order[:] = found  # the traced result comes back sorted
        return found

    images = jax.ShapeDtypeStruct((_PROBE, image_size, image_size, 3), jnp.float32)
    noisy = False
    try:
        shapes = jax.eval_shape(endpoints, dict(variables), images)
    except InvalidRngError:
        key = jax.eval_shape(lambda: jax.random.key(0))
        shapes = jax.eval_shape(endpoints, dict(variables), images, rngs={"noise": key})
        noisy = True
    arrivals = getattr(model, "arrival_steps", {})
    at_readout = max(arrivals.values(), default=0)  # what is not an area reads the last one
    layers = {}
    for name in order:
        shape = tuple(shapes[name].shape)
        timed = _PROBE not in shape[:1]
        layers[name] = Layer(
            name,
            shape=shape[2:] if timed else shape[1:],
            steps=tuple(range(shape[0])) if timed else None,
            arrival_step=arrivals.get(name, at_readout) if timed else 0,
            operation="." in name and isinstance(model, nn.Module),
        )
    return layers, noisy


def select_layers(available: Mapping[str, Layer], request: FeatureRequest) -> dict[str, Layer]:
    """The layers to extract of those that there are (:func:`layer_shapes`), as they come out.

    Raises:
        InputError: an unknown layer or step; the message lists the valid ones.
    """
    endpoints = [name for name, layer in available.items() if not layer.operation]
    if not request.layers:
        raise InputError(f"layers='': use all or some of {', '.join(endpoints)}")
    wanted = endpoints if "all" in request.layers else []
    for name in request.layers:
        wanted = wanted + _at_each_step(name, available, request)
    selected = {}
    for name in wanted:
        if name not in available:
            area = name.partition(".")[0] + "."
            of_area = [other for other in available if other.startswith(area)] or endpoints
            close = difflib.get_close_matches(name, of_area, 1)
            hint = f" (did you mean '{close[0]}'?)" if close else ""
            raise InputError(
                f"unknown layer '{name}'{hint}: use all or some of {', '.join(of_area)}"
            )
        layer = available[name]
        if layer.steps is not None:
            layer = dataclasses.replace(layer, steps=_chosen_steps(layer, request.times))
        if request.pool != "none":
            layer = dataclasses.replace(layer, shape=layer.shape[-1:])
        if request.projection and request.projection < math.prod(layer.shape):
            layer = dataclasses.replace(layer, shape=(request.projection,), projected=True)
        selected[name] = layer
    return selected


def only(model: Any, names: Collection[str]) -> Any:
    """The model, without the work for other layers where it would make the effort.

    jaxbio's own make none: compilation leaves out what is not used.
    """
    return model.only(names) if hasattr(model, "only") else model


def _at_each_step(name: str, available: Mapping[str, Layer], request: FeatureRequest) -> list[str]:
    """The layers of an operation that runs at several steps, or the name itself."""
    if name in available or "." not in name:
        return [name] if name != "all" else []
    steps = [
        int(found[1])
        for other in available
        if (found := re.fullmatch(rf"{re.escape(name)}_(\d+)", other))
    ]
    if not steps:
        return [name]
    kept = _chosen_steps(Layer(name, (), tuple(steps)), request.times)
    return [f"{name}_{step}" for step in kept]


def time_labels(layer: Layer) -> list[str]:
    """What to call each step: ``step 2``, with a remark before the image has arrived."""
    remark = " (before the image arrives)"
    return [f"step {t}{remark if t < layer.arrival_step else ''}" for t in layer.steps or ()]


def _chosen_steps(layer: Layer, times: str | Sequence[int]) -> tuple[int, ...]:
    steps = layer.steps or ()
    if isinstance(times, str):
        return steps if times == "all" else steps[-1:]
    unknown = [step for step in times if step not in steps]
    if unknown:
        raise InputError(
            f"layer '{layer.name}' has no step {unknown[0]}: use all, last or some of "
            f"{','.join(map(str, steps))}"
        )
    return tuple(times)
