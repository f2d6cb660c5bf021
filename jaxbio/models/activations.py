"""Activations by name: the one place where a network's nonlinearity is chosen.

A network holds the name; ``make(name)`` returns a factory, and every site calls
``factory(name="act1")(x)`` with a name of its own, so that an activation may hold parameters.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.ops.response import raa, raa2


class Elementwise(nn.Module):
    """An activation without parameters.

    Attributes:
        unit: element by element.
    """

    unit: Callable[[jax.Array], jax.Array]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the unit to ``x`` of any shape."""
        return self.unit(x)


class ResponseAdaptive(nn.Module):
    """An activation whose threshold is shifted by what it reads.

    Shifts start at zero, so that the unit starts as GELU or ReLU.

    The shifts are offered to the collection ``"shifts"``: with ``mutable=["shifts"]`` in ``apply``
    they come out under the module's path.

    Attributes:
        unit: :func:`jaxbio.ops.response.raa` or :func:`~jaxbio.ops.response.raa2`.
        shift: ``"token"``: one shift per token or pixel, ``w.x + b`` over the features;
            ``"simple"``: one learned number for all; ``"elementwise"``: a shift for every feature,
            ``W x + b`` with a full matrix.

    Reference:
        Qiu et al. 2024, "Dynamic Neural Response Tuning", ICLR 2024.
    """

    unit: Callable[[jax.Array, jax.Array], jax.Array]
    shift: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the unit to ``x`` ``[..., C]``; same shape and dtype."""
        if self.shift == "simple":
            shift = self._row("shift", 1, x.ndim)
        else:
            features = x.shape[-1]
            outputs = 1 if self.shift == "token" else features
            kernel = self.param(
                "shift_kernel", nn.initializers.zeros, (features, outputs), jnp.float32
            )
            shift = jnp.matmul(x, kernel.astype(x.dtype), preferred_element_type=jnp.float32)
            shift = shift + self._row("shift_bias", outputs, x.ndim)
        if not self.is_initializing():
            self.sow("shifts", "value", shift)
        return self.unit(x, shift)

    def _row(self, name: str, features: int, ndim: int) -> jax.Array:
        """A vector of parameters, with the rank of the maps."""
        row = self.param(name, nn.initializers.zeros, (features,), jnp.float32)
        return row.reshape((1,) * (ndim - 1) + (features,))


_ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "relu": partial(Elementwise, nn.relu),
    "gelu": partial(Elementwise, partial(nn.gelu, approximate=False)),  # not the tanh form
    "raa": partial(ResponseAdaptive, raa, "token"),
    "raa_simple": partial(ResponseAdaptive, raa, "simple"),
    "raa_elementwise": partial(ResponseAdaptive, raa, "elementwise"),
    "raa2": partial(ResponseAdaptive, raa2, "token"),
    "raa2_simple": partial(ResponseAdaptive, raa2, "simple"),
    "raa2_elementwise": partial(ResponseAdaptive, raa2, "elementwise"),
    "relu6": partial(Elementwise, nn.relu6),
}


def list_activations() -> list[str]:
    """Names that :func:`make` knows."""
    return list(_ACTIVATIONS)


def make(name: str) -> Callable[..., nn.Module]:
    """The factory of an activation module.

    Args:
        name: one of :func:`list_activations`: ``"relu"``, ``"relu6"``, ``"gelu"``, or a
            response-adaptive one: ``"raa"`` (starts as GELU) or ``"raa2"`` (starts as ReLU), alone
            or with ``"_simple"`` or ``"_elementwise"``, see :class:`ResponseAdaptive`.

    Returns:
        A callable that takes ``name=`` (the module's name at its site) and returns the module.

    Raises:
        InputError: (a ValueError) if the name is unknown.
    """
    if name not in _ACTIVATIONS:
        raise InputError(f"unknown activation {name!r}; valid: {', '.join(list_activations())}")
    return _ACTIVATIONS[name]
