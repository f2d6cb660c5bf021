"""ShuffleNetV2, whole or as the part behind a V1 or a V1 + V2 front-end."""

from collections.abc import Callable
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
    global_avg_pool,
    max_pool,
    torch_default,
)
from jaxbio.models.mobilenet import ConvNorm

_Conv = partial(Conv, kernel_init=torch_default)

# Stage: blocks, channels.
_STAGES = {2: (4, 116), 3: (8, 232), 4: (4, 464)}


class ShuffleBlock(nn.Module):
    """Half of the channels through three convolutions, then both halves interleaved.

    At a stride of 2 all channels go through the three convolutions, and through two others in place
    of the identity.

    Attributes:
        stride: of the 3x3 convolutions.
    """

    features: int
    stride: int
    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H / stride, W / stride, features]``."""
        half = self.features // 2

        def pointwise(x: jax.Array, branch: int, index: int) -> jax.Array:
            name = f"branch{branch}_{{}}"
            x = _Conv(half, 1, dtype=self.dtype, name=name.format(index))(x)
            x = BatchNorm(dtype=self.dtype, name=name.format(index + 1))(x, train)
            return self.act(name=name.format(index + 2))(x)

        def within_channels(x: jax.Array, branch: int, index: int) -> jax.Array:
            width, names = x.shape[-1], [f"branch{branch}_{index + i}" for i in (0, 1)]
            x = _Conv(width, 3, self.stride, depthwise=True, dtype=self.dtype, name=names[0])(x)
            return BatchNorm(dtype=self.dtype, name=names[1])(x, train)

        whole = self.stride == 2
        first, second = (x, x) if whole else jnp.split(x, 2, axis=-1)
        if whole:
            first = pointwise(within_channels(first, 1, 0), 1, 2)
        second = within_channels(pointwise(second, 2, 0), 2, 3)
        second = pointwise(second, 2, 5)
        x = jnp.stack([first, second], axis=-1)
        return x.reshape(*x.shape[:3], self.features)


class ShuffleNetV2(Body, kw_only=True):
    """ShuffleNetV2 of width 1.

    V1 takes the place of stem and pool, V2 that of stage 2, too (jaxbio's analogies). Stages keep
    their published numbers.

    Attributes:
        small: whether the stem keeps the resolution and has no pool, for images of 32 pixels.

    Reference:
        Ma et al. 2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
        arXiv:1807.11164.
    """

    small: bool = False

    blocks: ClassVar[str] = r"stage\d"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits and the endpoints maxpool, stage2..4, features, penultimate.

        ``features`` are the last convolution's maps, ``penultimate`` is their mean.
        """
        block = nn.remat(ShuffleBlock, static_argnums=(2,)) if self.remat else ShuffleBlock
        conv_norm_act = partial(ConvNorm, act=self.act, kernel_init=torch_default, dtype=self.dtype)
        endpoints = {}
        if self.after == "image":
            stride = 1 if self.small else 2
            x = conv_norm_act(24, 3, stride, name="conv1")(x, train)
            if not self.small:
                x = max_pool(x, 3, 2, 1)
                endpoints["maxpool"] = x
        for stage in (3, 4) if self.after == "v2" else (2, 3, 4):
            blocks, features = _STAGES[stage]
            for i in range(blocks):
                x = block(features, 1 if i else 2, self.act, self.dtype, name=f"stage{stage}_{i}")(
                    x, train
                )
            endpoints[f"stage{stage}"] = x
        x = conv_norm_act(1024, name="conv5")(x, train)
        pooled = global_avg_pool(x)
        logits = Linear(self.num_classes, dtype=self.dtype, name="fc")(pooled).astype(jnp.float32)
        endpoints |= {"features": x, "penultimate": pooled}
        return logits, endpoints | {"logits": logits}
