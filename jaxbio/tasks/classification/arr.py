"""Aggregated response regularisation (ARR): what it adds to a training step and to a test."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.models.body import Body
from jaxbio.models.pathway import Pathway
from jaxbio.ops.response import Memory, arr_loss, new_memory, read_memory, update_memory
from jaxbio.options import read
from jaxbio.tasks.classification.config import Arr

# The name of the memory among a model's collections of variables.
COLLECTION = "response_memory"


@dataclass(frozen=True)
class ResponseRegulariser:
    """Pulls responses of a class towards their running mean, endpoint by endpoint.

    Attributes:
        widths: endpoints that are aggregated, and their number of features.
        num_classes: rows of the memory.
        arr: the section that describes the rest.

    Reference:
        Qiu et al. 2024, "Dynamic Neural Response Tuning", ICLR 2024.
    """

    widths: Mapping[str, int]
    num_classes: int
    arr: Arr

    def new_memory(self) -> Memory:
        """A memory that has seen nothing."""
        return new_memory(self.num_classes, self.widths)

    def train(
        self, memory: Memory, endpoints: Mapping[str, jax.Array], labels: jax.Array
    ) -> tuple[jax.Array, Memory]:
        """The regulariser, without its coefficient, and the memory after the batch.

        Samples count in the order of the global batch, whatever the devices.
        """
        responses = self._responses(endpoints)
        arr = self.arr
        targets, memory = update_memory(
            memory,
            responses,
            labels,
            momentum=arr.momentum,
            start=arr.start,
            interval=arr.interval,
        )
        return _loss(responses, targets), memory

    def evaluate(
        self,
        memory: Memory,
        endpoints: Mapping[str, jax.Array],
        labels: jax.Array,
        mask: jax.Array,
    ) -> jax.Array:
        """The regulariser's sum over the examples of a batch; masked ones contribute nothing."""
        responses = self._responses(endpoints)
        return len(labels) * _loss(responses, read_memory(memory, responses, labels, mask))

    def _responses(self, endpoints: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        return {name: aggregate(name, endpoints[name]) for name in self.widths}


def make_regulariser(
    config: Mapping[str, Any], model: Body | Pathway, image_size: int
) -> ResponseRegulariser | None:
    """The regulariser that a configuration asks for.

    Args:
        config: the ``arr`` section.
        model: whose endpoints are meant.
        image_size: in pixels.

    Returns:
        The regulariser; None if its coefficient is 0.

    Raises:
        InputError: an unknown endpoint, or a number out of range.
    """
    arr = read(Arr, config, "arr.")
    if not arr.coefficient and arr.endpoints == Arr.endpoints:
        return None
    shapes = endpoint_shapes(model, image_size)
    # A wrong name is an error even without a use.
    names = choose_endpoints(arr.endpoints, shapes, model.blocks)
    if not arr.coefficient:
        return None
    widths = {name: shapes[name][-1] for name in names}
    return ResponseRegulariser(widths, shapes["logits"][-1], arr)


def choose_endpoints(
    wanted: str, shapes: Mapping[str, tuple[int, ...]], blocks: str
) -> tuple[str, ...]:
    """Names of endpoints from a setting.

    Args:
        wanted: names with commas, or ``default``: every block's output.
        shapes: of all endpoints.
        blocks: pattern of the block outputs' names, see :class:`jaxbio.models.body.Body`.

    Raises:
        InputError: an unknown endpoint, one that cannot be aggregated, or no default.
    """
    usable = [name for name, shape in shapes.items() if len(shape) in (2, 4, 5)]
    if wanted == "default":
        names = [name for name in usable if re.fullmatch(blocks, name)]
        if not names:
            raise InputError(
                "arr.endpoints=default: this model names no blocks; use some of "
                f"{', '.join(usable)}"
            )
        return tuple(names)
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in usable:
            raise InputError(
                f"arr.endpoints has {name!r}, which the model does not have or which is no vector "
                f"or map; valid: default, {', '.join(usable)}"
            )
    return tuple(dict.fromkeys(names))


def aggregate(name: str, response: jax.Array) -> jax.Array:
    """One vector per example, ``[B, C]``.

    Args:
        name: of the endpoint, for the error.
        response: vectors ``[B, C]``, as they are; maps ``[B, H, W, C]``, averaged over space; maps
            over time ``[T, B, H, W, C]``, of which the last step's count.

    Raises:
        InputError: any other shape.
    """
    if response.ndim == 5:
        response = response[-1]
    if response.ndim == 4:
        response = jnp.mean(response, (1, 2), dtype=jnp.float32)
    if response.ndim != 2:
        raise InputError(
            f"endpoint {name!r} of shape {response.shape} cannot be aggregated: use vectors "
            "[B, C], maps [B, H, W, C] or [T, B, H, W, C]"
        )
    return response


def endpoint_shapes(model: nn.Module, image_size: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a model's endpoints for one image; computes nothing."""
    image = jnp.zeros((1, image_size, image_size, 3))
    keys = {"params": jax.random.key(0), "noise": jax.random.key(0)}
    order = []  # jax returns dicts sorted: block10 before block2

    def endpoints() -> dict[str, jax.Array]:
        (_, endpoints), _ = model.init_with_output(keys, image, train=False)
        order.extend(endpoints)
        return endpoints

    shapes = jax.eval_shape(endpoints)
    return {name: shapes[name].shape for name in order}


def _loss(responses: dict[str, jax.Array], targets: dict[str, jax.Array]) -> jax.Array:
    return arr_loss(list(responses.values()), [targets[name] for name in responses])
