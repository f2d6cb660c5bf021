"""CORnets against plain Python loops over time, their options, and what they promise about time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxbio.models import FRONT_ENDS, create_model
from jaxbio.weights import WeightMismatchError, from_torch

SIZE = 32


def model_of(name, **kwargs):
    return create_model(name, num_classes=3, image_size=SIZE, **kwargs)


def behind_v2(name, **kwargs):
    """The areas V4 and IT alone: the smallest network that has what is to be tested."""
    return model_of(name, front_end="svp", **kwargs).body


def abstract_variables(model):
    key = jax.eval_shape(lambda: jax.random.key(0))
    return dict(jax.eval_shape(model.init, key, inputs(model)))


def random_variables(model, seed=0):
    """Variables of a sensible scale, without compiling the initialisers."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        if path[-1].key == "kernel":
            scale = np.sqrt(2 / np.prod(leaf.shape[:-1]))
            return jnp.asarray(scale * rng.standard_normal(leaf.shape, np.float32))
        if path[-1].key in ("scale", "var"):
            return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), jnp.float32)
        return jnp.asarray(0.1 * rng.standard_normal(leaf.shape), jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, abstract_variables(model))


def inputs(model, n=2):
    """Images, or maps of V2 for a network behind it."""
    shape = (n, 6, 5, 128) if getattr(model, "after", "image") == "v2" else (n, SIZE, SIZE, 3)
    return jax.random.normal(jax.random.key(1), shape)


def conv(x, kernel, stride=1):
    pad = kernel.shape[0] // 2
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        [(pad, pad)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision.HIGHEST,
    )


def row(v):
    return v.reshape(1, 1, 1, -1)


def group_norm(x, p):
    grouped = x.reshape(*x.shape[:3], 32, -1)
    mean = grouped.mean((1, 2, 4), keepdims=True)
    var = ((grouped - mean) ** 2).mean((1, 2, 4), keepdims=True)
    y = ((grouped - mean) / jnp.sqrt(var + 1e-5)).reshape(x.shape)
    return y * row(p["scale"]) + row(p["bias"])


def lateral_loop(params, x, times, sequential):
    """CORnet-R or RT, step by step, area by area: {area: [T, B, H, W, C]} and logits [T, B, K]."""
    names = [name for name in ("V1", "V2", "V4", "IT") if name in params]
    states, history = {}, []
    for t in range(times):
        new = {}
        for i, name in enumerate(names):
            p = params[name]
            if i and t == 0:
                rows, columns = (-(-n // 2) for n in new[names[i - 1]].shape[1:3])
                drive = jnp.zeros((len(x), rows, columns, len(p["norm1"]["scale"])))
            else:
                below = (new if sequential else states)[names[i - 1]] if i else x
                drive = conv(below, p["conv_input"]["kernel"], 4 if name == "V1" else 2)
                drive = group_norm(drive + row(p["conv_input"]["bias"]), p["norm_input"])
                drive = jax.nn.relu(drive)
            y = conv(drive + states[name] if t else drive, p["conv1"]["kernel"])
            new[name] = jax.nn.relu(group_norm(y, p["norm1"]))
        states = new
        history.append(states)
    areas = {name: jnp.stack([h[name] for h in history]) for name in names}
    linear = params["decoder"]["linear"]
    pooled = areas["IT"].mean((2, 3))
    logits = jnp.einsum("tbc,ck->tbk", pooled, linear["kernel"])
    return areas, logits + linear["bias"].reshape(1, 1, -1)


@pytest.mark.parametrize(
    ("make", "name", "times"),
    [
        pytest.param(model_of, "cornet_r", 3, marks=pytest.mark.slow),
        pytest.param(model_of, "cornet_rt", 4, marks=pytest.mark.slow),
        pytest.param(behind_v2, "cornet_rt", 3, marks=pytest.mark.slow),
        (behind_v2, "cornet_r", 10),
        pytest.param(behind_v2, "cornet_rt", 10, marks=pytest.mark.slow),
    ],
)
def test_lateral_recurrence_is_the_plain_loop(make, name, times):
    """Few steps, which are unrolled, and many, which are not."""
    model = make(name, times=times, readout="all")
    variables, x = random_variables(model), inputs(model)
    logits, endpoints = jax.jit(model.apply)(variables, x)
    areas, over_time = lateral_loop(variables["params"], x, times, name == "cornet_r")
    for area, expected in areas.items():
        np.testing.assert_allclose(endpoints[area], expected, rtol=1e-3, atol=1e-4, err_msg=area)
    np.testing.assert_allclose(endpoints["logits"], over_time, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(endpoints["logits"][-1], logits)


def batch_norm(x, p, stats, train):
    mean, var = stats["mean"], stats["var"]
    new = stats
    if train:
        n = np.prod(x.shape[:-1])
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        new = {
            "mean": 0.9 * stats["mean"] + 0.1 * mean,
            "var": 0.9 * stats["var"] + 0.1 * var * n / (n - 1),
        }
    y = (x - row(mean)) / jnp.sqrt(row(var) + 1e-5) * row(p["scale"]) + row(p["bias"])
    return y, new


def bottleneck_loop(params, stats, x, times, train):
    """One area of CORnet-S: every step's output and norm statistics, in a list per step."""
    x = conv(x, params["conv_input"]["kernel"])
    kernels = [params[f"conv{i}"]["kernel"] for i in (1, 2, 3)]
    states, all_new = [], []
    for t in range(times):
        step = jax.tree.map(lambda a, t=t: a[t - 1], params["later"]) if t else params["first"]
        old = jax.tree.map(lambda a, t=t: a[t - 1], stats["later"]) if t else stats["first"]
        shortcut, new = x, {}
        if t == 0:
            shortcut = conv(x, params["skip"]["kernel"], 2)
            shortcut, _ = batch_norm(shortcut, params["norm_skip"], stats["norm_skip"], train)
        for i in (1, 2, 3):
            x = conv(x, kernels[i - 1], 2 if (t, i) == (0, 2) else 1)
            x, new[f"norm{i}"] = batch_norm(x, step[f"norm{i}"], old[f"norm{i}"], train)
            x = jax.nn.relu(x + shortcut if i == 3 else x)
        states.append(x)
        all_new.append(new)
    return jnp.stack(states), all_new


@pytest.mark.slow
@pytest.mark.parametrize(
    ("times", "train"), [((2, 4, 2), True), ((2, 4, 2), False), ((1, 10, 1), True)]
)
def test_bottleneck_recurrence_is_the_plain_loop(times, train):
    model = behind_v2("cornet_s", times=times)
    variables = random_variables(model)

    @jax.jit
    def run(variables, x):
        (_, endpoints), updated = model.apply(variables, x, train, mutable=["batch_stats"])
        return endpoints["V4"], updated["batch_stats"]["V4"]

    x = inputs(model, 6)
    ours, updated = run(variables, x)
    params, old = (variables[k]["V4"] for k in ("params", "batch_stats"))
    states, stats = bottleneck_loop(params, old, x, times[1], train)
    assert ours.shape[0] == times[1]
    np.testing.assert_allclose(ours, states, rtol=2e-3, atol=2e-3)
    for t, expected in enumerate(stats):
        new = jax.tree.map(lambda a, t=t: a[t - 1], updated["later"]) if t else updated["first"]
        for leaf, other in zip(jax.tree.leaves(new), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(leaf, other, rtol=2e-3, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cornet_z", "cornet_r", "cornet_rt", "cornet_s"])
def test_areas_depend_on_the_image_from_their_arrival_on(name):
    model = behind_v2(name)
    variables = random_variables(model)
    _, endpoints = jax.jit(model.apply)(variables, inputs(model))
    for area, arrival in model.arrival_steps.items():
        first, second = np.moveaxis(np.asarray(endpoints[area]), 1, 0)
        np.testing.assert_array_equal(first[:arrival], second[:arrival])
        for t in range(arrival, len(first)):
            assert not np.allclose(first[t], second[t]), (area, t)


def test_arrival_steps():
    assert model_of("cornet_rt").arrival_steps == {"V1": 0, "V2": 1, "V4": 2, "IT": 3}
    assert model_of("cornet_r").arrival_steps == {"V1": 0, "V2": 1, "V4": 1, "IT": 1}
    assert model_of("cornet_s", front_end="vone").arrival_steps == {"V2": 0, "V4": 0, "IT": 0}
    assert model_of("cornet_rt", front_end="svp").arrival_steps == {"V4": 0, "IT": 1}
    assert model_of("resnet18", front_end="svp").arrival_steps == {}


def test_silence_is_the_activation_of_the_norms_bias():
    """At step 0 an area above V1 puts out relu(bias) everywhere: published, if often reported."""
    model = behind_v2("cornet_rt", times=1)
    variables = random_variables(model)
    _, endpoints = jax.jit(model.apply)(variables, inputs(model))
    bias = variables["params"]["IT"]["norm1"]["bias"]
    expected = np.broadcast_to(np.maximum(bias, 0), endpoints["IT"].shape)
    np.testing.assert_allclose(endpoints["IT"], expected, rtol=1e-6)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_parameters_do_not_depend_on_the_number_of_steps(front_end):
    trees = [
        jax.tree.map(jnp.shape, abstract_variables(model_of("cornet_rt", front_end=front_end, **t)))
        for t in ({}, {"times": 1}, {"times": 20})
    ]
    assert trees[0] == trees[1] == trees[2]


@pytest.mark.slow
def test_initialisation_under_jit():
    model = behind_v2("cornet_s", times=(1, 2, 1))
    variables = jax.jit(model.init)(jax.random.key(0), inputs(model))
    area = variables["params"]["V4"]
    assert area["later"]["norm1"]["scale"].shape == (1, 1024)
    np.testing.assert_allclose(area["conv2"]["kernel"].std(), np.sqrt(2 / (9 * 1024)), rtol=0.01)
    rt = behind_v2("cornet_rt")
    kernel = jax.jit(rt.init)(jax.random.key(0), inputs(rt))["params"]["IT"]["conv1"]["kernel"]
    bound = np.sqrt(6 / (9 * (512 + 512)))
    np.testing.assert_allclose(np.abs(kernel).max(), bound, rtol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cornet_r", "cornet_rt", "cornet_s"])
@pytest.mark.parametrize("remat", [False, True])
def test_programs_do_not_grow_with_the_number_of_steps(name, remat):
    def length(times):
        model = behind_v2(name, times=times, remat=remat)
        variables = abstract_variables(model)

        def loss(params, rest, x):
            variables = {"params": params, **rest}
            return model.apply(variables, x, True, mutable=["batch_stats"])[0][0].sum()

        params = variables.pop("params")
        return len(jax.jit(jax.grad(loss)).lower(params, variables, inputs(model)).as_text())

    short, long = length(20), length(80)
    assert long < 1.02 * short


@pytest.mark.slow
@pytest.mark.parametrize(("name", "times"), [("cornet_rt", 3), ("cornet_s", 2)])
def test_remat_gives_the_same_gradients(name, times):
    gradients = []
    for remat in (False, True):
        model = behind_v2(name, times=times, remat=remat)
        variables, x = random_variables(model), inputs(model, 4)
        params = variables.pop("params")

        def loss(params, model=model, rest=variables, x=x):
            variables = {"params": params, **rest}
            (logits, _), _ = model.apply(variables, x, True, mutable=["batch_stats"])
            return (logits**2).sum()

        gradients.append(jax.jit(jax.grad(loss))(params))
    scale = max(float(jnp.abs(g).max()) for g in jax.tree.leaves(gradients[0]))
    for a, b in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-4 * scale)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "times"), [("cornet_rt", 10), ("cornet_s", 3)])
def test_activations_with_parameters(name, times):
    """R and RT share them over time, S has a set for every step."""
    model = behind_v2(name, times=times, activation="raa")
    variables = random_variables(model)
    params = variables["params"]["V4"]
    if name == "cornet_rt":
        assert params["act1"]["shift_kernel"].shape == (256, 1)
    else:
        assert params["first"]["act1"]["shift_kernel"].shape == (1024, 1)
        assert params["later"]["act1"]["shift_kernel"].shape == (times - 1, 1024, 1)
    logits, _ = jax.jit(model.apply)(variables, inputs(model))
    assert np.isfinite(logits).all()


def test_logits_of_every_step():
    z = model_of("cornet_z", readout="all")
    _, endpoints = jax.eval_shape(z.apply, abstract_variables(z), inputs(z))
    assert endpoints["logits"].shape == (1, 2, 3)
    s = model_of("cornet_s", times=(1, 1, 3), readout="all")
    logits, endpoints = jax.eval_shape(s.apply, abstract_variables(s), inputs(s))
    assert logits.shape == (2, 3)
    assert endpoints["logits"].shape == (3, 2, 3)
    assert endpoints["avgpool"].shape == (2, 512)
    assert endpoints["V4"].shape == (1, 2, 2, 2, 256)


def published_s():
    """A CORnet-S state dict of the right names and shapes."""
    kwargs = {"num_classes": 3, "image_size": SIZE, "front_end": "svp"}
    with pytest.raises(WeightMismatchError) as missing:
        from_torch("cornet_s", {}, **kwargs)
    names = missing.value.report.missing
    with pytest.raises(WeightMismatchError) as wrong:
        from_torch("cornet_s", dict.fromkeys(names, np.zeros((1,) * 5)), **kwargs)
    rng = np.random.default_rng(0)
    shapes = {key: shape for key, (_, shape) in wrong.value.report.mismatched.items()}
    state = {k: rng.standard_normal(s).astype(np.float32) for k, s in shapes.items()}
    for key in state:
        if "simple_conv" in key:
            state[key][:, 1:] = 0
    return state, kwargs


@pytest.mark.slow  # draws 50 million weights twice
def test_a_missing_step_is_named_and_its_stack_stays_as_initialised():
    state, kwargs = published_s()
    del state["backend.V4.norm2_2.weight"]
    with pytest.raises(WeightMismatchError, match=r"missing: backend\.V4\.norm2_2\.weight$"):
        from_torch("cornet_s", state, **kwargs)
    variables, report = from_torch("cornet_s", state, strict=False, **kwargs)
    assert report.missing == ("backend.V4.norm2_2.weight",)
    later = variables["params"]["body"]["V4"]["later"]["norm2"]
    np.testing.assert_array_equal(later["scale"], np.ones((3, 1024)))
    np.testing.assert_array_equal(later["bias"][2], state["backend.V4.norm2_3.bias"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cornet_rt", {"times": 0}, "times=0, must be a whole number, 1 or more"),
        ("cornet_r", {"times": (2, 4)}, r"times=\(2, 4\), must be a whole number"),
        ("cornet_s", {"times": (2, 4)}, r"times=\(2, 4\): give the passes of V2, V4 and IT"),
        ("cornet_s", {"times": (2, 4, 2.5)}, "times=2.5, must be a whole number"),
        ("cornet_s", {"readout": "first"}, "unknown readout 'first'; valid: last, all"),
        ("cornet_z", {"times": 2}, "unknown option of cornet_z: 'times'; valid: readout"),
    ],
)
def test_wrong_options_are_one_line(name, options, message):
    with pytest.raises(ValueError, match=message) as error:
        model_of(name, **options)
    assert "\n" not in str(error.value)
