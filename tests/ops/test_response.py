"""Response-adaptive units and the response memory, against definitions written out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

from jaxbio.errors import InputError
from jaxbio.ops.response import arr_loss, new_memory, raa, raa2, read_memory, update_memory


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shift_shape", [(4, 5, 1), (1, 1, 1), (4, 5, 6), (1, 1, 6)])
def test_raa_and_its_derivatives_are_the_definition(shift_shape):
    x, shift, g = draws(4, 5, 6), draws(*shift_shape, seed=1), draws(4, 5, 6, seed=2)

    def plain(x, shift):
        return x * norm.cdf(x + shift)

    @partial(jax.jit, static_argnums=0)
    def both(function, x, shift, g):
        y, back = jax.vjp(function, x, shift)
        return y, back(g)

    ours, slopes = both(raa, x, shift, g)
    theirs, their_slopes = both(plain, x, shift, g)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    for a, b in zip(slopes, their_slopes, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_without_a_shift_they_are_gelu_and_relu():
    x, zero = jnp.asarray(draws(3, 7)), jnp.zeros((3, 1))
    np.testing.assert_allclose(raa(x, zero), jax.nn.gelu(x, approximate=False), atol=1e-6)
    np.testing.assert_array_equal(raa2(x, zero), jax.nn.relu(x))


@pytest.mark.parametrize("unit", [raa, raa2])
def test_bfloat16_loses_the_rounding_of_its_input_only(unit):
    """Over the whole range, tails included, as good as float32 rounded once."""
    x = jnp.linspace(-12, 12, 4001).astype(jnp.bfloat16).reshape(1, -1)
    shift = jnp.full((1, 1), 0.3, jnp.float32)
    g = jnp.ones_like(x)
    y, back = jax.vjp(unit, x, shift)
    wide, wide_back = jax.vjp(unit, x.astype(jnp.float32), shift)
    assert y.dtype == jnp.bfloat16
    assert back(g)[0].dtype == jnp.bfloat16
    assert back(g)[1].dtype == jnp.float32
    np.testing.assert_array_equal(y, wide.astype(jnp.bfloat16))
    dx, wide_dx = back(g)[0], wide_back(g.astype(jnp.float32))[0]
    np.testing.assert_array_equal(dx, wide_dx.astype(jnp.bfloat16))
    np.testing.assert_allclose(back(g)[1], wide_back(g.astype(jnp.float32))[1], rtol=1e-5)


def test_raa_is_finite_far_out():
    x = jnp.array([[-1e30, -40.0, 40.0, 1e30]])
    y, back = jax.vjp(raa, x, jnp.zeros((1, 1)))
    np.testing.assert_allclose(y, [[0, 0, 40.0, 1e30]], atol=1e-6)
    np.testing.assert_allclose(back(jnp.ones_like(x))[0], [[0, 0, 1, 1]], atol=1e-6)


def sequential(means, counts, responses, labels, momentum, start, interval):
    """The published recursion, sample by sample; changes means and counts."""
    targets = []
    for response, label in zip(responses, labels, strict=True):
        if counts[label] % interval == 0:
            replaces = counts[label] <= start
            old = means[label]
            means[label] = response if replaces else (1 - momentum) * old + momentum * response
        counts[label] += 1
        targets.append(means[label].copy())
    return np.array(targets)


@pytest.mark.parametrize(
    ("momentum", "start", "interval"), [(0.1, 0, 1), (0.5, 3, 1), (0.1, 2, 2), (1.0, 0, 3)]
)
@pytest.mark.parametrize("classes", [1, 50])
def test_a_batch_is_its_samples_one_after_another(momentum, start, interval, classes):
    rng = np.random.default_rng(0)
    memory = new_memory(classes, {"a": 5, "b": 3})
    means, counts = np.zeros((classes, 8)), np.zeros(classes, int)
    update = jax.jit(partial(update_memory, momentum=momentum, start=start, interval=interval))
    for batch in range(4):
        labels = rng.integers(0, classes, 40)
        stacked = draws(40, 8, seed=batch)
        targets, memory = update(
            memory, {"a": stacked[:, :5], "b": stacked[:, 5:]}, jnp.asarray(labels)
        )
        expected = sequential(means, counts, stacked, labels, momentum, start, interval)
        ours = np.concatenate([targets["a"], targets["b"]], 1)
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(memory["count"], counts)
        mean = np.concatenate([memory["mean"]["a"], memory["mean"]["b"]], 1)
        np.testing.assert_allclose(mean, means, rtol=1e-4, atol=1e-5)


def test_thousands_of_samples_of_one_class_stay_exact():
    """0.9 ** 3000 is 0 in float32, its inverse is not finite: neither may matter."""
    responses = 5 + draws(3000, 2)
    labels = np.zeros(3000, int)
    means, counts = np.zeros((1, 2)), np.zeros(1, int)
    expected = sequential(means, counts, responses, labels, 0.1, 0, 1)
    update = jax.jit(update_memory)
    targets, memory = update(new_memory(1, {"a": 2}), {"a": responses}, jnp.asarray(labels))
    np.testing.assert_allclose(targets["a"], expected, rtol=1e-5)
    np.testing.assert_allclose(memory["mean"]["a"], means, rtol=1e-5)


def test_the_first_response_of_a_class_is_its_own_target_to_the_bit():
    responses = jnp.asarray(1e4 * draws(3, 4))
    memory = new_memory(3, {"a": 4})
    targets, _ = jax.jit(update_memory)(memory, {"a": responses}, jnp.array([2, 0, 1]))
    np.testing.assert_array_equal(targets["a"], responses)


def test_means_carry_no_gradient_and_ties_no_slope():
    responses = jnp.asarray(draws(4, 3))
    memory = new_memory(2, {"a": 3})
    labels = jnp.array([0, 0, 0, 1])

    def loss(r):
        targets, _ = update_memory(memory, {"a": r}, labels)
        return arr_loss([r], [targets["a"]])

    slope = jax.jit(jax.grad(loss))(responses)
    targets, _ = jax.jit(update_memory)(memory, {"a": responses}, labels)
    np.testing.assert_allclose(slope, np.sign(responses - targets["a"]) / 12, atol=1e-7)
    assert not np.asarray(slope[0]).any()
    assert np.asarray(slope[1]).all()


def test_reading_leaves_out_what_was_masked_or_never_seen():
    memory = new_memory(3, {"a": 2})
    seen = jnp.array([[1.0, 2.0]])
    _, memory = jax.jit(update_memory)(memory, {"a": seen}, jnp.array([1]))
    responses = jnp.asarray(draws(4, 2))
    targets = read_memory(
        memory, {"a": responses}, jnp.array([1, 0, 1, 2]), jnp.array([True, True, False, True])
    )
    np.testing.assert_array_equal(targets["a"][0], seen[0])
    np.testing.assert_array_equal(targets["a"][1:], responses[1:])


def test_the_loss_is_a_mean_per_width_then_over_widths():
    responses = [draws(4, 3), draws(6, 3, seed=1), draws(5, 7, seed=2)]
    targets = [draws(*r.shape, seed=9) for r in responses]
    narrow = np.concatenate(
        [np.abs(r - t) for r, t in list(zip(responses, targets, strict=True))[:2]]
    )
    wide = np.abs(responses[2] - targets[2])
    np.testing.assert_allclose(
        arr_loss(responses, targets), (narrow.mean() + wide.mean()) / 2, rtol=1e-6
    )


def test_labels_without_a_row():
    memory, responses = new_memory(3, {"a": 2}), {"a": jnp.ones((2, 2))}
    for labels, wrong in (([0, 3], 3), ([-1, 0], -1)):
        for function in (update_memory, read_memory):
            with pytest.raises(InputError, match=f"label {wrong} has no row .* of 3 classes"):
                function(memory, responses, jnp.array(labels))
    # Under jit labels are not known: such samples leave the memory alone and are their own target.
    targets, after = jax.jit(update_memory)(memory, responses, jnp.array([7, -1]))
    np.testing.assert_array_equal(targets["a"], responses["a"])
    assert not np.asarray(after["count"]).any()
    assert not np.asarray(after["mean"]["a"]).any()


@pytest.mark.parametrize("widths", [{"a": 3}, {"b": 2}, {"a": 2, "b": 2}])
def test_the_memory_of_another_model(widths):
    with pytest.raises(InputError, match="response memory is of another model: ") as error:
        update_memory(new_memory(2, widths), {"a": jnp.ones((1, 2))}, jnp.array([0]))
    assert "\n" not in str(error.value)
