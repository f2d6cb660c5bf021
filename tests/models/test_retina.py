"""EVNet: retina and LGN in front of V1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio import create_model
from jaxbio.errors import InputError
from jaxbio.models.retina import Retina

_IMAGES = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)), jnp.float32)
_SMALL = {"simple_channels": 8, "complex_channels": 8, "out_channels": 64, "kernel_size": 9}


@pytest.mark.slow
def test_cells_of_both_pathways_feed_v1():
    model = create_model(
        "cornet_z",
        num_classes=3,
        image_size=32,
        front_end="evnet",
        front_end_options={**_SMALL, "retina": {"noise_mode": "none"}},
    )
    variables = jax.jit(model.init)(jax.random.key(0), _IMAGES)
    logits, endpoints = model.apply(variables, _IMAGES)
    assert logits.shape == (2, 3)
    assert endpoints["lgn"].shape == (2, 32, 32, 4)
    assert endpoints["v1"].shape == (2, 8, 8, 16)
    assert "retina" not in variables["params"]
    lgn, _ = Retina(image_size=32).apply({}, _IMAGES)
    np.testing.assert_array_equal(endpoints["lgn"], lgn)
    v1 = {name: variables[name]["v1"] for name in ("params", "constants")}
    _, expected = model.v1.apply(v1, lgn)
    np.testing.assert_allclose(endpoints["v1"], expected["v1"], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_level_of_light_is_forgotten():
    retina = Retina(image_size=32)
    # Images are normalised light: (x + 1) / 2.
    brighter, _ = retina.apply({}, _IMAGES)
    darker, _ = retina.apply({}, (_IMAGES + 1) / 2 - 1)
    np.testing.assert_allclose(darker, brighter, atol=0.02)
    other = Retina(image_size=32, mean=(0.0,) * 3, std=(1.0,) * 3)
    np.testing.assert_allclose(other.apply({}, (_IMAGES + 1) / 2)[0], brighter, atol=1e-3)


def test_noise_is_on_in_training():
    retina = Retina(image_size=32)

    def lgn(key, train):
        answer, _ = retina.apply({}, _IMAGES, train, rngs={"noise": jax.random.key(key)})
        return np.asarray(answer)

    np.testing.assert_array_equal(lgn(0, False), lgn(1, False))
    np.testing.assert_array_equal(lgn(0, True), lgn(0, True))
    assert (lgn(0, True) != lgn(1, True)).any()


@pytest.mark.parametrize(
    "option", ["light_adaptation", "opponency", "contrast_normalization", "m_cells"]
)
def test_every_stage_can_be_left_out(option):
    without, _ = Retina(image_size=32, **{option: False}).apply({}, _IMAGES)
    whole, _ = Retina(image_size=32).apply({}, _IMAGES)
    channels = 3 if option == "m_cells" else 4
    assert without.shape[-1] == channels
    same = np.allclose(without, whole[..., :channels], rtol=1e-3)
    assert same == (option == "m_cells")


@pytest.mark.slow
def test_gradients_reach_black_pictures():
    black = jnp.full((1, 32, 32, 3), -1.0)
    gradient = jax.grad(lambda x: Retina(image_size=32).apply({}, x)[0].sum())(black)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"retina": {"cones": 3}}, "cones"),
        ({"retina": {"noise_mode": "loud"}}, "loud"),
        ({"visual_degrees": 0.0}, "visual_degrees=0"),
    ],
)
def test_wrong_options(options, match):
    def initialise():
        model = create_model(
            "cornet_z", image_size=32, front_end="evnet", front_end_options=options
        )
        jax.eval_shape(model.init, jax.random.key(0), _IMAGES)

    with pytest.raises(InputError, match=match):
        initialise()


def test_a_retina_needs_its_front_end():
    with pytest.raises(InputError, match="retina"):
        create_model("cornet_z", front_end="vone", front_end_options={"retina": {}})
