"""Every network by name: sizes, shapes behind every front-end, options and errors."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.models import FRONT_ENDS, activations, create_model, list_models

# Parameters of the published networks with 1000 classes.
PUBLISHED_SIZES = {
    "alexnet": 61100840,
    "vgg11": 132863336,
    "vgg11_bn": 132868840,
    "vgg13": 133047848,
    "vgg13_bn": 133053736,
    "vgg16": 138357544,
    "vgg16_bn": 138365992,
    "vgg19": 143667240,
    "vgg19_bn": 143678248,
    "resnet18": 11689512,
    "resnet34": 21797672,
    "resnet50": 25557032,
    "resnet101": 44549160,
    "resnet152": 60192808,
    "densenet121": 7978856,
    "densenet161": 28681000,
    "densenet169": 14149480,
    "densenet201": 20013928,
    "squeezenet1_0": 1248424,
    "squeezenet1_1": 1235496,
    "cornet_z": 2071656,
    "cornet_r": 5208936,
    "cornet_rt": 5208936,
    "cornet_s": 53416616,
    "vit_mini_patch8_32": 788488,
    "vit_tiny_patch4_32": 5553832,
    "vit_tiny_patch16_224": 5717416,
    "vit_small_patch4_32": 21723496,
    "vit_small_patch16_224": 22050664,
    "vit_base_patch4_32": 85913320,
    "vit_base_patch16_224": 86567656,
    "deit_tiny_patch4_32": 5553832,
    "deit_tiny_patch16_224": 5717416,
    "cait_xxs24_patch4_32": 11792680,
    "cait_xxs24_patch16_224": 11956264,
    "pvt_tiny_patch1_32": 12964520,
    "pvt_tiny_patch4_224": 13229288,
    "tnt_s_patch4_32": 23717896,
    "tnt_s_patch16_224": 23768584,
    "mobilenet_v2": 3504872,
    "mobilenet_v2_32": 3504872,
    "shufflenet_v2_x1_0": 2278604,
    "shufflenet_v2_x1_0_32": 2278604,
    "spiking_cnn": 222472,  # jaxbio's own
}
# One of each architecture, the cheapest to trace.
KINDS = [
    "alexnet",
    "vgg11_bn",
    "resnet18",
    "densenet121",
    "squeezenet1_0",
    "squeezenet1_1",
    "cornet_z",
    "cornet_rt",
    "cornet_s",
]
# Of these, tracing alone takes seconds.
LARGE_KINDS = [
    "cait_xxs24_patch16_224",
    "pvt_tiny_patch4_224",
    "tnt_s_patch16_224",
    "mobilenet_v2",
    "shufflenet_v2_x1_0",
]
SHALLOW = ("alexnet", "vgg11", "resnet18", "squeezenet1_1", "cornet_z", "vit_mini_patch8_32")
ALL_KINDS = [*KINDS, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE_KINDS)]


SLOW_FRONTS = [("densenet121", front_end) for front_end in ("none", "vone", "evnet")]


def abstract_variables(model, size):
    """The shapes of a model's variables; no compute."""
    x = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)), x)


def random_variables(model, size):
    """Variables of a sensible scale, without compiling the initialisers."""
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        if path[-1].key == "kernel":
            scale = np.sqrt(2 / np.prod(leaf.shape[:-1]))
            return scale * rng.standard_normal(leaf.shape, np.float32)
        return np.full(leaf.shape, path[-1].key in ("scale", "var"), np.float32)

    return jax.tree_util.tree_map_with_path(draw, abstract_variables(model, size))


def initialised(model, x, train=False):
    """Logits, endpoints and variables by one trace, which is most of what these tests cost."""
    rngs = {name: jax.random.key(0) for name in ("params", "dropout", "noise")}
    (logits, endpoints), variables = model.init_with_output(rngs, x, train)
    return logits, endpoints, variables


def shapes(model, size, train=False):
    """Abstract variables, logits and endpoints; no compute."""
    x = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    logits, endpoints, variables = jax.eval_shape(lambda x: initialised(model, x, train), x)
    return variables, logits, endpoints


def test_every_name_is_listed():
    assert list_models() == list(PUBLISHED_SIZES)


@pytest.mark.parametrize(
    "name",
    [
        name if name in SHALLOW else pytest.param(name, marks=pytest.mark.slow)
        for name in PUBLISHED_SIZES
    ],
)
def test_published_sizes(name):
    variables = abstract_variables(create_model(name), 32 if name.endswith("_32") else 224)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == PUBLISHED_SIZES[name]


@pytest.mark.parametrize(
    ("name", "front_end"),
    [
        pytest.param(
            *(name, front_end),
            # Every trace of its 121 layers takes seconds: one in the quick suite.
            marks=[pytest.mark.slow] * (name in LARGE_KINDS or (name, front_end) in SLOW_FRONTS),
        )
        for name in (*KINDS, *LARGE_KINDS)
        for front_end in FRONT_ENDS
    ],
)
def test_small_images_and_any_number_of_classes(name, front_end):
    model = create_model(name, num_classes=3, image_size=32, front_end=front_end)
    variables, logits, endpoints = shapes(model, 32, train=True)
    assert logits.shape == (2, 3)
    assert logits.dtype == jnp.float32
    assert endpoints["logits"].shape == (2, 3)
    assert endpoints["penultimate"].shape[0] == 2
    parts = {"none": set(), "vone": {"v1", "v1_bottleneck"}}
    parts |= {"svp": parts["vone"] | {"v2_pool", "v2"}, "evnet": parts["vone"]}
    assert {k for k in endpoints if k.startswith("v")} == parts[front_end]
    assert ("constants" in variables) == (front_end != "none")


@pytest.mark.slow
def test_odd_sizes_compute():
    size = 47
    model = create_model("squeezenet1_1", num_classes=3, front_end="svp", image_size=size)
    x = jnp.ones((1, size, size, 3))
    variables = jax.jit(model.init)(jax.random.key(0), x)
    assert np.isfinite(model.apply(variables, x)[0]).all()


@pytest.mark.slow
def test_starts_behind_the_front_ends():
    """What is left of each body, as published for ResNet, VGG, DenseNet, AlexNet and CORnet-S."""
    left = {
        ("resnet18", "vone"): {"layer1", "layer2", "layer3", "layer4"},
        ("resnet18", "svp"): {"layer2", "layer3", "layer4"},
        ("cornet_s", "vone"): {"V2", "V4", "IT"},
        ("cornet_s", "svp"): {"V4", "IT"},
        ("vgg11_bn", "svp"): {"pool3", "pool4", "pool5", "features", "fc1", "fc2"},
        ("densenet121", "svp"): {f"denseblock{i}" for i in (1, 2, 3)}
        | {"transition1", "transition2", "norm5"},
    }
    for (name, front_end), expected in left.items():
        model = create_model(name, front_end=front_end)
        _, _, endpoints = shapes(model, 224)
        common = {"v1", "v1_bottleneck", "v2", "v2_pool", "avgpool", "penultimate", "logits"}
        assert set(endpoints) - common == expected
    _, _, endpoints = shapes(create_model("resnet18", front_end="svp"), 224)
    assert endpoints["v2"].shape == (2, 27, 27, 128)
    assert endpoints["layer2"].shape == (2, 27, 27, 128)
    assert endpoints["layer3"].shape == (2, 14, 14, 256)


def test_recurrent_areas_lead_with_time():
    _, _, endpoints = shapes(create_model("cornet_s"), 224)
    sizes = {k: endpoints[k].shape for k in ("V1", "V2", "V4", "IT")}
    assert sizes == {
        "V1": (1, 2, 56, 56, 64),
        "V2": (2, 2, 28, 28, 128),
        "V4": (4, 2, 14, 14, 256),
        "IT": (2, 2, 7, 7, 512),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL_KINDS)
def test_bfloat16_keeps_float32_parameters_statistics_and_logits(name):
    model = create_model(name, num_classes=3, image_size=32, dtype=jnp.bfloat16)
    variables, logits, endpoints = shapes(model, 32, train=True)
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(variables))
    assert logits.dtype == jnp.float32
    assert endpoints["penultimate"].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(k, marks=pytest.mark.slow) if k.startswith("densenet") else k
        for k in KINDS
        if k != "alexnet"
    ]
    + ALL_KINDS[len(KINDS) :],
)
def test_remat_recomputes_blocks_and_keeps_the_variables(name):
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    trees = []
    for remat in (False, True):
        model = create_model(name, num_classes=3, image_size=32, remat=remat)
        trace = jax.make_jaxpr(lambda x, model=model: initialised(model, x), return_shape=True)
        jaxpr, (_, _, variables) = trace(x)
        trees.append(jax.tree.map(lambda leaf: leaf.shape, variables))
        marked = [e for e in jaxpr.eqns if e.primitive.name in ("remat2", "checkpoint", "remat")]
        assert bool(marked) == remat
    assert trees[0] == trees[1]


@pytest.mark.slow
def test_remat_gives_the_same_gradients():
    x = jax.random.normal(jax.random.key(1), (2, 32, 32, 3))
    gradients = []
    for remat in (False, True):
        model = create_model("squeezenet1_1", num_classes=3, image_size=32, remat=remat)
        variables = jax.jit(model.init)(jax.random.key(0), x)
        gradients.append(
            jax.jit(jax.grad(lambda v, model=model: (model.apply(v, x)[0] ** 2).sum()))(variables)
        )
    for a, b in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


class Probe(nn.Module):
    """An activation with a parameter of its own."""

    @nn.compact
    def __call__(self, x):
        return x * self.param("gain", nn.initializers.ones, ())


@pytest.mark.parametrize(
    ("name", "sites"),
    [
        ("alexnet", 7),
        ("vgg11_bn", 10),
        ("resnet18", 17),
        ("resnet50", 49),
        ("densenet121", 121),
        ("squeezenet1_1", 26),
        ("cornet_z", 4),
        ("cornet_rt", 8),
        ("cornet_s", 26),
        *(
            pytest.param(name, sites, marks=pytest.mark.slow)
            for name, sites in zip(LARGE_KINDS, (26, 8, 24, 35, 37), strict=True)
        ),
    ],
)
def test_every_activation_site_has_a_name_of_its_own(monkeypatch, name, sites):
    monkeypatch.setitem(activations._ACTIVATIONS, "probe", Probe)
    variables = abstract_variables(create_model(name, activation="probe", image_size=32), 32)
    leaves = jax.tree_util.tree_leaves_with_path(variables["params"])
    assert sum(leaf.size for path, leaf in leaves if path[-1].key == "gain") == sites


def test_gelu_is_the_exact_one():
    x = jnp.linspace(-3, 3, 7)
    expected = [0.5 * v * (1 + float(jax.lax.erf(jnp.float32(v / np.sqrt(2))))) for v in x.tolist()]
    np.testing.assert_allclose(activations.make("gelu")(name="a").apply({}, x), expected, atol=1e-6)


def test_last_relu():
    x = jax.random.normal(jax.random.key(1), (2, 32, 32, 3))
    signed, rectified = (
        create_model("resnet18", num_classes=3, image_size=32, last_relu=last)
        for last in (False, True)
    )
    a, b = jax.jit(lambda x, v: [model.apply(v, x)[1]["layer4"] for model in (signed, rectified)])(
        x, random_variables(signed, 32)
    )
    assert (a < 0).any()
    np.testing.assert_allclose(np.maximum(a, 0), b, rtol=1e-6)
    assert (b > 0).any()


@pytest.mark.parametrize(
    "name",
    [*(pytest.param(k, marks=pytest.mark.slow) for k in ("alexnet", "vgg11")), "squeezenet1_0"],
)
def test_dropout_acts_in_training_only(name):
    model = create_model(name, num_classes=3, image_size=32)
    plain = create_model(name, num_classes=3, image_size=32, dropout=0.0)
    variables = random_variables(model, 32)

    @jax.jit
    def run(variables, x, key):
        noisy = jax.vmap(lambda k: model.apply(variables, x, True, rngs={"dropout": k})[0])(key)
        return *noisy, plain.apply(variables, x, True)[0], model.apply(variables, x)[0]

    keys = jax.random.split(jax.random.key(1))
    first, second, without, evaluated = run(variables, jnp.ones((1, 32, 32, 3)), keys)
    assert not np.allclose(first, second)
    np.testing.assert_allclose(without, evaluated, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"name": "resnet51"},
            r"unknown model 'resnet51' \(did you mean 'resnet50'\?\); valid: alexnet",
        ),
        ({"front_end": "v1"}, "unknown front_end 'v1'; valid: none, vone, svp"),
        ({"image_size": 31}, "image size too small: image_size=31"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"activation": "tanh"}, "unknown activation 'tanh'; valid: relu, gelu, raa"),
        ({"dropout": 0.1}, "unknown option of resnet18: 'dropout'; valid: last_relu"),
        ({"depth": 50}, "unknown option of resnet18: 'depth'"),
        ({"front_end_options": {"seed": 1}}, "front_end_options given with front_end='none'"),
        (
            {"front_end": "svp", "front_end_options": {"sfmax": 1}},
            "unknown front_end_options key: 'sfmax'; valid: .*sf_max",
        ),
    ],
)
def test_wrong_arguments_are_one_line(kwargs, message):
    with pytest.raises(ValueError, match=message) as error:
        create_model(**{"name": "resnet18", **kwargs})
    assert "\n" not in str(error.value)
