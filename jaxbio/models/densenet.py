"""DenseNets, whole or as the part behind a V1 or a V1 + V2 front-end."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.models.body import Body
from jaxbio.models.layers import (
    BatchNorm,
    Conv,
    Linear,
    avg_pool,
    batch_moments,
    global_avg_pool,
    kaiming_fan_in,
    max_pool,
)

_Conv = partial(Conv, kernel_init=kaiming_fan_in)

# Depth: (growth, layers per block, channels of the stem).
_DEPTHS = {
    121: (32, (6, 12, 24, 16), 64),
    161: (48, (6, 12, 36, 24), 96),
    169: (32, (6, 12, 32, 32), 64),
    201: (32, (6, 12, 48, 32), 64),
}


class DenseLayer(nn.Module):
    """Norm, activation, 1x1 convolution to ``4 * growth``; norm, activation, 3x3 to ``growth``."""

    growth: int
    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool, moments: tuple[jax.Array, jax.Array] | None = None
    ) -> jax.Array:
        """Maps ``[B, H, W, C]``, with its moments if they are known, to ``[B, H, W, growth]``."""
        for i, (features, kernel) in enumerate(((4 * self.growth, 1), (self.growth, 3)), 1):
            x = BatchNorm(dtype=self.dtype, name=f"norm{i}")(x, train, moments if i == 1 else None)
            x = self.act(name=f"act{i}")(x)
            x = _Conv(features, kernel, dtype=self.dtype, name=f"conv{i}")(x)
        return x


class DenseBlock(nn.Module):
    """Layers that each read the block's input and every earlier one's output, and add ``growth``
    channels.
    """

    num_layers: int
    growth: int
    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H, W, C + num_layers * growth]``."""
        layer = nn.remat(DenseLayer, static_argnums=(2,)) if self.remat else DenseLayer
        # Every layer normalises all earlier channels again: their moments are taken only once.
        moments: Any = batch_moments(x) if train else None
        for i in range(1, self.num_layers + 1):
            new = layer(self.growth, self.act, self.dtype, name=f"denselayer{i}")(x, train, moments)
            x = jnp.concatenate([x, new], axis=-1)
            if train:
                of_new = batch_moments(new)
                moments = tuple(map(jnp.concatenate, zip(moments, of_new, strict=True)))
        return x


class Transition(nn.Module):
    """Norm, activation, 1x1 convolution to half the channels, 2x2 average pool."""

    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H // 2, W // 2, C // 2]``."""
        features = x.shape[-1] // 2
        x = self.act(name="act")(BatchNorm(dtype=self.dtype, name="norm")(x, train))
        # A mean over space and a 1x1 convolution commute; pooling first is a quarter of the work.
        x = avg_pool(x, 2)
        return _Conv(features, 1, dtype=self.dtype, name="conv")(x)


class DenseNet(Body, kw_only=True):
    """DenseNet-121, 161, 169 or 201.

    After V1 the network starts at its first dense block (jaxbio's analogy to VOneNet), after V2 at
    its second; blocks and transitions are numbered from 1 in either case.

    Attributes:
        depth: 121, 161, 169 or 201.

    Reference:
        Huang et al. 2017, "Densely Connected Convolutional Networks", arXiv:1608.06993.
    """

    depth: int

    blocks: ClassVar[str] = r"denseblock\d"
    torch_renames: ClassVar[Sequence[tuple[str, str]]] = (
        (r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2"),
    )

    @classmethod
    def torch_name(cls, path: Sequence[str]) -> str:
        """As :meth:`Body.torch_name`; all but the classifier is in ``features``."""
        return ("" if path[0] == "classifier" else "features.") + super().torch_name(path)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits and the endpoints pool0, denseblock*, transition*, norm5, avgpool.

        ``penultimate`` is the mean of norm5 over the map, without activation; ``avgpool`` is the
        mean after the activation, which the classifier reads.
        """
        blocks: tuple[int, ...]
        growth, blocks, stem = _DEPTHS[self.depth]
        endpoints = {}
        if self.after == "image":
            x = _Conv(stem, 7, 2, dtype=self.dtype, name="conv0")(x)
            x = BatchNorm(dtype=self.dtype, name="norm0")(x, train)
            x = max_pool(self.act(name="act0")(x), 3, 2, 1)
            endpoints["pool0"] = x
        if self.after == "v2":
            blocks = blocks[1:]
        for i, num_layers in enumerate(blocks, 1):
            name = f"denseblock{i}"
            x = DenseBlock(num_layers, growth, self.act, self.dtype, self.remat, name=name)(
                x, train
            )
            endpoints[name] = x
            if i < len(blocks):
                x = Transition(self.act, self.dtype, name=f"transition{i}")(x, train)
                endpoints[f"transition{i}"] = x
        x = BatchNorm(dtype=self.dtype, name="norm5")(x, train)
        endpoints["norm5"] = x
        endpoints["penultimate"] = global_avg_pool(x)
        endpoints["avgpool"] = global_avg_pool(self.act(name="act5")(x))
        logits = Linear(
            self.num_classes, bias_init=nn.initializers.zeros, dtype=self.dtype, name="classifier"
        )(endpoints["avgpool"]).astype(jnp.float32)
        return logits, endpoints | {"logits": logits}
