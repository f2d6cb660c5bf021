"""What the four CORnets share: their areas, the linear decoder, the options of time.

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


class Decoder(nn.Module):
    """Linear readout of the last area's mean over the map.

    Attributes:
        num_classes: number of logits.
        readout: ``"last"`` or ``"all"``: which steps are read.
        kernel_init: initialiser of the weights.
        bias_init: initialiser of the bias; None means PyTorch's default.
        dtype: dtype of the computation; logits are float32.
    """

    num_classes: int
    readout: str = "last"
    kernel_init: Initializer = torch_default
    bias_init: Initializer | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, states: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Reads the last area.

        Args:
            states: its output at every step, ``[T, B, H, W, C]``.

        Returns:
            The last step's logits ``[B, num_classes]`` and the endpoints ``avgpool`` and
            ``penultimate`` (both the last step's mean, ``[B, C]``) and ``logits``: the same logits,
            or with ``readout="all"`` those of every step, ``[T, B, num_classes]``.
        """
        linear = Linear(
            self.num_classes,
            kernel_init=self.kernel_init,
            bias_init=self.bias_init,
            dtype=self.dtype,
            name="linear",
        )
        pooled = global_avg_pool(states[-1])
        endpoints = {"avgpool": pooled, "penultimate": pooled}
        if self.readout == "last":
            logits = linear(pooled).astype(jnp.float32)
            return logits, endpoints | {"logits": logits}
        over_time = linear(jax.vmap(global_avg_pool)(states)).astype(jnp.float32)
        return over_time[-1], endpoints | {"logits": over_time}
