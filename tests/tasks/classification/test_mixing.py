"""mixup and CutMix: what pictures and labels become, and what a step makes of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import base
from jaxbio.errors import InputError
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.state import make_state
from jaxbio.tasks.classification.config import Data
from jaxbio.tasks.classification.mixing import Mixing, read_mixing
from jaxbio.tasks.classification.step import make_train_step
from jaxbio.tasks.config import check_config
from tests.tasks.tiny import Tiny, batch

_SIZE = 8


def _pictures(number=6):
    """A grey level each: the mean tells how much of which picture there is."""
    levels = 10.0 * np.arange(number, dtype=np.uint8)
    images = np.broadcast_to(levels.reshape(-1, 1, 1, 1), (number, _SIZE, _SIZE, 3))
    return {
        "image": jnp.asarray(images, jnp.uint8),
        "label": jnp.arange(number),
    }


@functools.cache
def _program(kind):
    def mix(key, share, alpha):
        data = Data(mix=kind, mix_share=share, mixup_alpha=alpha, cutmix_alpha=alpha)
        return Mixing(data)(_pictures(), key)

    return jax.jit(jax.vmap(mix, (0, None, None)))


@functools.cache
def _mixed(kind, share=1.0, alpha=1.0, count=200):
    keys = jax.random.split(jax.random.key(3), count)
    return jax.device_get(_program(kind)(keys, share, alpha))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mixup", "cutmix", "both"])
def test_labels_weigh_what_the_pictures_show(kind):
    found = _mixed(kind)
    own, other, weight = found["label"], found["other"], found["weight"]
    expected = 10.0 * (weight * own + (1.0 - weight) * other)
    np.testing.assert_allclose(found["image"].mean((2, 3, 4)), expected, rtol=1e-4, atol=1e-3)
    assert (weight >= 0.5).all()
    assert (weight == weight[:, :1]).all()  # one for a batch
    # Each picture is once the own one and once the partner.
    both = np.sort(np.concatenate([own, other], axis=1), axis=1)
    np.testing.assert_array_equal(both, np.broadcast_to(np.repeat(np.arange(6), 2), both.shape))


@pytest.mark.slow
def test_mixup_blends_and_cutmix_pastes():
    levels = {kind: _mixed(kind)["image"] for kind in ("mixup", "cutmix")}
    for batch_of in levels["mixup"]:
        assert all(len(np.unique(picture)) == 1 for picture in batch_of)
    assert set(np.unique(levels["cutmix"])) == {0.0, 10.0, 20.0, 30.0, 40.0, 50.0}
    kinds = [{len(np.unique(picture)) for picture in one} for one in _mixed("both")["image"]]
    pasted = sum(2 in kind for kind in kinds)
    assert 50 < pasted < 150  # of 200, some rectangles being nothing or all


def test_weights_follow_the_distribution():
    """Beta(1, 1) is uniform, Beta(0.2, 0.2) near its ends; folded at one half."""
    uniform, peaked = (_mixed("mixup", alpha=a)["weight"][:, 0] for a in (1.0, 0.2))
    np.testing.assert_allclose(uniform.mean(), 0.75, atol=0.04)
    folded = np.random.default_rng(0).beta(0.2, 0.2, 20000)
    folded = np.maximum(folded, 1 - folded)
    np.testing.assert_allclose(peaked.mean(), folded.mean(), atol=0.04)


def test_a_share_of_the_batches_stays_as_it_is():
    found = _mixed("cutmix", share=0.3)
    untouched = [(image == _pictures()["image"]).all() for image in found["image"]]
    assert 0.58 < np.mean(untouched) < 0.82
    first = int(np.argmax(untouched))
    assert (found["weight"][first] == 1.0).all()
    np.testing.assert_array_equal(found["label"][first], np.arange(6))


@pytest.mark.slow
def test_the_loss_is_that_of_soft_labels():
    model, images = Tiny(dropout=0.0, batch_norm=False), Preprocessing(32, (0.5,) * 3, (0.5,) * 3)
    variables = dict(jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3))))
    params, constants = variables.pop("params"), variables.pop("constants")
    mixing, seen = Mixing(Data(mix="mixup", mixup_alpha=1.0)), []

    def spy(given, key):
        mixed = mixing(given, key)
        jax.debug.callback(seen.append, mixed)
        return mixed

    optimizer = optax.identity()
    state = make_state(params, variables, constants, optimizer)
    step = make_train_step(
        model, images, optimizer, lambda _: jnp.float32(0.0), seed=0, label_smoothing=0.1,
        accumulate=2, mixing=spy,
    )  # fmt: skip
    _, metrics = jax.jit(step)(state, batch(16))
    jax.effects_barrier()
    mixed = jax.tree.map(jnp.asarray, seen[0])
    soft = mixed["weight"][:, None] * jax.nn.one_hot(mixed["label"], 10)
    soft += (1 - mixed["weight"][:, None]) * jax.nn.one_hot(mixed["other"], 10)
    every = {"params": params, "constants": constants, **variables}
    logits, _ = jax.jit(model.apply)(every, images.normalise(mixed["image"]))
    expected = optax.softmax_cross_entropy(logits, optax.smooth_labels(soft, 0.1)).sum()
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    right = (logits.argmax(-1) == mixed["label"]).sum()
    assert metrics["top1"] == right


def test_what_the_configuration_asks_for():
    config = base.get_config()
    config.train.total_steps = 1
    assert read_mixing(config.data) is None
    config.data.mix = "mixup"
    assert read_mixing(config.data).data.mixup_alpha == 0.2
    check_config(config)
    for key, value in (("arr.coefficient", 1.0), ("train.adversarial", "pgd")):
        other = config.copy_and_resolve_references()
        section, name = key.split(".")
        other[section][name] = value
        with pytest.raises(InputError, match=f"data.mix.*{key}"):
            check_config(other)
