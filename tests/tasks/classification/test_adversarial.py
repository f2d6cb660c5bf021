import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from jaxbio.errors import InputError
from jaxbio.ops.images import Preprocessing
from jaxbio.tasks.classification.adversarial import Adversary, read_adversary
from jaxbio.tasks.classification.build import create_state
from jaxbio.tasks.classification.config import Train
from jaxbio.tasks.classification.optimizers import make_optimizer
from jaxbio.tasks.classification.step import make_train_step
from tests.tasks.tiny import Tiny, batch

_PREPROCESSING = Preprocessing(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_ADVERSARY = Adversary(Train(adversarial_epsilon=0.1, adversarial_steps=3, adversarial_step=0.5))


def _step(adversary):
    model, optimizer = Tiny(dropout=0.0), make_optimizer(base.get_config().optimizer)
    state = create_state(model, optimizer, jax.random.key(0), (32, 32, 3))
    step = make_train_step(
        model, _PREPROCESSING, optimizer, lambda _: jnp.float32(0.02), seed=0, adversary=adversary
    )
    return state, jax.jit(step)


@pytest.mark.slow
def test_attacked_images_are_harder_and_within_the_radius():
    state, step = _step(_ADVERSARY)
    _, plain_step = _step(None)
    for i in range(20):  # a network that knows something
        state, _ = plain_step(state, batch(seed=i))
    data = batch(seed=50)
    _, plain = plain_step(state, data)
    one, attacked = step(state, data)
    assert float(attacked["loss"]) > 1.2 * float(plain["loss"])
    again, _ = step(state, data)
    np.testing.assert_array_equal(one.params["fc"]["kernel"], again.params["fc"]["kernel"])
    variables = {"params": state.params, "constants": state.constants, **state.model_state}
    images = _ADVERSARY.attack(Tiny(), _PREPROCESSING, variables, data, jax.random.key(1))
    moved = np.asarray(images, np.float64) - np.asarray(data["image"], np.float64)
    assert 0.09 * 255 < np.abs(moved).max() <= 0.1 * 255 * (1 + 1e-5)
    assert np.asarray(images).min() >= 0


def test_the_configuration_asks_for_it():
    train = base.get_config().train
    assert read_adversary(train, 32) is None
    train.adversarial = "pgd"
    assert read_adversary(train, 32) == Adversary(Train(adversarial="pgd"))
    train.adversarial_epsilon = 8.0
    with pytest.raises(InputError, match="adversarial_epsilon"):
        read_adversary(train, 32)
