"""SIT, predictivity, SVM, inference, readout, against scikit-learn and by their own logic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeCV
from sklearn.preprocessing import StandardScaler

from jaxbio import similarity as sim
from jaxbio.errors import InputError
from jaxbio.similarity.ridge import ridge_cv_predict

OBJECTS = np.repeat(np.arange(6), 8)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def make(seed: int = 0, p: int = 30, q: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(6, 5))[OBJECTS] + rng.normal(size=(48, 5))
    return (
        signal @ rng.normal(size=(5, p)) + rng.normal(size=(48, p)),
        3 * signal @ rng.normal(size=(5, q)) + rng.normal(size=(48, q)),
    )


@pytest.mark.slow
def test_sit_of_shuffled_and_uneven_images_equals_sorted():
    x, y = make()
    images = np.stack([np.arange(0, 48, 2), np.arange(1, 48, 2)])
    plain = sim.sit(x, y, OBJECTS, images=images, noise=None)
    shuffled = np.random.default_rng(0).permutation(48)
    place = np.argsort(shuffled)
    names = np.array([f"object {k}" for k in OBJECTS])[shuffled]
    again = sim.sit(x[shuffled], y[shuffled], names, images=place[images], noise=None)
    np.testing.assert_allclose(plain.scores, again.scores, atol=1e-12)
    uneven = np.delete(np.arange(48), [0, 9, 17])
    drawn = sim.sit(
        x[uneven], y[uneven], OBJECTS[uneven], jax.random.key(0), n_splits=5, images_per_object=4
    )
    assert drawn.scores.shape == (5,)
    assert bool(jnp.isfinite(drawn.scores).all())


@pytest.mark.slow
def test_sit_noise_per_object_has_the_distribution_of_noise_per_image():
    x, y = make()
    images = np.tile(np.arange(48), (400, 1))
    rng = np.random.default_rng(1)
    given = sim.sit(x, y, OBJECTS, images=images, normal_noise=rng.normal(size=(400, 48, 30)))
    ours = sim.sit(x, y, OBJECTS, jax.random.key(0), images=images)
    error = np.hypot(given.std, ours.std) / 20
    assert abs(given.mean - ours.mean) < 4 * error
    assert 0.8 < ours.std / given.std < 1.25


@pytest.mark.slow
def test_layers_and_times_are_separate_problems():
    (x, y), (wide, _) = make(), make(1, 60)
    splits = sim.stratified_splits(OBJECTS, 3, train_size=0.75)
    times = np.stack([y, y[::-1]])
    for method in ("pls", "ridge-cv", "one-to-one"):
        options = {"splits": splits, "method": method, "n_components": 4}
        both = sim.predictivity({"a": x, "b": wide}, times, **options)
        assert both.per_neuroid.shape == (2, 2, 3, 7)
        one = sim.predictivity(wide, times[1], **options)
        np.testing.assert_allclose(both.per_neuroid[1, 1], one.per_neuroid, atol=1e-9)
        np.testing.assert_allclose(both.score[1, 1], one.score, atol=1e-9)


def of_scikit_learn(x, y, splits, components):
    """Pearson's r ``[splits, neuroids]`` of ``PLSRegression``."""
    from sklearn.cross_decomposition import PLSRegression

    scores = []
    for train, test in zip(*splits, strict=True):
        predicted = PLSRegression(components, scale=False).fit(x[train], y[train]).predict(x[test])
        scores.append([np.corrcoef(predicted[:, k], y[test, k])[0, 1] for k in range(y.shape[1])])
    return np.array(scores)


def test_more_targets_than_stimuli():
    x, y = make(q=90)
    splits = sim.stratified_splits(OBJECTS, 2, train_size=0.75)
    ours = sim.predictivity(x, y, splits=splits, n_components=4).per_neuroid
    np.testing.assert_allclose(ours, of_scikit_learn(x, y, splits, 4), atol=1e-9)


def steep(kind: str, n: int = 48, p: int = 70) -> np.ndarray:
    """Features of a spectrum that a Gram matrix in float32 loses."""
    rng = np.random.default_rng(2)
    if kind == "sigmoid of rank 2":
        return 1 / (1 + np.exp(-rng.normal(size=(n, 2)) @ rng.normal(size=(2, p))))
    if kind == "rank 6 and noise":
        return rng.normal(size=(n, 6)) @ rng.normal(size=(6, p)) + 0.03 * rng.normal(size=(n, p))
    if kind == "narrow":
        return rng.normal(size=(n, 25))
    if kind == "copies":
        return np.hstack([rng.normal(size=(n, 20))] * 3)
    if kind == "wide, of rank 20":
        return rng.integers(-3, 4, (n, 20)) @ rng.integers(-3.0, 4, (20, p))
    u, v = (np.linalg.qr(rng.normal(size=(size, n)))[0] for size in (n, p))
    return (u * np.arange(1.0, n + 1) ** -int(kind[-1])) @ v.T


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pls_of_steep_spectra_is_that_of_scikit_learn(dtype):
    splits = sim.stratified_splits(OBJECTS, 2, train_size=0.75)
    kinds = ("1/k^2", "1/k^3", "rank 6 and noise", "sigmoid of rank 2", "narrow")
    x = {kind: steep(kind).astype(dtype) for kind in kinds}
    y = (make()[1] + steep("1/k^3") @ np.random.default_rng(3).normal(size=(70, 7))).astype(dtype)
    with jax.enable_x64(dtype is np.float64):
        for components in (2, 25):
            ours = sim.predictivity(x, y, splits=splits, n_components=components).per_neuroid
            assert ours.dtype == dtype
            for kind, scores in zip(kinds, ours, strict=True):
                gold = of_scikit_learn(x[kind], y, splits, components)
                tolerance = 1e-4 if dtype is np.float32 else 1e-9
                np.testing.assert_allclose(scores, gold, rtol=0, atol=tolerance, err_msg=kind)
        own = sim.predictivity(x["narrow"], x["narrow"], splits=splits, n_components=25)
        np.testing.assert_allclose(own.score, 1, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["copies", "wide, of rank 20"])
def test_pls_has_no_more_components_than_the_features_dimensions(kind):
    x, y = steep(kind).astype(np.float32), make()[1].astype(np.float32)
    splits = sim.stratified_splits(OBJECTS, 2, train_size=0.75)
    with jax.enable_x64(False):
        with pytest.warns(sim.RankWarning, match=r"fc: n_components=25, .* rank 20"):
            capped = sim.predictivity({"fc": x}, y, splits=splits).per_neuroid[0]
        gold = of_scikit_learn(x, y, splits, 20)
        np.testing.assert_allclose(capped, gold, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_gram_matrices_and_traces_give_the_same_predictivity():
    (x, y), (wide, _) = make(), make(1, 60)
    splits = sim.stratified_splits(OBJECTS, 2, train_size=0.75)
    whole = sim.predictivity({"a": x, "b": wide}, y, splits=splits, n_components=3)
    grams = jnp.stack([sim.gram(x), sim.gram(wide)])
    from_grams = sim.predictivity_from_gram(grams, y, splits=splits, n_components=3)
    np.testing.assert_allclose(whole.per_neuroid, from_grams.per_neuroid, atol=1e-9)
    score = jax.jit(lambda x, y: sim.predictivity(x, y, splits=splits, n_components=3).score)(x, y)
    np.testing.assert_allclose(score, whole.score[0], atol=1e-9)


def test_splits_without_categories_are_random():
    train, test = sim.stratified_splits(np.arange(20), 3, train_size=0.8)
    assert train.shape == (3, 16)
    assert all(len(np.union1d(a, b)) == 20 for a, b in zip(train, test, strict=True))


def test_ridge_cv_is_that_of_scikit_learn():
    x, y = make()
    train, test = (part[:1] for part in sim.stratified_splits(OBJECTS, 1, train_size=0.75))
    alphas = jnp.asarray([0.01, 1.0, 10.0, 1000.0])
    predicted, alpha = ridge_cv_predict(sim.gram(x), jnp.asarray(y), train, test, alphas)
    gold = RidgeCV(np.asarray(alphas)).fit(x[train[0]], y[train[0]])
    assert float(alpha[0]) == gold.alpha_
    np.testing.assert_allclose(predicted[0], gold.predict(x[test[0]]), atol=1e-8)


def _wide() -> tuple[np.ndarray, np.ndarray]:
    """A front-end's kind of layer: one direction a million times as strong as the others."""
    rng = np.random.default_rng(5)
    strong = rng.normal(size=(len(OBJECTS), 1)) @ rng.normal(size=(1, 400)) * 1e5
    weak = rng.normal(size=(len(OBJECTS), 5)) @ rng.normal(size=(5, 400))
    y = weak @ rng.normal(size=(400, 3))
    return (strong + weak).astype(np.float32), y.astype(np.float32)


@pytest.mark.parametrize("method", ["ridge", "ridge-cv", "linear"])
def test_regressions_of_a_steep_spectrum_in_float32_are_those_of_scikit_learn(method):
    x, y = _wide()
    train, test = sim.stratified_splits(OBJECTS, 2, train_size=0.75)
    found = sim.predictivity(x, y, method=method, splits=(train, test), alphas=(0.1, 10.0))
    gold = {"ridge": Ridge(1.0), "ridge-cv": RidgeCV((0.1, 10.0)), "linear": LinearRegression()}
    for split in range(2):
        exact = x.astype(np.float64)
        model = gold[method].fit(exact[train[split]], y[train[split]].astype(np.float64))
        predicted = model.predict(exact[test[split]])
        r = [np.corrcoef(predicted[:, i], y[test[split], i])[0, 1] for i in range(3)]
        np.testing.assert_allclose(found.per_neuroid[split], r, atol=1e-5)


@pytest.mark.parametrize("method", ["ridge", "ridge-cv", "linear"])
def test_regressions_in_a_trace_are_those_outside(method):
    x, y = (part.astype(np.float32) for part in make())
    splits = sim.stratified_splits(OBJECTS, 2, train_size=0.75)
    options = {"method": method, "splits": splits}
    whole = sim.predictivity(x, y, **options).score
    both = jax.jit(lambda x, y: sim.predictivity(x, y, **options).score)(x, y)
    features = jax.jit(lambda x: sim.predictivity(x, y, **options).score)(x)
    np.testing.assert_allclose(both, whole, atol=1e-3)
    np.testing.assert_allclose(features, whole, atol=1e-3)


def test_banded_ridge_of_a_steep_spectrum_is_in_float64():
    x, y = _wide()
    kernels = sim.products([x]).gram()[None]
    half = len(x) // 2
    model = sim.banded_ridge(kernels[:, :half, :half], y[:half], 1, alphas=(1.0,), folds=4)
    found = sim.banded_ridge_predict(model, kernels[:, half:, :half])
    exact = x.astype(np.float64)
    gold = Ridge(1.0).fit(exact[:half], y[:half].astype(np.float64)).predict(exact[half:])
    np.testing.assert_allclose(found, gold, rtol=1e-5, atol=1e-5 * np.abs(gold).max())


@pytest.mark.slow
def test_svm_reads_what_is_there_and_nothing_else():
    x, _ = make()
    labels = OBJECTS // 2
    found = sim.svm_score(x, labels, OBJECTS, n_splits=3, cs=(0.01, 1.0), n_features=None)
    noise = np.random.default_rng(0).normal(size=x.shape)
    none = sim.svm_score(noise, labels, OBJECTS, n_splits=3, cs=(0.01, 1.0), n_features=None)
    assert found.mean > 0.6 > none.mean
    best = sim.svm_score(
        x, labels, OBJECTS, selection="published", n_splits=3, cs=(0.01, 1.0), n_features=None
    )
    assert best.mean >= found.mean
    assert len(set(best.c)) == 1
    drawn = sim.svm_score(x, labels, n_splits=2, cs=(1.0,), n_features=4, key=jax.random.key(0))
    assert drawn.accuracy.shape == (2,)


def test_svm_does_not_need_more_features_than_images():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(40, 90)), np.arange(40) % 3
    train, test = np.arange(30)[None], np.arange(30, 40)[None]
    weights, bias = sim.svm_fit(x[:30], labels[:30], 0.1, n_classes=3)
    gold = np.mean(np.argmax(x[30:] @ weights.T + bias[None], 1) == labels[30:])
    ours = sim.svm_accuracy(x, labels, train, test, [0.1], n_classes=3)
    assert float(ours[0, 0]) == pytest.approx(gold)


def test_readout_is_that_of_scikit_learn():
    x, _ = make()
    scaler = StandardScaler().fit(x)
    gold = LogisticRegression(C=0.1, tol=1e-10, max_iter=5000).fit(scaler.transform(x), OBJECTS)
    ours = sim.fit_readout(x, OBJECTS, 6, c=0.1)(x)
    np.testing.assert_allclose(ours, gold.predict_proba(scaler.transform(x)), atol=1e-6)


def rdms(number: int, noise: float, seed: int, n: int = 12) -> jax.Array:
    truth = np.random.default_rng(99).normal(size=(n, 20))
    patterns = truth + noise * np.random.default_rng(seed).normal(size=(number, n, 20))
    return sim.upper(sim.rdm(patterns))


@pytest.mark.slow
@pytest.mark.parametrize("over", ["subjects", "conditions", "both", "dual"])
def test_bootstrap_knows_a_good_model_from_a_bad_one(over):
    models = jnp.concatenate([rdms(1, 0.2, 0), rdms(1, 1.0, 1), rdms(1, 50.0, 2)])
    result = sim.evaluate_bootstrap(
        models, rdms(6, 0.6, 3), jax.random.key(0), over=over, n_bootstrap=130, sample_ceilings=True
    )
    assert (result.low < result.score).all()
    assert (result.score < result.high).all()
    assert result.p_zero[0] < 0.01 < result.p_zero[2]
    assert result.p_difference[0, 2] < 0.15
    assert result.samples.shape == (130, 3)
    assert result.ceiling_samples.shape == (130, 2)
    assert float(result.ceiling.lower) < float(result.ceiling.upper)


@pytest.mark.slow
def test_rsatoolbox_reports_other_summaries():
    models, subjects = rdms(2, 0.5, 0), rdms(4, 0.6, 3)
    options = {"over": "subjects", "n_bootstrap": 40, "sample_ceilings": True}
    ours = sim.evaluate_bootstrap(models, subjects, jax.random.key(0), **options)
    theirs = sim.evaluate_bootstrap(
        models, subjects, jax.random.key(0), two_sided=True, mean_of_samples=True, **options
    )
    np.testing.assert_allclose(theirs.score, ours.samples.mean(0))
    np.testing.assert_allclose(theirs.ceiling.upper, ours.ceiling_samples[:, 1].mean())
    one, two = (sim.evaluate_fixed(models, subjects, two_sided=t) for t in (False, True))
    both = 2 * np.minimum(one.p_ceiling, 1 - one.p_ceiling)
    np.testing.assert_allclose(two.p_ceiling, both)


@pytest.mark.slow
def test_crossvalidated_folds_cover_everything():
    folds = sim.make_folds(6, 12, k_subjects=3, k_conditions=2)
    assert len(folds) == 6
    assert sorted(np.concatenate([f.test_subjects for f in folds[::2]])) == list(range(6))
    result = sim.evaluate_crossvalidated(rdms(2, 0.5, 0), rdms(6, 0.6, 3), folds)
    assert result.samples.shape == (6, 2)
    assert result.dof == 5


X, Y = make()
SPLITS = (np.arange(40)[None], np.arange(40, 48)[None])
ONE_TESTED = (np.arange(47)[None], np.array([[47]]))
KEY = jax.random.key


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sim.sit(X, Y[:40], OBJECTS, KEY(0)), "model has 48 stimuli and neural 40"),
        (lambda: sim.sit(X, Y, OBJECTS[:40], KEY(0)), "one label per stimulus"),
        (lambda: sim.sit(X, Y, OBJECTS, KEY(0), images_per_object=9), "an object has 8 images"),
        (lambda: sim.sit(X, Y, OBJECTS), "random key"),
        (lambda: sim.sit(X, 0.01 * Y, OBJECTS, KEY(0)), "NeuralNoise"),
        (lambda: sim.sit(0 * X, Y, OBJECTS, KEY(0), names=("pool", "IT")), "pool is constant"),
        (lambda: sim.sit(X, np.where(Y > 9, np.nan, Y), OBJECTS, KEY(0)), "NaN"),
        (lambda: sim.predictivity({"fc": 0 * X}, Y, OBJECTS), "fc is constant"),
        (lambda: sim.predictivity(X, np.hstack([Y, 0 * Y]), OBJECTS), "neuroid 7 is constant"),
        (lambda: sim.predictivity(X, Y, OBJECTS, "lasso"), "valid: pls, ridge"),
        (lambda: sim.predictivity(X, Y), "objects, or splits"),
        (lambda: sim.predictivity(X, Y, splits=SPLITS, n_components=0), "n_components=0"),
        (lambda: sim.predictivity(X, Y, np.arange(48) // 2 * (np.arange(48) > 1)), "cannot split"),
        (
            lambda: sim.predictivity({"a": X, "b": X}, Y, splits=ONE_TESTED),
            "a: neuroid 0 of .* split 0",
        ),
        (lambda: sim.predictivity(X, Y, method="ridge", splits=SPLITS, alpha=0.0), "above 0"),
        (
            lambda: sim.predictivity(X, Y, method="ridge-cv", splits=SPLITS, alphas=()),
            "one or more",
        ),
        (lambda: sim.predictivity(X, Y, splits=([[0, 1]], [[1, 2]])), "training and the test"),
        (lambda: sim.svm_score(X, 0 * OBJECTS), "one category"),
        (lambda: sim.svm_score(X, OBJECTS, n_features=3), "random key"),
        (lambda: sim.svm_score(X, OBJECTS, selection="best"), "valid: nested, published"),
        (lambda: sim.evaluate_bootstrap(X.T, X[:, :1].T, KEY(0)), "at least 2 subjects"),
        (
            lambda: sim.evaluate_bootstrap(rdms(1, 1, 0), rdms(3, 1, 1), KEY(0), over="images"),
            "valid: subjects",
        ),
        (lambda: sim.make_folds(4, 12, k_subjects=1, k_conditions=2), "k_subjects=1"),
        (lambda: sim.fit_readout(X, OBJECTS, 3), r"\[0, 3\)"),
        (lambda: sim.i2n(np.eye(3), np.eye(4)), "must fit|same images"),
    ],
)
def test_errors_are_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
