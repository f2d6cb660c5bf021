"""ResNets, whole or as the part behind a V1 or a V1 + V2 front-end."""

from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.models.body import Body
from jaxbio.models.layers import BatchNorm, Conv, Linear, global_avg_pool, max_pool

# Depth: (blocks per layer, whether they are bottlenecks).
_DEPTHS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, or the bottleneck 1x1, 3x3 (with the stride), 1x1, plus a shortcut.

    Attributes:
        planes: inner width; a bottleneck puts out four times as many channels.
        bottleneck: which of the two blocks.
        final_act: whether an activation follows the addition.
    """

    planes: int
    bottleneck: bool
    stride: int
    act: Callable[..., nn.Module]
    final_act: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H / stride, W / stride, planes or 4 * planes]``."""
        if self.bottleneck:
            convs: tuple[tuple[int, int, int], ...]
            convs = ((self.planes, 1, 1), (self.planes, 3, self.stride), (4 * self.planes, 1, 1))
        else:
            convs = ((self.planes, 3, self.stride), (self.planes, 3, 1))
        y = x
        for i, (features, kernel, stride) in enumerate(convs, 1):
            y = Conv(features, kernel, stride, dtype=self.dtype, name=f"conv{i}")(y)
            y = BatchNorm(dtype=self.dtype, name=f"bn{i}")(y, train)
            if i < len(convs):
                y = self.act(name=f"act{i}")(y)
        if self.stride != 1 or x.shape[-1] != y.shape[-1]:
            x = Conv(y.shape[-1], 1, self.stride, dtype=self.dtype, name="downsample_0")(x)
            x = BatchNorm(dtype=self.dtype, name="downsample_1")(x, train)
        y = y + x
        return self.act(name=f"act{len(convs)}")(y) if self.final_act else y


class ResNet(Body, kw_only=True):
    """ResNet-18, 34, 50, 101 or 152.

    After V1 the network starts at layer1 (as VOneNet's), after V2 at layer2, whose first block then
    has stride 1, since V2 has already brought the map to layer2's resolution.

    Attributes:
        depth: 18, 34, 50, 101 or 152.
        last_relu: whether the last block's addition is followed by an activation, as torchvision
            has it; without it the pooled features may be negative.

    Reference:
        He et al. 2016, "Deep Residual Learning for Image Recognition", arXiv:1512.03385.
    """

    depth: int
    last_relu: bool = True

    blocks: ClassVar[str] = r"layer\d"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits ``[B, num_classes]`` and the endpoints layer1..4, avgpool, penultimate."""
        blocks, bottleneck = _DEPTHS[self.depth]
        block = nn.remat(ResidualBlock, static_argnums=(2,)) if self.remat else ResidualBlock
        endpoints = {}
        if self.after == "image":
            x = Conv(64, 7, 2, dtype=self.dtype, name="conv1")(x)
            x = BatchNorm(dtype=self.dtype, name="bn1")(x, train)
            x = max_pool(self.act(name="act1")(x), 3, 2, 1)
            endpoints["maxpool"] = x
        first_layer = 2 if self.after == "v2" else 1
        for layer in range(first_layer, 5):
            for i in range(blocks[layer - 1]):
                x = block(
                    planes=64 * 2 ** (layer - 1),
                    bottleneck=bottleneck,
                    stride=2 if i == 0 and layer > first_layer else 1,
                    act=self.act,
                    final_act=self.last_relu or (layer, i) != (4, blocks[3] - 1),
                    dtype=self.dtype,
                    name=f"layer{layer}_{i}",
                )(x, train)
            endpoints[f"layer{layer}"] = x
        pooled = global_avg_pool(x)
        logits = Linear(self.num_classes, dtype=self.dtype, name="fc")(pooled).astype(jnp.float32)
        return logits, endpoints | {"avgpool": pooled, "penultimate": pooled, "logits": logits}
