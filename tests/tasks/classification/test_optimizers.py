import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import base
from jaxbio.errors import InputError
from jaxbio.tasks.classification.optimizers import make_optimizer


def _config(**changes):
    config = base.get_config().optimizer
    config.update(changes)
    return config


def _descend(config, params, gradients, rate):
    optimizer = make_optimizer(config)
    state = optimizer.init(params)
    for gradient in gradients:
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, optax.tree.scale(-rate, updates))
    return params


_PARAMS = {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([0.5])}
_GRADIENTS = [
    {"kernel": jnp.array([[0.1, 0.2]]), "bias": jnp.array([-0.3])},
    {"kernel": jnp.array([[-0.4, 0.2]]), "bias": jnp.array([0.1])},
    {"kernel": jnp.array([[0.3, 0.3]]), "bias": jnp.array([0.2])},
]


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_pytorchs(nesterov):
    """g += wd w; buf = m buf + g; w -= lr (g + m buf if Nesterov else buf)."""
    ours = _descend(_config(weight_decay=0.01, nesterov=nesterov), _PARAMS, _GRADIENTS, 0.1)
    for name in _PARAMS:
        w, buffer = np.array(_PARAMS[name], np.float64), 0.0
        for gradient in _GRADIENTS:
            g = np.array(gradient[name]) + 0.01 * w
            buffer = 0.9 * buffer + g
            w = w - 0.1 * (g + 0.9 * buffer if nesterov else buffer)
        np.testing.assert_allclose(ours[name], w, rtol=1e-6)


def test_adamw_is_pytorchs():
    """Decay is decoupled: w -= lr (m / (sqrt(v) + eps) + wd w)."""
    config = _config(name="adamw", weight_decay=0.05)
    ours = _descend(config, _PARAMS, _GRADIENTS, 0.1)
    for name in _PARAMS:
        w, m, v = np.array(_PARAMS[name], np.float64), 0.0, 0.0
        for t, gradient in enumerate(_GRADIENTS, 1):
            g = np.array(gradient[name])
            w = w - 0.1 * 0.05 * w
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            w = w - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(ours[name], w, rtol=1e-5)


def test_adam_is_pytorchs():
    """Decay is part of the gradient: g += wd w, then the moments."""
    ours = _descend(_config(name="adam", weight_decay=0.05), _PARAMS, _GRADIENTS, 0.1)
    for name in _PARAMS:
        w, m, v = np.array(_PARAMS[name], np.float64), 0.0, 0.0
        for t, gradient in enumerate(_GRADIENTS, 1):
            g = np.array(gradient[name]) + 0.05 * w
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            w = w - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(ours[name], w, rtol=1e-5)


def test_decay_can_spare_biases():
    still = [{name: jnp.zeros_like(p) for name, p in _PARAMS.items()}]
    ours = _descend(_config(weight_decay=0.5, decay="kernels", momentum=0.0), _PARAMS, still, 0.1)
    np.testing.assert_allclose(ours["bias"], _PARAMS["bias"])
    np.testing.assert_allclose(ours["kernel"], 0.95 * _PARAMS["kernel"], rtol=1e-6)


def test_stacked_norms_are_no_kernels():
    params = {"later": {"scale": jnp.ones((3, 2)), "kernel": jnp.ones((3, 2))}}
    still = [jax.tree.map(jnp.zeros_like, params)]
    ours = _descend(_config(weight_decay=0.5, decay="kernels", momentum=0.0), params, still, 0.1)
    np.testing.assert_allclose(ours["later"]["scale"], 1.0)
    np.testing.assert_allclose(ours["later"]["kernel"], 0.95, rtol=1e-6)


def test_clipping_bounds_the_global_norm():
    config = _config(clip_norm=0.1, momentum=0.0, weight_decay=0.0)
    ours = _descend(config, _PARAMS, _GRADIENTS[:1], 1.0)
    moved = np.concatenate([np.ravel(ours[n] - _PARAMS[n]) for n in _PARAMS])
    np.testing.assert_allclose(np.linalg.norm(moved), 0.1, rtol=1e-5)


@pytest.mark.parametrize("change", [{"name": "lion"}, {"decay": "some"}])
def test_unknown_settings_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change.values()))):
        make_optimizer(_config(**change))
