"""What does not learn stays bit for bit, whatever the optimiser and the averages."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from jaxbio.errors import InputError
from jaxbio.models import create_model
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.state import make_state
from jaxbio.tasks.classification.build import variable_shapes
from jaxbio.tasks.classification.frozen import classifier_paths, read_frozen
from jaxbio.tasks.classification.losses import cross_entropy
from jaxbio.tasks.classification.optimizers import make_optimizer
from jaxbio.tasks.classification.step import make_train_step
from tests.tasks.tiny import Tiny, batch

_IMAGES = Preprocessing(32, (0.5,) * 3, (0.5,) * 3)


def _shapes(name, **arguments):
    one, other = (create_model(name, num_classes=n, **arguments) for n in (10, 11))
    size = arguments["image_size"]
    shapes, more = (variable_shapes(network, size)["params"] for network in (one, other))
    return shapes, classifier_paths(shapes, more)


def _top(frozen, shapes):
    leaves = jax.tree_util.tree_leaves_with_path(frozen.learning(shapes))
    paths = [("/".join(e.key for e in path[:-1]), learns) for path, learns in leaves]
    return {path for path, learns in paths if not learns}


@pytest.fixture(scope="module")
def trained():
    """A model's state before and after three steps with all but the classifier frozen."""
    model = Tiny(dropout=0.0)
    variables = dict(model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3))))
    variables["batch_stats"]["bn"]["mean"] += 0.5
    params, constants = variables.pop("params"), variables.pop("constants")
    frozen = read_frozen("conv, bn", params, [])
    config = base.get_config().optimizer
    config.name, config.weight_decay = "adamw", 0.1
    optimizer = make_optimizer(config, frozen)
    state = make_state(params, variables, constants, optimizer, ema=True)
    step = make_train_step(
        model, _IMAGES, optimizer, lambda _: jnp.float32(0.01), seed=0, ema_decay=0.9, frozen=frozen
    )
    step, before, losses = jax.jit(step), state, []
    for number in range(3):
        state, metrics = step(state, batch(16, number))
        losses.append(float(metrics["loss"]))
    return model, before, state, losses


def test_frozen_parts_stay_and_the_rest_learns(trained):
    _, before, after, _ = trained
    for part in ("conv", "bn"):
        chex.assert_trees_all_equal(before.params[part], after.params[part])
        chex.assert_trees_all_equal(before.params[part], after.ema["params"][part])
    chex.assert_trees_all_equal(before.model_state, after.model_state)
    chex.assert_trees_all_equal(before.model_state, after.ema["model_state"])
    assert not np.array_equal(before.params["fc"]["kernel"], after.params["fc"]["kernel"])


def test_the_optimiser_keeps_nothing_of_them(trained):
    _, _, after, _ = trained
    moments = sum(leaf.size for leaf in jax.tree.leaves(after.opt_state) if leaf.ndim)
    assert moments == 2 * sum(leaf.size for leaf in jax.tree.leaves(after.params["fc"]))


def test_their_batch_norms_are_those_of_evaluation(trained):
    model, before, _, losses = trained
    images = _IMAGES.normalise(batch(16, 0)["image"])
    logits, _ = model.apply(before.variables(), images, train=False)
    expected = jnp.sum(cross_entropy(logits, batch(16, 0)["label"]))
    np.testing.assert_allclose(losses[0], expected, rtol=1e-5)


def test_no_gradient_reaches_them():
    params = {"conv": {"kernel": jnp.ones(3)}, "fc": {"kernel": jnp.ones(3)}}
    frozen = read_frozen("conv", params, [])

    def loss(params):
        params = frozen.stop(params)
        return jnp.sum(params["conv"]["kernel"] * params["fc"]["kernel"])

    found = jax.grad(loss)(params)
    np.testing.assert_array_equal(found["conv"]["kernel"], 0.0)
    np.testing.assert_array_equal(found["fc"]["kernel"], 1.0)


@pytest.mark.parametrize(
    ("name", "front_end", "setting", "expected"),
    [
        ("resnet18", "svp", "front_end", {"v1/bottleneck", "v2/bottleneck"}),
        ("resnet18", "svp", "v2", {"v2/bottleneck"}),
        ("squeezenet1_1", "none", "features.0", {"features_0"}),
        ("vit_mini_patch8_32", "none", "patch_embed", {"patch_embed/proj"}),
        ("cornet_z", "none", "V1,V4.conv", {"V1/conv", "V4/conv"}),
    ],
)
def test_names_are_those_that_people_see(name, front_end, setting, expected):
    shapes, head = _shapes(name, image_size=32, front_end=front_end)
    frozen = read_frozen(setting, shapes, head)
    assert _top(frozen, shapes) == expected


def test_blocks_and_layers():
    shapes, head = _shapes("resnet18", image_size=32)
    whole = _top(read_frozen("layer1", shapes, head), shapes)
    parts = [_top(read_frozen(f"layer1{i}", shapes, head), shapes) for i in (".0", "_1")]
    assert whole == parts[0] | parts[1]
    assert len(parts[0]) == len(parts[1]) == 4
    assert not parts[0] & parts[1]
    vit, of_vit = _shapes("vit_mini_patch8_32", image_size=32)
    block = _top(read_frozen("block3", vit, of_vit), vit)
    assert block
    assert block == _top(read_frozen("blocks.3", vit, of_vit), vit)


def test_the_backbone_is_all_but_the_classifier():
    for name in ("resnet18", "squeezenet1_1", "cornet_z", "vit_mini_patch8_32"):
        shapes, head = _shapes(name, image_size=32)
        learning = read_frozen("backbone", shapes, head).learning(shapes)
        leaves = jax.tree_util.tree_leaves_with_path(learning)
        assert {tuple(e.key for e in path) for path, learns in leaves if learns} == set(head)
        assert len(head) == 2


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("layr1", "did you mean 'layer1'"),
        ("front_end", "known: .*layer1"),  # there is none here
        ("layer1,,layer9", "'layer9'"),
        ("layer1.7", "'layer1.7'"),
        ("layer", "'layer'"),
        ("backbone,fc", "nothing is left to learn"),
    ],
)
def test_wrong_names_are_refused(setting, message):
    shapes, head = _shapes("resnet18", image_size=32)
    with pytest.raises(InputError, match=message):
        read_frozen(setting, shapes, head)


def test_nothing_is_frozen_by_default():
    assert read_frozen("", {}, []) is None
