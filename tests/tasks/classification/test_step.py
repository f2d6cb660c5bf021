from functools import cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import base
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.mesh import batch_sharding, state_shardings
from jaxbio.runs.state import NEVER
from jaxbio.tasks.classification.build import create_state
from jaxbio.tasks.classification.optimizers import make_optimizer
from jaxbio.tasks.classification.step import make_eval_step, make_train_step
from tests.tasks.tiny import Tiny, batch

_PREPROCESSING = Preprocessing(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@cache
def _setup(model=None, ema=False, **step_options):
    model = model or Tiny()
    optimizer = make_optimizer(base.get_config().optimizer)
    make = jax.jit(partial(create_state, model, optimizer, image_shape=(32, 32, 3), ema=ema))
    options = {"seed": 0, **step_options}
    step = make_train_step(model, _PREPROCESSING, optimizer, lambda _: jnp.float32(0.05), **options)
    return make(jax.random.key(0)), step


def test_training_lowers_the_loss_and_compiles_once():
    state, step = _setup()
    state = jax.tree.map(jnp.copy, state)  # donated
    step = jax.jit(chex.assert_max_traces(step, 1), donate_argnums=0)
    losses = []
    for i in range(30):
        state, metrics = step(state, batch(seed=i))
        losses.append(float(metrics["loss"] / metrics["count"]))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert int(state.step) == 30
    assert int(metrics["bad_step"]) == NEVER


def test_fixed_filters_stay_fixed():
    state, step = _setup()
    after, _ = jax.jit(step)(state, batch())
    chex.assert_trees_all_equal(after.constants, state.constants)
    assert not np.array_equal(after.params["conv"]["kernel"], state.params["conv"]["kernel"])


def test_randomness_is_a_function_of_seed_and_step():
    state, step = _setup(Tiny(dropout=0.5))
    one, _ = jax.jit(step)(state, batch())
    again, _ = jax.jit(step)(state, batch())
    chex.assert_trees_all_equal(one.params, again.params)
    later, _ = jax.jit(step)(state.replace(step=jnp.int32(1)), batch())
    assert not np.array_equal(one.params["fc"]["kernel"], later.params["fc"]["kernel"])


def test_accumulation_equals_the_whole_batch():
    model = Tiny(dropout=0.0, batch_norm=False)
    state, whole = _setup(model)
    _, parts = _setup(model, accumulate=4)
    (a, whole_metrics), (b, part_metrics) = (jax.jit(s)(state, batch()) for s in (whole, parts))
    chex.assert_trees_all_close(a.params, b.params, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(whole_metrics["loss"], part_metrics["loss"], rtol=1e-5)
    assert part_metrics["count"] == 16


def test_averages_follow_the_definition():
    state, step = _setup(ema=True, ema_decay=0.9, ema_warmup=False)
    after, _ = jax.jit(step)(state, batch())
    expected = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, state.params, after.params)
    chex.assert_trees_all_close(after.ema["params"], expected, rtol=1e-5, atol=1e-7)
    chex.assert_trees_all_equal(after.variables(averaged=True)["params"], after.ema["params"])


@pytest.mark.slow
def test_long_averages_forget_the_random_weights():
    """After 12 steps at .9999 plain averages are still at the start; warmed-up ones are not."""
    moved = {}
    for warmup in (False, True):
        state, step = _setup(ema=True, ema_decay=0.9999, ema_warmup=warmup)
        first, step = state.params["fc"]["kernel"], jax.jit(step)
        for i in range(12):
            state, _ = step(state, batch(seed=i))
        last, mean = state.params["fc"]["kernel"], state.ema["params"]["fc"]["kernel"]
        moved[warmup] = float(jnp.linalg.norm(mean - first) / jnp.linalg.norm(last - first))
    assert moved[False] < 0.01
    assert moved[True] > 0.5


def test_the_average_reaches_its_decay():
    state, step = _setup(ema=True, ema_decay=0.5)
    state = state.replace(step=jnp.int32(100))  # (1 + 100) / (10 + 100) is above 0.5
    after, _ = jax.jit(step)(state, batch())
    expected = jax.tree.map(lambda a, b: 0.5 * (a + b), state.ema["params"], after.params)
    chex.assert_trees_all_close(after.ema["params"], expected, rtol=1e-5, atol=1e-7)


def test_a_number_that_is_not_finite_is_reported_with_its_step():
    state, step = _setup()
    params = jax.tree.map(lambda p: p * jnp.nan, state.params)
    _, metrics = jax.jit(step)(state.replace(params=params, step=jnp.int32(41)), batch())
    assert int(metrics["bad_step"]) == 41


def test_evaluation_ignores_padding():
    state, _ = _setup()
    step = jax.jit(make_eval_step(Tiny(), _PREPROCESSING, seed=0))
    full = batch(8)
    padded = jax.tree.map(lambda x: jnp.concatenate([x, jnp.zeros_like(x)]), full)
    a, b = step(state.variables(), full), step(state.variables(), padded)
    assert b["count"] == 8
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-6)
    assert a["top1"] == b["top1"]


@pytest.mark.parametrize(
    ("data", "fsdp", "accumulate"),
    [
        (8, 1, 1),
        pytest.param(2, 4, 2, marks=pytest.mark.slow),
        pytest.param(8, 1, 2, marks=pytest.mark.slow),
        pytest.param(2, 4, 1, marks=pytest.mark.slow),
    ],
)
def test_eight_devices_equal_one(data, fsdp, accumulate):
    """Batch statistics included: BatchNorm sees the global batch."""
    state, step = _setup(Tiny(dropout=0.0), accumulate=accumulate)
    axis_types = (jax.sharding.AxisType.Auto,) * 2
    mesh = jax.make_mesh((data, fsdp), ("data", "fsdp"), axis_types=axis_types)
    shardings = state_shardings(state, mesh)
    sharded = jax.device_put(state, shardings)
    if fsdp > 1:
        kernel = sharded.params["fc"]["kernel"]
        assert kernel.addressable_shards[0].data.size == kernel.size // fsdp
    place = partial(jax.device_put, device=batch_sharding(mesh))
    one_step, many_step = jax.jit(step), jax.jit(step)
    for i in range(3):
        state, one = one_step(state, batch(32, seed=i))
        sharded, many = many_step(sharded, place(batch(32, seed=i)))
        np.testing.assert_allclose(one["loss"], many["loss"], rtol=1e-4)
    distance = optax.tree.norm(
        jax.tree.map(lambda a, b: np.array(a) - np.array(b), state.params, sharded.params)
    )
    assert distance < 1e-4 * optax.tree.norm(state.params)
    chex.assert_trees_all_close(
        jax.device_get(state.model_state), jax.device_get(sharded.model_state), rtol=1e-3, atol=1e-5
    )
