"""CORnet-Z: four areas, no recurrence."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.models.cornet import AREAS, XAVIER, CORnet, areas_after, keep_operations
from jaxbio.models.layers import Conv, max_pool


class FeedforwardArea(nn.Module):
    """Convolution, activation, max-pool 3x3 of stride 2."""

    features: int
    kernel: int
    stride: int
    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H / (2 stride), W / (2 stride), features]``."""
        size = self.features, self.kernel, self.stride
        x = Conv(*size, use_bias=True, dtype=self.dtype, **XAVIER, name="conv")(x)
        active = self.act(name="act")(x)
        pooled = max_pool(active, 3, 2, 1)
        outputs = {"conv": x, "nonlin": active, "pool": pooled, "output": pooled}
        keep_operations(self, "once", outputs)
        return pooled


class CORnetZ(CORnet, kw_only=True):
    """CORnet-Z, the feedforward one: one convolution per area, one time step.

    Behind a front-end (jaxbio's analogy) V1, or V1 and V2, take the place of its areas.

    Attributes:
        readout: ``"last"``, or ``"all"`` for a time axis (of one step) in ``endpoints["logits"]``.

    Reference:
        Kubilius et al. 2018, "CORnet: Modeling the Neural Mechanisms of Core Object Recognition",
        doi:10.1101/408385.
    """

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits ``[B, num_classes]`` and the endpoints V1, V2, V4, IT, avgpool,...

        Areas are ``[1, B, H, W, C]``. The rest is the decoder's, see
        :class:`jaxbio.models.cornet.Decoder`.
        """
        del train
        area = nn.remat(FeedforwardArea) if self.remat else FeedforwardArea
        endpoints = {}
        for name in areas_after(self.after):
            kernel, stride = (7, 2) if name == "V1" else (3, 1)
            x = area(AREAS[name], kernel, stride, self.act, self.dtype, name=name)(x)
            endpoints[name] = x[None]
        return self.decode(x[None], endpoints, **XAVIER)
