r"""Converts a PyTorch checkpoint into a run directory, or lists what is in it.

  jaxbio weights resnet50-0676ba61.pth --list
  jaxbio weights resnet50-0676ba61.pth                   # resnet50, to runs/resnet50-0676ba61
  jaxbio weights model_best.pth.tar --model=resnet18 --front_end=svp \
      --image_size=64 --output=runs/svp_resnet18

Checkpoints are .pth, .pt, .pth.tar, of any PyTorch version. PyTorch is not needed, and nothing in
the file is executed.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxbio.commands.command_line import Parser
from jaxbio.errors import InputError, WriteError

_NAMES_IN_AN_ERROR = 4


def options(parser: Parser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("file", metavar="FILE", help="PyTorch checkpoint")
    add("--list", action="store_true", help="print name, shape and type of every tensor, and stop")
    add("--model", metavar="NAME", help="of jaxbio.list_models() (default: as FILE is called)")
    add("--output", metavar="DIR", help="run directory to write (default: runs/ and FILE's name)")
    add("--num_classes", type=int, metavar="N", help="default: what the classifier in FILE has")
    add("--image_size", type=int, metavar="N", help="in pixels (default: FILE's if a ViT, or 224)")
    add("--mean", type=_three, metavar="R,G,B", help="of images in [0, 1] (default: the")
    add("--std", type=_three, metavar="R,G,B", help="published weights', as the output says)")
    add("--front_end", metavar="KIND", help="none, vone, svp or evnet (default: by the names)")
    add(
        "--front_end_options",
        type=_json_object,
        metavar="JSON",
        help="options of the front-end that differ from its preset, such as '{\"stride\": 2}'",
    )
    add("--activation", metavar="NAME", help="default: the published network's")
    add("--entry", metavar="NAME", help="of several networks in FILE take this, such as model_ema")
    add("--prefix", metavar="TEXT", help="take the tensors whose names begin so")
    add(
        "--strict",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="--no-strict converts what fits, keeps initial values (seed 0) elsewhere, and lists "
        "every tensor that did not fit (default: an error)",
    )


def run(options: argparse.Namespace) -> None:
    """Lists or converts.

    Raises:
        InputError: no such file, not a checkpoint, or one that does not fit the model.
    """
    from jaxbio.weights.reader import read_torch

    try:
        content = read_torch(options.file)
        if options.list:
            _print_tensors(content)
        else:
            _convert(content, options)
    except WriteError:
        raise
    except (ValueError, KeyError, OSError) as error:
        raise InputError(_message(error)) from error


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object, such as {{}}")
    return value


def _three(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.strip("()").split(","))
    except ValueError:
        values = ()
    if len(values) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} are not three numbers, such as 0.5,0.5,0.5")
    return values


def _convert(content: Any, options: argparse.Namespace) -> None:
    print(f"{options.file}: {_summary(content)}")
    model = options.model or _model_called(Path(options.file).name)
    output = options.output or str(Path("runs") / Path(options.file).name.partition(".")[0])

    # jax and the models load slowly; --list and --help do without them.
    from jaxbio.runs.checkpoints import export_variables
    from jaxbio.weights.infer import convert

    names: tuple[str, ...]
    names = ("strict", "entry", "prefix", "mean", "std", "num_classes", "image_size", "front_end")
    names += ("front_end_options", "activation")
    found = convert(model, content, **{name: getattr(options, name) for name in names})
    for line in (*found.notes, *(_report_lines(found.report) if not options.strict else ())):
        print(f"  {_printable(line)}")
    described = ", ".join(f"{k}={v}" for k, v in found.arguments.items() if k != "name")
    print(f"{model} ({described}): {found.count} tensors converted")
    images = found.preprocessing
    print(
        f"images: {images.image_size} pixels, mean {images.mean}, std {images.std} (--image_size, "
        "--mean and --std if it was trained on others)"
    )
    with open(options.file, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    provenance = {
        "source": Path(options.file).name,
        "sha256": digest,
        "converted_tensors": found.count,
    }
    export_variables(
        output, found.arguments, found.variables, preprocessing=images, provenance=provenance
    )
    print(f"written to {output}: jaxbio evaluate {output} --data=DIR")


def _model_called(file: str) -> str:
    """The model whose name a file's begins with, of several the longest; else a ``ValueError``."""
    from jaxbio import list_models

    called = [name for name in list_models() if file.lower().startswith(name)]
    if not called:
        raise ValueError(f"{file} is called like no model: give --model=NAME, or --list")
    return max(called, key=len)


def _arrays(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Yield every array with its keys, in the order of the file."""
    if isinstance(node, np.ndarray):
        yield path, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _arrays(value, (*path, str(key)))
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _arrays(value, (*path, str(index)))


def _print_tensors(content: Any) -> None:
    rows: list[tuple[str, str, Any]] = [
        ("/".join(path) or "(the file itself)", "x".join(map(str, a.shape)) or "scalar", a.dtype)
        for path, a in _arrays(content)
    ]
    name_width, shape_width = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
    for name, shape, dtype in rows:
        print(f"{_printable(name):{name_width}}  {shape:{shape_width}}  {dtype}")
    print(_summary(content))


def _summary(content: Any) -> str:
    """Return one line: tensors, their numbers, and the other entries of a checkpoint."""
    entries = content.items() if isinstance(content, dict) else ()
    parts = [_size(content)]
    if any(isinstance(value, (dict, list, tuple)) for _, value in entries):
        for key, value in entries:
            shown = _size(value) if isinstance(value, (dict, list, tuple, np.ndarray)) else value
            parts.append(f"{key}: {shown}"[:80])
    return _printable("; ".join(parts))


def _size(node: Any) -> str:
    sizes = [array.size for _, array in _arrays(node)]
    return f"{len(sizes)} tensors with {sum(sizes):,} numbers"


def _printable(text: str) -> str:
    """Return text of the file without control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _report_lines(report: Any) -> Iterator[str]:
    for kind in ("missing", "unexpected"):
        for name in getattr(report, kind):
            yield f"{kind}: {_printable(name)}"
    for name, (found, wanted) in report.mismatched.items():
        yield f"wrong shape: {_printable(name)} is {found}, needs {wanted}"


def _message(error: Exception) -> str:
    """Return an error on one line; a list of hundreds of tensors is cut."""
    report = getattr(error, "report", None)
    if not report:
        return str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    lines = list(_report_lines(report))
    cut = ", ".join(lines[:_NAMES_IN_AN_ERROR])
    more = len(lines) - _NAMES_IN_AN_ERROR
    rest = f", and {more} more" if more > 0 else ""
    return f"the weights do not fit the model: {cut}{rest}; --no-strict lists all and goes on"
