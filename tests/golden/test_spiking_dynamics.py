"""The published program's presentations, spike by spike."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.ops.encoding import pack
from jaxbio.spiking import competition
from jaxbio.spiking.inference import respond
from jaxbio.spiking.learning import dense_program, sparse_program, stack, unstack
from jaxbio.spiking.network import Network, Parameters, Weights, from_published_order
from jaxbio.spiking.presentation import Learning, present
from tests.golden import vectors

pytestmark = pytest.mark.golden

_CASES = vectors.dynamics_cases("snn")
_OPTIONAL = {"tau_pos": "tau_pos", "tau_neg": "tau_neg", "A_pos": "a_pos", "A_neg": "a_neg"}
_OPTIONAL |= {"weight_decay": "weight_decay", "c_w_min": "c_w_min", "c_w_max": "c_w_max"}


def _network(case: dict[str, Any]) -> Network:
    return Network(
        kind=case["network"].removesuffix("_SNN").lower(),
        filters=case["n_filters"],
        kernel=case["kernel_size"],
        stride=case["stride"],
        crop=case["constructor"]["crop"],
        steps=case["constructor"]["time_max"],
        refractory=case["refrac"],
        trained_competition=bool(case["constructor"].get("c_l", False)),
    )


def _parameters(case: dict[str, Any]) -> Parameters:
    made = case["constructor"]
    optional = {ours: case[key] for key, ours in _OPTIONAL.items() if case.get(key) is not None}
    return Parameters(
        mean_weight=made["mean_weight"],
        c_w=made["c_w"],
        rest=case["rest"],
        threshold=case["thresh"],
        **optional,
    )


def _to_windows(network: Network, published: np.ndarray) -> np.ndarray:
    """Published X to Y weights, dense or shared, to ours."""
    if network.shared:
        return published.reshape(network.filters, network.window).T[None]
    dense = published.reshape(network.pixels, network.filters, network.positions)
    windows = network.window_pixels()
    return np.stack([dense[pixels, :, p] for p, pixels in enumerate(windows)])


def _unpack(bits: np.ndarray, count: int) -> np.ndarray:
    return np.unpackbits(bits, axis=-1)[..., :count].astype(bool)


def _assert_close(ours, golden, tolerance, name):
    ours, golden = np.asarray(ours, np.float64), np.asarray(golden, np.float64)
    error = np.abs(ours - golden).max() / max(1.0, np.abs(golden).max())
    assert error <= tolerance, f"{name}: {error:.2e} > {tolerance:.0e}"


@pytest.mark.parametrize("name", list(_CASES))
def test_presentations(name):
    """Every spike; weights and traces to 1e-6, thresholds 1e-4, potentials 1e-2."""
    case, golden = _CASES[name], vectors.dynamics_arrays(_CASES, name)
    network, parameters = _network(case), _parameters(case)
    weights = Weights(
        jnp.asarray(_to_windows(network, golden["w_xy_init"])),
        jnp.zeros((network.positions, network.filters)),
        jnp.asarray(golden["w_yy_init"]) if network.trained_competition else None,
    )
    x = _unpack(golden["x_spikes"], network.pixels)
    spikes = _unpack(golden["y_spikes"], network.neurons)
    run = jax.jit(present, static_argnums=(0, 4), static_argnames="record")
    phase_before = None
    for i, phase in enumerate(case["phases"]):
        learning = Learning(phase["layer_learning"], phase["xy_learning"], phase["yy_learning"])
        if phase["phase"] == "step1" and phase_before is None:
            weights = competition.fill(network, parameters, weights)
        if phase["phase"] == "step2" and phase_before == "step1":
            weights = weights._replace(yy=competition.clear(weights.yy))
        phase_before = phase["phase"]
        before = weights
        weights, recording, end = run(network, parameters, weights, x[i], learning, record=True)

        np.testing.assert_array_equal(recording.spikes, spikes[i], err_msg=f"{name} image {i}")
        np.testing.assert_array_equal(recording.counts, golden["y_counts"][i])
        _assert_close(weights.xy, _to_windows(network, golden["w_xy_after"][i]), 1e-6, "w_xy")
        assert case["phases"][i]["xy_learning"] or np.allclose(weights.xy, before.xy, atol=1e-6)
        _assert_neurons(network, golden, i, recording, end)
        if network.trained_competition:
            if "w_yy_after_run" in golden:
                _assert_close(weights.yy, golden["w_yy_after_run"][i], 1e-6, "w_yy")
            if phase["phase"] in ("train", "step2"):
                weights = competition.mask(weights, competition.allowed_pairs(network))
            if "w_yy_after_mask" in golden:
                _assert_close(weights.yy, golden["w_yy_after_mask"][i], 1e-6, "masked w_yy")


def _assert_neurons(network, golden, i, recording, end):
    _assert_close(recording.v[golden["v_steps"]], golden["v_at_steps"][i], 1e-2, "v")
    if i == 0 and "v_full_image0" in golden:
        np.testing.assert_allclose(recording.v, golden["v_full_image0"], atol=1e-2)
    np.testing.assert_allclose(recording.v[golden["v_steps"]], golden["v_at_steps"][i], atol=1e-2)

    def ours(key):
        return np.asarray(from_published_order(golden[key][i], network))

    np.testing.assert_allclose(end.lif.theta, ours("theta_after"), atol=1e-4)
    np.testing.assert_array_equal(end.lif.refractory, ours("refrac_count_last"))
    _assert_close(end.x, golden["x_trace_last"][i], 1e-6, "x trace")
    _assert_close(end.y_pre, ours("y_trace_pre_last"), 1e-6, "pre trace")
    _assert_close(end.y_post, ours("y_trace_post_last"), 1e-6, "post trace")


def _sparse_learns(case: dict[str, Any]) -> bool:
    network = _network(case)
    return not network.shared and not network.trained_competition


@pytest.mark.slow
@pytest.mark.parametrize("name", list(_CASES))
def test_dense_program(name):
    """What trains in practice: every count, then weights and thresholds."""
    _assert_fast_program(name, dense_program)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, c in _CASES.items() if _sparse_learns(c)])
def test_sparse_program(name):
    """What trains large networks in practice."""
    _assert_fast_program(name, lambda network, parameters, *_: sparse_program(network, parameters))


def _assert_fast_program(name, make_program):
    case, golden = _CASES[name], vectors.dynamics_arrays(_CASES, name)
    network, parameters = _network(case), _parameters(case)
    x = jax.vmap(pack)(_unpack(golden["x_spikes"], network.pixels))
    weights = Weights(
        jnp.asarray(_to_windows(network, golden["w_xy_init"])),
        jnp.zeros((network.positions, network.filters)),
        jnp.asarray(golden["w_yy_init"]) if network.trained_competition else None,
    )
    answer = jax.jit(respond, static_argnums=0)
    phase_before = None
    for i, phase in enumerate(case["phases"]):
        kind = phase["phase"]
        if kind == "step1" and phase_before is None:
            weights = competition.fill(network, parameters, weights)
        if kind == "step2" and phase_before == "step1":
            weights = weights._replace(yy=competition.clear(weights.yy))
        phase_before = kind
        learning = Learning(phase["layer_learning"], phase["xy_learning"], phase["yy_learning"])
        if any(learning):
            program = make_program(network, parameters, learning, kind in ("train", "step2"))
            learned, counts = jax.jit(program.show)(program.enter(stack([weights])), x[i : i + 1])
            weights = unstack(program.leave(learned))
        else:
            counts = answer(network, parameters, weights, x[i : i + 1])
        np.testing.assert_array_equal(counts[0], golden["y_counts"][i], err_msg=f"image {i}")
        _assert_close(weights.xy, _to_windows(network, golden["w_xy_after"][i]), 1e-6, "w_xy")
        theta = from_published_order(golden["theta_after"][i], network)
        np.testing.assert_allclose(weights.theta, theta, atol=1e-4)
        if "w_yy_after_mask" in golden:
            _assert_close(weights.yy, golden["w_yy_after_mask"][i], 1e-6, "masked w_yy")


def test_mask_is_the_published_one():
    for name, case in _CASES.items():
        golden = vectors.dynamics_arrays(_CASES, name)
        if "mask_yy" in golden:
            network = _network(case)
            expected = _unpack(golden["mask_yy"], network.neurons)
            np.testing.assert_array_equal(network.same_position(), expected, err_msg=name)
