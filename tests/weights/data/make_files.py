"""Writes the PyTorch files next to it: `python make_files.py` (PyTorch 2.13 wrote those here).

Every tensor is a plain function of its shape, so that the tests can state what they hold.
"""

import argparse
from collections import OrderedDict
from pathlib import Path

import torch

HERE = Path(__file__).parent


def ramp(*shape: int) -> torch.Tensor:
    """0, 1, 2... divided by 8, which every floating-point type here holds exactly."""
    count = 1
    for n in shape:
        count *= n
    return (torch.arange(count, dtype=torch.float32) / 8).reshape(shape)


def checkpoint() -> dict:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2))
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(ramp(*tensor.shape))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 3, 4, 4)).sum().backward()
    optimizer.step()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(ramp(*tensor.shape))
    return {
        "epoch": 7,
        "arch": "tiny",
        "best_prec1": torch.tensor(12.5).numpy()[()],
        "state_dict": OrderedDict((f"module.{k}", v) for k, v in model.state_dict().items()),
        "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(lr=0.1, layers=[1, 2], out=None),
    }


def tensors() -> dict:
    base = ramp(4, 6)
    return {
        "float32": ramp(2, 3),
        "float64": ramp(2, 3).double(),
        "float16": ramp(2, 3).half(),
        "bfloat16": ramp(2, 3).bfloat16(),
        "int64": torch.tensor([-(2**40), 5]),
        "int32": torch.tensor([-3, 3], dtype=torch.int32),
        "int16": torch.tensor([-3, 3], dtype=torch.int16),
        "int8": torch.tensor([-3, 3], dtype=torch.int8),
        "uint8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "complex64": torch.complex(ramp(2), -ramp(2)),
        "conjugate": torch.complex(ramp(2), -ramp(2)).conj(),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "base": base,
        "transposed": base.T,
        "slice": base[1:3, ::2],
        "expanded": base[0, :1].expand(3, 2),
        "parameter": torch.nn.Parameter(ramp(3)),
        "nested": [torch.Size([2, 3]), (None, True, 2.5, "text"), {3: torch.float16}],
        "device": torch.device("cuda", 1),
    }


if __name__ == "__main__":
    for name, content in {"checkpoint": checkpoint(), "tensors": tensors()}.items():
        torch.save(content, HERE / f"{name}_zip.pth")
        torch.save(content, HERE / f"{name}_legacy.pth.tar", _use_new_zipfile_serialization=False)
    extra = {"uint16": torch.tensor([1, 65535], dtype=torch.uint16)}
    extra["float8"] = ramp(4).to(torch.float8_e4m3fn)
    tagged = torch.nn.Parameter(ramp(3))
    tagged.note = "a Python attribute"
    extra["tagged"] = tagged
    torch.save(extra, HERE / "recent_types.pth")
    torch.save(checkpoint(), HERE / "protocol4.pth", pickle_protocol=4)
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), HERE / "torchscript.pt")
