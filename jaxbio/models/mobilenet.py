"""MobileNetV2, whole or as the part behind a V1 or a V1 + V2 front-end."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.models.body import Body
from jaxbio.models.layers import (
    BatchNorm,
    Conv,
    Initializer,
    NormalLinear,
    global_avg_pool,
    kaiming_fan_out,
)

# Stages: expansion, channels, blocks, stride of the first.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_FIRST_STAGE = {"image": 0, "v1": 2, "v2": 3}


class ConvNorm(nn.Module):
    """Convolution, BatchNorm and, if any, activation, numbered from 0 as in published networks.

    Attributes:
        depthwise: whether every channel has a kernel of its own.
    """

    features: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    dtype: Any = jnp.float32
    act: Callable[..., nn.Module] | None = None
    kernel_init: Initializer = kaiming_fan_out

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H / stride, W / stride, features]``."""
        x = Conv(
            self.features,
            self.kernel,
            self.stride,
            kernel_init=self.kernel_init,
            depthwise=self.depthwise,
            dtype=self.dtype,
            name="0",
        )(x)
        x = BatchNorm(dtype=self.dtype, name="1")(x, train)
        return x if self.act is None else self.act(name="2")(x)


class InvertedResidual(nn.Module):
    """1x1 convolution to more channels, 3x3 within channels, 1x1 to few; the input is added.

    Attributes:
        expansion: inner channels per channel of the input; without the first convolution if 1.
        stride: of the 3x3 convolution; the input is added at a stride of 1 and equal channels.
        act: activation factory; there is none at the end.
    """

    features: int
    expansion: int
    stride: int
    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H / stride, W / stride, features]``."""
        inner, y, i = self.expansion * x.shape[-1], x, 0
        if self.expansion != 1:
            y = ConvNorm(inner, dtype=self.dtype, name="conv_0")(y, train)
            y, i = self.act(name="act0")(y), 1
        y = ConvNorm(inner, 3, self.stride, True, self.dtype, name=f"conv_{i}")(y, train)
        y = self.act(name=f"act{i}")(y)
        y = Conv(self.features, 1, dtype=self.dtype, name=f"conv_{i + 1}")(y)
        y = BatchNorm(dtype=self.dtype, name=f"conv_{i + 2}")(y, train)
        return x + y if self.stride == 1 and x.shape == y.shape else y


def _timm_renames() -> list[tuple[str, str]]:
    """From timm's names of the blocks, stage by stage, to torchvision's, which are counted."""
    renames = [
        (r"(?<![^.])conv_stem\.", "features.0.0."),
        (r"(?<![^.])bn1\.", "features.0.1."),
        (r"(?<![^.])conv_head\.", "features.18.0."),
        (r"(?<![^.])bn2\.", "features.18.1."),
    ]
    in_block = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
    without_expansion = ("conv_dw", "bn1", "conv_pw", "bn2")
    number = 0
    for stage, (expansion, _, blocks, _) in enumerate(_STAGES):
        for i in range(blocks):
            number += 1
            names = without_expansion if expansion == 1 else in_block
            for place, name in enumerate(names):
                pairs = len(names) - 2  # convolutions with their norm; then one of each alone
                inner = f"{place // 2}.{place % 2}" if place < pairs else str(place - pairs // 2)
                old = rf"(?<![^.])blocks\.{stage}\.{i}\.{name}\."
                renames.append((old, f"features.{number}.conv.{inner}."))
    # The names of the stem's and the head's norm occur in blocks, too: blocks come first.
    return renames[4:] + renames[:4]


class MobileNetV2(Body, kw_only=True):
    """MobileNetV2 of width 1.

    V1 takes the place of the first stages, as far as a quarter of the image's resolution, V2 that
    of one more (jaxbio's analogies). Blocks keep their published numbers.

    Attributes:
        small: whether the first convolution and the second stage keep the resolution, for images
            of 32 pixels.
        dropout: rate of the classifier's dropout, which acts in training only.

    Reference:
        Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
        arXiv:1801.04381.
    """

    small: bool = False
    dropout: float = 0.2

    default_activation: ClassVar[str] = "relu6"
    blocks: ClassVar[str] = r"block\d+"
    torch_renames: ClassVar[Sequence[tuple[str, str]]] = _timm_renames()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits and the endpoints block1..17, features, penultimate (features' mean)."""
        block = nn.remat(InvertedResidual, static_argnums=(2,)) if self.remat else InvertedResidual
        first = _FIRST_STAGE[self.after]
        endpoints = {}
        if self.after == "image":
            stride = 1 if self.small else 2
            x = ConvNorm(32, 3, stride, dtype=self.dtype, name="features_0")(x, train)
            x = self.act(name="act0")(x)
        number = 1 + sum(blocks for _, _, blocks, _ in _STAGES[:first])
        for stage in range(first, len(_STAGES)):
            expansion, features, blocks, stride = _STAGES[stage]
            keeps = self.small and stage == 1
            for i in range(blocks):
                step, name = 1 if keeps or i else stride, f"features_{number}"
                x = block(features, expansion, step, self.act, self.dtype, name=name)(x, train)
                endpoints[f"block{number}"] = x
                number += 1
        x = ConvNorm(1280, dtype=self.dtype, name=f"features_{number}")(x, train)
        endpoints["features"] = self.act(name=f"act{number}")(x)
        endpoints["penultimate"] = global_avg_pool(endpoints["features"])
        x = nn.Dropout(self.dropout, deterministic=not train, name="classifier_0")(
            endpoints["penultimate"]
        )
        logits = NormalLinear(self.num_classes, dtype=self.dtype, name="classifier_1")(x)
        logits = logits.astype(jnp.float32)
        return logits, endpoints | {"logits": logits}
