"""Features against recordings in one line, whatever the recordings come in."""

import numpy as np
import pytest

import jaxbio
from jaxbio.errors import InputError
from jaxbio.similarity import Splits, predictivity


@pytest.fixture(scope="module")
def data():
    """Features of 40 images, responses that follow them, and three noisy presentations."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 3, 4)).astype(np.float32)
    means = features.reshape(40, -1) @ rng.normal(size=(12, 6))
    return features, means, means + 0.5 * rng.normal(size=(3, 40, 6))


@pytest.mark.slow
def test_a_regression_tells_every_neuron(data):
    features, means, presentations = data
    found = jaxbio.score(features, means)
    assert found.per_neuron.shape == (6,)
    assert found.ceiling is None
    assert found.ceiled is None
    direct = predictivity(
        features.reshape(40, -1), means, np.arange(40), "ridge", splits=_splits(40)
    )
    assert found.score == pytest.approx(float(direct.score), abs=1e-5)
    np.testing.assert_allclose(found.per_neuron, direct.per_neuroid.mean(0), atol=1e-5)
    with_ceiling = jaxbio.score({"layer": features}, presentations, "ridge")["layer"]
    assert 0.8 < with_ceiling.ceiling[0] < 1
    assert with_ceiling.ceiled == pytest.approx(
        with_ceiling.score**2 / with_ceiling.ceiling[0], rel=1e-5
    )
    assert f"{with_ceiling.ceiling[0]:.3f}" in str(with_ceiling)


def _splits(n):
    from jaxbio.similarity import stratified_splits

    splits = stratified_splits(np.arange(n))
    assert isinstance(splits, Splits)
    return splits


def test_files_and_axes_tell_the_images(data, tmp_path):
    features, means, presentations = data
    np.save(tmp_path / "neurons.npy", means.T)
    np.save(tmp_path / "presentations.npy", presentations)
    expected = jaxbio.score(features, means, "cka")
    assert jaxbio.score(features, tmp_path / "neurons.npy", "cka") == expected
    assert jaxbio.score(features, str(tmp_path / "presentations.npy"), "cka").ceiling is not None
    rows = [",".join(["stimulus_id", *(f"n{i}" for i in range(6))])]
    rows += [f"{i:02d}.png," + ",".join(map(repr, map(float, row))) for i, row in enumerate(means)]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    assert jaxbio.score(features, tmp_path / "table.csv", "cka").score == pytest.approx(
        expected.score, abs=1e-6
    )


@pytest.mark.slow  # compiles both measures
def test_patterns_that_are_the_recordings_resemble_them_most(data):
    _, means, _ = data
    noise = np.random.default_rng(1).normal(size=(40, 12))
    for measure in ("rsa", "cka"):
        found = jaxbio.score({"same": means, "noise": noise}, means, measure)
        assert found["same"].score == pytest.approx(1, abs=1e-4)
        assert found["noise"].score < 0.3
        assert found["same"].per_neuron is None


def test_wrong_questions_are_one_line(data, tmp_path):
    features, means, _ = data
    (tmp_path / "broken.npy").write_bytes(b"none")
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    bad = means.copy()
    bad[0, 0] = np.nan
    for arguments, match in (
        ((features, means, "rigde"), "'ridge'"),
        ((features, means, "sit"), "one image per object"),
        (({}, means), "empty"),
        (({"a": features, "b": features[:9]}, means), r"\[9, 40\]"),
        ((features[:, 0, 0], means), "features has shape"),
        ((features, means[:30]), "40 images"),
        ((features, np.array([["a"] * 40])), "<U1"),
        ((features, bad), "NaN"),
        ((features, tmp_path / "none.npy"), r"none\.npy"),
        ((features, tmp_path / "broken.npy"), r"broken\.npy"),
        ((features, tmp_path / "objects.npy"), r"objects\.npy"),
    ):
        with pytest.raises(InputError, match=match) as error:
            jaxbio.score(*arguments)
        assert "\n" not in str(error.value)
