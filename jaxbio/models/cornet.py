"""What the four CORnets share: areas, the linear decoder, options of time, operations by name.

Their endpoints ``V1``, ``V2``, ``V4`` and ``IT`` hold an area's output at every time step,
``[T, B, H, W, C]``. ``arrival_steps`` of a network says for each area from which step on its output
depends on the image; before it, the output is the same for every image.

Reference:
    Kubilius et al. 2018, "CORnet: Modeling the Neural Mechanisms of Core Object Recognition",
    doi:10.1101/408385.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.models.body import Body
from jaxbio.models.layers import Initializer, Linear, global_avg_pool, torch_default

# Area: channels.
AREAS = {"V1": 64, "V2": 128, "V4": 256, "IT": 512}
READOUTS = ("last", "all")

# Collection of what single operations put out; filled only where ``apply`` has it mutable.
OPERATIONS = "operations"

# How all but CORnet-S start.
XAVIER: dict[str, Any] = {
    "kernel_init": nn.initializers.xavier_uniform(),
    "bias_init": nn.initializers.zeros,
}

_LONGEST_UNROLLED = 8


def areas_after(after: str) -> list[str]:
    """The areas that a network has behind its input.

    Args:
        after: what the input is: ``"image"``, ``"v1"`` or ``"v2"``.
    """
    return list(AREAS)[{"image": 0, "v1": 1, "v2": 2}[after] :]


def unroll_of(steps: int) -> int:
    """How many of ``steps`` repetitions to compile in a row.

    Few steps are unrolled: XLA then drops those that a result does not need, and fuses across
    steps. Many are a loop, so that compilation takes the same time for any number of them.
    """
    return max(steps, 1) if steps <= _LONGEST_UNROLLED else 1


def check_times(times: Any) -> None:
    """Refuses anything but a whole number of steps, 1 or more.

    Raises:
        InputError: if ``times`` is something else.
    """
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise InputError(f"times={times!r}, must be a whole number, 1 or more")


def keep_operations(module: nn.Module, when: str, outputs: Mapping[str, jax.Array]) -> None:
    """Offers what operations put out to the collection ``"operations"``.

    Args:
        module: an area or the decoder, or its first or later steps.
        when: ``"once"``, ``"first"`` or ``"later"``: which steps these are; ``"step"`` where the
            module's own name says it.
        outputs: operation, by its published name, to its output.
    """
    if not module.is_initializing():
        module.sow(
            OPERATIONS, when, dict(outputs), init_fn=lambda: None, reduce_fn=lambda _, new: new
        )


def operations_by_name(collected: Mapping[str, Any]) -> dict[str, jax.Array]:
    """What single operations put out, by the published modules' names.

    Args:
        collected: the collection ``"operations"`` of a CORnet, alone or behind a front-end.

    Returns:
        ``"V4.conv_input"``, of what runs once, and ``"V4.conv1_0"``, ``"V4.conv1_1"``, ... of what
        runs at several steps, ``[B, H, W, C]`` each. Their sizes may differ: the first pass of a
        CORnet-S area begins before the stride.
    """
    named: dict[str, jax.Array] = {}
    for area, at_steps in collected.get("body", collected).items():
        once, first, later = (at_steps.get(when, {}) for when in ("once", "first", "later"))
        first, later = first.get("step", first), later.get("step", later)
        named |= {f"{area}.{operation}": output for operation, output in once.items()}
        named |= {f"{area}.{operation}_0": output for operation, output in first.items()}
        for operation, outputs in later.items():
            for step in range(outputs.shape[0]):
                named[f"{area}.{operation}_{step + 1}"] = outputs[step]
    return named


class CORnet(Body, kw_only=True):
    """What the networks are built on.

    Attributes:
        readout: ``"last"``, or ``"all"`` for the logits of every step in ``endpoints["logits"]``.

    Raises:
        InputError: if the readout is unknown.
    """

    readout: str = "last"

    keeps_time: ClassVar[bool] = True
    blocks: ClassVar[str] = "|".join(AREAS)

    def __post_init__(self) -> None:
        if self.readout not in READOUTS:
            raise InputError(f"unknown readout {self.readout!r}; valid: {', '.join(READOUTS)}")
        super().__post_init__()

    @property
    def arrival_steps(self) -> Mapping[str, int]:  # type: ignore[override]
        """Area to the first step at which its output depends on the image: 0 everywhere."""
        return dict.fromkeys(areas_after(self.after), 0)

    def decode(
        self, states: jax.Array, endpoints: dict[str, jax.Array], **inits: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The linear readout of the last area's states, and all endpoints; see :class:`Decoder`."""
        decoder = Decoder(self.num_classes, self.readout, **inits, dtype=self.dtype, name="decoder")
        logits, of_decoder = decoder(states)
        return logits, endpoints | of_decoder


class Decoder(nn.Module):
    """Linear readout of the last area's mean over the map; logits are float32."""

    num_classes: int
    readout: str = "last"
    kernel_init: Initializer = torch_default
    bias_init: Initializer | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, states: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Reads the last area's output at every step, ``[T, B, H, W, C]``.

        Returns:
            The last step's logits ``[B, num_classes]`` and the endpoints ``avgpool`` and
            ``penultimate`` (both the last step's mean, ``[B, C]``) and ``logits``: the same logits,
            or with ``readout="all"`` those of every step, ``[T, B, num_classes]``.
        """
        inits = self.kernel_init, self.bias_init
        linear = Linear(self.num_classes, *inits, self.dtype, name="linear")
        pooled = global_avg_pool(states[-1])
        endpoints = {"avgpool": pooled, "penultimate": pooled}
        if self.readout == "last":
            logits = over_time = linear(pooled).astype(jnp.float32)
        else:
            over_time = linear(jax.vmap(global_avg_pool)(states)).astype(jnp.float32)
            logits = over_time[-1]
        outputs = {"avgpool": pooled, "flatten": pooled, "linear": logits, "output": logits}
        keep_operations(self, "once", outputs)
        return logits, endpoints | {"logits": over_time}
