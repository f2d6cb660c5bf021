"""Parity with the published DNRT program: activations, memory, loss, transformer, schedule."""

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from jaxbio import create_model
from jaxbio.models import activations
from jaxbio.ops.response import arr_loss, new_memory, read_memory, update_memory
from jaxbio.runs.schedules import make_schedule
from jaxbio.tasks.classification.arr import ResponseRegulariser
from jaxbio.tasks.classification.config import Arr
from jaxbio.tasks.classification.losses import cross_entropy
from jaxbio.tasks.classification.optimizers import make_optimizer
from jaxbio.weights import from_torch
from tests.golden import vectors

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("full_precision")]

OUR_ACTIVATIONS = {
    "GELU": "gelu",
    "ReLU": "relu",
    "RAA": "raa",
    "SimpleRAA": "raa_simple",
    "ElementWiseRAA": "raa_elementwise",
    "RAA2": "raa2",
    "SimpleRAA2": "raa2_simple",
    "ElementWiseRAA2": "raa2_elementwise",
}
OUR_PARAMETERS = {
    "shift": "shift",
    "shift_proj_weight": "shift_kernel",
    "shift_proj_bias": "shift_bias",
}


def cases(name: str) -> list[str]:
    return [n for n in vectors.model_cases(name) if n == name]


def activation_classes() -> list[tuple[str, str]]:
    return [
        (case, output.removesuffix(".y"))
        for case in cases("raa")
        for output in vectors.model_case(case)["outputs"]
        if output.endswith(".y")
    ]


@pytest.mark.parametrize(("name", "published"), activation_classes())
def test_activation(name: str, published: str) -> None:
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    maps = published.endswith("_CNN")
    x = arrays["x_cnn"].transpose(0, 2, 3, 1) if maps else arrays["x"]
    unit = activations.make(OUR_ACTIVATIONS[published.removesuffix("_CNN")])(name="act")
    params = {
        ours: jnp.asarray(arrays[f"{published}.{theirs}"].T)
        for theirs, ours in OUR_PARAMETERS.items()
        if f"{published}.{theirs}" in arrays
    }

    def loss(params: dict, x: jax.Array):
        y = unit.apply({"params": params}, x)
        return jnp.sum(y**2), y

    (_, y), (d_params, dx) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(
        params, jnp.asarray(x)
    )
    ours = {"y": y, "grad_x": dx}
    ours = {k: np.asarray(v).transpose(0, 3, 1, 2) if maps else v for k, v in ours.items()}
    for theirs, parameter in OUR_PARAMETERS.items():
        if parameter in d_params:
            ours[f"grad_{theirs}"] = d_params[parameter].T
    for output, full in ours.items():
        if f"{published}.{output}" in case["outputs"]:
            vectors.assert_output(case, arrays, f"{published}.{output}", np.asarray(full))


def memory_variants() -> list[tuple[str, str]]:
    return [
        (case, variant)
        for case in cases("response_memory")
        for variant, value in vectors.model_case(case)["params"].items()
        if isinstance(value, dict)
    ]


@pytest.mark.parametrize(("name", "variant"), memory_variants())
def test_memory(name: str, variant: str) -> None:
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    parameters, classes = case["params"][variant], case["params"]["num_classes"]
    update = jax.jit(
        partial(
            update_memory,
            momentum=parameters["momentum"],
            start=parameters["start"],
            interval=parameters["update_interval"],
        )
    )
    memory = new_memory(classes, {"area": case["params"]["num_features"]})
    means = []
    for responses, labels in zip(arrays["responses"], arrays["targets"], strict=True):
        targets, memory = update(memory, {"area": responses}, labels)
        means.append(targets["area"])
    vectors.assert_output(case, arrays, f"{variant}.means", np.stack(means))
    seen = np.asarray(memory["count"]) > 0
    final = np.asarray(memory["mean"]["area"])
    np.testing.assert_array_equal(memory["count"], arrays[f"{variant}.count"])
    np.testing.assert_array_equal(seen, ~np.isnan(arrays[f"{variant}.final"]).any(1))
    np.testing.assert_allclose(final[seen], arrays[f"{variant}.final"][seen], rtol=1e-5, atol=1e-6)
    read = read_memory(memory, {"area": arrays["responses_eval"]}, arrays["targets"][0])
    vectors.assert_output(case, arrays, f"{variant}.eval_means", read["area"])


@pytest.mark.parametrize("name", cases("arr_loss"))
def test_loss(name: str) -> None:
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    targets = [arrays["m0"], arrays["m1"]]

    def total(responses: list, logits: jax.Array):
        arr = arr_loss(responses, targets)
        ce = jnp.mean(cross_entropy(logits, arrays["targets"]))
        total = ce + case["params"]["arr_loss_coef"] * arr
        return total, {"loss_ce": ce, "loss_arr": arr, "total": total}

    inputs = [jnp.asarray(arrays["r0"]), jnp.asarray(arrays["r1"])], jnp.asarray(arrays["logits"])
    ((d0, d1), d_logits), ours = jax.grad(total, (0, 1), has_aux=True)(*inputs)
    ours |= {"grad_r0": d0, "grad_r1": d1, "grad_logits": d_logits}
    ours["loss_arr_single"] = arr_loss([inputs[0][0]], targets[:1])
    for output in ours.keys() & case["outputs"].keys():
        vectors.assert_output(case, arrays, output, np.asarray(ours[output]))


def vit_arguments(case: dict, activation: str) -> dict:
    """create_model's arguments, from the shapes of the case's tensors."""
    shapes = dict(case["spec"])
    width, _, patch, _ = shapes["patch_embed.proj.weight"]
    size = {192: "tiny", 384: "small", 768: "base"}[width]
    image_size = patch * round((shapes["pos_embed"][1] - 1) ** 0.5)
    return {
        "name": f"vit_{size}_patch{patch}_{image_size}",
        "num_classes": shapes["head.weight"][0],
        "image_size": image_size,
        "activation": activation,
    }


def vit(case: dict, activation: str = "raa"):
    """The model and its variables; activations without shifts take the other tensors."""
    arguments = vit_arguments(case, activation)
    state_dict = vectors.state_dict(case)
    if activation in ("relu", "gelu"):
        state_dict = {k: v for k, v in state_dict.items() if ".act." not in k}
    return create_model(**arguments), from_torch(state_dict=state_dict, **arguments)


def vit_images(case: dict, number: int) -> jax.Array:
    salt, batch = f"{case['salt']}/{number}", case["outputs"].get("logits0", {}).get("shape", [8])
    size = vit_arguments(case, "raa")["image_size"]
    x = vectors.normalise(vectors.images(salt, batch[0], size), case["normalise"])
    return jnp.asarray(x.transpose(0, 2, 3, 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "output"),
    [
        (case, output)
        for case in cases("vit_acts")
        for output in vectors.model_case(case)["outputs"]
        if output.startswith("logits_")
    ],
)
def test_vit_activations(name: str, output: str) -> None:
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    model, variables = vit(case, OUR_ACTIVATIONS[output.removeprefix("logits_")])
    logits = jax.jit(model.apply)(variables, vit_images(case, 0))[0]
    vectors.assert_output(case, arrays, output, logits)


def regulariser(case: dict, model) -> tuple[ResponseRegulariser, dict]:
    widths = {f"block{i}": model.width for i in range(model.depth)}
    arr = ResponseRegulariser(
        widths,
        model.num_classes,
        Arr(case["params"]["arr_loss_coef"], momentum=case["params"].get("momentum", 0.1)),
    )
    return arr, arr.new_memory()


def by_published_name(tree: dict, name: str) -> np.ndarray:
    """A parameter (or its gradient) by its published name, in PyTorch's layout."""
    *modules, leaf = name.split(".")
    if modules and modules[0] == "blocks":
        modules[:2] = [f"blocks_{modules[1]}"]
    for module in modules:
        tree = tree[module]
    leaves = {**OUR_PARAMETERS, "weight": "kernel" if "kernel" in tree else "scale"}
    value = np.asarray(tree[leaves.get(leaf, leaf)])
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    return value.T if value.ndim == 2 else value


def assert_norms(case: dict, arrays: dict, output: str, grads: dict) -> None:
    names = case["params"]["parameter_names"]
    norms = np.array([np.linalg.norm(by_published_name(grads, name)) for name in names])
    assert list(norms.shape) == case["outputs"][output]["shape"]
    np.testing.assert_allclose(norms, arrays[output], rtol=1e-3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", cases("vit_dnrt"))
def test_vit_training(name: str) -> None:
    """Two calls in training mode: responses, class means, losses and gradients."""
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    model, variables = vit(case)
    arr, memory = regulariser(case, model)

    @jax.jit
    def call(params: dict, memory: dict, x: jax.Array, labels: jax.Array):
        def loss(params: dict):
            logits, endpoints = model.apply({"params": params}, x, True)
            responses = {name: endpoints[name] for name in arr.widths}
            means, _ = update_memory(memory, responses, labels, momentum=arr.arr.momentum)
            distance, new = arr.train(memory, endpoints, labels)
            ce = jnp.mean(cross_entropy(logits, labels))
            total = ce + arr.arr.coefficient * distance
            return total, {
                "logits": logits,
                "inter_rsps": jnp.concatenate([responses[n] for n in arr.widths]),
                "inter_mean": jnp.concatenate([means[n] for n in arr.widths]),
                "loss_ce": ce,
                "loss_arr": distance,
                "total": total,
                "memory": new,
            }

        return jax.grad(loss, has_aux=True)(params)

    number = 0
    while f"targets{number}" in arrays:
        labels = jnp.asarray(arrays[f"targets{number}"])
        grads, ours = call(variables["params"], memory, vit_images(case, number), labels)
        memory = ours.pop("memory")
        for output, value in ours.items():
            if f"{output}{number}" in case["outputs"]:
                vectors.assert_output(case, arrays, f"{output}{number}", np.asarray(value))
        if f"grad_norm{number}" in case["outputs"]:
            assert_norms(case, arrays, f"grad_norm{number}", grads)
        number += 1
    if "logits_eval_no_targets" in case["outputs"]:
        logits = jax.jit(model.apply)(variables, vit_images(case, 0))[0]
        vectors.assert_output(case, arrays, "logits_eval_no_targets", logits)


@pytest.mark.slow
@pytest.mark.parametrize("name", cases("vit_step"))
def test_vit_optimiser(name: str) -> None:
    """Steps of clipping and AdamW with decay of everything."""
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    p = case["params"]
    model, variables = vit(case)
    arr, memory = regulariser(case, model)
    optimizer = make_optimizer(
        SimpleNamespace(
            name="adamw",
            decay="all",
            clip_norm=p["clip_max_norm"],
            weight_decay=p["weight_decay"],
            b1=p["betas"][0],
            b2=p["betas"][1],
            eps=p["eps"],
        )
    )

    @jax.jit
    def step(params: dict, opt_state, memory: dict, x: jax.Array, labels: jax.Array):
        def loss(params: dict):
            logits, endpoints = model.apply({"params": params}, x, True)
            distance, new = arr.train(memory, endpoints, labels)
            total = jnp.mean(cross_entropy(logits, labels)) + arr.arr.coefficient * distance
            return total, {"total": total, "loss_arr": distance, "memory": new}

        grads, ours = jax.grad(loss, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = jax.tree.map(lambda w, u: w - p["lr"] * u, params, updates)
        return params, opt_state, grads, ours | {"grad_total_norm": optax.tree.norm(grads)}

    params, opt_state = variables["params"], optimizer.init(variables["params"])
    names = p["parameter_names"]
    comparable = [i for i, n in enumerate(names) if not n.endswith("qkv.bias")]
    number = 0
    while f"targets{number}" in arrays:
        x, labels = vit_images(case, number), jnp.asarray(arrays[f"targets{number}"])
        params, opt_state, grads, ours = step(params, opt_state, memory, x, labels)
        memory = ours.pop("memory")
        for output, value in ours.items():
            if f"{output}{number}" in case["outputs"]:
                vectors.assert_output(
                    case, arrays, f"{output}{number}", np.asarray(value), floor=1e-4
                )
        assert_norms(case, arrays, f"grad_norm{number}", grads)
        weights = [by_published_name(params, n) for n in names]
        for output, statistic in (("mean", np.mean), ("std", np.std)):
            values = np.array([statistic(w, dtype=np.float64) for w in weights])
            np.testing.assert_allclose(
                values[comparable], arrays[f"{output}{number}"][comparable], rtol=1e-3, atol=2e-6
            )
        for output in case["outputs"]:
            if output.endswith(f".first64_{number}"):
                weight = by_published_name(params, output.removesuffix(f".first64_{number}"))
                np.testing.assert_allclose(
                    weight.reshape(-1)[:64], arrays[output], rtol=1e-2, atol=2e-5
                )
        number += 1
    assert number > 0


def learning_rates(p: dict, steps_per_epoch: int) -> np.ndarray:
    """Of every step, and of the one after the last."""
    config = ConfigDict(
        {
            "name": "timm_cosine",
            "warmup_steps": p["warmup_epochs"] * steps_per_epoch,
            "warmup_from": p["warmup_lr"] / p["lr"],
            "final": p["min_lr"] / p["lr"],
        }
    )
    total = p["epochs"] * steps_per_epoch
    schedule = make_schedule(config, p["lr"], total, steps_per_epoch)
    return np.asarray(jax.vmap(schedule)(jnp.arange(total + 1)))


@pytest.mark.parametrize("name", cases("lr_schedule"))
def test_learning_rate(name: str) -> None:
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    p = case["params"]
    compared = 0
    for run, batches in p["n_iter_per_epoch"].items():
        rates = learning_rates(p, batches)
        used = rates[:-1].reshape(-1, batches)
        ours = {
            "used": used.reshape(-1),
            "first_batch": used[:, 0],
            "last_batch": used[:, -1],
            "logged_last": rates[np.arange(1, p["epochs"] + 1) * batches],
            "epoch_mean": used.mean(1, dtype=np.float64),
        }
        for output, values in ours.items():
            if f"{run}.{output}" in case["outputs"]:
                np.testing.assert_allclose(values, arrays[f"{run}.{output}"], rtol=2e-5)
                compared += 1
    assert compared == len(case["outputs"])
