"""Conversion of a file whose model is known by name: the file tells the rest, where it does."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from jaxbio.errors import InputError
from jaxbio.models.body import Body
from jaxbio.ops.images import Preprocessing
from jaxbio.weights.convert import Plan, WeightReport
from jaxbio.weights.state_dict import StateDict, entries, is_array

_PROBE = 99991  # as many classes as no network has: the classifier is what has so many outputs
_BLOCKS = {"vone": "vone_block.", "svp": "voneblock."}  # names of V1 in files
# VOneNet's flags, by the names of jaxbio.models.front_end.V1.
_FLAGS = {
    **{key: key for key in ("simple_channels", "complex_channels", "stride", "k_exc")},
    **{key: key for key in ("noise_mode", "noise_scale", "noise_level", "sf_corr", "sf_min")},
    **{"sf_max": "sf_max", "visual_degrees": "visual_degrees", "ksize": "kernel_size"},
    **{"gabor_seed": "seed", "rand_param": "param_mode"},
}
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Conversion:
    """What became of a file.

    Attributes:
        arguments: of :func:`jaxbio.create_model`, ``name`` included.
        count: how many tensors of the file are in the variables.
        notes: what was chosen, or found in the file.
    """

    variables: Any
    arguments: dict[str, Any]
    preprocessing: Preprocessing
    report: WeightReport
    count: int
    notes: tuple[str, ...]


def convert(
    name: str,
    content: Any,
    *,
    strict: bool = True,
    entry: str | None = None,
    prefix: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    **model_kwargs: Any,
) -> Conversion:
    """As :func:`jaxbio.weights.from_torch`, but what is not given is taken from the file.

    That is: the front-end, by the names; a VOneNet's options, by the ``flags`` recorded with it;
    the number of classes, by the classifier; the image size of a vision transformer, by its
    positions (224 otherwise); mean and standard deviation of a normaliser within the network.
    The activation, and otherwise mean and standard deviation, are those of the published network.

    Args:
        name: one of ``jaxbio.list_models()``.
        content: what :func:`jaxbio.weights.reader.read_torch` returns.
        strict: whether anything missing, unexpected or of another shape is an error.
        entry: the entry of the checkpoint to take.
        prefix: take the names that begin so.
        mean: per channel, of images in [0, 1].
        std: likewise.
        **model_kwargs: of ``create_model``; None stands for "not given".

    Raises:
        WeightMismatchError: strict, and the file does not fit.
        InputError: no tensor fits, or the file does not tell the classes.
    """
    given = {key: value for key, value in model_kwargs.items() if value is not None}
    if not entries(content):
        raise InputError("no tensors by name in it; --list shows what it holds")
    names = [str(name) for tensors in entries(content).values() for name in tensors]
    found_end = next(
        (end for end, block in _BLOCKS.items() if any(block in n for n in names)), "none"
    )
    front_end = given.setdefault("front_end", found_end)
    notes = []
    asked = given.get("front_end_options", {})
    recorded = _recorded(content) if front_end == "vone" else {}
    if recorded:
        notes.append(f"options in the file: {', '.join(f'{k}={v}' for k, v in recorded.items())}")
    for key in recorded.keys() & asked.keys():
        if recorded[key] != asked[key]:
            notes.append(
                f"--front_end_options sets {key}={asked[key]}, the file has {recorded[key]}"
            )
    given["front_end_options"] = {**recorded, **asked}

    probe = Plan(name, {**given, "num_classes": _PROBE})
    found = probe.find(content, entry, prefix)
    if "num_classes" not in given:
        given["num_classes"] = _classes(probe, found)
    positions: Any
    positions, patch = (
        found.tensors.get(probe.body.torch_positions),
        getattr(probe.body, "patch", 0),
    )
    if front_end == "none" and patch and np.ndim(positions) == 3:
        given.setdefault("image_size", patch * math.isqrt(positions.shape[1]))
    given.setdefault("image_size", 224)
    given.setdefault("activation", probe.body.default_activation)

    plan = Plan(name, given)
    found = plan.find(content, entry, prefix)
    variables, report, more = plan.fill(found, strict)
    unused = len(report.unexpected) + len(report.mismatched)
    count = sum(map(is_array, found.tensors.values())) - unused
    if count <= 0:
        raise InputError(f"no tensor in the file fits {name}; --list shows what it holds")
    own_mean, own_std = _normaliser(content) or published_normalisation(
        probe.body, front_end, names
    )
    preprocessing = Preprocessing(
        given["image_size"], cast(Any, mean or own_mean), cast(Any, std or own_std)
    )
    arguments = {"name": name, **given}
    return Conversion(variables, arguments, preprocessing, report, count, (*notes, *more))


def _recorded(content: Any) -> dict[str, Any]:
    """Options of V1 that a VOneNet's file records."""
    flags = content.get("flags") if isinstance(content, Mapping) else None
    flags = flags if isinstance(flags, Mapping) else {}
    options = {ours: flags[theirs] for theirs, ours in _FLAGS.items() if theirs in flags}
    if "param_mode" in options:
        options["param_mode"] = "uniform" if options["param_mode"] else "neuronal"
    if "noise_mode" in options:
        options["noise_mode"] = options["noise_mode"] or "none"
    return {key: value for key, value in options.items() if isinstance(value, (int, float, str))}


def _classes(plan: Plan, found: StateDict) -> int:
    for name, target in plan.targets.items():
        if target.shape[:1] == (_PROBE,) and is_array(found.tensors.get(name)):
            return int(found.tensors[name].shape[0])
    raise InputError("no classifier in the file tells the classes; give --num_classes=N")


def _normaliser(content: Any) -> list[tuple[float, ...]] | None:
    """Mean and standard deviation within a network (Madry's robust networks)."""
    for tensors in entries(content).values():
        for key in tensors:
            if str(key).endswith("normalizer.new_mean"):
                pair: Any = tensors[key], tensors.get(key.removesuffix("mean") + "std")
                if all(is_array(value) and np.size(value) == 3 for value in pair):
                    return [tuple(float(f"{n:.6g}") for n in np.ravel(value)) for value in pair]
    return None


def published_normalisation(body: Body, front_end: str, names: Sequence[str] = ()) -> Any:
    """Mean and std that such weights were trained with, as far as is known; names: the file's."""
    torchvision = any("encoder_layer_" in name for name in names)  # of its vision transformers
    return _HALF if front_end != "none" or (body.torch_half and not torchvision) else _IMAGENET
