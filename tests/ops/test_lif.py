"""One step of the neurons, worked out by hand; plasticity of one synapse."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.ops import lif, stdp

PARAMETERS = lif.LIFParameters(decay=0.5, refractory=2, theta_plus=1.0, theta_decay=0.5)


def _state(v, refractory=0, theta=0.0):
    return lif.LIFState(jnp.array([v]), jnp.array([refractory]), jnp.array([theta]))


def test_decays_towards_rest_and_integrates():
    state, spikes = lif.step(_state(-61.0), jnp.array([3.0]), PARAMETERS)
    assert spikes[0] == 0
    assert state.v[0] == -65 + 0.5 * 4 + 3


def test_spikes_at_the_threshold_resets_and_adapts():
    state, spikes = lif.step(_state(-65.0, theta=2.0), jnp.array([14.0]), PARAMETERS)
    assert spikes[0] == 1  # -51 is at -52 + 0.5 * 2
    assert (state.v[0], state.refractory[0], state.theta[0]) == (-65, 2, 2)
    _, spikes = lif.step(_state(-65.0, theta=2.0), jnp.array([13.9]), PARAMETERS)
    assert spikes[0] == 0


def test_no_input_in_the_refractory_steps():
    currents = jnp.full((6, 1), 20.0)
    _, spikes = lif.run(_state(-65.0), currents, PARAMETERS, adapt=False)
    np.testing.assert_array_equal(spikes[:, 0], [1, 0, 0, 1, 0, 0])


def test_no_lower_bound_and_no_adaptation_when_frozen():
    state, _ = lif.step(_state(-65.0, theta=2.0), jnp.array([-500.0]), PARAMETERS, adapt=False)
    assert (state.v[0], state.theta[0]) == (-565, 2)


@pytest.mark.parametrize("tau", [1.0, 20.0, 1e6])
def test_decay_factor_is_correctly_rounded(tau):
    assert abs(float(lif.decay_factor(tau)) - np.exp(-1 / tau)) <= np.spacing(np.float32(1))


def test_traces_are_set_not_added():
    trace = stdp.update_trace(jnp.array([0.8, 0.8]), jnp.array([1.0, 0.0]), 0.5)
    np.testing.assert_allclose(trace, [1.0, 0.4])


def test_excitatory_clamps_once_after_both_terms():
    rates = {"depression_rate": 0.1, "potentiation_rate": 0.2}
    one = jnp.ones(3)
    weights = stdp.excitatory(jnp.array([0.05, 0.5, 0.95]), one, one, **rates)
    np.testing.assert_allclose(weights, [0.15, 0.6, 1.0], rtol=1e-6)


def test_competition_changes_rows_and_columns_of_spiking_neurons():
    weights = stdp.competition(
        jnp.full((2, 2), -10.0),
        jnp.array([1.0, 0.0]),
        jnp.array([1.0, 0.5]),
        jnp.array([1.0, 0.25]),
        a_pos=-0.4,
        a_neg=-2.0,
        weight_decay=0.0,
        lowest=-11.0,
        highest=0.0,
    )
    # (0, 0): +0.4 - 2, clamped; (0, 1): +0.1; (1, 0): -1; (1, 1): nothing
    np.testing.assert_allclose(weights, [[-11.0, -9.9], [-11.0, -10.0]], rtol=1e-6)


def test_normalise_leaves_zero_sums():
    weights = stdp.normalise_weights(jnp.array([[1.0, 0.0], [3.0, 0.0]]), 2.0, axis=0)
    np.testing.assert_allclose(weights, [[0.5, 0.0], [1.5, 0.0]])
