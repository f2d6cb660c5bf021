"""Both attacks on networks small enough to know what they should find."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxbio.attacks import NORMS, PRESETS, Attack, apgd, pgd
from jaxbio.errors import InputError
from jaxbio.models import create_model
from jaxbio.models.activations import make
from jaxbio.models.cornet_rt import LateralArea

KEY = jax.random.key(3)
SHAPE = (4, 4, 3)
RADII = {"linf": 0.1, "l2": 0.8, "l1": 3.0}


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


IMAGES = jnp.asarray(np.random.default_rng(1).random((6, *SHAPE)), jnp.float32)
LABELS = jnp.asarray([0, 1, 0, 1, 0, 1])
WEIGHTS = draw(48, 2) / 7
MLP = (draw(48, 16, seed=4) / 7, draw(16, 5, seed=5))


def linear(x):
    return x.reshape(len(x), -1) @ WEIGHTS


def mlp(x):
    first, second = MLP
    return jax.nn.relu((x - 0.5).reshape(len(x), -1) @ first) @ second


def noisy(x, key):
    return mlp(x) + 0.3 * jax.random.normal(key, (1, 1))


def best_gain(image, slope, norm, epsilon):
    """The maximum of ``slope . d`` in ball and box, by NumPy."""
    room = np.where(slope > 0, 1 - image, image)
    size = np.abs(slope)
    if norm == "linf":
        return (size * np.minimum(room, epsilon)).sum()
    if norm == "l1":
        gain = 0.0
        for i in np.argsort(-size):
            step = min(room[i], epsilon)
            gain, epsilon = gain + size[i] * step, epsilon - step
        return gain
    low, high = 0.0, 1e4
    for _ in range(200):
        middle = (low + high) / 2
        if np.linalg.norm(np.minimum(middle * size, room)) > epsilon:
            high = middle
        else:
            low = middle
    return (size * np.minimum(low * size, room)).sum()


@pytest.mark.parametrize(
    ("method", "norm", "options"),
    [
        (pgd, "linf", {"steps": 20}),
        (pgd, "l2", {"steps": 40, "step": 1.0, "random_start": False}),
        (pgd, "l1", {"steps": 60, "step": 10.0, "random_start": False}),
        (apgd, "linf", {"steps": 50}),
        (apgd, "l2", {"steps": 100}),
    ],
)
def test_the_optimum_of_a_linear_model(method, norm, options):
    attack = jax.jit(functools.partial(method, linear, norm=norm, loss="margin", **options))
    attacked = attack(IMAGES, LABELS, KEY, RADII[norm])
    for image, label, margin, clean in zip(
        np.asarray(IMAGES, np.float64), LABELS, attacked.margin, linear(IMAGES), strict=True
    ):
        slope = np.asarray(WEIGHTS[:, 1 - label] - WEIGHTS[:, label], np.float64)
        gain = best_gain(image.ravel(), slope, norm, RADII[norm])
        assert float(margin - (clean[1 - label] - clean[label])) == pytest.approx(gain, abs=1e-5)
    np.testing.assert_array_equal(attacked.fooled, linear(attacked.images).argmax(1) != LABELS)


ATTACKS = [
    *((pgd, norm, {"steps": 5, "restarts": 2}) for norm in NORMS),
    (pgd, "l1", {"steps": 5, "quantile": 0.9}),
    (apgd, "linf", {"steps": 8, "loss": "dlr"}),
    (apgd, "l2", {"steps": 8}),
]


@functools.cache
def attack_of(number):
    method, norm, options = ATTACKS[number]
    return jax.jit(
        lambda images, labels, indices: method(
            mlp, images, labels, KEY, RADII[norm], norm=norm, indices=indices, **options
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ATTACKS)))
def test_the_batch_changes_nothing(number):
    labels = mlp(IMAGES).argmax(1)
    numbers = jnp.asarray([40, 41, 42, 43, 44, 45])
    whole = attack_of(number)(IMAGES, labels, numbers)
    assert np.asarray(whole.fooled).any()
    # Other neighbours, another place; for one attack another size, which is another program.
    order = np.asarray([5, 0, 3] if number == 0 else [5, 0, 3, 3, 3, 1])
    part = attack_of(number)(IMAGES[order], labels[order], numbers[order])
    np.testing.assert_allclose(part.images, whole.images[order], atol=1e-6)
    np.testing.assert_allclose(part.margin, whole.margin[order], atol=1e-5)
    renumbered = attack_of(number)(IMAGES, labels, numbers + 1)
    assert not np.array_equal(renumbered.images, whole.images)


def test_eight_devices():
    number = 0
    mesh = Mesh(np.asarray(jax.devices()), ("data",))
    split = NamedSharding(mesh, PartitionSpec("data"))
    images = jnp.concatenate([IMAGES, IMAGES[:2] / 2])
    labels, numbers = mlp(images).argmax(1), jnp.arange(8)
    one = attack_of(number)(images, labels, numbers)
    eight = attack_of(number)(*(jax.device_put(v, split) for v in (images, labels, numbers)))
    assert eight.images.sharding.is_equivalent_to(split, 4)
    np.testing.assert_allclose(eight.images, one.images, atol=1e-6)
    np.testing.assert_array_equal(eight.fooled, one.fooled)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "loss"), [(pgd, "ce"), (apgd, "dlr"), (pgd, "margin")])
def test_targets_are_reached(method, loss):
    labels = mlp(IMAGES).argmax(1)
    target = (labels + 2) % 5
    attacked = method(mlp, IMAGES, labels, KEY, 0.9, steps=20, loss=loss, targets=target)
    logits = mlp(attacked.images)
    np.testing.assert_array_equal(attacked.fooled, logits.argmax(1) == target)
    rows = jnp.arange(len(target))
    assert (logits[rows, target] > logits[rows, labels]).mean() > 0.8
    if loss != "dlr":  # which compares target and label only
        assert attacked.fooled.mean() > 0.8


@pytest.mark.slow
def test_restarts_and_steps_help():
    labels = mlp(IMAGES).argmax(1)

    def margin(**options):
        return pgd(mlp, IMAGES, labels, KEY, 0.1, **options).margin

    once = margin(steps=10)
    assert (margin(steps=10, restarts=4) >= once - 1e-6).all()
    assert once.mean() > margin(steps=1, step=1.0).mean()
    assert (once >= margin(steps=10, keep="last")).all()


def test_a_radius_of_zero_and_no_random_start():
    labels = mlp(IMAGES).argmax(1)

    @jax.jit
    def one_step(epsilon):
        return pgd(mlp, IMAGES, labels, KEY, epsilon, steps=1, step=1.0, random_start=False)

    same, one = one_step(0.0), one_step(0.05)
    np.testing.assert_array_equal(same.images, IMAGES)
    assert not same.fooled.any()
    np.testing.assert_allclose(jnp.abs(one.images - IMAGES).max((1, 2, 3)), 0.05, rtol=1e-4)


def test_confident_networks_still_have_a_gradient():
    """Probabilities of 1 in float32; the softmax of a library has no gradient there."""
    labels = linear(IMAGES).argmax(1)
    attack = functools.partial(pgd, lambda x: 300 * linear(x), steps=2, random_start=False)
    attacked = jax.jit(attack)(IMAGES, labels, KEY, 0.9)
    assert attacked.fooled.all()


def test_ties_are_decided_as_argmax_does():
    attack = functools.partial(pgd, lambda x: jnp.zeros((len(x), 3)), steps=1, random_start=False)
    attacked = jax.jit(attack)(IMAGES[:2], jnp.asarray([0, 2]), KEY, 0.1)
    np.testing.assert_array_equal(attacked.fooled, [False, True])


@pytest.mark.slow
def test_expectation_over_noise():
    """The mean of many gradients is the gradient without noise; each image has noise of its own."""

    def tilted(x, key):  # noise whose gradient has mean 0
        return linear(x) + (x - 0.5).reshape(len(x), -1) @ jax.random.normal(key, (48, 2)) / 7

    labels = linear(IMAGES).argmax(1)
    run = functools.partial(
        pgd, key=KEY, epsilon=0.08, norm="l2", steps=1, step=1.0, random_start=False, keep="last",
        loss="margin",
    )  # fmt: skip
    few, many = (run(tilted, IMAGES, labels, stochastic=True, samples=n) for n in (1, 64))
    clean = run(linear, IMAGES, labels)

    def off(attacked):
        return float(jnp.abs(attacked.images - clean.images).mean())

    assert off(many) < 0.5 * off(few)
    alone = run(tilted, IMAGES[2:3], labels[2:3], stochastic=True, indices=jnp.asarray([2]))
    np.testing.assert_allclose(alone.images[0], few.images[2], atol=1e-6)
    with pytest.raises(InputError, match="samples"):
        pgd(linear, IMAGES, labels, KEY, 0.1, samples=2)


def test_the_verdict_is_on_noise_that_the_attack_has_not_seen():
    """A model of pure noise: the best of many looks is no better at the next look."""

    def guess(x, key):
        return jax.random.normal(key, (1, 2)) + 0 * x.sum()

    labels = jnp.zeros(400, int)
    attack = jax.jit(functools.partial(pgd, guess, steps=10, stochastic=True))
    attacked = attack(jnp.zeros((400, 1, 1, 1)), labels, KEY, 0.1)
    assert 0.4 < float(attacked.fooled.mean()) < 0.6


class TinyCORnet(nn.Module):
    """Two areas of CORnet-RT, three steps."""

    @nn.compact
    def __call__(self, x):
        maps = LateralArea(32, 3, 2, make("relu")).entry(x, 3)
        maps = LateralArea(32, 3, 2, make("relu")).above(maps[:-1])
        return nn.Dense(4)(maps[-1].mean((1, 2)))


@pytest.mark.slow
def test_attacks_go_through_recurrence_and_spikes():
    images = jnp.asarray(np.random.default_rng(7).random((4, 32, 32, 3)), jnp.float32)
    spiking = create_model("spiking_cnn", num_classes=4, image_size=32, steps=3)
    for net in (TinyCORnet(), spiking):
        variables = jax.jit(net.init)(jax.random.key(0), images)

        @jax.jit
        def model(x, net=net, variables=variables):
            out = net.apply(variables, (x - 0.5) / 0.25)
            return out[0] if isinstance(out, tuple) else out

        logits = model(images)
        labels = logits.argmax(1)
        first, second = jax.lax.top_k(logits, 2)[0].T
        attack = functools.partial(pgd, model, steps=20, random_start=False)
        after = jax.jit(attack)(images, labels, KEY, 0.5)
        assert (after.margin > second - first).all()
        assert after.fooled.any()


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("norm", {"norm": "l3"}),
        ("loss", {"loss": "mse"}),
        ("steps", {"steps": 0}),
        ("step", {"step": -1.0}),
        ("restarts", {"restarts": 0}),
        ("quantile", {"quantile": 1.0}),
        ("keep", {"keep": "first"}),
        ("images", {"images": 255 * IMAGES}),
        ("images", {"images": jnp.zeros((6, 4, 4, 3), jnp.uint8)}),
        ("labels", {"labels": LABELS[:5]}),
        ("labels", {"labels": LABELS + 1}),
        ("targets", {"targets": jnp.zeros(6)}),
        ("indices", {"indices": jnp.arange(5)}),
        ("loss", {"loss": "dlr"}),
        ("epsilon", {"epsilon": 8}),
    ],
)
def test_bad_input(key, changed):
    arguments = {"images": IMAGES, "labels": LABELS, "key": KEY, "epsilon": 0.1, **changed}
    with pytest.raises(InputError, match=key):
        pgd(linear, **arguments)


def test_apgd_has_no_l1():
    with pytest.raises(InputError, match="l1"):
        apgd(linear, IMAGES, LABELS, KEY, 0.1, norm="l1")


@pytest.mark.slow
def test_presets_run():
    assert {"vonenet", "evnet", "autoattack_lite"} <= PRESETS.keys()
    labels = mlp(IMAGES).argmax(1)
    attacks = {a.name: a for preset in PRESETS.values() for a in preset}
    assert {"pgd_ce_l1", "apgd_dlr_linf"} <= attacks.keys()
    for attack in attacks.values():
        attacked = attack(noisy, IMAGES, labels, KEY, 0.05, stochastic=True, steps=2, samples=2)
        assert attacked.images.shape == IMAGES.shape
    plain = Attack("pgd", "linf", (0.1,), samples=4, options={"steps": 1, "random_start": False})
    assert not plain(mlp, IMAGES, labels, KEY, 0.0).fooled.any()
    with pytest.raises(InputError, match="fgsm"):
        Attack("fgsm", "linf", (0.1,))
