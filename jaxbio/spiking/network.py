"""Shapes and constants of spiking networks: locally connected, convolutional, fully connected.

A network has an input of ``crop x crop`` pixels (X) and ``filters`` neurons at each of
``positions`` places (Y). Every position sees a window of ``kernel x kernel`` pixels; in ``c``
networks all positions share their weights, an ``fc`` network has one window as large as the input.
Only weights inside windows are stored: ``[positions, kernel*kernel, filters]``, with one position
where they are shared. Y neurons compete through lateral weights: a constant ``c_w`` between the
filters of one position, or a trained matrix.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError
from jaxbio.ops.lif import LIFParameters, decay_factor
from jaxbio.ops.stdp import normalise_weights
from jaxbio.options import check_key, keys
from jaxbio.spiking.settings import Numbers, Shape

Array = jax.Array


@dataclass(frozen=True)
class Network(Shape):
    """What decides the shapes; hashable, so that it can be a static argument of jitted functions.

    Its fields are those of :class:`jaxbio.spiking.settings.Shape`.

    Raises:
        InputError: windows that do not tile the input, or a field out of its range.

    Example:
        >>> Network(kind="lc", filters=25).positions
        9
    """

    def __post_init__(self) -> None:
        for name, key in keys(Shape).items():
            check_key(key, getattr(self, name), f"spiking.{name}")
        if self.kind == "fc" and self.kernel != self.crop:
            raise InputError(
                f"spiking.kernel={self.kernel}: an fc network sees all of "
                f"spiking.crop={self.crop}; set both to the same"
            )
        if self.kernel > self.crop or (self.crop - self.kernel) % self.stride:
            raise InputError(
                f"spiking.kernel={self.kernel} with spiking.stride={self.stride} does not tile "
                f"spiking.crop={self.crop}: crop - kernel must be a multiple of stride"
            )

    @property
    def side(self) -> int:
        """Positions along one side."""
        return (self.crop - self.kernel) // self.stride + 1

    @property
    def positions(self) -> int:
        """Number of windows."""
        return self.side**2

    @property
    def window(self) -> int:
        """Pixels in a window."""
        return self.kernel**2

    @property
    def pixels(self) -> int:
        """Pixels of the input."""
        return self.crop**2

    @property
    def neurons(self) -> int:
        """Number of Y neurons."""
        return self.filters * self.positions

    @property
    def shared(self) -> bool:
        """Whether all positions have the same weights."""
        return self.kind == "c"

    def window_pixels(self) -> np.ndarray:
        """int32 ``[positions, window]``: the pixel (row-major) at every place of every window."""
        starts = np.arange(self.side) * self.stride
        corner = (starts[:, None] * self.crop + starts).reshape(-1, 1)
        offsets = np.arange(self.kernel)
        inside = (offsets[:, None] * self.crop + offsets).reshape(1, -1)
        return (corner + inside).astype(np.int32)

    def same_position(self) -> np.ndarray:
        """Bool ``[neurons, neurons]``: pairs of different filters at one position, where the
        published locally connected network keeps trained competition.
        """
        position = np.arange(self.neurons) % self.positions
        same = position[:, None] == position[None, :]
        return same & ~np.eye(self.neurons, dtype=bool)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Parameters(Numbers):
    """Numbers of a network; arrays when traced, so that one program serves all values.

    :class:`jaxbio.spiking.settings.Numbers` has their meanings, units and ranges.
    """

    def lif(self, network: Network) -> LIFParameters:
        """The neurons' constants."""
        return LIFParameters(
            rest=self.rest,
            reset=self.rest,
            threshold=self.threshold,
            decay=decay_factor(self.tau_v, network.dt),
            refractory=network.refractory,
            theta_plus=self.theta_plus,
            theta_decay=decay_factor(self.tau_theta, network.dt),
        )


class Weights(NamedTuple):
    """Everything that learns.

    Attributes:
        xy: ``[positions, window, filters]`` (``[1, ...]`` if shared), normally in [0, 1].
        theta: ``[positions, filters]``, adaptive thresholds, mV.
        yy: trained competition ``[neurons, neurons]`` (source, target), mV, in the published order
            of neurons (``filter * positions + position``); None where competition is fixed.
    """

    xy: Array
    theta: Array
    yy: Array | None = None


def initial_weights(network: Network, parameters: Parameters, key: Array) -> Weights:
    """Uniform weights as published; keyed.

    Windows of ``lc`` and ``fc`` networks are normalised, those of ``c`` networks only after their
    first image. Trained competition starts at ``c_w`` times uniform numbers in (0, 1) between the
    filters of a position (``lc``), at ``c_w`` for ``c`` and ``fc``, and is clamped.
    """
    key_xy, key_yy = jax.random.split(key)
    places = 1 if network.shared else network.positions
    xy = jax.random.uniform(key_xy, (places, network.window, network.filters))
    if not network.shared:
        xy = normalise_weights(xy, parameters.mean_weight * network.window, axis=1)
    theta = jnp.zeros((network.positions, network.filters))
    if not network.trained_competition:
        return Weights(xy, theta)
    yy = jnp.asarray(network.same_position(), jnp.float32) * parameters.c_w
    if network.kind == "lc":
        yy = yy * jax.random.uniform(key_yy, yy.shape)
    return Weights(xy, theta, jnp.clip(yy, parameters.c_w_min, parameters.c_w_max))


def published_order(values: Array) -> Array:
    """``[..., positions, filters]`` to ``[..., neurons]``: ``filter * positions + position``."""
    swapped = jnp.swapaxes(values, -1, -2)
    return swapped.reshape(*swapped.shape[:-2], -1)


def from_published_order(values: Any, network: Network) -> Array:
    """``[..., neurons]`` in published order to ``[..., positions, filters]``."""
    values = jnp.asarray(values)
    split = values.reshape(*values.shape[:-1], network.filters, network.positions)
    return jnp.swapaxes(split, -1, -2)
