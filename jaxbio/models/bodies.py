"""The table of networks that are not built from other networks: name, class, fixed fields."""

import difflib
from collections.abc import Iterable
from typing import Any

from jaxbio.errors import InputError
from jaxbio.models.alexnet import AlexNet
from jaxbio.models.body import Body
from jaxbio.models.cornet_rt import CORnetRT
from jaxbio.models.cornet_s import CORnetS
from jaxbio.models.cornet_z import CORnetZ
from jaxbio.models.densenet import DenseNet
from jaxbio.models.resnet import ResNet
from jaxbio.models.squeezenet import SqueezeNet
from jaxbio.models.vgg import VGG
from jaxbio.models.vit import VisionTransformer

_VIT_MINI = {"width": 96, "depth": 6, "heads": 3}  # jaxbio's own, for small pictures
_VIT_TINY = {"width": 192, "depth": 12, "heads": 3}
_VIT_SMALL = {"width": 384, "depth": 12, "heads": 6}
_VIT_BASE = {"width": 768, "depth": 12, "heads": 12}

BODIES: dict[str, tuple[type[Body], dict[str, Any]]] = {
    "alexnet": (AlexNet, {}),
    "vgg11": (VGG, {"depth": 11}),
    "vgg11_bn": (VGG, {"depth": 11, "batch_norm": True}),
    "vgg13": (VGG, {"depth": 13}),
    "vgg13_bn": (VGG, {"depth": 13, "batch_norm": True}),
    "vgg16": (VGG, {"depth": 16}),
    "vgg16_bn": (VGG, {"depth": 16, "batch_norm": True}),
    "vgg19": (VGG, {"depth": 19}),
    "vgg19_bn": (VGG, {"depth": 19, "batch_norm": True}),
    "resnet18": (ResNet, {"depth": 18}),
    "resnet34": (ResNet, {"depth": 34}),
    "resnet50": (ResNet, {"depth": 50}),
    "resnet101": (ResNet, {"depth": 101}),
    "resnet152": (ResNet, {"depth": 152}),
    "densenet121": (DenseNet, {"depth": 121}),
    "densenet161": (DenseNet, {"depth": 161}),
    "densenet169": (DenseNet, {"depth": 169}),
    "densenet201": (DenseNet, {"depth": 201}),
    "squeezenet1_0": (SqueezeNet, {"version": "1_0"}),
    "squeezenet1_1": (SqueezeNet, {"version": "1_1"}),
    "cornet_z": (CORnetZ, {}),
    "cornet_r": (CORnetRT, {"sequential": True}),
    "cornet_rt": (CORnetRT, {"sequential": False}),
    "cornet_s": (CORnetS, {}),
    "vit_mini_patch8_32": (VisionTransformer, {"patch": 8, **_VIT_MINI}),
    "vit_tiny_patch4_32": (VisionTransformer, {"patch": 4, **_VIT_TINY}),
    "vit_tiny_patch16_224": (VisionTransformer, {"patch": 16, **_VIT_TINY}),
    "vit_small_patch4_32": (VisionTransformer, {"patch": 4, **_VIT_SMALL}),
    "vit_small_patch16_224": (VisionTransformer, {"patch": 16, **_VIT_SMALL}),
    "vit_base_patch4_32": (VisionTransformer, {"patch": 4, **_VIT_BASE}),
    "vit_base_patch16_224": (VisionTransformer, {"patch": 16, **_VIT_BASE}),
}


def unknown_model(name: str, known: Iterable[str]) -> InputError:
    """The error for a name that no network has, with the closest one that some network has."""
    close = difflib.get_close_matches(name, known, 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return InputError(f"unknown model {name!r}{hint}; valid: {', '.join(known)}")
