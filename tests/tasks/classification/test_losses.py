import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.tasks.classification import losses as losses_module
from jaxbio.tasks.classification.losses import summarise

cross_entropy = jax.jit(losses_module.cross_entropy, static_argnums=2)
metric_sums = jax.jit(losses_module.metric_sums)


def test_cross_entropy_with_smoothing_is_the_definition():
    logits = jax.random.normal(jax.random.key(0), (5, 7))
    labels = jnp.array([0, 3, 6, 2, 2])
    log_p = np.array(jax.nn.log_softmax(logits), np.float64)
    for smoothing in (0.0, 0.1):
        targets = np.eye(7)[labels] * (1 - smoothing) + smoothing / 7
        expected = -(targets * log_p).sum(-1)
        np.testing.assert_allclose(cross_entropy(logits, labels, smoothing), expected, rtol=1e-5)


def test_bfloat16_logits_give_float32_losses():
    losses = cross_entropy(jnp.zeros((2, 3), jnp.bfloat16), jnp.array([0, 1]))
    assert losses.dtype == jnp.float32


def test_metric_sums_agree_with_sorting():
    logits = jax.random.normal(jax.random.key(1), (64, 12))
    labels = jax.random.randint(jax.random.key(2), (64,), 0, 12)
    order = np.argsort(-np.array(logits), axis=-1)
    sums = metric_sums(logits, labels, cross_entropy(logits, labels))
    assert sums["top1"] == (order[:, 0] == labels).sum()
    assert sums["top5"] == (order[:, :5] == np.array(labels)[:, None]).any(-1).sum()


def test_padding_does_not_count_even_if_it_is_nan():
    logits = jnp.array([[2.0, 1.0], [jnp.nan, jnp.nan]])
    labels = jnp.array([0, 0])
    losses = cross_entropy(logits, labels)
    sums = metric_sums(logits, labels, losses, jnp.array([True, False]))
    assert summarise(jax.device_get(sums)) == {
        "loss": float(losses[0]), "top1": 1.0, "top5": 1.0, "count": 1
    }  # fmt: skip


def test_ties_and_nan_count_against_the_model():
    logits = jnp.array([[1.0, 1.0], [jnp.nan, jnp.nan]])
    sums = metric_sums(logits, jnp.array([0, 0]), jnp.zeros(2))
    assert sums["top1"] == 0
    assert sums["top5"] == 2  # two classes: every rank is among the first five
