"""CORnet-S: four cortical areas, three of them recurrent."""

from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.models.layers import BatchNorm, Conv, Linear, global_avg_pool, max_pool

# Area: (channels, recurrences).
_AREAS = {"V2": (128, 2), "V4": (256, 4), "IT": (512, 2)}
_EXPANSION = 4


class AreaV1(nn.Module):
    """First area: 7x7 convolution of stride 2, max-pool, 3x3 convolution; runs once."""

    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps images ``[B, H, W, 3]`` to ``[B, H / 4, W / 4, 64]``."""
        x = Conv(64, 7, 2, dtype=self.dtype, name="conv1")(x)
        x = self.act(name="act1")(BatchNorm(dtype=self.dtype, name="norm1")(x, train))
        x = max_pool(x, 3, 2, 1)
        x = Conv(64, 3, dtype=self.dtype, name="conv2")(x)
        return self.act(name="act2")(BatchNorm(dtype=self.dtype, name="norm2")(x, train))


class RecurrentArea(nn.Module):
    """A bottleneck block applied several times, with shared convolutions and norms of each step.

    The first step halves the map and adds a projected shortcut; later steps add their own input.

    Attributes:
        features: output channels.
        times: number of steps.
        act: activation factory; every step has sites of its own.
        dtype: dtype of the computation.
    """

    features: int
    times: int
    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps ``[B, H, W, C]`` to every step's output, ``[times, B, H / 2, W / 2, features]``."""

        def conv(features: int, kernel: int, name: str) -> Conv:
            return Conv(features, kernel, dtype=self.dtype, name=name)

        def norm(name: str) -> BatchNorm:
            return BatchNorm(dtype=self.dtype, name=name)

        wide = _EXPANSION * self.features
        conv1 = conv(wide, 1, "conv1")
        conv2 = conv(wide, 3, "conv2")
        conv3 = conv(self.features, 1, "conv3")
        x = conv(self.features, 1, "conv_input")(x)
        states = []
        for t in range(self.times):
            stride = 2 if t == 0 else 1
            if t == 0:
                shortcut = Conv(self.features, 1, 2, dtype=self.dtype, name="skip")(x)
                shortcut = norm("norm_skip")(shortcut, train)
            else:
                shortcut = x
            x = self.act(name=f"act1_{t}")(norm(f"norm1_{t}")(conv1(x), train))
            x = self.act(name=f"act2_{t}")(norm(f"norm2_{t}")(conv2(x, stride), train))
            x = norm(f"norm3_{t}")(conv3(x), train) + shortcut
            x = self.act(name=f"act3_{t}")(x)
            states.append(x)
        return jnp.stack(states)


class Decoder(nn.Module):
    """Linear readout of the pooled last area."""

    num_classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, C]`` to float32 logits ``[B, num_classes]``."""
        return Linear(self.num_classes, dtype=self.dtype, name="linear")(x).astype(jnp.float32)


class CORnetS(nn.Module):
    """CORnet-S: V1, then V2, V4 and IT, which run 2, 4 and 2 times.

    After the V1 front-end the network starts at its area V2 (as VOneNet's), after V1 + V2 at V4
    (jaxbio's analogy).

    Attributes:
        act: activation factory.
        num_classes: number of logits.
        after: what the network's input is: ``"image"``, ``"v1"`` or ``"v2"``.
        dtype: dtype of the computation; parameters and logits are float32.
        remat: whether areas are recomputed in the backward pass.

    Reference:
        Kubilius et al. 2019, "Brain-Like Object Recognition with High-Performing Shallow Recurrent
        ANNs", arXiv:1909.06161.
    """

    act: Callable[..., nn.Module]
    num_classes: int = 1000
    after: str = "image"
    dtype: Any = jnp.float32
    remat: bool = False

    v2_channels: ClassVar[int] = 128

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits and the endpoints V1, V2, V4, IT, avgpool, penultimate.

        Areas carry their own time axis, ``[T, B, H, W, C]`` (T = 1 for V1).

        Args:
            x: normalised images ``[B, H, W, 3]``, or the front-end's maps.
            train: whether BatchNorm uses and updates batch statistics.
        """
        area = nn.remat(RecurrentArea, static_argnums=(2,)) if self.remat else RecurrentArea
        endpoints = {}
        if self.after == "image":
            x = AreaV1(self.act, self.dtype, name="V1")(x, train)
            endpoints["V1"] = x[None]
        for name, (features, times) in _AREAS.items():
            if name == "V2" and self.after == "v2":
                continue
            states = area(features, times, self.act, self.dtype, name=name)(x, train)
            endpoints[name] = states
            x = states[-1]
        pooled = global_avg_pool(x)
        logits = Decoder(self.num_classes, self.dtype, name="decoder")(pooled)
        return logits, endpoints | {"avgpool": pooled, "penultimate": pooled, "logits": logits}
