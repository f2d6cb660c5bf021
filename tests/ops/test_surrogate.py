"""Surrogate spikes: a step forwards, the stated derivative backwards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.ops.surrogate import make_surrogate

X = jnp.array([-2.0, -0.3, -0.01, 0.0, 0.2, 1.0])
DERIVATIVES = {
    "fast_sigmoid": lambda x, k: 1 / (1 + k * np.abs(x)) ** 2,
    "arctan": lambda x, k: 1 / (1 + (np.pi / 2 * k * x) ** 2),
    "straight_through": lambda x, k: np.abs(k * x) <= 1,
}


@pytest.mark.parametrize("slope", [0.5, 4.0])
@pytest.mark.parametrize("name", DERIVATIVES)
def test_step_and_derivative(name, slope):
    spike = make_surrogate(name, slope)
    spikes, pull_back = jax.vjp(spike, X)
    np.testing.assert_array_equal(spikes, [0, 0, 0, 1, 1, 1])
    expected = DERIVATIVES[name](np.asarray(X, np.float64), slope)
    np.testing.assert_allclose(pull_back(jnp.ones(6))[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("sigmoid",), "unknown surrogate 'sigmoid': use fast"), (("arctan", 0.0), "slope=0.0")],
)
def test_errors(arguments, message):
    with pytest.raises(InputError, match=message):
        make_surrogate(*arguments)
