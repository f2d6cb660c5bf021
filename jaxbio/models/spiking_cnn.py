"""Convolutional networks whose nonlinearity is a spiking neuron.

Nothing in a feed-forward network depends on a later layer, so that each layer sees all time steps
before the next one starts: convolutions and norms take time as part of the batch, and only the
neurons scan it. Hence any body of this package runs as a spiking network, unchanged.
"""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.models import activations
from jaxbio.models.bodies import find_body
from jaxbio.models.body import Body
from jaxbio.models.layers import BatchNorm, Conv, Linear, global_avg_pool
from jaxbio.models.lif_layer import LIF

_SMALL = "small"
_AFTER_TIME = ("logits", "penultimate")  # endpoints that are means over time


class FoldedLIF(nn.Module):
    """The layer :class:`LIF` for maps that have time folded into their batch.

    Attributes:
        neuron: fields of :class:`LIF`.
    """

    steps: int
    neuron: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[T B, ...]`` to spikes of the same shape; time is the slower index."""
        spikes = LIF(**dict(self.neuron), name="lif")(x.reshape(self.steps, -1, *x.shape[1:]))
        return spikes.reshape(x.shape)


class SmallCNN(Body, kw_only=True):
    """Three convolutions of stride 2 with norms and activations, average pool, linear.

    Attributes:
        after: unused; takes any input.
        width: channels of the first convolution, doubled by each of the next.
        remat: accepted for uniformity; there are no blocks worth recomputing.
    """

    width: int = 32

    blocks: ClassVar[str] = r"layer\d"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits and the endpoints layer1, layer2, layer3, penultimate, logits."""
        endpoints = {}
        for number in (1, 2, 3):
            features = self.width << (number - 1)
            x = Conv(features, 3, 2, dtype=self.dtype, name=f"conv{number}")(x)
            x = BatchNorm(dtype=self.dtype, name=f"norm{number}")(x, train)
            x = endpoints[f"layer{number}"] = self.act(name=f"act{number}")(x)
        x = global_avg_pool(x)
        logits = Linear(self.num_classes, dtype=self.dtype, name="fc")(x).astype(jnp.float32)
        return logits, endpoints | {"penultimate": x, "logits": logits}


class SpikingCNN(Body, kw_only=True):
    """A convolutional body with LIF neurons in place of its activations.

    The image is a constant input of ``steps`` time steps: the first layer's neurons turn it into
    spikes. Logits are means over time. BatchNorm's statistics are over batch and time.

    Attributes:
        act: must be ReLU, the default: neurons take its place.
        body: ``"small"``, or the name of any feed-forward body of :func:`jaxbio.create_model`.
        tau: time constant of the neurons, in steps.
        surrogate: see :class:`jaxbio.models.lif_layer.LIF`.
        slope: of the surrogate; None takes its default.
        dtype: dtype of the computation; parameters, potentials and logits are float32.

    Reference:
        Wu et al. 2019, "Direct Training for Spiking Neural Networks: Faster, Larger, Better",
        arXiv:1809.05793 (the image as a constant current of the first layer).
    """

    body: str = _SMALL
    steps: int = 8
    tau: float = 2.0
    surrogate: str = "arctan"
    slope: float | None = None

    keeps_time: ClassVar[bool] = True

    @property
    def blocks(self) -> str:  # type: ignore[override]
        """Those of the network that spikes."""
        return self._body()[0].blocks

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits ``[B, num_classes]`` and the body's endpoints over time.

        Endpoints are ``[T, B, H, W, C]``; ``penultimate`` and ``logits`` are means over time,
        ``[B, ...]``. Maps that end in an activation hold spikes.
        """
        batch = len(x)
        x = jnp.broadcast_to(x[None], (self.steps, *x.shape)).reshape(-1, *x.shape[1:])
        _, endpoints = self._make_body()(x, train)
        over_time = {
            name: value.reshape(self.steps, batch, *value.shape[1:])
            for name, value in endpoints.items()
        }
        for name in _AFTER_TIME:
            over_time[name] = over_time[name].mean(0)
        return over_time["logits"], over_time

    def _make_body(self) -> nn.Module:
        if self.act is not activations.make("relu"):
            raise InputError(
                "a spiking network has neurons in place of its activation: leave activation='relu'"
            )
        if self.steps < 1:
            raise InputError(f"steps={self.steps} of a spiking network: at least 1")
        neuron = {"tau": self.tau, "surrogate": self.surrogate, "slope": self.slope}

        def act(name: str) -> FoldedLIF:
            return FoldedLIF(self.steps, tuple(neuron.items()), name=name)

        options = {"num_classes": self.num_classes, "dtype": self.dtype, "remat": self.remat}
        body_class, preset = self._body()
        return body_class(act=act, after=self.after, name="body", **preset, **options)

    def _body(self) -> tuple[type[Body], dict[str, Any]]:
        if self.body == _SMALL:
            return SmallCNN, {}
        body_class, preset = find_body(self.body)
        if body_class.keeps_time:
            raise InputError(f"body='{self.body}' keeps time itself: choose a feed-forward body")
        return body_class, preset
