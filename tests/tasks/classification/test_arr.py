"""ARR in training: endpoints, devices, micro-batches, averages, checkpoints, transfers."""

from functools import partial
from typing import ClassVar

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from configs import base, dnrt_vit
from jaxbio.errors import InputError
from jaxbio.models import create_model
from jaxbio.ops.images import Preprocessing
from jaxbio.ops.response import update_memory
from jaxbio.runs.mesh import batch_sharding, state_shardings
from jaxbio.runs.verified import CheckpointMismatchError
from jaxbio.tasks import loop
from jaxbio.tasks.classification import opened as session
from jaxbio.tasks.classification import task
from jaxbio.tasks.classification.arr import (
    COLLECTION,
    ResponseRegulariser,
    aggregate,
    choose_endpoints,
    make_regulariser,
)
from jaxbio.tasks.classification.augmentation import Augmentation
from jaxbio.tasks.classification.build import create_state
from jaxbio.tasks.classification.config import Arr, Data
from jaxbio.tasks.classification.step import make_eval_step, make_train_step
from tests.tasks.tiny import Tiny, batch

_PREPROCESSING = Preprocessing(32, (0.5,) * 3, (0.5,) * 3)


class Small(nn.Module):
    """Two named blocks, one of them with a map, and no randomness."""

    num_classes: int = 10
    blocks: ClassVar[str] = r"layer\d"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False):
        x = nn.relu(nn.Conv(8, (4, 4), (4, 4), name="conv")(x))
        vector = nn.relu(nn.Dense(6, name="dense")(x.mean((1, 2))))
        logits = nn.Dense(self.num_classes, name="fc")(vector)
        return logits, {"layer1": x, "layer2": vector, "logits": logits}


def _regulariser(coefficient=5.0) -> ResponseRegulariser:
    return ResponseRegulariser({"layer1": 8, "layer2": 6}, 10, Arr(coefficient=coefficient))


def _setup(model=None, regulariser=None, ema=False, **options):
    model = model or Small()
    optimizer = optax.scale_by_adam()
    state = jax.jit(
        lambda key: create_state(
            model, optimizer, key, (32, 32, 3), ema=ema, regulariser=regulariser
        )
    )(jax.random.key(0))
    step = make_train_step(
        model,
        _PREPROCESSING,
        optimizer,
        lambda step: jnp.float32(1e-2),
        seed=0,
        regulariser=regulariser,
        **options,
    )
    return state, step


def _responses(state, images):
    images = (images / 255.0 - 0.5) / 0.5
    _, endpoints = Small().apply({"params": state.params}, images.astype(jnp.float32))
    return {name: aggregate(name, endpoints[name]) for name in ("layer1", "layer2")}


@pytest.mark.slow
def test_the_step_updates_the_memory_and_pulls_responses_together():
    state, step = _setup(regulariser=_regulariser(coefficient=50.0))
    first = batch()
    _, expected = update_memory(
        state.model_state[COLLECTION], _responses(state, first["image"]), first["label"]
    )
    step = jax.jit(step)
    state, metrics = step(state, first)
    chex.assert_trees_all_close(state.model_state[COLLECTION], expected, rtol=1e-4, atol=1e-5)
    distances = [float(metrics["arr"] / metrics["count"])]
    for _ in range(60):
        state, metrics = step(state, first)
        distances.append(float(metrics["arr"] / metrics["count"]))
    assert distances[-1] < 0.5 * max(distances)


def test_a_coefficient_of_zero_is_off():
    assert make_regulariser(base.get_config().arr, None, 32) is None
    state, step = _setup()
    assert COLLECTION not in state.model_state
    _, metrics = jax.eval_shape(step, state, batch())
    assert "arr" not in metrics


@pytest.mark.slow
@pytest.mark.parametrize(("data", "fsdp"), [(8, 1), (2, 4)])
def test_eight_devices_have_one_memory(data, fsdp):
    state, step = _setup(regulariser=_regulariser())
    axis_types = (jax.sharding.AxisType.Auto,) * 2
    mesh = jax.make_mesh((data, fsdp), ("data", "fsdp"), axis_types=axis_types)
    sharded = jax.device_put(state, state_shardings(state, mesh))
    place = partial(jax.device_put, device=batch_sharding(mesh))
    one_step, many_step = jax.jit(step), jax.jit(step)
    for i in range(3):
        state, one = one_step(state, batch(32, seed=i))
        sharded, many = many_step(sharded, place(batch(32, seed=i)))
        np.testing.assert_allclose(one["arr"], many["arr"], rtol=1e-4)
    ours, theirs = (jax.device_get(s.model_state[COLLECTION]) for s in (sharded, state))
    chex.assert_trees_all_close(ours, theirs, rtol=1e-3, atol=1e-5)
    assert ours["count"].sum() == 96


@pytest.mark.slow
def test_micro_batches_visit_the_memory_one_after_another():
    state, step = _setup(regulariser=_regulariser(), accumulate=4)
    whole = batch(16)
    memory, responses = state.model_state[COLLECTION], _responses(state, whole["image"])
    for part in range(4):  # as documented: examples 0, 4, 8, 12, then 1, 5, ...
        _, memory = update_memory(
            memory, {k: v[part::4] for k, v in responses.items()}, whole["label"][part::4]
        )
    after, metrics = jax.jit(step)(state, whole)
    chex.assert_trees_all_close(after.model_state[COLLECTION], memory, rtol=1e-4, atol=1e-5)
    assert metrics["arr"] > 0


def test_averages_take_the_memory_as_it_is():
    state, step = _setup(regulariser=_regulariser(), ema=True, ema_decay=0.9)
    after, _ = jax.jit(step)(state, batch())
    memory = after.model_state[COLLECTION]
    chex.assert_trees_all_equal(after.ema["model_state"][COLLECTION], memory)
    assert memory["count"].dtype == jnp.int32
    chex.assert_trees_all_equal(after.variables(averaged=True)[COLLECTION], memory)


@pytest.mark.slow
def test_no_transfers_but_the_batch():
    """Neither the memory nor augmentation goes through the host."""
    augmentation = Augmentation(Data(rand_augment=2, random_erasing=0.25))
    state, step = _setup(regulariser=_regulariser(), augmentation=augmentation)
    compiled = jax.jit(step, donate_argnums=0).lower(state, batch()).compile()
    on_device = jax.device_put(batch())
    with jax.transfer_guard("disallow"):
        for _ in range(3):
            state, metrics = compiled(state, on_device)
        jax.block_until_ready(metrics)
    assert int(state.model_state[COLLECTION]["count"].sum()) == 48


@pytest.mark.slow
def test_augmentation_is_a_function_of_seed_and_step_not_of_micro_batches():
    augmentation = Augmentation(Data(rand_augment=2, random_erasing=0.25))
    state, whole = _setup(augmentation=augmentation)
    _, parts = _setup(augmentation=augmentation, accumulate=4)
    _, plain = _setup()
    (a, one), (b, other), (_, without) = (jax.jit(s)(state, batch()) for s in (whole, parts, plain))
    np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-5)
    assert abs(float(one["loss"] - without["loss"])) > 1e-3
    chex.assert_trees_all_close(a.params, b.params, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_evaluation_reads_the_memory_and_ignores_padding_and_unseen_classes():
    regulariser = _regulariser()
    state, step = _setup(regulariser=regulariser)
    state, _ = jax.jit(step)(state, batch(16))
    evaluate = jax.jit(make_eval_step(Small(), _PREPROCESSING, seed=0, regulariser=regulariser))
    full = batch(8, seed=1)
    memory, responses = state.model_state[COLLECTION], _responses(state, full["image"])
    expected = 0.0
    for label, *row in zip(np.asarray(full["label"]), *responses.values(), strict=True):
        if memory["count"][label] > 0:
            means = [memory["mean"][name][label] for name in responses]
            expected += np.mean([np.abs(r - m).mean() for r, m in zip(row, means, strict=True)])
    sums = evaluate(state.variables(), full)
    np.testing.assert_allclose(sums["arr"], expected, rtol=1e-4)
    padded = jax.tree.map(lambda x: jnp.concatenate([x, jnp.zeros_like(x)]), full)
    np.testing.assert_allclose(evaluate(state.variables(), padded)["arr"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", ["layer1", "layer2", "layer3", "layer4"]),
        pytest.param("vit_mini_patch8_32", [f"block{i}" for i in range(6)], marks=pytest.mark.slow),
        pytest.param("cornet_s", ["V1", "V2", "V4", "IT"], marks=pytest.mark.slow),
        pytest.param(
            "densenet121", [f"denseblock{i}" for i in range(1, 5)], marks=pytest.mark.slow
        ),
        pytest.param("vgg11", [f"pool{i}" for i in range(1, 6)], marks=pytest.mark.slow),
        ("alexnet", ["pool1", "pool2", "pool3"]),
        ("squeezenet1_1", ["pool1", "pool2", "pool3"]),
        ("spiking_cnn", ["layer1", "layer2", "layer3"]),
    ],
)
def test_the_default_is_every_block(name, expected):
    config = base.get_config().arr
    config.coefficient = 1.0
    regulariser = make_regulariser(config, create_model(name, num_classes=7, image_size=32), 32)
    assert list(regulariser.widths) == expected
    assert regulariser.num_classes == 7
    assert regulariser.new_memory()["mean"][expected[-1]].shape == (
        7,
        regulariser.widths[expected[-1]],
    )


def test_the_default_is_what_matches_the_whole_pattern():
    shapes = {"conv": (1, 9), "fire2": (1, 4, 4, 8), "pool1": (1, 2, 2, 4), "my_pool2": (1, 2)}
    assert choose_endpoints("default", shapes, r"fire\d|pool\d") == ("fire2", "pool1")


def test_aggregation():
    rng = np.random.default_rng(0)
    vector, maps = rng.random((2, 5)), rng.random((2, 3, 4, 5))
    np.testing.assert_array_equal(aggregate("a", vector), vector)
    np.testing.assert_allclose(aggregate("a", maps), maps.mean((1, 2)), rtol=1e-6)
    times = np.stack([maps, 2 * maps])
    np.testing.assert_allclose(aggregate("a", times), 2 * maps.mean((1, 2)), rtol=1e-6)
    with pytest.raises(InputError, match=r"endpoint 'tokens' of shape \(2, 3, 5\)"):
        aggregate("tokens", rng.random((2, 3, 5)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"endpoints": "layer1,layr2"}, r"has 'layr2'.*valid: default, layer1, layer2, logits"),
        ({"endpoints": ""}, r"arr.endpoints has ''"),
        ({"momentum": 0.0}, r"arr.momentum=0.0: .*\(0, 1\]"),
        ({"momentum": 1.5}, "arr.momentum=1.5"),
        ({"coefficient": -1.0}, "arr.coefficient=-1.0"),
        ({"coefficient": 0.0, "endpoints": "none_such"}, "none_such"),
        ({"interval": 0}, "arr.interval=0: .*1 or more"),
        ({"start": -1}, "arr.start=-1"),
    ],
)
def test_wrong_settings_are_one_line(changes, message):
    config = base.get_config().arr
    config.update({"coefficient": 1.0, **changes})
    with pytest.raises(InputError, match=message) as error:
        make_regulariser(config, Small(), 32)
    assert "\n" not in str(error.value)


def test_a_model_without_blocks_has_no_default():
    config = base.get_config().arr
    config.coefficient = 1.0
    with pytest.raises(InputError, match="names no blocks; use some of logits"):
        make_regulariser(config, Tiny(), 32)


@pytest.fixture
def small_model(monkeypatch):
    monkeypatch.setattr(session, "build_model", lambda arguments: Small())


def _config(**changes):
    config = dnrt_vit.get_config()
    flat = {
        "train.total_steps": 12,
        "eval.every_steps": 6,
        "checkpoint.every_steps": 6,
        "eval.batch_size": 96,
        "log.tensorboard": False,
        **changes,
    }
    config.update_from_flattened_dict(flat)
    return config


@pytest.mark.slow
def test_the_memory_survives_a_checkpoint_and_serves_evaluation(tmp_path, small_model, monkeypatch):
    config = _config(**{"train.ema_decay": 0.9})
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    results = loop.train(config, str(whole))
    assert results["arr"] > 0

    class StopAt5(loop.Interrupts):
        def stop_requested(self, step):
            return step == 5 or super().stop_requested(step)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interrupts", StopAt5)
        assert loop.train(config, str(parts)) is None
    loop.train(config, str(parts))
    one, other = (session.open_session(None, str(path), "last") for path in (whole, parts))
    chex.assert_trees_all_equal(one.variables, other.variables)
    memory = one.variables[COLLECTION]
    assert int(memory["count"].sum()) == 12 * config.train.batch_size
    measured = one.measure(one.batches())
    assert measured["arr"] == pytest.approx(results["arr"], rel=1e-5)

    # The data's configuration may come from elsewhere: the memory is the run's.
    plain = _config(**{"arr.coefficient": 0.0})
    assert COLLECTION in session.open_session(plain, str(whole), "last").variables


@pytest.mark.slow
def test_the_memory_of_other_endpoints_is_refused(tmp_path, small_model, monkeypatch):
    config = _config(**{"train.total_steps": 2, "arr.endpoints": "layer1"})
    experiment = task.Classification(config)
    loop.train(config, str(tmp_path))
    checkpointer = loop.Checkpointer(tmp_path / "checkpoints", best_by="top1")
    other = task.Classification(_config(**{"arr.endpoints": "layer2"}))
    with pytest.raises(CheckpointMismatchError, match=r"missing response_memory/mean/layer2") as e:
        checkpointer.restore_latest(other.like)
    assert "\n" not in str(e.value)
    assert checkpointer.restore_latest(experiment.like) is not None
    checkpointer.close()
