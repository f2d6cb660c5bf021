"""Networks that the published spiking program has saved, read as plain data.

A saved network is a folder: ``network``, a torch-saved tree of objects; ``votes``, a tensor;
``parameters.json`` and ``score.json``. The objects' classes are inert records here
(:mod:`jaxbio.weights.reader`): nothing is imported, nothing is run. What the network computes with
comes from its tree (refractory period and thresholds, too); only the length of a presentation, the
intensity and the number of training images stand in ``parameters.json`` alone.

Reference:
    The program is github.com/danielgafni/Bachelor, on a modified BindsNET.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.spiking.network import Network
from jaxbio.tasks.stdp.published_tree import Part, check_classes, number_of
from jaxbio.weights.reader import read_torch

CLASSES = 10  # of its votes
FILES = ("network", "parameters.json", "score.json", "votes")
_CONNECTIONS = {"LocalConnection": "lc", "Conv2dConnection": "c"}
_READOUTS = {name: name for name in ("patch_voting", "all_voting", "spikes_first")} | {
    "lc": "linear"
}


@dataclass(frozen=True)
class Score:
    """An accuracy as published.

    Attributes:
        accuracy: in [0, 1].
        error: its standard error, ``sqrt(accuracy (1 - accuracy) / draws)``.
        draws: test presentations.
        error_in_file: what stands there; older files have ``accuracy (1 - accuracy) / sqrt(n)``,
            which is no standard error.
    """

    accuracy: float
    error: float
    draws: int
    error_in_file: float


@dataclass(frozen=True)
class PublishedNetwork:
    """A saved network.

    Attributes:
        sha256: of the file ``network``.
        numbers: fields of :class:`jaxbio.spiking.network.Parameters`.
        xy: ``[positions, window, filters]``, ``[1, ...]`` of a convolutional network.
        theta: ``[positions, filters]``, mV.
        yy: trained competition ``[neurons, neurons]``, mV; None where it is fixed.
        votes: ``[classes, filters, rows, columns]``; None without the file.
        scores: by readout.
        notes: what a reader should know, a line each.
    """

    name: str
    sha256: str
    shape: Network
    numbers: dict[str, float]
    xy: np.ndarray
    theta: np.ndarray
    yy: np.ndarray | None
    votes: np.ndarray | None
    scores: dict[str, Score]
    train_images: int
    notes: list[str] = field(default_factory=list)

    @property
    def lost_thresholds(self) -> bool:
        """Whether it learned, but was saved with thresholds of 0 (the program lost them when it
        loaded a network).
        """
        return self.train_images > 0 and not self.theta.any()


def find_published(folder: Path) -> list[Path]:
    """The folders of saved networks: those in ``folder``, or ``folder`` itself.

    Raises:
        InputError: no such folder, or one of another layout.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give the one that holds the saved networks")
    if (folder / "network").is_file():
        return [folder]
    found = sorted(path for path in folder.iterdir() if path.is_dir())
    if not any((path / name).is_file() for path in found for name in FILES):
        raise InputError(
            f"{folder} is of another layout: a folder for each saved network is needed, with "
            f"{', '.join(FILES)} in it"
        )
    return found


def read_published(folder: Path) -> PublishedNetwork:
    """Reads one.

    Raises:
        InputError: a file is missing or damaged, the network is made of classes that are none of
            the program's, or does something that a network of ours cannot.
    """
    for name in FILES[:2]:
        if not (folder / name).is_file():
            raise InputError(f"{folder} has no file {name}: it is no saved network")
    parameters = read_json(folder / "parameters.json")
    try:
        return _read(folder, parameters)
    except InputError as error:
        text = str(error)
        raise InputError(text if str(folder) in text else f"{folder}: {text}") from None


def _read(folder: Path, parameters: Mapping[str, Any]) -> PublishedNetwork:
    file = folder / "network"
    root = read_torch(file, unknown=True)
    check_classes(root)
    network = Part(root, "network", ("Network",))
    x = network.part("X", ("Input",))
    y = network.part("Y", ("AdaptiveLIFNodes",))
    xy, yy = network.part("X_to_Y", tuple(_CONNECTIONS)), network.part("Y_to_Y", ("Connection",))
    shape = _shape(network, x, y, xy, parameters)
    learned_from = _json_number(parameters, "n_iter")
    train_images = _count(learned_from, 1e9, "parameters.json: n_iter", "images")
    theta = y.array("theta", (shape.filters, shape.positions)).T
    competition = _competition(yy, shape)
    numbers = _numbers(y, xy, yy, shape, parameters)
    notes = []
    if isinstance(competition, float):
        numbers["c_w"] = competition
    if not theta.any() and train_images:
        notes.append(
            f"thresholds lost: theta is 0 everywhere, although it learned from {train_images} "
            "images"
        )
    scores = _scores(folder / "score.json")
    if any(not math.isclose(one.error, one.error_in_file, rel_tol=0.01) for one in scores.values()):
        notes.append("the error in score.json is not the standard error sqrt(a(1-a)/n)")
    return PublishedNetwork(
        name=folder.absolute().name,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        shape=shape,
        numbers=numbers,
        xy=_excitation(xy, shape),
        theta=theta,
        yy=None if isinstance(competition, float) else competition,
        votes=_votes(folder / "votes", shape),
        scores=scores,
        train_images=train_images,
        notes=notes,
    )


def _shape(network: Part, x: Part, y: Part, xy: Part, parameters: Mapping[str, Any]) -> Network:
    crop, kernel, neurons = x.side("shape"), xy.side("kernel_size"), y.sizes("shape")
    kind, dt = _CONNECTIONS[xy.kind], network.number("dt")
    if kind == "lc" and kernel == crop:
        kind = "fc"
    time = _json_number(parameters, "time_max")
    if not (dt > 0 and 0 < time / dt < 1e6):
        raise InputError(f"parameters.json: time_max={time:g} is no duration in steps of {dt:g} ms")
    shape = Network(
        kind=kind,
        filters=neurons[0],
        kernel=kernel,
        stride=xy.side("stride"),
        crop=crop,
        steps=round(time / dt),
        dt=dt,
        refractory=_count(y.number("refrac"), 1e5, "network: Y.refrac", "steps"),
    )
    if math.prod(neurons) != shape.neurons:
        raise InputError(
            f"network: Y has {neurons} neurons, windows of {kernel} in {crop} "
            f"pixels make {shape.filters} x {shape.positions}"
        )
    return shape


def _excitation(xy: Part, shape: Network) -> np.ndarray:
    bias = xy.values.get("b")
    if isinstance(bias, np.ndarray) and bias.any():
        raise InputError("network: X_to_Y.b is not 0; networks of ours have no such bias")
    if shape.shared:
        return xy.array("w", (shape.filters, shape.window)).T[None]
    dense = xy.array("w", (shape.pixels, shape.filters, shape.positions))
    windows = shape.window_pixels()
    inside = np.stack([dense[windows[p], :, p] for p in range(shape.positions)])
    if np.count_nonzero(inside) != np.count_nonzero(dense):
        raise InputError("network: X_to_Y.w has weights outside of the windows")
    return inside


def _competition(yy: Part, shape: Network) -> float | np.ndarray:
    """The constant of fixed competition, or the matrix."""
    matrix = yy.array("w", (shape.neurons, shape.neurons))
    same = shape.same_position()
    values = matrix[same]
    if matrix[~same].any() or (len(values) and np.ptp(values) != 0):
        return matrix
    return float(values[0]) if len(values) else 0.0


def _numbers(
    y: Part, xy: Part, yy: Part, shape: Network, parameters: Mapping[str, Any]
) -> dict[str, float]:
    if y.number("reset") != y.number("rest"):
        raise InputError("network: Y.reset is not Y.rest; networks of ours reset to rest")
    if y.values.get("lbound") is not None:
        raise InputError("network: Y.lbound is set; potentials of ours have no lower bound")
    depression, potentiation = xy.numbers("nu", least=2)[:2]
    # The older format has one trace.
    pre, post = (
        y.number(new if new in y.values else "tc_trace")
        for new in ("tc_trace_pre", "tc_trace_post")
    )
    numbers = {
        "mean_weight": xy.number("norm") / shape.window,
        "c_w": _json_number(parameters, "c_w"),
        "intensity": _json_number(parameters, "intensity"),
        "tau_pos": pre,
        "tau_neg": post,
        "depression": depression,
        "potentiation": potentiation,
        "tau_v": y.number("tc_decay"),
        "rest": y.number("rest"),
        "threshold": y.number("thresh"),
        "theta_plus": y.number("theta_plus"),
        "tau_theta": y.number("tc_theta_decay"),
    }
    if isinstance(yy.values.get("nu"), list | tuple):
        numbers["a_pos"], numbers["a_neg"] = yy.numbers("nu", least=2)[:2]
        numbers["c_w_min"], numbers["c_w_max"] = yy.number("wmin"), yy.number("wmax")
    return numbers


def _votes(file: Path, shape: Network) -> np.ndarray | None:
    if not file.is_file():
        return None
    votes = read_torch(file, unknown=True)
    wanted = (CLASSES, shape.filters, shape.side, shape.side)
    if not isinstance(votes, np.ndarray) or votes.size != math.prod(wanted):
        found = list(votes.shape) if isinstance(votes, np.ndarray) else "no tensor"
        raise InputError(f"votes: {found}, {list(wanted)} is needed")
    votes = votes.astype(np.float32).reshape(wanted)
    if not (np.isfinite(votes).all() and (votes >= 0).all()):
        raise InputError("votes: mean numbers of spikes are 0 or more")
    return votes


def _scores(file: Path) -> dict[str, Score]:
    if not file.is_file():
        return {}
    scores = {}
    for name, entry in read_json(file).items():
        accuracy = entry.get("accuracy") if isinstance(entry, dict) else None
        if name not in _READOUTS or accuracy is None:
            continue
        told, draws = entry.get("error"), entry.get("n_iter")
        numbers = all(type(value) in (int, float) for value in (accuracy, told, draws))
        if not numbers or not 0 <= accuracy <= 1 or draws < 1:
            raise InputError(f"score.json: {name} has no accuracy in [0, 1] with error and n_iter")
        scores[_READOUTS[name]] = _score(float(accuracy), float(told), int(draws))
    return scores


def _score(accuracy: float, told: float, draws: int) -> Score:
    variance = accuracy * (1 - accuracy)
    if (
        told > 0
        and variance > 0
        and not math.isclose(told, math.sqrt(variance / draws), rel_tol=0.01)
    ):
        # accuracy (1 - accuracy) / sqrt(n) says how many there were, whatever n_iter is.
        implied = (variance / told) ** 2
        hundreds = round(implied / 100)
        if hundreds and math.isclose(implied, 100 * hundreds, rel_tol=1e-3):
            draws = 100 * hundreds
    return Score(accuracy, math.sqrt(variance / draws), draws, told)


def _count(value: float, below: float, name: str, what: str) -> int:
    if not (0 <= value < below and value.is_integer()):
        raise InputError(f"{name}={value:g} is no number of {what}")
    return int(value)


def _json_number(parameters: Mapping[str, Any], name: str) -> float:
    value = number_of(parameters.get(name), f"parameters.json: {name}")
    if not math.isfinite(value):
        raise InputError(f"parameters.json: {name}={value} is not finite")
    return value
