"""The table of networks: name, module and class, fixed fields.

Classes are imported when they are asked for, so that a wrong name is an error at once.
"""

import difflib
import importlib
from typing import TYPE_CHECKING, Any

from jaxbio.errors import InputError

if TYPE_CHECKING:
    from jaxbio.models.body import Body

_VIT_MINI = {"width": 96, "depth": 6, "heads": 3}  # jaxbio's own, for small pictures
_VIT_TINY = {"width": 192, "depth": 12, "heads": 3}
_VIT_SMALL = {"width": 384, "depth": 12, "heads": 6}
_VIT_BASE = {"width": 768, "depth": 12, "heads": 12}

_CAIT_XXS24 = {"width": 192, "depth": 24, "heads": 4}
_TNT_S = {"width": 384, "inner_width": 24, "depth": 12, "heads": 6}

_BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "alexnet": ("alexnet.AlexNet", {}),
    "vgg11": ("vgg.VGG", {"depth": 11}),
    "vgg11_bn": ("vgg.VGG", {"depth": 11, "batch_norm": True}),
    "vgg13": ("vgg.VGG", {"depth": 13}),
    "vgg13_bn": ("vgg.VGG", {"depth": 13, "batch_norm": True}),
    "vgg16": ("vgg.VGG", {"depth": 16}),
    "vgg16_bn": ("vgg.VGG", {"depth": 16, "batch_norm": True}),
    "vgg19": ("vgg.VGG", {"depth": 19}),
    "vgg19_bn": ("vgg.VGG", {"depth": 19, "batch_norm": True}),
    **{f"resnet{n}": ("resnet.ResNet", {"depth": n}) for n in (18, 34, 50, 101, 152)},
    **{f"densenet{n}": ("densenet.DenseNet", {"depth": n}) for n in (121, 161, 169, 201)},
    "squeezenet1_0": ("squeezenet.SqueezeNet", {"version": "1_0"}),
    "squeezenet1_1": ("squeezenet.SqueezeNet", {"version": "1_1"}),
    "cornet_z": ("cornet_z.CORnetZ", {}),
    "cornet_r": ("cornet_rt.CORnetRT", {"sequential": True}),
    "cornet_rt": ("cornet_rt.CORnetRT", {"sequential": False}),
    "cornet_s": ("cornet_s.CORnetS", {}),
    "vit_mini_patch8_32": ("vit.VisionTransformer", {"patch": 8, **_VIT_MINI}),
    "vit_tiny_patch4_32": ("vit.VisionTransformer", {"patch": 4, **_VIT_TINY}),
    "vit_tiny_patch16_224": ("vit.VisionTransformer", {"patch": 16, **_VIT_TINY}),
    "vit_small_patch4_32": ("vit.VisionTransformer", {"patch": 4, **_VIT_SMALL}),
    "vit_small_patch16_224": ("vit.VisionTransformer", {"patch": 16, **_VIT_SMALL}),
    "vit_base_patch4_32": ("vit.VisionTransformer", {"patch": 4, **_VIT_BASE}),
    "vit_base_patch16_224": ("vit.VisionTransformer", {"patch": 16, **_VIT_BASE}),
    "deit_tiny_patch4_32": ("vit.DeiT", {"patch": 4, **_VIT_TINY}),
    "deit_tiny_patch16_224": ("vit.DeiT", {"patch": 16, **_VIT_TINY}),
    "cait_xxs24_patch4_32": ("cait.CaiT", {"patch": 4, **_CAIT_XXS24}),
    "cait_xxs24_patch16_224": ("cait.CaiT", {"patch": 16, **_CAIT_XXS24}),
    "pvt_tiny_patch1_32": ("pvt.PVT", {"patch": 1}),
    "pvt_tiny_patch4_224": ("pvt.PVT", {"patch": 4}),
    "tnt_s_patch4_32": ("tnt.TNT", {"patch": 4, **_TNT_S}),
    "tnt_s_patch16_224": ("tnt.TNT", {"patch": 16, **_TNT_S}),
    "mobilenet_v2": ("mobilenet.MobileNetV2", {}),
    "mobilenet_v2_32": ("mobilenet.MobileNetV2", {"small": True}),
    "shufflenet_v2_x1_0": ("shufflenet.ShuffleNetV2", {}),
    "shufflenet_v2_x1_0_32": ("shufflenet.ShuffleNetV2", {"small": True}),
    "spiking_cnn": ("spiking_cnn.SpikingCNN", {}),
}


def list_models() -> list[str]:
    """Names that :func:`jaxbio.create_model` knows."""
    return list(_BODIES)


def find_body(name: str) -> "tuple[type[Body], dict[str, Any]]":
    """A network's class, and the fields that its name fixes.

    Raises:
        InputError: no network of that name; the message has the closest.
    """
    if name not in _BODIES:
        close = difflib.get_close_matches(name, _BODIES, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise InputError(f"unknown model {name!r}{hint}; valid: {', '.join(_BODIES)}")
    where, preset = _BODIES[name]
    module, _, body_class = where.partition(".")
    return getattr(importlib.import_module(f"jaxbio.models.{module}"), body_class), preset
