"""Banded ridge regression against himalaya's stored search."""

from pathlib import Path

import numpy as np
import pytest

from jaxbio.similarity.banded_ridge import banded_ridge, banded_ridge_predict

pytestmark = pytest.mark.golden


@pytest.mark.parametrize("block", [4096, 5])
@pytest.mark.slow
def test_the_same_search(float64, block):
    with np.load(Path(__file__).parent / "banded_ridge" / "himalaya.npz") as gold:
        gold = dict(gold)
    n = len(gold["responses"])
    model = banded_ridge(
        gold["kernels"][:, :n],
        gold["responses"],
        gold["gammas"],
        alphas=tuple(gold["alphas"]),
        block=block,
    )
    np.testing.assert_allclose(model.scores, gold["scores"], rtol=1e-8)
    np.testing.assert_allclose(model.alphas, gold["chosen_alphas"], rtol=1e-10)
    np.testing.assert_allclose(model.gammas, gold["chosen_gammas"], rtol=1e-10, atol=1e-15)
    predicted = banded_ridge_predict(model, gold["kernels"][:, n:])
    np.testing.assert_allclose(predicted, gold["predictions"], rtol=1e-8, atol=1e-8)
