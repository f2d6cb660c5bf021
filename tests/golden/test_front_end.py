"""Parity of the fixed front-ends with the published PyTorch programs."""

import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.models.front_end import V1, V2, v2_constants
from jaxbio.ops import gabor
from jaxbio.ops.v1 import Noise, bank_to_constants, constants_to_bank, v1_response
from tests.golden import vectors

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("full_precision")]

MODES = {False: "neuronal", True: "uniform"}


def bank_of(case: dict, arrays: dict) -> tuple[np.ndarray, np.ndarray]:
    """The dense banks of a case: stored kernels if all are there, else from the parameters."""
    colours = arrays["q0_channel"], arrays["q1_channel"]
    size = case["params"].get("ksize", 25)
    if len(arrays.get("q0_kernels", ())) == len(colours[0]):
        banks = []
        for name, colour in zip(("q0_kernels", "q1_kernels"), colours, strict=True):
            bank = np.zeros((len(colour), 3, *arrays[name].shape[1:]), np.float32)
            bank[np.arange(len(colour)), colour] = arrays[name]
            banks.append(bank)
        return banks[0], banks[1]
    parameters = gabor.GaborParameters(
        sf=arrays["sf"],  # cycles per pixel: one pixel is a degree here
        theta=np.rad2deg(arrays["theta"]),
        phase=np.rad2deg(arrays["phase"]),
        nx=arrays["sigx"] * arrays["sf"],
        ny=arrays["sigy"] * arrays["sf"],
    )
    return gabor.gabor_bank(parameters, colours, pixels_per_degree=1, kernel_size=size)


def images_of(case: dict, arrays: dict) -> np.ndarray:
    """Images ``[B, 3, H, W]``: stored, or from the recipe "normalise(images(salt, n, size))"."""
    if "x" in arrays:
        return arrays["x"]
    recipe = re.fullmatch(r"normalise\(images\(salt, (\d+), (\d+)\)\)", case["inputs"]["x"])
    return vectors.normalise(
        vectors.images(case["salt"], *map(int, recipe.groups())), case["normalise"]
    )


def nhwc(x) -> jax.Array:
    return jnp.asarray(np.asarray(x).transpose(0, 2, 3, 1))


def hwio(x) -> jax.Array:
    return jnp.asarray(np.asarray(x, np.float32).transpose(2, 3, 1, 0))


def nchw(x) -> np.ndarray:
    return np.asarray(x).transpose(0, 3, 1, 2)


def close(ours: np.ndarray, gold: np.ndarray, bound: float) -> None:
    error = np.abs(ours.astype(np.float64) - gold).max() / np.abs(gold).max()
    assert error <= bound, f"relative error {error:.2e} > {bound:.2e}"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        (n, c)
        for n in vectors.model_cases("gabor_params")
        for c in vectors.model_case(n)["params"]["calls"]
    ],
)
def test_parameters(name: str, call: str) -> None:
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    settings = dict(case["params"]["calls"][call])
    mode = MODES[settings.pop("rand_flag")]
    ours = gabor.sample_gabor_parameters(settings.pop("features"), mode=mode, **settings)
    for field, value in ours._asdict().items():
        np.testing.assert_allclose(value, arrays[f"{call}.{field}"], rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", vectors.model_cases("gabor_bank", "vonenet_gabor_bank"))
def test_bank(name: str) -> None:
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    params = case["params"]
    degrees = params["image_size"] / params["visual_degrees"]
    options = {k: params[k] for k in ("sf_max", "sf_min", "sf_corr") if k in params}
    ours = gabor.sample_gabor_parameters(len(arrays["sf"]), seed=params["gabor_seed"], **options)
    sf = ours.sf / degrees
    expected = {
        "sf": sf,
        "theta": np.deg2rad(ours.theta),
        "phase": np.deg2rad(ours.phase),
        "sigx": ours.nx / sf,
        "sigy": ours.ny / sf,
    }
    for field, value in expected.items():
        np.testing.assert_allclose(value, arrays[field], rtol=1e-10, atol=0)

    bound = max(20 * params["kernel_f32_err"], 1e-5)
    colours = arrays["q0_channel"], arrays["q1_channel"]
    banks = gabor.gabor_bank(
        ours, colours, pixels_per_degree=degrees, kernel_size=arrays["q0_kernels"].shape[-1]
    )
    for q, bank in zip(("q0", "q1"), banks, strict=True):
        planes = bank[np.arange(len(bank)), arrays[f"{q}_channel"]]
        assert np.count_nonzero(bank) == np.count_nonzero(planes)
        close(planes[arrays["kernel_index"]], arrays[f"{q}_kernels"], bound)
        wide = planes.astype(np.float64)
        close(wide.sum((1, 2)), arrays[f"{q}_sum"], bound)
        close(np.sqrt((wide**2).sum((1, 2))), arrays[f"{q}_l2"], bound)
        close(np.abs(wide).max((1, 2)), arrays[f"{q}_absmax"], bound)


@pytest.mark.parametrize("name", vectors.model_cases("voneblock_", "vonenet_none"))
def test_v1(name: str) -> None:
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    params, outputs = case["params"], case["outputs"]
    q0, q1 = bank_of(case, arrays)
    simple = params.get("simple_channels", len(q0) // 2)
    stride = params.get("stride", 4)
    constants = bank_to_constants(q0, q1, simple)
    unpacked0, unpacked1, count = constants_to_bank(constants)
    np.testing.assert_array_equal(unpacked0, q0)
    np.testing.assert_array_equal(unpacked1[simple:], q1[simple:])
    assert count == simple

    spec = dict(case["spec"])
    key = next((k for k in spec if k.endswith("bottleneck.weight")), None)
    weight = vectors.tensor(case["salt"], key, spec[key]) if key else np.zeros((1, len(q0), 1, 1))
    readout = jnp.asarray(weight[:, :, 0, 0].T, jnp.float32)
    x = nhwc(images_of(case, arrays))

    found = {}
    pad = q0.shape[-1] // 2
    for output, bank in (("q0", q0), ("q1", q1)):
        if output in outputs:
            found[output] = jax.lax.conv_general_dilated(
                x, hwio(bank), (stride, stride), [(pad, pad)] * 2,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )  # fmt: skip
    respond = jax.jit(v1_response, static_argnames=("stride", "k_exc", "noise"))
    if "simple" in outputs:
        _, cells = respond(x, constants, readout, stride=stride, k_exc=1.0)
        found["simple"], found["complex"] = cells[..., :simple], cells[..., simple:]
    if "gabors" in outputs:
        found["gabors"] = respond(x, constants, readout, stride=stride, k_exc=params["k_exc"])[1]
    if params.get("noise_mode"):
        noise = Noise(params["noise_mode"], params["noise_scale"], params["noise_level"])
        source = nhwc(arrays["noise"])
        y, found["v1"] = respond(
            x, constants, readout, stride=stride, k_exc=params["k_exc"], noise=noise, source=source
        )
    else:
        model = V1(simple, len(q0) - simple, weight.shape[0], stride=stride, k_exc=params["k_exc"])
        bottleneck = {"kernel": hwio(weight)}
        variables = {"params": {"bottleneck": bottleneck}, "constants": constants}
        y, endpoints = jax.jit(model.apply)(variables, x)
        np.testing.assert_array_equal(y, endpoints["v1_bottleneck"])
        found["v1"] = endpoints["v1"]
    found["bottleneck"] = y
    for output in outputs:
        vectors.assert_output(case, arrays, output, nchw(found[output]))


@pytest.mark.parametrize("name", vectors.model_cases("vtwoblock_"))
def test_v2(name: str) -> None:
    case, arrays = vectors.model_case(name), vectors.model_arrays(name)
    tensors = vectors.state_dict(case)
    if "not_generated" in case:  # the original repository's file
        from jaxbio.weights.reader import read_torch

        folder = os.environ.get("JAXBIO_DATA_DIR")
        path = Path(folder or "") / "svp" / "vtwoweight.pth"
        if not folder or not path.is_file():
            pytest.skip("needs svp/vtwoweight.pth, the published V2 weights, in JAXBIO_DATA_DIR")
        tensors |= dict(read_torch(path))
    recipe = re.match(r"images\(salt, (\d+), (\d+), channels=(\d+)\) - 0.5", case["inputs"]["x"])
    n, size, channels = map(int, recipe.groups())
    x = nhwc(vectors.images(case["salt"], n, size, channels=channels) - np.float32(0.5))
    variables = {
        "params": {"bottleneck": {"kernel": hwio(tensors["bottleneck.weight"])}},
        "constants": v2_constants(tensors["weight"], tensors["bias"]),
    }
    y, endpoints = jax.jit(V2(case["params"]["out_channels"]).apply)(variables, x)
    vectors.assert_output(case, arrays, "pool", nchw(endpoints["v2_pool"]))
    vectors.assert_output(case, arrays, "out", nchw(y))
