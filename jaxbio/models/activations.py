"""Activations by name: the one place where a network's nonlinearity is chosen.

A network holds the name; ``make(name)`` returns a factory, and every site calls
``factory(name="act1")(x)`` with a name of its own, so that an activation may hold parameters.
"""

from collections.abc import Callable

import flax.linen as nn
import jax

from jaxbio.errors import InputError


class ReLU(nn.Module):
    """Rectified linear unit, ``max(x, 0)``."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Rectifies ``x``, element by element."""
        return nn.relu(x)


class GELU(nn.Module):
    """Gaussian error linear unit with the error function, ``x * Phi(x)`` (not the tanh form)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the unit element by element."""
        return nn.gelu(x, approximate=False)


_ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {"relu": ReLU, "gelu": GELU}


def list_activations() -> list[str]:
    """Names that :func:`make` knows."""
    return sorted(_ACTIVATIONS)


def make(name: str) -> Callable[..., nn.Module]:
    """The factory of an activation module.

    Args:
        name: ``"relu"`` or ``"gelu"``.

    Returns:
        A callable that takes ``name=`` (the module's name at its site) and returns the module.

    Raises:
        InputError: (a ValueError) if the name is unknown.
    """
    if name not in _ACTIVATIONS:
        raise InputError(f"unknown activation {name!r}; valid: {', '.join(list_activations())}")
    return _ACTIVATIONS[name]
