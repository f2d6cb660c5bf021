"""The training state: everything that a checkpoint has to hold."""

from typing import Any, Protocol, Self, TypeVar

import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxbio.runs.schedules import Plateau

# In state.step's place in the metrics of a step whose numbers are all finite.
NEVER = jnp.iinfo(jnp.int32).max


class State(Protocol):
    """What the loop and the checkpoints know of a training state.

    Attributes:
        step: steps done, int32.
    """

    step: jax.Array

    def count_parameters(self) -> int:
        """Number of scalars that are learned."""

    def items(self) -> dict[str, Any]:
        """The trees of arrays that a checkpoint holds, by name; ``variables`` among them."""

    def with_items(self, step: int, items: dict[str, Any]) -> Self:
        """A state of such trees, which were saved at ``step``."""


StateT = TypeVar("StateT", bound=State)


class TrainState(struct.PyTreeNode):
    """All arrays of a network that learns by gradients.

    Attributes:
        model_state: what changes while training besides: ``batch_stats`` and the like, and the
            ``response_memory`` of ARR; a dict of collections.
        constants: fixed filters; saved, never optimised.
        ema: running averages of ``params`` and of ``model_state``; None when averaging is off.
    """

    step: jax.Array
    params: Any
    model_state: dict[str, Any]
    constants: dict[str, Any]
    opt_state: optax.OptState
    plateau: Plateau
    ema: dict[str, Any] | None = None

    def variables(self, averaged: bool = False) -> dict[str, Any]:
        """The model's variables, with the averaged parameters if asked and kept."""
        source = self.ema if averaged and self.ema is not None else None
        params = source["params"] if source else self.params
        model_state = source["model_state"] if source else self.model_state
        return {"params": params, "constants": self.constants, **model_state}

    def count_parameters(self) -> int:
        """See :class:`State`."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))

    def items(self) -> dict[str, Any]:
        """See :class:`State`."""
        training = {"step": self.step, "opt_state": self.opt_state, "plateau": self.plateau}
        items = {"variables": self.variables(), "training": training}
        return items if self.ema is None else {**items, "ema": self.ema}

    def with_items(self, step: int, items: dict[str, Any]) -> "TrainState":
        """See :class:`State`."""
        del step  # in the item "training" too, on its devices
        variables = dict(items["variables"])
        return TrainState(
            constants=variables.pop("constants"),
            params=variables.pop("params"),
            model_state=variables,
            ema=items.get("ema"),
            **items["training"],
        )


def make_state(
    params: Any,
    model_state: dict[str, Any],
    constants: dict[str, Any],
    optimizer: optax.GradientTransformation,
    *,
    ema: bool = False,
) -> TrainState:
    """The state at step 0 of given variables (converted weights, a pretrained model)."""
    averages = {"params": params, "model_state": model_state}
    return TrainState(
        step=jnp.int32(0),
        params=params,
        model_state=model_state,
        constants=constants,
        opt_state=optimizer.init(params),
        plateau=Plateau.create(),
        ema=jax.tree.map(jnp.copy, averages) if ema else None,
    )
