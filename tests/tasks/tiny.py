"""A model small enough to compile in a second, with everything that a step has to carry."""

import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxbio.models.layers import BatchNorm


class Tiny(nn.Module):
    """Convolution with fixed filters, BatchNorm, dropout, linear classifier."""

    num_classes: int = 10
    dropout: float = 0.1
    batch_norm: bool = True
    blocks: ClassVar[str] = ""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False):
        kernel = self.variable(
            "constants", "fixed", nn.initializers.normal(0.2), jax.random.key(7), (3, 3, 3, 8)
        )
        x = jax.lax.conv_general_dilated(
            x, kernel.value, (4, 4), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = nn.Conv(16, (3, 3), use_bias=False, name="conv")(x)
        if self.batch_norm:
            x = BatchNorm(name="bn")(x, train)
        x = nn.relu(x).reshape(len(x), -1)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        logits = nn.Dense(self.num_classes, name="fc")(x)
        return logits, {"logits": logits}


@functools.partial(jax.jit, static_argnames=("size", "image_size"))
def batch(size: int = 16, seed: int = 0, image_size: int = 32) -> dict[str, jax.Array]:
    """Images whose brightness tells the class."""
    label_key, noise_key = jax.random.split(jax.random.key(seed))
    labels = jax.random.randint(label_key, (size,), 0, 10)
    noise = jax.random.uniform(noise_key, (size, image_size, image_size, 3), maxval=60.0)
    images = (20.0 * labels.reshape(-1, 1, 1, 1) + noise).astype(jnp.uint8)
    return {
        "image": images,
        "label": labels.astype(jnp.int32),
        "index": jnp.arange(size, dtype=jnp.int32),
        "mask": jnp.ones(size, bool),
    }
