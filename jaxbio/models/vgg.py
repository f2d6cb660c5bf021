"""VGG networks, whole or as the part behind a V1 or a V1 + V2 front-end."""

from collections.abc import Sequence
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.models.body import Body
from jaxbio.models.layers import BatchNorm, Conv, NormalLinear, adaptive_avg_pool, max_pool

# Depth: number of 3x3 convolutions in each of the five stages.
_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


class VGG(Body, kw_only=True):
    """VGG-11, 13, 16 or 19, with or without BatchNorm.

    Behind a front-end it starts at its third stage: V1 brings 224 px to 56x56, the resolution at
    which the plain network's third stage works, and V2 takes the place of one pooling more. (The
    published case is VGG-19-BN after V2; V1 alone is jaxbio's analogy.) Pools keep the stage's
    number in the endpoints; convolutions are numbered from 0, as in the published network.

    Attributes:
        depth: 11, 13, 16 or 19.
        batch_norm: whether a BatchNorm follows each convolution.
        dropout: rate of the classifier's two dropouts, which act in training only.

    Reference:
        Simonyan and Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image
        Recognition", arXiv:1409.1556.
    """

    depth: int
    batch_norm: bool = False
    dropout: float = 0.5

    blocks: ClassVar[str] = r"pool\d"
    map_linear: ClassVar[tuple[str, int]] = ("classifier_0", 512)
    torch_renames: ClassVar[Sequence[tuple[str, str]]] = (  # timm's, whose layers are convolutions
        (r"(?<![^.])pre_logits\.fc1\.", "classifier.0."),
        (r"(?<![^.])pre_logits\.fc2\.", "classifier.3."),
    )

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits and the endpoints pool1..5, features, avgpool, fc1, fc2, penultimate.

        fc1 and fc2 are the linear layers' outputs before their activation; penultimate is fc2.
        """
        endpoints = {}
        index = 0
        run_stage = nn.remat(VGG._stage, static_argnums=(2, 3, 4)) if self.remat else VGG._stage
        for stage in range(0 if self.after == "image" else 2, 5):
            x = run_stage(self, x, stage, index, train)
            index += _DEPTHS[self.depth][stage] * (3 if self.batch_norm else 2) + 1
            endpoints[f"pool{stage + 1}"] = x
        endpoints["features"] = x
        x = adaptive_avg_pool(x, 7)
        endpoints["avgpool"] = x
        x = x.reshape(x.shape[0], -1)
        for i, index in ((1, 0), (2, 3)):
            x = NormalLinear(4096, dtype=self.dtype, name=f"classifier_{index}")(x)
            endpoints[f"fc{i}"] = x
            x = self.act(name=f"classifier_{index + 1}")(x)
            x = nn.Dropout(self.dropout, deterministic=not train, name=f"classifier_{index + 2}")(x)
        logits = NormalLinear(self.num_classes, dtype=self.dtype, name="classifier_6")(x)
        logits = logits.astype(jnp.float32)
        return logits, endpoints | {"penultimate": endpoints["fc2"], "logits": logits}

    def _stage(self, x: jax.Array, stage: int, index: int, train: bool) -> jax.Array:
        """One stage: convolutions, the first at torchvision's ``features.<index>``, pool."""
        for _ in range(_DEPTHS[self.depth][stage]):
            name = f"features_{index}"
            x = Conv(_WIDTHS[stage], 3, use_bias=True, dtype=self.dtype, name=name)(x)
            index += 1
            if self.batch_norm:
                x = BatchNorm(dtype=self.dtype, name=f"features_{index}")(x, train)
                index += 1
            x = self.act(name=f"features_{index}")(x)
            index += 1
        return max_pool(x, 2, 2)
