"""Layers that come in blocks of units are scored as layers in memory, and take no more room."""

import jax
import numpy as np
import pytest

from jaxbio import similarity as sim
from jaxbio.errors import InputError
from jaxbio.similarity.predictivity import RankWarning, _pls_scores, _scores
from jaxbio.similarity.products import _of_block
from tests.similarity.programs import largest_array

_N, _UNITS, _VOXELS = 40, 1500, 90
_CONDITIONS = np.repeat(np.arange(10), 4)


@pytest.fixture(scope="module")
def layer():
    """Like a layer after ReLU: a mean that is larger than what varies."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(_N, 8)) @ rng.normal(size=(8, _UNITS)) + rng.normal(size=(_N, _UNITS))
    return (x + 20).astype(np.float32)


@pytest.fixture(scope="module")
def streamed(layer):
    return sim.products(layer[:, i : i + 400] for i in range(0, _UNITS, 400))


def test_gram_and_rdm_are_those_of_the_whole(layer, streamed):
    exact = layer.astype(np.float64) - layer.astype(np.float64).mean(0)
    np.testing.assert_allclose(streamed.gram(), exact @ exact.T, rtol=1e-9, atol=1e-7)
    assert streamed.shape == layer.shape
    np.testing.assert_allclose(streamed.rdm(), sim.rdm(layer), atol=1e-5)
    means = sim.object_means(layer, _CONDITIONS, 10)
    np.testing.assert_allclose(streamed.rdm(_CONDITIONS), sim.rdm(means), atol=1e-5)


@pytest.mark.parametrize(
    "method", [pytest.param("pls", marks=pytest.mark.slow), "ridge", "ridge-cv", "linear"]
)
def test_predictions_are_those_of_the_whole_with_more_voxels_than_images(layer, streamed, method):
    rng = np.random.default_rng(1)
    voxels = layer[:, :_VOXELS] @ rng.normal(size=(_VOXELS, _VOXELS)) / 50
    voxels = (voxels + rng.normal(size=voxels.shape)).astype(np.float32)
    splits = sim.stratified_splits(_CONDITIONS, 3, train_size=0.75)
    options = {"method": method, "splits": splits, "n_components": 5}
    with jax.enable_x64(True):  # in float32 they would differ by the rounding of the whole
        whole = sim.predictivity(layer.astype(np.float64), voxels.astype(np.float64), **options)
        found = sim.predictivity_from_gram(
            streamed.gram()[None], voxels.astype(np.float64), **options
        )
    np.testing.assert_allclose(found.per_neuroid[0], whole.per_neuroid, atol=1e-7)


def test_components_beyond_the_rank_are_not_made():
    rng = np.random.default_rng(0)
    low = rng.integers(-9, 9, (_N, 3)) @ rng.integers(-9, 9, (3, 50))
    grams = sim.products([low]).gram()[None]
    splits = sim.stratified_splits(_CONDITIONS, 2, train_size=0.75)
    responses = rng.normal(size=(_N, 4))
    with pytest.warns(RankWarning, match="rank 3"):
        sim.predictivity_from_gram(grams, responses, splits=splits, n_components=5)


def test_what_is_constant_is_refused():
    constant = np.tile(np.random.default_rng(0).normal(size=30), (6, 1))
    found = sim.products([constant[:, :10], constant[:, 10:]])
    with pytest.raises(InputError, match="V4 is constant over all stimuli"):
        found.gram("V4")
    with pytest.raises(InputError, match="pattern 0 is constant"):
        sim.products([constant.T]).rdm()
    with pytest.raises(InputError, match="NaN"):
        sim.products([np.full((3, 4), np.nan)])
    with pytest.raises(InputError, match="block"):
        sim.products([])


def test_no_program_holds_units_of_all_splits():
    """Voxels, units and splits never meet: what grows is images x voxels, and images^2 x splits."""
    n, voxels, splits = 30, 5000, 4
    train, test = np.zeros((splits, 24), int), np.zeros((splits, 6), int)
    x, y = np.zeros((1, n, n)), np.zeros((1, n, voxels))
    most = max(n * voxels, splits * n * n)
    programs = [
        lambda: _pls_scores(x, y, train, test, 3),
        lambda: _scores(x, y, train, test, 1.0, "ridge"),
        lambda: _of_block(np.zeros((n, 200), np.float32)),
    ]
    with jax.enable_x64(True):
        sizes = [largest_array(jax.make_jaxpr(program)()) for program in programs]
    assert sizes[0] <= most
    assert sizes[1] <= most
    assert sizes[2] <= n * 200
