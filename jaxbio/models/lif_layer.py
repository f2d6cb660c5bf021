"""Spiking neurons as a flax layer, trainable by backpropagation through time."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.ops import lif
from jaxbio.ops.surrogate import make_surrogate


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons: currents of all time steps in, their spikes out.

    The dynamics are those of :func:`jaxbio.ops.lif.step`, the same as in the networks that learn by
    STDP, with rest and reset at 0. Neurons start at rest. Gradients go through the potential and,
    in place of the step's derivative, a surrogate; not through the reset.

    Attributes:
        tau: time constant of the potential, in steps, > 0.
        threshold: potential that makes a spike, > 0.
        refractory: steps after a spike in which input is ignored.
        theta_plus: rise of the threshold per spike, within one presentation; 0: not adaptive.
        tau_theta: time constant of that rise's decay, in steps.
        surrogate: ``"fast_sigmoid"``, ``"arctan"`` or ``"straight_through"``.
        slope: of the surrogate; None takes its default.

    Reference:
        Neftci, Mostafa and Zenke 2019, "Surrogate Gradient Learning in Spiking Neural Networks",
        doi:10.1109/MSP.2019.2931595.

    Example:
        >>> layer = LIF(tau=5.0)
        >>> layer.apply({}, jnp.full((4, 1, 3), 0.6))[:, 0, 0]  # spikes at the second step
        Array([0., 1., 0., 1.], dtype=float32)
    """

    tau: float = 2.0
    threshold: float = 1.0
    refractory: int = 0
    theta_plus: float = 0.0
    tau_theta: float = 100.0
    surrogate: str = "arctan"
    slope: float | None = None

    @nn.compact
    def __call__(self, currents: jax.Array) -> jax.Array:
        """Maps currents ``[T, B, ...]`` to spikes 0.0 or 1.0 of the same shape and dtype.

        Raises:
            InputError: constants that are not positive, an unknown surrogate, input without time.
        """
        if min(self.tau, self.threshold, self.tau_theta) <= 0 or self.refractory < 0:
            raise InputError(
                f"LIF with tau={self.tau}, threshold={self.threshold}, tau_theta={self.tau_theta}, "
                f"refractory={self.refractory}: the last may be 0, the others must be positive"
            )
        if currents.ndim < 2:
            raise InputError(f"currents of shape {currents.shape}: give [T, B, ...], time first")
        parameters = lif.LIFParameters(
            rest=0.0,
            reset=0.0,
            threshold=self.threshold,
            decay=lif.decay_factor(self.tau),
            refractory=self.refractory,
            theta_plus=self.theta_plus,
            theta_decay=lif.decay_factor(self.tau_theta),
        )
        _, spikes = lif.run(
            lif.initial_state(jnp.zeros(currents.shape[1:], jnp.float32), parameters),
            currents.astype(jnp.float32),
            parameters,
            adapt=self.theta_plus > 0,
            spike=make_surrogate(self.surrogate, self.slope),
        )
        return spikes.astype(currents.dtype)
