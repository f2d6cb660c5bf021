"""Parity of the networks with the published PyTorch programs, weights converted by name."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxbio import create_model
from jaxbio.ops import gabor
from jaxbio.tasks.classification.losses import cross_entropy
from jaxbio.tasks.classification.optimizers import make_optimizer
from jaxbio.weights import from_torch
from tests.golden import vectors

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("full_precision")]

BODIES = ("alexnet", "vgg", "resnet", "densenet", "squeezenet", "cornet")
FRONT_ENDS = {"svpnn_": "svp", "vonenet_": "vone"}
OUR_NAMES = {"cornets": "cornet_s"}
OUR_ENDPOINTS = {"voneblock": "v1_bottleneck", "bottleneck": "v1_bottleneck", "vtwoblock": "v2"}


def network_cases() -> list:
    """Cases with logits; the deepest and the largest take too long for the quick suite."""
    names = vectors.model_cases(*BODIES, *FRONT_ENDS)
    names = [name for name in names if "logits" in vectors.model_case(name)["outputs"]]
    names = [name for name in names if vectors.model_case(name).get("mode") != "train"]
    slow = [n for n in names if _is_large(vectors.model_case(n)["spec"])]
    return [pytest.param(n, marks=pytest.mark.slow) if n in slow else n for n in names]


def _is_large(spec: list) -> bool:
    return len(spec) > 800 or sum(math.prod(shape) for _, shape in spec) > 1e8


def model_arguments(case: dict) -> dict:
    """create_model's arguments for a case, from its name, inputs and outputs."""
    name, front_end = case["case"], "none"
    for prefix, value in FRONT_ENDS.items():
        if name.startswith(prefix):
            name, front_end = name.removeprefix(prefix), value
    size = input_size(case)[1]
    classes = case["outputs"]["logits"]["shape"][1]
    arguments = {"front_end": front_end, "image_size": size, "num_classes": classes}
    if front_end != "none":
        arguments["front_end_options"] = {"noise_mode": "none"}
    times = case.get("params", {}).get("times")
    if times is not None:
        arguments["times"] = times
        name = name.removesuffix(f"_t{times}")
    return {"name": OUR_NAMES.get(name, name), **arguments}


def input_size(case: dict) -> tuple[int, int]:
    """(number, side) of the images, from the recipe "normalise(images(salt, 2, 224))"."""
    n, size = re.search(r"images\(salt, (\d+), (\d+)\)", case["inputs"]["x"]).groups()
    return int(n), int(size)


def images(case: dict) -> jax.Array:
    x = vectors.normalise(vectors.images(case["salt"], *input_size(case)), case["normalise"])
    return jnp.asarray(x.transpose(0, 2, 3, 1))


def gabor_banks(case: dict, arrays: dict) -> dict[str, np.ndarray]:
    """The dense banks of a case's V1, from its stored parameters (in pixels and radians)."""
    parameters = gabor.GaborParameters(
        sf=arrays["sf"],
        theta=np.rad2deg(arrays["theta"]),
        phase=np.rad2deg(arrays["phase"]),
        nx=arrays["sigx"] * arrays["sf"],
        ny=arrays["sigy"] * arrays["sf"],
    )
    names = sorted(case["not_generated"])  # ...q0.weight, ...q1.weight
    shapes = dict(case["spec"])
    banks = gabor.gabor_bank(
        parameters,
        (arrays["q0_channel"], arrays["q1_channel"]),
        pixels_per_degree=1,
        kernel_size=shapes[names[0]][-1],
    )
    return dict(zip(names, banks, strict=True))


def torch_layout(y: jax.Array) -> np.ndarray:
    y = np.asarray(y)
    return y.transpose(0, 3, 1, 2) if y.ndim == 4 else y


def endpoint(endpoints: dict, name: str) -> np.ndarray:
    """An output of the case by its published name; "V4_t2" is area V4 at step 2."""
    step = re.fullmatch(r"(\w+)_t(\d+)", name)
    if step:
        return torch_layout(endpoints[step[1]][int(step[2])])
    y = endpoints[OUR_ENDPOINTS.get(name, name)]
    return torch_layout(y[0] if y.ndim == 5 else y)  # an area that runs once


def last_norm_of_layer4(batch_stats: dict) -> np.ndarray:
    block = max((k for k in batch_stats if k.startswith("layer4_")), key=lambda k: int(k[7:]))
    norm = max(k for k in batch_stats[block] if k.startswith("bn"))
    return np.asarray(batch_stats[block][norm]["var"])


@pytest.mark.slow
@pytest.mark.parametrize("name", network_cases())
def test_network(name: str) -> None:
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    outputs = set(case["outputs"])
    arguments = model_arguments(case)
    both = any(output.endswith("_last_relu") for output in outputs)
    if both:  # the published file leaves out the last ReLU that torchvision has
        arguments["last_relu"] = False
    state_dict = vectors.state_dict(case)
    if "not_generated" in case:
        state_dict |= gabor_banks(case, arrays)
    variables = from_torch(state_dict=state_dict, **arguments)
    model = create_model(**arguments)
    torchvision = create_model(**arguments | {"last_relu": True}) if both else None
    train = any("train" in output for output in outputs)

    @jax.jit  # one program, so that the runs share what they have in common
    def run(variables: dict, x: jax.Array):
        return (
            model.apply(variables, x),
            torchvision.apply(variables, x) if both else None,
            model.apply(variables, x, True, mutable=["batch_stats"]) if train else None,
        )

    (_, endpoints), of_torchvision, of_training = run(variables, images(case))
    for output in outputs:
        if output == "logits_train":
            full = of_training[0][0]
        elif output == "layer4_bn_last.running_var_after_train":
            full = last_norm_of_layer4(of_training[1]["batch_stats"])
        elif output.endswith("_last_relu"):
            full = endpoint(of_torchvision[1], output.removesuffix("_last_relu"))
        else:
            full = endpoint(endpoints, output)
        vectors.assert_output(case, arrays, output, full)


def training_cases() -> list[str]:
    """Cases of one batch in training: one step, or several of SGD."""
    names = vectors.model_cases("cornet")
    return [name for name in names if vectors.model_case(name).get("mode") == "train"]


def tensor_of(tree: dict, name: str) -> np.ndarray:
    """A CORnet's array by its published name, in PyTorch's layout."""
    area, module, leaf = name.split(".")
    step = re.fullmatch(r"(norm\d)_(\d+)", module)
    place = ()
    if step and int(step[2]):
        node, place = tree[area]["later"][step[1]], (int(step[2]) - 1,)
    else:
        node = tree[area]["first"][step[1]] if step else tree[area][module]
    names = {"bias": "bias", "running_mean": "mean", "running_var": "var"}
    names["weight"] = "kernel" if "kernel" in node else "scale"
    y = np.asarray(node[names[leaf]])[place]
    return {4: lambda: y.transpose(3, 2, 0, 1), 2: lambda: y.T}.get(y.ndim, lambda: y)()


@pytest.mark.slow
@pytest.mark.parametrize("name", training_cases())
def test_training(name: str) -> None:
    """Losses, gradients, running statistics and updated weights, step by step."""
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    parameters, spec = case["params"], dict(case["spec"])
    arguments = {"num_classes": spec["decoder.linear.weight"][0], "image_size": input_size(case)[1]}
    body = re.match(r"cornet_(z|rt|r|s)", name)[0]
    variables = dict(from_torch(body, vectors.state_dict(case), **arguments))
    model, x = create_model(body, **arguments), images(case)
    labels = jnp.array(parameters["labels"])
    params, stats = variables.pop("params"), variables.pop("batch_stats", {})
    optimizer = make_optimizer(
        ConfigDict(
            {
                "name": "sgd",
                "momentum": parameters.get("momentum", 0.9),
                "nesterov": False,
                "weight_decay": parameters.get("weight_decay", 0.0),
                "decay": "all",
                "clip_norm": 0.0,
            }
        )
    )

    @jax.jit
    def step(params, stats, momentum):
        def loss(params):
            (logits, _), updated = model.apply(
                {"params": params, "batch_stats": stats}, x, True, mutable=["batch_stats"]
            )
            return cross_entropy(logits, labels).mean(), (logits, updated.get("batch_stats", {}))

        (value, (logits, stats)), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, momentum = optimizer.update(gradients, momentum, params)
        rate = parameters.get("lr", 0.0)
        params = jax.tree.map(lambda p, u: p - rate * u, params, updates)
        return params, stats, momentum, (value, logits, gradients)

    def check(output: str, full: np.ndarray, floor: float = 1e-5) -> None:
        if output in case["outputs"]:
            vectors.assert_output(case, arrays, output, full, floor)

    momentum = optimizer.init(params)
    numbers = sorted({o[-1] for o in case["outputs"] if re.fullmatch(r"loss\d", o)}) or [""]
    for number in numbers:
        params, stats, momentum, (loss, logits, gradients) = step(params, stats, momentum)
        check(f"loss{number}", loss)
        check(f"logits{number}", logits)
        # A few ReLU and max-pool decisions differ in any float32 run: 1e-2 is the published bound.
        order = parameters["parameter_names"]
        norms = [np.linalg.norm(tensor_of(gradients, key)) for key in order]
        check(f"grad_norm{number}", np.array(norms), 1e-2)
        weights = [tensor_of(params, key) for key in order]
        check(f"mean{number}", np.array([w.mean() for w in weights]), 1e-2)
        check(f"std{number}", np.array([w.std() for w in weights]), 1e-2)
        check(f"first16_{number}", np.array([w.ravel()[:16] for w in weights]), 1e-2)
    for output in case["outputs"]:
        if ".running_" in output:
            check(output, tensor_of(stats, output))
