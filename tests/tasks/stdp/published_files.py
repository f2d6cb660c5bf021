"""Saved networks of the published program's format, written without its classes and PyTorch."""

import json
import struct
import zipfile
from typing import NamedTuple

import numpy as np

from jaxbio.spiking.network import Network


class Obj(NamedTuple):
    """An object of a class that is a name."""

    name: str
    state: dict


class Call(NamedTuple):
    """What a function that is a name would return."""

    name: str
    arguments: tuple


class _Writer:
    def __init__(self):
        self.storages = {}

    def pickle(self, value) -> bytes:
        return b"\x80\x02" + self.emit(value) + b"."

    def emit(self, value) -> bytes:
        if isinstance(value, Obj):
            return _global(value.name) + b")\x81" + self.emit(value.state) + b"b"
        if isinstance(value, Call):
            return _global(value.name) + self.emit(tuple(value.arguments)) + b"R"
        if isinstance(value, np.ndarray):
            return self._tensor(np.ascontiguousarray(value))
        if isinstance(value, dict):
            items = b"".join(self.emit(k) + self.emit(v) for k, v in value.items())
            return b"}(" + items + b"u"
        if isinstance(value, tuple | list):
            parts = b"".join(map(self.emit, value))
            return b"(" + parts + (b"t" if isinstance(value, tuple) else b"l")
        if value is None or isinstance(value, bool):
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        if isinstance(value, str):
            raw = value.encode()
            return b"X" + struct.pack("<I", len(raw)) + raw
        if isinstance(value, int):
            return b"J" + struct.pack("<i", value)
        return b"G" + struct.pack(">d", value)

    def _tensor(self, array: np.ndarray) -> bytes:
        key = str(len(self.storages))
        self.storages[key] = array.tobytes()
        kind = {"float32": "Float", "int64": "Long", "bool": "Bool"}[array.dtype.name]
        stored = b"(" + self.emit("storage") + _global(f"torch.{kind}Storage")
        stored += b"".join(map(self.emit, (key, "cpu", array.size))) + b"tQ"
        strides = tuple(s // array.itemsize for s in array.strides)
        layout = b"".join(map(self.emit, (0, array.shape, strides, False)))
        empty = _global("collections.OrderedDict") + b")R"
        return _global("torch._utils._rebuild_tensor_v2") + b"(" + stored + layout + empty + b"tR"


def _global(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def write_torch(path, value) -> None:
    writer = _Writer()
    described = writer.pickle(value)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", described)
        for key, raw in writer.storages.items():
            archive.writestr(f"archive/data/{key}", raw)


def scalar(value, dtype=np.float32) -> np.ndarray:
    return np.array(value, dtype)


def tree(net: Network, c_w=-30.0, theta=3.0, seed=0, yy=None) -> Obj:
    """A network of random weights; change it by its dicts."""
    rng = np.random.default_rng(seed)
    kind = {"c": "Conv2dConnection"}.get(net.kind, "LocalConnection")
    norm = 0.4 * net.window
    places = 1 if net.shared else net.positions
    inside = rng.random((places, net.window, net.filters)).astype(np.float32)
    inside *= norm / inside.sum(1, keepdims=True)
    if net.shared:
        w = inside[0].T.reshape(net.filters, 1, net.kernel, net.kernel)
    else:
        w = np.zeros((net.pixels, net.filters, net.positions), np.float32)
        for place, pixels in enumerate(net.window_pixels()):
            w[pixels, :, place] = inside[place]
        w = w.reshape(net.pixels, net.neurons)
    if yy is None:
        yy = np.where(net.same_position(), np.float32(c_w), np.float32(0))
    y_shape = (net.filters, net.side, net.side)
    x = Obj("bindsnet.network.nodes.Input", {"shape": (1, net.crop, net.crop)})
    thresholds = (theta * rng.random(y_shape)).astype(np.float32)
    buffers = {
        "rest": scalar(-65.0),
        "reset": scalar(-65.0),
        "thresh": scalar(-52.0),
        "refrac": scalar(net.refractory, np.int64),
        "tc_decay": scalar(20.0),
        "theta_plus": scalar(0.05),
        "tc_theta_decay": scalar(1e6),
        "tc_trace_pre": scalar(20.0),
        "tc_trace_post": scalar(20.0),
        "theta": thresholds,
    }
    y = Obj(
        "bindsnet.network.nodes.AdaptiveLIFNodes",
        {"_buffers": buffers, "shape": y_shape, "lbound": None},
    )
    x_to_y = Obj(
        f"bindsnet.network.topology.{kind}",
        {
            "_parameters": {"w": w, "b": np.zeros(net.neurons, np.float32)},
            "nu": [1e-4, 1e-2],
            "norm": norm,
            "kernel_size": (net.kernel, net.kernel),
            "stride": (net.stride, net.stride),
            "update_rule": Obj(
                "bindsnet.learning.learning.PostPre",
                {"reduction": Call("builtins.getattr", ("torch._C._VariableFunctions", "mean"))},
            ),
        },
    )
    y_to_y = Obj(
        "bindsnet.network.topology.Connection",
        {"_parameters": {"w": yy.reshape(*y_shape, *y_shape)}, "nu": None},
    )
    modules = {"X": x, "Y": y, "X_to_Y": x_to_y, "Y_to_Y": y_to_y}
    return Obj("bindsnet.network.network.Network", {"_modules": modules, "dt": 1.0})


def write_network(folder, net: Network, root=None, votes=None, score=None, **parameters) -> None:
    folder.mkdir(parents=True)
    write_torch(folder / "network", tree(net) if root is None else root)
    if votes is not None:
        write_torch(folder / "votes", votes)
    told = {"n_iter": 80, "c_w": -30.0, "intensity": 127.5, "time_max": net.steps, **parameters}
    (folder / "parameters.json").write_text(json.dumps(told))
    if score is not None:
        entry = {"accuracy": score[0], "error": score[1], "n_iter": 10_000}
        (folder / "score.json").write_text(json.dumps({"patch_voting": entry}))
