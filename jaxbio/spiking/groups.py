"""What the fast programs share: positions as groups of neurons, spikes as bits, spike clocks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxbio.spiking.network import Network

Array = jax.Array


def see(network: Network, words: Array) -> Array:
    """X's spikes as positions see them.

    Args:
        network: static.
        words: uint32 ``[N, W, pixels]``, spikes as bits, see :func:`jaxbio.ops.encoding.pack`.

    Returns:
        uint32 ``[N, positions, W, window]``.
    """
    windows = jnp.swapaxes(words[:, :, network.window_pixels()], 1, 2)
    # Without the barrier every bit would be gathered by itself.
    return jax.lax.optimization_barrier(windows)


def as_floats(words: Array) -> Array:
    """The bits of uint32 words ``[..., W, K]`` as 0.0 and 1.0, ``[..., 32 W, K]``."""
    places = jnp.arange(32, dtype=jnp.uint32).reshape(*(1,) * (words.ndim - 1), 32, 1)
    bits = (words[..., None, :] >> places) & 1
    return bits.astype(jnp.float32).reshape(*words.shape[:-2], -1, words.shape[-1])


def at(series: Array, step: Array) -> Array:
    """``series[:, step]`` of ``[G, T, ...]``."""
    return jax.lax.dynamic_index_in_dim(series, step, 1, keepdims=False)


class Clock(NamedTuple):
    """A neuron's spikes so far and the time since the last one, in one int32.

    The lowest bits are a clock that a spike sets and that runs down; the others count spikes. One
    array then has to be read and written per step instead of three.
    """

    refractory: int

    @property
    def bits(self) -> int:
        """Of the clock."""
        return (self.refractory + 1).bit_length()

    @property
    def after_first_spike(self) -> int:
        """Of a neuron that fires for the first time in this step."""
        return (1 << self.bits) + self.refractory + 1

    def _time(self, ticks: Array) -> Array:
        return ticks & ((1 << self.bits) - 1)

    def just_fired(self, ticks: Array) -> Array:
        """Whether the neuron fired in the step before."""
        return self._time(ticks) == self.refractory + 1

    def waiting(self, ticks: Array) -> Array:
        """Whether the neuron is refractory and ignores its input."""
        return self._time(ticks) > 1

    def tick(self, ticks: Array, fired: Array) -> Array:
        """After a step in which the neurons ``fired``."""
        time = self._time(ticks)
        return jnp.where(fired, ticks - time + self.after_first_spike, ticks - jnp.minimum(time, 1))

    def spikes(self, ticks: Array) -> Array:
        """Spikes so far."""
        return ticks >> self.bits
