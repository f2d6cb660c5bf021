"""RDMs, comparators, CKA and their errors, against NumPy and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxbio import similarity as sim
from jaxbio.errors import InputError
from jaxbio.similarity.kendall import weighted_tau
from jaxbio.similarity.ranks import order, ranks, weighted_ranks


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_ranks_average_ties(rng):
    x = rng.integers(0, 5, (3, 40)).astype(float)
    assert np.array_equal(ranks(jnp.asarray(x)), stats.rankdata(x, axis=1))


def test_weighted_ranks_are_ranks_of_repeated_values(rng):
    x = rng.integers(0, 6, 30).astype(float)
    weights = rng.integers(0, 4, (30, 5))
    ours = np.asarray(jax.jit(lambda x, w: weighted_ranks(order(x), w))(x, weights.astype(float)))
    for column in range(5):
        repeated = np.repeat(np.arange(30), weights[:, column])
        gold = stats.rankdata(x[repeated])
        np.testing.assert_allclose(ours[repeated, column], gold, atol=1e-12)


@pytest.mark.parametrize("variant", ["tau-a", "tau-b"])
def test_weighted_tau_is_tau_of_repeated_values(rng, variant):
    a, b = rng.integers(0, 6, (2, 300)).astype(float)
    weights = rng.integers(0, 3, (2, 300))
    tau = jax.jit(weighted_tau, static_argnums=3)
    ours = np.asarray(tau(a[None], b[None], weights.astype(float), variant))
    for row in range(2):
        repeated = np.repeat(np.arange(300), weights[row])
        gold = sim.compare(a[repeated], b[repeated], variant)
        np.testing.assert_allclose(ours[row, 0, 0], gold, atol=1e-12)
        if variant == "tau-b":
            gold = stats.kendalltau(a[repeated], b[repeated]).statistic
            np.testing.assert_allclose(ours[row, 0, 0], gold, atol=1e-12)


def test_square_undoes_upper(rng):
    rdms = sim.rdm(rng.normal(size=(2, 6, 9)))
    np.testing.assert_array_equal(sim.square(sim.upper(rdms)), rdms)
    assert sim.upper(rdms).shape == (2, 15)
    assert float(sim.upper(rdms)[0, 5]) == float(rdms[0, 1, 2])


def test_crossnobis_of_equal_patterns_is_zero_on_average(rng):
    noise = rng.normal(size=(200, 4, 3, 20))
    distances = np.stack([sim.upper(sim.crossnobis(x)) for x in noise])
    assert abs(float(distances.mean())) < 4 * float(distances.std()) / 600**0.5
    assert float(distances.min()) < 0


def test_rdm_is_differentiable_and_maps(rng):
    x = jnp.asarray(rng.normal(size=(5, 7)))
    square = jax.jit(jax.value_and_grad(lambda x: jnp.square(sim.rdm(x)).sum()))
    step = 1e-6 * rng.normal(size=x.shape)
    change = (square(x + step)[0] - square(x - step)[0]) / 2
    np.testing.assert_allclose((np.asarray(square(x)[1]) * step).sum(), change, rtol=1e-5)
    stacked = np.stack([x, 2 * x + 1])
    plain = np.asarray(sim.rdm(stacked))
    np.testing.assert_allclose(jax.jit(jax.vmap(sim.rdm))(stacked), plain, atol=1e-14)
    np.testing.assert_allclose(plain[0], plain[1], atol=1e-14)


def test_whitened_cosine_is_its_definition(rng):
    n = 6
    a, b = rng.uniform(1, 2, (2, n * (n - 1) // 2))
    root = rng.normal(size=(n, n))
    sigma = root @ root.T + np.eye(n)
    row, column = np.triu_indices(n, 1)
    contrasts = np.eye(n)[row] - np.eye(n)[column]
    inverse = np.linalg.inv((contrasts @ sigma @ contrasts.T) ** 2)
    gold = a @ inverse @ b / np.sqrt(a @ inverse @ a * (b @ inverse @ b))
    np.testing.assert_allclose(sim.compare(a, b, "whitened-cosine", sigma=sigma), gold, atol=1e-10)


def test_compare_shapes(rng):
    a, b = rng.normal(size=(3, 15)), rng.normal(size=(2, 15))
    assert sim.compare(a, b).shape == (3, 2)
    assert sim.compare(a, b[0]).shape == (3,)
    assert sim.compare(a[0], b[0]).shape == ()


@pytest.mark.slow
def test_rdms_on_subsets_are_compared_as_each_on_its_own(rng):
    of_layers, of_brain = sim.rdm(rng.normal(size=(3, 9, 20))), sim.rdm(rng.normal(size=(9, 20)))
    subsets = np.stack([rng.permutation(9)[:5] for _ in range(4)])
    found = sim.rdm_scores(of_layers, of_brain, subsets=subsets)
    assert found.shape == (4, 3)
    for rows, scores in zip(subsets, found, strict=True):
        alone = sim.compare(of_layers[:, rows][:, :, rows], of_brain[rows][:, rows])
        np.testing.assert_allclose(scores, alone, atol=1e-6)
    one = sim.rdm_scores(of_layers[1], of_brain, subsets=subsets)
    np.testing.assert_allclose(one, found[:, 1], atol=1e-12)


def test_squares_are_rdms_and_not_their_rows(rng):
    flat = rng.uniform(0.5, 1.5, size=(10, 45))  # of 10 conditions: rows could be RDMs of 5
    squares = np.asarray(sim.square(flat))
    scores = sim.compare(flat, flat, "cosine")
    np.testing.assert_array_equal(sim.compare(squares, squares, "cosine"), scores)
    assert sim.compare(squares[0], squares, "cosine").shape == (10,)
    assert sim.compare(squares[0], flat[1], "cosine").shape == ()
    inside = jax.jit(sim.compare, static_argnums=2)(squares, flat, "cosine")
    np.testing.assert_allclose(inside, scores, atol=1e-6)
    ten = rng.normal(size=(10, 10))  # ten RDMs of 5 conditions
    assert sim.compare(ten, ten, "cosine").shape == (10, 10)


def test_maps_are_one_pattern_on_request(rng):
    maps = rng.normal(size=(10, 4, 4, 6))
    whole = sim.rdm(maps, flatten=True)
    np.testing.assert_array_equal(whole, sim.rdm(maps.reshape(10, -1)))
    assert sim.rdm(maps[:, 0], flatten=True).shape == (10, 10)


def test_cka_bounds_and_bias(rng):
    x, y = rng.normal(size=(30, 200)), rng.normal(size=(30, 200))
    rotation = np.linalg.qr(rng.normal(size=(200, 200)))[0]
    for unbiased in (True, False):
        np.testing.assert_allclose(sim.cka(x, 3 * x @ rotation + 1, unbiased=unbiased), 1)
    assert float(sim.cka(x, y, unbiased=False)) > 0.8
    assert abs(float(sim.cka(x, y))) < 0.2
    assert np.isfinite(jax.jit(jax.grad(lambda x: sim.cka(x, y)))(x)).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_single(rng, dtype):
    x = jnp.asarray(np.maximum(rng.normal(size=(4, 20_000)), 0), dtype)
    for method in ("correlation", "cosine", "euclidean"):
        whole = sim.rdm(x.astype(jnp.float32), method)
        np.testing.assert_array_equal(sim.rdm(x, method), whole)
        assert whole.dtype == np.float32


def test_results_that_are_no_numbers_are_errors():
    with pytest.raises(InputError, match="fc: euclidean distances: 6 of 9 results are not finite"):
        sim.rdm(
            jnp.asarray([[1e25, 0], [0, -1e25], [3e25, 1]], jnp.float32), "euclidean", name="fc"
        )


def test_drop_nan():
    x = np.arange(12.0).reshape(3, 4)
    x[1, 2] = np.nan
    left, kept = sim.drop_nan(x)
    assert left.shape == (3, 3)
    assert kept.tolist() == [0, 1, 3]
    assert sim.drop_nan(x, "stimuli")[1].tolist() == [0, 2]
    with pytest.raises(InputError, match="every one"):
        sim.drop_nan(np.full((2, 2), np.nan))


X = np.random.default_rng(1).normal(size=(12, 5))
NAN = np.where(np.eye(12, 5), np.nan, X)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sim.rdm(X, "manhattan"), "valid: correlation, euclidean"),
        (lambda: sim.rdm(NAN), "5 NaN or infinite values of 60"),
        (lambda: sim.rdm(np.ones((3, 4)), name="conv1"), "conv1: pattern .0. is constant"),
        (lambda: sim.rdm(-X, "poisson"), "negative counts"),
        (lambda: sim.rdm(X[:1]), "1 condition"),
        (lambda: sim.rdm(X, "mahalanobis"), "precision"),
        (lambda: sim.rdm(X, "mahalanobis", precision=np.eye(3)), r"precision is \(3, 3\)"),
        (lambda: sim.crossnobis(X[None]), "1 fold"),
        (lambda: sim.rdm(np.ones((10, 4, 4, 6))), "flatten=True"),
        (lambda: sim.compare(X @ X.T, X[0]), "diagonal"),
        (lambda: sim.compare(np.ones((2, 3, 4)), X[0]), "vectors"),
        (lambda: sim.compare(np.arange(144.0).reshape(12, 12), X[:, 0]), "not symmetric"),
        (lambda: sim.compare(X[:, 0], X[:5, 1]), "12 pairs of conditions and b 5"),
        (lambda: sim.compare(np.ones(6), X[:6, 0]), "a is constant"),
        (lambda: sim.compare(X, X, "kendall"), "valid: pearson, spearman, tau-a"),
        (lambda: sim.compare(X[:, 0], X[:, 1], sigma=np.eye(4)), "sigma belongs"),
        (lambda: sim.square(np.ones(5)), "5 entries"),
        (lambda: sim.cka(X, X[:11]), "12 stimuli and y 11"),
        (lambda: sim.cka(X, np.ones((12, 2)), names=("a", "fc8")), "fc8 is constant"),
        (lambda: sim.cka(X[:3], X[:3]), "at least 4"),
        (lambda: sim.rsa_noise_ceiling(X[:1, :3]), "at least 2 subjects"),
        (lambda: sim.internal_consistency(X[None], key=jax.random.key(0)), "1 repetitions"),
        (lambda: sim.internal_consistency(np.stack([X, X])), "halves or a key"),
        (lambda: sim.ceiled(0.5, 0.0), "must be above 0"),
        (lambda: sim.object_means(X, np.zeros(12, int), 2), "1 of 2 objects"),
        (lambda: sim.rdm_loss(X, np.eye(3), np.zeros(11, int)), r"\[images, features\]"),
        (lambda: sim.noise_covariance(X, "best"), "valid: shrinkage-diagonal"),
    ],
)
def test_errors_are_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
