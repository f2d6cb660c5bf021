"""Banded ridge: one group is ridge, noise gets little weight, arguments are checked."""

import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.similarity import banded_ridge, banded_ridge_predict
from jaxbio.similarity.banded_ridge import draw_gammas


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    signal, noise = (rng.standard_normal((60, p), np.float32) for p in (5, 40))
    y = signal @ rng.standard_normal((5, 3), np.float32) + 2
    return (signal, noise), y + 0.1 * rng.standard_normal(y.shape, np.float32)


def test_one_group_is_ridge_with_an_intercept(data):
    (x, _), y = data
    model = banded_ridge((x @ x.T)[None, :50, :50], y[:50], 1, alphas=(3.0,), folds=5)
    centred = x[:50] - x[:50].mean(0)
    weights = np.linalg.solve(
        centred.T @ centred + 3 * np.eye(5), centred.T @ (y[:50] - y[:50].mean(0))
    )
    expected = y[:50].mean(0) + (x[50:] - x[:50].mean(0)) @ weights
    found = banded_ridge_predict(model, (x @ x.T)[None, 50:, :50])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_a_group_of_noise_gets_little_weight(data):
    groups, y = data
    kernels = np.stack([x @ x.T for x in groups])
    model = banded_ridge(kernels, y, 20, folds=np.arange(60) % 4)
    assert (model.gammas[0] > 0.9).all()
    assert model.scores.shape == (20, 3)
    even = model.scores[0]
    assert (model.scores.max(0) > even).all()


def test_candidates_begin_with_even_weights():
    gammas = draw_gammas(3, 7, seed=1)
    np.testing.assert_allclose(gammas.sum(1), 1)
    np.testing.assert_allclose(gammas[0], 1 / 3)
    np.testing.assert_array_equal(gammas, draw_gammas(3, 7, seed=1))
    assert not np.array_equal(gammas, draw_gammas(3, 7, seed=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernels": np.ones((1, 3, 4), np.float32)}, "must be"),
        ({"responses": np.ones((7, 2), np.float32)}, "same ones"),
        ({"gammas": np.ones((2, 5), np.float32)}, "gammas"),
        ({"gammas": 0}, "candidates=0"),
        ({"alphas": (0.0,)}, "alphas"),
        ({"folds": 1}, "folds=1"),
        ({"folds": [0] * 60}, "folds"),
        ({"block": 0}, "block=0"),
    ],
)
def test_wrong_arguments_are_named(data, change, message):
    (x, _), y = data
    arguments = {"kernels": (x @ x.T)[None], "responses": y, "gammas": 1} | change
    with pytest.raises(InputError, match=message):
        banded_ridge(**arguments)
