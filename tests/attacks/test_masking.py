import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.attacks import gradient_health, masking_warnings

SOUND = {
    "one_step": 0.6,
    "unbounded": 0.0,
    "noise_off": 0.41,
    "more_samples": 0.39,
    "transferred": 0.8,
}


def test_a_sound_attack_has_no_warnings():
    assert masking_warnings(0.4, 1000, **SOUND) == []
    assert masking_warnings(0.4, 1000) == []
    assert masking_warnings(0.0, 10, one_step=0.0, unbounded=0.0) == []


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"one_step": 0.3}, "one step"),
        ({"unbounded": 0.3}, "whole box"),
        ({"noise_off": 0.1}, "noise"),
        ({"noise_off": 0.7}, "noise"),
        ({"more_samples": 0.2}, "samples"),
        ({"transferred": 0.2}, "another network"),
        ({"flat": 0.01}, "zero"),
        ({"not_finite": 0.01}, "not finite"),
    ],
)
def test_every_sign_has_its_warning(changed, word):
    (warning,) = masking_warnings(0.4, 1000, **{**SOUND, **changed})
    assert word in warning


def test_differences_of_few_images_do_not_count():
    assert masking_warnings(0.4, 20, **{**SOUND, "one_step": 0.3, "more_samples": 0.25}) == []


@pytest.mark.slow
def test_gradients_that_are_no_guide():
    def model(x):
        flat = x.reshape(len(x), -1)
        logits = jnp.where(flat > 0.5, 1.0, 0.0) * 3  # a step has no gradient
        return logits + jnp.where(flat[:, :1] < 0.1, flat, 0.0) + jnp.sqrt(flat[:, 1:2] - 0.2)

    images = jnp.asarray([[0.3, 0.3], [0.05, 0.3], [0.3, 0.2]]).reshape(3, 1, 1, 2)
    flat, broken = gradient_health(
        lambda x: model(x) * jnp.asarray([[1.0, 2.0]]), images, jnp.zeros(3, int), jax.random.key(0)
    )
    np.testing.assert_array_equal(broken, [False, False, True])
    flat_only, _ = gradient_health(
        lambda x: jnp.round(x).reshape(len(x), -1), images, jnp.zeros(3, int), jax.random.key(0)
    )
    assert np.asarray(flat_only).all()
    assert not np.asarray(flat).any()
