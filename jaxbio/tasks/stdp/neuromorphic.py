"""Spiking networks for other programs, and of them: NIR (Neuromorphic Intermediate Representation).

A network at rest is a graph: input, convolution or linear map, LIF neurons, and a linear map from
them to themselves, which is the competition. NIR's neurons are equations in continuous time; the
numbers here are such that Euler steps of the network's ``dt`` are its own steps exactly:
``tau = dt / (1 - decay)``, weights over ``dt / tau``, potentials from rest. A spike of the input
acts one step later in networks of ours than in the graph, so that spikes are the same, one step
earlier. Times are in seconds. What NIR cannot say is refused by name.

Reference:
    Pedersen et al. 2024, "Neuromorphic intermediate representation", Nat Commun 15, 8122.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxbio.errors import InputError
from jaxbio.files import atomic
from jaxbio.files.hdf5 import open_hdf5, read_dataset
from jaxbio.spiking.network import Network, Parameters, Weights
from jaxbio.spiking.settings import Shape
from jaxbio.tasks.stdp.published import PublishedNetwork

LEFT_OUT = ("refractory",)  # on request
_KEY = "jaxbio"  # of the graph's metadata
_MOST_BYTES = 2**30  # of the competition as a matrix
_DEFAULT_DT = 1.0  # ms, of graphs that do not say


def write_nir(
    path: Path,
    network: Network,
    parameters: Parameters,
    weights: Weights,
    leave_out: Sequence[str] = (),
) -> None:
    """Writes a network at rest as a NIR file, atomically.

    Args:
        path: of the file.
        network: static.
        parameters: of one network.
        weights: what it has learned.
        leave_out: what is left out although the network has it, of ``LEFT_OUT``; its spikes are
            others then.

    Raises:
        InputError: the package nir is not installed, or NIR cannot say something.
    """
    nir = _nir()
    graph = _graph(nir, network, parameters, weights, leave_out)
    with atomic(path) as temporary:
        nir.write(temporary, graph)


def _graph(
    nir: Any,
    network: Network,
    parameters: Parameters,
    weights: Weights,
    leave_out: Sequence[str],
) -> Any:
    for name in leave_out:
        if name not in LEFT_OUT:
            raise InputError(f"--leave_out={name}: use {', '.join(LEFT_OUT)}")
    if network.refractory and "refractory" not in leave_out:
        raise InputError(
            f"spiking.refractory={network.refractory}: NIR's neurons have no refractory period; "
            "--leave_out=refractory exports them without (their spikes are others then)"
        )
    if 8 * network.neurons**2 > _MOST_BYTES:
        raise InputError(
            f"{network.neurons} neurons: NIR has no constant competition, and as a matrix it "
            f"takes {8 * network.neurons**2 / 2**30:.1f} GiB (at most 1)"
        )
    decay = math.exp(-network.dt / float(parameters.tau_v))
    scale = 1 / (1 - decay)  # tau / dt
    n = network.neurons
    rest = float(parameters.rest)
    theta = np.asarray(weights.theta, np.float64).T.ravel()
    ones = np.ones(n)
    neurons = nir.LIF(
        tau=ones * scale * network.dt / 1000,
        r=ones,
        v_leak=0 * ones,
        v_threshold=float(parameters.threshold) - rest + theta,
        v_reset=0 * ones,
    )
    nodes = {
        "neurons": neurons,
        "competition": nir.Linear(_competition(network, parameters, weights) * scale),
    }
    xy = np.asarray(weights.xy, np.float64) * scale
    if network.shared:
        kernel = xy[0].T.reshape(network.filters, 1, network.kernel, network.kernel)
        side = network.crop
        nodes["windows"] = nir.Conv2d(
            (side, side), kernel, network.stride, 0, 1, 1, np.zeros(network.filters)
        )
        shape = np.array([network.filters, network.side, network.side])
        nodes["flat"] = nir.Flatten({"input": shape}, 0, -1)
        nodes["input"] = nir.Input({"input": np.array([1, side, side])})
        edges = [("input", "windows"), ("windows", "flat"), ("flat", "neurons")]
    else:
        dense = np.zeros((network.filters, network.positions, network.pixels))
        for place, pixels in enumerate(network.window_pixels()):
            dense[:, place, pixels] = xy[place].T
        nodes["windows"] = nir.Linear(dense.reshape(n, -1))
        nodes["input"] = nir.Input({"input": np.array([network.pixels])})
        edges = [("input", "windows"), ("windows", "neurons")]
    nodes["output"] = nir.Output({"output": np.array([n])})
    edges += [("neurons", "competition"), ("competition", "neurons"), ("neurons", "output")]
    graph = nir.NIRGraph(nodes=nodes, edges=edges)
    sizes = {**dataclasses.asdict(network), "refractory": 0}
    numbers = {name: float(value) for name, value in vars(parameters).items()}
    finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
    graph.metadata[_KEY] = json.dumps({"shape": sizes, "numbers": finite})
    return graph


def _competition(network: Network, parameters: Parameters, weights: Weights) -> np.ndarray:
    """``[target, source]``, mV."""
    if weights.yy is not None:
        return np.asarray(weights.yy, np.float64).T
    return network.same_position() * float(parameters.c_w)


def read_nir(path: Path) -> PublishedNetwork:
    """Reads a network from a NIR file; the package nir is not needed.

    The graph has to be one that :func:`write_nir` could have written, by whatever program: one
    layer of LIF neurons behind a linear map or a convolution of a square input, perhaps with a
    linear map from the neurons to themselves.

    Raises:
        InputError: the file is damaged, or has what networks of ours cannot do.
    """
    try:
        with open_hdf5(path) as file:
            node = file["node"]
            nodes = {name: _node(group) for name, group in node["nodes"].items()}
            edges = [tuple(map(_text, pair)) for pair in np.asarray(node["edges"][()])]
            told = node["metadata"][_KEY][()] if _KEY in node.get("metadata", {}) else None
    except InputError:
        raise
    except Exception as error:  # whatever HDF5 meets in a damaged file
        raise InputError(f"{path} is no NIR file ({str(error)[:100]})") from error
    try:
        return _network(path, nodes, edges, None if told is None else json.loads(_text(told)))
    except (InputError, KeyError, TypeError, ValueError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}: {reason}") from None


def _node(group: Any) -> dict[str, Any]:
    wanted = (
        *("type", "weight", "bias", "stride", "padding", "dilation", "groups"),
        *("tau", "r", "v_leak", "v_threshold", "v_reset"),
    )
    found: dict[str, Any] = {name: read_dataset(group[name]) for name in wanted if name in group}
    return {**found, "type": _text(found["type"])}


def _network(
    path: Path,
    nodes: Mapping[str, Mapping[str, Any]],
    edges: Sequence[tuple[str, ...]],
    told: Any,
) -> PublishedNetwork:
    known = ("Input", "Output", "Flatten", "Linear", "Affine", "Conv2d", "LIF")
    for name, node in nodes.items():
        if node["type"] not in known:
            raise InputError(f"node '{name}' is {node['type']}: networks of ours have {known}")
    layers = [name for name, node in nodes.items() if node["type"] == "LIF"]
    if len(layers) != 1:
        raise InputError(f"{len(layers)} layers of LIF: networks of ours have one")
    (lif,) = layers
    maps = [name for name, node in nodes.items() if node["type"] in ("Linear", "Affine", "Conv2d")]
    recurrent = [name for name in maps if (lif, name) in edges and (name, lif) in edges]
    forward = [name for name in maps if name not in recurrent]
    if len(forward) != 1 or len(recurrent) > 1:
        raise InputError(
            f"{len(forward)} maps from the input and {len(recurrent)} among the neurons: networks "
            "of ours have one, and one or none"
        )
    settings = told if isinstance(told, dict) else {}
    numbers = dict(vars(Parameters()))
    numbers |= {k: float(v) for k, v in settings.get("numbers", {}).items() if k in numbers}
    dt = float(settings.get("shape", {}).get("dt", _DEFAULT_DT))
    neuron = nodes[lif]
    gain, height = _neurons(neuron, dt, numbers, told is not None)
    first = nodes[forward[0]]
    n = len(height)
    shape = _shape(first, n, settings.get("shape", {}), dt)
    dense = _weights(first, forward[0])
    if shape.shared:
        kernel = dense.reshape(shape.filters, shape.window).T[None]
        xy = kernel * gain[0]
    else:
        rows = (dense * gain[:, None]).reshape(shape.filters, shape.positions, shape.pixels)
        windows = shape.window_pixels()
        xy = np.stack([rows[:, p, windows[p]].T for p in range(shape.positions)])
        if np.count_nonzero(xy) != np.count_nonzero(dense):
            raise InputError(f"node '{forward[0]}' has weights outside of the windows")
    yy = None
    numbers["c_w"] = 0.0
    if recurrent:
        weight = _weights(nodes[recurrent[0]], recurrent[0])
        if weight.shape != (n, n):
            raise InputError(f"node '{recurrent[0]}' is {weight.shape}, {(n, n)} is needed")
        matrix = (weight * gain[:, None]).T
        same = shape.same_position()
        constant = float(matrix[same].mean()) if same.any() else 0.0
        fixed = np.allclose(matrix, same * constant, rtol=1e-9, atol=1e-9) and constant <= 0
        numbers["c_w"] = float(f"{constant:.9g}") if fixed else -1.0
        yy = None if fixed else matrix.astype(np.float32)
    shape = dataclasses.replace(shape, trained_competition=yy is not None)
    theta = height - (numbers["threshold"] - numbers["rest"])
    return PublishedNetwork(
        name=path.stem,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        shape=shape,
        numbers=numbers,
        xy=xy.astype(np.float32),
        theta=theta.astype(np.float32).reshape(shape.filters, shape.positions).T,
        yy=yy,
        votes=None,
        scores={},
        train_images=0,
        notes=["from NIR: without votes, calibrate it by jaxbio evaluate"],
    )


def _neurons(
    lif: Mapping[str, Any], dt: float, numbers: dict[str, float], told: bool
) -> tuple[np.ndarray, np.ndarray]:
    """What a weight is multiplied with, per neuron, and thresholds above rest; sets ``numbers``."""
    height = np.asarray(lif["v_threshold"], np.float64).ravel()
    tau, r, leak, reset = (
        np.broadcast_to(np.asarray(values, np.float64).ravel(), height.shape)
        for values in (lif["tau"], lif["r"], lif["v_leak"], lif.get("v_reset", 0.0))
    )
    if np.ptp(tau) > 1e-9 * abs(tau[0]) or np.ptp(leak) or (reset != leak).any():
        raise InputError(
            "the LIF neurons differ in tau or v_leak, or v_reset is not v_leak: in networks of "
            "ours they share tau, and reset to rest"
        )
    steps = tau[0] * 1000 / dt
    if not (np.isfinite(height).all() and 1 < steps < 1e9):
        raise InputError(f"tau={tau[0]:g} s with steps of {dt:g} ms is no decay")
    numbers["tau_v"] = float(f"{-dt / math.log1p(-1 / steps):.9g}")
    if not told:
        numbers["threshold"] = numbers["rest"] + float((height - leak).min())
    return r / steps, height - leak


def _shape(node: Mapping[str, Any], n: int, told: Mapping[str, Any], dt: float) -> Network:
    names = {field.name for field in dataclasses.fields(Shape)}
    if told:
        kept = {name: value for name, value in told.items() if name in names}
        shape = Network(**{**kept, "refractory": 0, "trained_competition": False})
        if shape.neurons != n:
            raise InputError(f"{n} neurons, its metadata says {shape.neurons}")
        return shape
    weight = np.asarray(node["weight"])
    if node["type"] != "Conv2d":
        side = math.isqrt(weight.shape[1])
        if side**2 != weight.shape[1] or weight.shape[0] != n:
            raise InputError(f"weights {weight.shape}: {n} neurons and a square input are needed")
        return Network(kind="fc", filters=n, kernel=side, crop=side, dt=dt, refractory=0)
    filters, channels, rows, columns = weight.shape
    stride = np.unique(np.asarray(node["stride"]))
    positions = math.isqrt(n // filters)
    if channels != 1 or rows != columns or len(stride) != 1 or positions**2 * filters != n:
        raise InputError("a convolution of ours has one channel in, and is square")
    crop = int((positions - 1) * stride[0] + rows)
    return Network(
        kind="c",
        filters=filters,
        kernel=rows,
        stride=int(stride[0]),
        crop=crop,
        dt=dt,
        refractory=0,
    )


def _weights(node: Mapping[str, Any], name: str) -> np.ndarray:
    weight = np.asarray(node["weight"], np.float64)
    if not np.isfinite(weight).all():
        raise InputError(f"node '{name}' has NaN or infinite weights")
    if np.any(node.get("bias", 0.0)):
        raise InputError(f"node '{name}' has a bias: maps of ours have none")
    for key, usual in (("padding", 0), ("dilation", 1), ("groups", 1)):
        value = node.get(key, usual)
        if not np.all(np.asarray(value) == usual):
            raise InputError(f"node '{name}' has {key}={value}: {usual} is needed")
    return weight


def _text(value: Any) -> str:
    value = np.asarray(value).item()
    return value.decode() if isinstance(value, bytes) else str(value)


def _nir() -> Any:
    try:
        import nir
    except ImportError:
        raise InputError("NIR needs the package nir: pip install 'jaxbio[nir]'") from None
    return nir
