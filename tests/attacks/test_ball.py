import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.attacks import NORMS, ball, project
from jaxbio.errors import InputError


def distance(x, images, norm):
    """In exact arithmetic, as good as."""
    d = np.asarray(x, np.float64) - np.asarray(images, np.float64)
    return {
        "linf": np.abs(d).max(1),
        "l2": np.sqrt(np.square(d).sum(1)),
        "l1": np.abs(d).sum(1),
    }[norm]


RADII = {"linf": (8 / 255, 1 / 1020, 0.7), "l2": (0.15, 3.0), "l1": (0.3, 40.0)}
_project = jax.jit(project, static_argnums=3)
_start = jax.jit(ball.random_start, static_argnums=3)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("far", [1e-6, 0.02, 1.0, 300.0])
def test_projections_are_inside_the_ball_and_the_box(norm, far):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (6, 3000)) / 255
    images = np.where(rng.random((6, 1)) < 0.5, levels, rng.random((6, 3000)))
    images = jnp.asarray(images, jnp.float32)
    for epsilon in RADII[norm]:
        x = images + far * jnp.asarray(rng.normal(size=images.shape), jnp.float32)
        moved = _project(x, images, ball.epsilons(epsilon, images, norm), norm)
        lengths = distance(moved, images, norm)
        assert (lengths <= epsilon).all()  # the double, not its float32 neighbour
        assert float(moved.min()) >= 0
        assert float(moved.max()) <= 1
        if far >= 1 and epsilon < 3:  # and the ball is used to its edge
            assert (lengths >= epsilon * (1 - 2e-5)).all()


@pytest.mark.parametrize("norm", NORMS)
def test_projections_find_the_nearest_point(norm):
    rng = np.random.default_rng(1)
    images = jnp.asarray(rng.random((40, 12)), jnp.float32)
    epsilon = {"linf": 0.2, "l2": 0.6, "l1": 1.1}[norm]
    x = images + jnp.asarray(rng.normal(size=images.shape), jnp.float32)
    moved = np.asarray(_project(x, images, ball.epsilons(epsilon, images, norm), norm), np.float64)
    # The nearest point makes an obtuse angle with every other point of a convex set.
    for _ in range(200):
        other = np.clip(np.asarray(images) + rng.normal(size=images.shape), 0, 1)
        shrink = np.minimum(1, epsilon / distance(other, images, norm))[:, None]
        other = np.asarray(images) + (other - np.asarray(images)) * shrink
        assert (((np.asarray(x) - moved) * (other - moved)).sum(1) <= 1e-5).all()


@pytest.mark.parametrize("norm", NORMS)
def test_images_inside_stay(norm):
    images = jnp.full((2, 100), 0.5)
    x = images + 1e-4 * jnp.sign(jnp.sin(jnp.arange(100.0)))[None]
    inside = _project(x, images, jnp.full(2, {"linf": 0.1, "l2": 0.1, "l1": 1.0}[norm]), norm)
    np.testing.assert_allclose(inside, x, atol=6e-8)


@pytest.mark.parametrize("norm", NORMS)
def test_random_starts_fill_the_ball(norm):
    images = jnp.full((400, 3), 0.5)
    epsilon = 0.3
    keys = jax.random.split(jax.random.key(0), 400)
    x = _start(keys, images, jnp.full(400, epsilon), norm)
    lengths = distance(x, images, norm)
    assert (lengths <= epsilon).all()
    # Of three dimensions 1/8 of a uniform ball lies within half its radius.
    assert 0.07 < (lengths < epsilon / 2).mean() < 0.18
    assert abs(float((x > 0.5).mean()) - 0.5) < 0.05


def test_steps_have_length_one():
    x = jnp.full((3, 50), 0.5)
    gradient = jnp.asarray(np.random.default_rng(2).normal(size=(3, 50)), jnp.float32)
    gradient = gradient * jnp.asarray([[1e-30], [1.0], [1e20]])
    for norm, lengths in (
        ("linf", lambda d: np.abs(d).max(1)),
        ("l2", lambda d: np.sqrt(np.square(d).sum(1))),
        ("l1", lambda d: np.abs(d).sum(1)),
    ):
        d = np.asarray(ball.direction(gradient, x, norm))
        np.testing.assert_allclose(lengths(d), 1, rtol=1e-5)
        assert (np.sign(d) == np.sign(gradient)).all()
    sparse = np.asarray(ball.direction(gradient, x, "l1", quantile=0.9))
    np.testing.assert_array_equal((sparse != 0).sum(1), 5)
    np.testing.assert_allclose(np.abs(sparse).sum(1), 1, rtol=1e-6)
    at_edge = ball.direction(gradient, jnp.where(gradient > 0, 1.0, 0.0), "l1", quantile=0.9)
    assert not np.asarray(at_edge).any()


def test_gradients_without_a_direction_move_nothing():
    x = jnp.full((2, 4), 0.5)
    gradient = jnp.asarray([[0.0] * 4, [np.nan, np.inf, 0.0, 0.0]])
    for norm in NORMS:
        assert not np.asarray(ball.direction(gradient, x, norm)).any()


@pytest.mark.parametrize(
    ("epsilon", "norm"), [(8, "linf"), (-0.1, "l2"), (3.0, "l2"), (4.5, "l1"), (np.nan, "linf")]
)
def test_radii_beyond_the_box(epsilon, norm):
    with pytest.raises(InputError, match="epsilon"):
        ball.epsilons(epsilon, jnp.zeros((2, 4)), norm)


def test_one_radius_per_image():
    images = jnp.full((2, 4), 0.5)
    radii = ball.epsilons([0.1, 0.2], images, "linf")
    moved = project(images + 1, images, radii, "linf")
    np.testing.assert_allclose(distance(moved, images, "linf"), [0.1, 0.2], rtol=1e-5)
    with pytest.raises(InputError, match="epsilon"):
        ball.epsilons([0.1, 0.2, 0.3], images, "linf")
