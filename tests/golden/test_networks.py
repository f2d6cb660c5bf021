"""Parity of the networks with the published PyTorch programs, weights converted by name."""

import importlib.util
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio import create_model
from jaxbio.ops import gabor
from jaxbio.weights import from_torch

_spec = importlib.util.spec_from_file_location(
    "golden_vectors", Path(__file__).parent / "vectors.py"
)
vectors = sys.modules.setdefault("golden_vectors", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(vectors)

pytestmark = pytest.mark.golden

BODIES = ("alexnet", "vgg", "resnet", "densenet", "squeezenet")
FRONT_ENDS = {"svpnn_": "svp", "vonenet_": "vone"}
OUR_NAMES = {"cornets": "cornet_s"}
OUR_ENDPOINTS = {"voneblock": "v1_bottleneck", "bottleneck": "v1_bottleneck", "vtwoblock": "v2"}


def network_cases() -> list:
    """Cases with logits; only the deepest network takes too long for the quick suite."""
    names = vectors.model_cases(*BODIES, *FRONT_ENDS)
    names = [name for name in names if "logits" in vectors.model_case(name)["outputs"]]
    slow = [n for n in names if len(vectors.model_case(n)["spec"]) > 800]
    return [pytest.param(n, marks=pytest.mark.slow) if n in slow else n for n in names]


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
    return torch_layout(endpoints[OUR_ENDPOINTS.get(name, name)])


def last_norm_of_layer4(batch_stats: dict) -> np.ndarray:
    block = max((k for k in batch_stats if k.startswith("layer4_")), key=lambda k: int(k[7:]))
    norm = max(k for k in batch_stats[block] if k.startswith("bn"))
    return np.asarray(batch_stats[block][norm]["var"])


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
