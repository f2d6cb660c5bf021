"""SqueezeNets, whole or as the part behind a V1 or a V1 + V2 front-end."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.models.body import Body
from jaxbio.models.layers import Conv, global_avg_pool, kaiming_uniform_fan_in, max_pool

_Conv = partial(Conv, use_bias=True, kernel_init=kaiming_uniform_fan_in)

# Version: stem (features, kernel), then stages of squeeze widths; a 3x3 max-pool of stride 2 with
# ceil mode precedes every stage.
_VERSIONS = {
    "1_0": ((96, 7), ((16, 16, 32), (32, 48, 48, 64), (64,))),
    "1_1": ((64, 3), ((16, 16), (32, 32), (48, 48, 64, 64))),
}


class Fire(nn.Module):
    """1x1 convolution to ``squeeze`` channels, then 1x1 and 3x3 side by side, 4 x squeeze each."""

    squeeze: int
    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H, W, 8 * squeeze]``."""

        def conv(features: int, kernel: int, name: str, x: jax.Array) -> jax.Array:
            x = _Conv(features, kernel, dtype=self.dtype, name=name)(x)
            return self.act(name=f"{name}_activation")(x)

        x = conv(self.squeeze, 1, "squeeze", x)
        expanded = [conv(4 * self.squeeze, k, f"expand{k}x{k}", x) for k in (1, 3)]
        return jnp.concatenate(expanded, axis=-1)


class SqueezeNet(Body, kw_only=True):
    """SqueezeNet 1.0 or 1.1.

    Behind a front-end (jaxbio's analogy to the published back-ends) V1 takes the place of the stem
    and its pool, V2 that of the first stage and the pool after it; modules are numbered from 0.

    Attributes:
        version: ``"1_0"`` or ``"1_1"``.
        dropout: rate of the classifier's dropout, which acts in training only.

    Reference:
        Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and
        <0.5MB model size", arXiv:1602.07360.
    """

    version: str
    dropout: float = 0.5

    blocks: ClassVar[str] = r"pool\d"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits and the endpoints pool*, features, penultimate (features' mean)."""
        fire = nn.remat(Fire) if self.remat else Fire
        (features, kernel), stages = _VERSIONS[self.version]
        endpoints = {}
        index = 0
        if self.after == "image":
            x = _Conv(features, kernel, 2, 0, dtype=self.dtype, name="features_0")(x)
            x = self.act(name="features_1")(x)
            index = 2
        first_stage = 1 if self.after == "v2" else 0
        for stage in range(first_stage, len(stages)):
            if self.after == "image" or stage > first_stage:
                x = max_pool(x, 3, 2, ceil_mode=True)
                index += 1
                endpoints[f"pool{stage + 1}"] = x
            for squeeze in stages[stage]:
                x = fire(squeeze, self.act, self.dtype, name=f"features_{index}")(x)
                index += 1
        endpoints["features"] = x
        endpoints["penultimate"] = global_avg_pool(x)
        x = nn.Dropout(self.dropout, deterministic=not train, name="classifier_0")(x)
        init = nn.initializers.normal(0.01)
        x = _Conv(self.num_classes, 1, kernel_init=init, dtype=self.dtype, name="classifier_1")(x)
        logits = global_avg_pool(self.act(name="classifier_2")(x)).astype(jnp.float32)
        return logits, endpoints | {"logits": logits}
