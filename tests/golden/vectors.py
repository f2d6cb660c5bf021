"""Reading of golden vectors: cases, arrays, and the deterministic weights and images behind them.

Two folders hold reference vectors computed by the published programs: ``models`` (networks,
activations, schedules) and ``dynamics`` (spiking, scores, corruptions). The environment variables
``JAXBIO_GOLDEN_DIR`` and ``JAXBIO_GOLDEN_DYNAMICS_DIR`` name other folders of the same format. The
cases that a folder's ``cases.json`` lists are the cases that are tested.
"""

import functools
import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_HERE = Path(__file__).parent

# rsatoolbox's names of our comparators.
METHODS = {
    "cosine": "cosine",
    "corr": "pearson",
    "spearman": "spearman",
    "tau-a": "tau-a",
    "tau-b": "tau-b",
    "kendall": "tau-b",
    "rho-a": "rho-a",
    "corr_cov": "whitened-pearson",
    "cosine_cov": "whitened-cosine",
}


def models_dir() -> Path:
    return Path(os.environ.get("JAXBIO_GOLDEN_DIR") or _HERE / "models")


def dynamics_dir() -> Path:
    return Path(os.environ.get("JAXBIO_GOLDEN_DYNAMICS_DIR") or _HERE / "dynamics")


@functools.cache
def read_cases_json(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "cases.json").read_text())


def dynamics_cases(section: str) -> dict[str, Any]:
    """The cases of one of the published programs; empty where the folder has none."""
    return read_cases_json(dynamics_dir()).get(section, {})


def dynamics_arrays(cases: dict[str, Any], name: str, wide: bool = False) -> dict[str, np.ndarray]:
    """The stored arrays of one of these cases, none where it is absent; ``wide``: as float64."""
    if name not in cases:
        return {}
    with np.load(dynamics_dir() / cases[name]["file"], allow_pickle=False) as file:
        return {
            k: v.astype(np.float64) if wide and v.dtype.kind == "f" else v for k, v in file.items()
        }


def needs(arrays: dict[str, Any], *names: str) -> pytest.MarkDecorator:
    """Vectors may be a subset of the full set."""
    missing = [name for name in names if name not in arrays]
    return pytest.mark.skipif(bool(missing), reason=f"these vectors have no {missing}")


def close(ours: Any, gold: Any, tolerance: float = 1e-6) -> None:
    """Equal shapes, and values within an absolute tolerance."""
    ours, gold = np.asarray(ours), np.asarray(gold)
    assert ours.shape == gold.shape, (ours.shape, gold.shape)
    np.testing.assert_allclose(ours, gold, rtol=0, atol=tolerance)


def model_cases(*prefixes: str) -> list[str]:
    """Names of the cases present whose name starts with one of ``prefixes``."""
    names = [case["case"] for case in read_cases_json(models_dir())["cases"]]
    return [name for name in names if name.startswith(prefixes)]


def model_case(name: str) -> dict[str, Any]:
    """The description of one case."""
    return next(c for c in read_cases_json(models_dir())["cases"] if c["case"] == name)


def model_arrays(name: str) -> dict[str, np.ndarray]:
    """The stored arrays of one case."""
    with np.load(models_dir() / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def tensor(salt: str, key: str, shape) -> np.ndarray:
    """The stand-in weight of a state-dict key: a pure function of (salt, key, shape)."""
    shape = tuple(int(n) for n in shape)
    rng = np.random.default_rng(zlib.crc32(f"{salt}:{key}".encode()))
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf == "running_var":
        values = rng.uniform(0.5, 1.5, shape)
    elif leaf == "running_mean":
        values = 0.1 * rng.standard_normal(shape)
    elif len(shape) >= 2:  # He scale over the fan-in
        values = rng.standard_normal(shape) * np.sqrt(2.0 / int(np.prod(shape[1:])))
    elif leaf == "weight":
        values = rng.uniform(0.5, 1.5, shape)
    else:
        values = 0.1 * rng.standard_normal(shape)
    return np.asarray(values, np.float32)


def state_dict(case: dict[str, Any]) -> dict[str, np.ndarray]:
    """All generated tensors of a case, with PyTorch names and shapes."""
    return {key: tensor(case["salt"], key, shape) for key, shape in case["spec"]}


def images(salt: str, n: int, size: int, channels: int = 3) -> np.ndarray:
    """Smooth random images with edges, NCHW float32 in [0, 1]."""
    rng = np.random.default_rng(zlib.crc32(f"{salt}:images".encode()))
    coarse = rng.uniform(size=(n, channels, 8, 8))
    repeats = -(-size // 8)
    smooth = np.kron(coarse, np.ones((1, 1, repeats, repeats)))[..., :size, :size]
    noise = rng.uniform(size=(n, channels, size, size))
    return np.clip(0.75 * smooth + 0.25 * noise, 0.0, 1.0).astype(np.float32)


def normalise(x: np.ndarray, constants: dict[str, Any]) -> np.ndarray:
    """Per-channel normalisation of NCHW images with a case's ``normalise`` entry."""
    mean, std = (np.float32(constants[k]).reshape(1, -1, 1, 1) for k in ("mean", "std"))
    return (x - mean) / std


def assert_output(
    case: dict[str, Any], arrays: dict[str, np.ndarray], name: str, full: np.ndarray, floor=1e-5
) -> None:
    """Compares a full output (PyTorch layout) with the stored, possibly strided one.

    The bound is the published one: ``max|y - gold| / max|gold| <= max(20 * f32_err, floor)``.
    Where the full tensor's statistics are stored they are compared too, so that unsampled positions
    count.
    """
    spec = case["outputs"][name]
    full = np.asarray(full)
    assert list(full.shape) == list(spec["shape"]), (name, full.shape, spec["shape"])
    bound = max(20 * (spec.get("f32_err") or 0.0), floor)
    steps = spec.get("steps", [1] * full.ndim)
    sampled = full[tuple(slice(None, None, s) for s in steps)]
    gold = arrays[name]
    error = np.abs(sampled.astype(np.float64) - gold).max() / np.abs(gold).max()
    assert error <= bound, f"{case['case']}.{name}: relative error {error:.2e} > {bound:.2e}"
    stats = arrays.get(f"{name}.stats")
    if stats is not None:
        wide = full.astype(np.float64)
        ours = np.array([wide.mean(), wide.std(), np.abs(wide).max()])
        assert np.abs(ours - stats).max() / np.abs(stats).max() <= bound, (name, ours, stats)
