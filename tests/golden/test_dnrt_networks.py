"""Parity of the networks that DNRT is shown on with timm, torchvision and PVT, by their names."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio import create_model
from jaxbio.weights import from_torch
from jaxbio.weights.infer import convert
from tests.golden import vectors

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("full_precision")]

_FOLDER = Path(__file__).parent / "dnrt_networks"
_CASES = {case["case"]: case for case in vectors.read_cases_json(_FOLDER)["cases"]}


def state_dict(case: dict) -> dict[str, np.ndarray]:
    gain = np.float32(case.get("gain", 1))
    tensors = vectors.state_dict(case)
    return {name: gain * x if x.ndim > 1 else x for name, x in tensors.items()}


@pytest.mark.slow  # compilation
@pytest.mark.parametrize("name", _CASES)
def test_network(name: str) -> None:
    case = _CASES[name]
    size = int(re.search(r"images\(salt, 2, (\d+)\)", case["inputs"]["x"])[1])
    variables = from_torch(name, state_dict(case), image_size=size)
    model = create_model(name, image_size=size)
    images = vectors.normalise(vectors.images(case["salt"], 2, size), case["normalise"])
    _, endpoints = jax.jit(model.apply)(variables, jnp.asarray(images.transpose(0, 2, 3, 1)))
    with np.load(_FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
        for output in case["outputs"]:
            ours = np.asarray(endpoints[output])
            ours = ours.transpose(0, 3, 1, 2) if ours.ndim == 4 else ours
            vectors.assert_output(case, arrays, output, ours)


@pytest.mark.slow  # traces the largest networks
@pytest.mark.parametrize("name", [name for name in _CASES if name != "mobilenet_v2_32"])
def test_a_file_tells_its_size_classes_and_normalisation(name: str) -> None:
    case = _CASES[name]
    found = convert(name, state_dict(case))
    assert found.count == len(case["spec"])
    size = 32 if re.search(r"patch\d_32", name) else 224  # convolutions fit any size
    assert (found.arguments["image_size"], found.arguments["num_classes"]) == (size, 1000)
    published = case["normalise"]
    assert list(found.preprocessing.mean) == published["mean"]
    assert list(found.preprocessing.std) == published["std"]


@pytest.mark.slow
def test_names_of_timm_s_mobilenet() -> None:
    case = _CASES["mobilenet_v2"]
    tensors = state_dict(case)
    by_timm = {
        theirs: tensors[ours]
        for theirs, (ours, _) in zip(case["timm_names"], case["spec"], strict=True)
    }
    ours = from_torch("mobilenet_v2", tensors, image_size=32)
    jax.tree.map(
        np.testing.assert_array_equal, from_torch("mobilenet_v2", by_timm, image_size=32), ours
    )
