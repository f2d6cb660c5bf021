"""AlexNet, whole or as the part behind a V1 or a V1 + V2 front-end."""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.models.body import Body
from jaxbio.models.layers import Linear, TorchConv, adaptive_avg_pool, max_pool

# Input: (features, kernel, stride, padding) per convolution; "pool" is a 3x3 max-pool of stride 2.
_LAST: tuple[Any, ...] = ((384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1), "pool")
_FEATURES = {
    "image": ((64, 11, 4, 2), "pool", (192, 5, 1, 2), "pool", *_LAST),
    "v1": ((192, 5, 2, 2), "pool", *_LAST),
    "v2": _LAST,
}


class AlexNet(Body, kw_only=True):
    """AlexNet as torchvision has it ("one weird trick" widths).

    After V1 it starts with a 5x5 convolution of stride 2 and pads its pools by 1 (as VOneNet's);
    after V2 it starts at the third convolution. Behind a front-end the average pool is 7x7
    instead of 6x6.

    Attributes:
        dropout: rate of the classifier's two dropouts, which act in training only.
        remat: accepted for uniformity; AlexNet has no blocks worth recomputing.

    Reference:
        Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks",
        arXiv:1404.5997.
    """

    dropout: float = 0.5

    v2_channels: ClassVar[int] = 192
    blocks: ClassVar[str] = r"pool\d"
    map_linear: ClassVar[tuple[str, int]] = ("classifier_1", 256)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits and the endpoints pool1.., features, avgpool, fc1, fc2, penultimate.

        fc1 and fc2 are the linear layers' outputs before their activation; penultimate is fc2.
        """
        endpoints = {}
        index, pools = 0, 0
        for layer in _FEATURES[self.after]:
            if layer == "pool":
                x = max_pool(x, 3, 2, padding=1 if self.after == "v1" else 0)
                index, pools = index + 1, pools + 1
                endpoints[f"pool{pools}"] = x
                continue
            features, kernel, stride, padding = layer
            name = f"features_{index}"
            x = TorchConv(features, kernel, stride, padding, dtype=self.dtype, name=name)(x)
            x = self.act(name=f"features_{index + 1}")(x)
            index += 2
        endpoints["features"] = x
        x = adaptive_avg_pool(x, 6 if self.after == "image" else 7)
        endpoints["avgpool"] = x
        x = x.reshape(x.shape[0], -1)
        for i, index in ((1, 1), (2, 4)):
            x = nn.Dropout(self.dropout, deterministic=not train, name=f"classifier_{index - 1}")(x)
            x = Linear(4096, dtype=self.dtype, name=f"classifier_{index}")(x)
            endpoints[f"fc{i}"] = x
            x = self.act(name=f"classifier_{index + 1}")(x)
        logits = Linear(self.num_classes, dtype=self.dtype, name="classifier_6")(x)
        logits = logits.astype(jnp.float32)
        return logits, endpoints | {"penultimate": endpoints["fc2"], "logits": logits}
