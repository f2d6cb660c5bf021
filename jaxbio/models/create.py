"""A network by its name, alone or behind a front-end."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.models import activations
from jaxbio.models.bodies import find_body
from jaxbio.models.body import Body
from jaxbio.models.pathway import Pathway
from jaxbio.models.retina import PIXELS_PER_DEGREE, Retina

FRONT_ENDS = ("none", "vone", "svp", "evnet")
MIN_IMAGE_SIZE = 32


def create_model(
    name: str,
    *,
    num_classes: int = 1000,
    image_size: int = 224,
    front_end: str = "none",
    front_end_options: Mapping[str, Any] | None = None,
    activation: str | None = None,
    dtype: Any = jnp.float32,
    remat: bool = False,
    **kwargs: Any,
) -> nn.Module:
    """Builds a network by name, alone or behind fixed areas.

    These are V1 (``"vone"``), V1 and V2 (``"svp"``), or retina, LGN and V1 (``"evnet"``).

    The module maps normalised NHWC float32 images to float32 logits and a flat dict of endpoints:
    ``model.apply(variables, x, train)``. Training needs ``mutable=["batch_stats"]`` where there is
    a BatchNorm, ``rngs={"dropout": key}`` where there is dropout, ``"noise"`` where V1 is noisy.

    Args:
        name: one of :func:`list_models`.
        num_classes: number of logits.
        image_size: side of the images in pixels, 32 or more; V1's filters are scaled with it, the
            bodies take any size.
        front_end: ``"none"``, ``"vone"``, ``"svp"`` or ``"evnet"``.
        front_end_options: fields of ``jaxbio.models.front_end.V1`` that differ from the preset; of
            ``"evnet"`` also ``retina``, a mapping of those of ``jaxbio.models.retina.Retina``.
        activation: name of the activation, see ``jaxbio.models.activations``; None takes that of
            the published network (GELU for vision transformers, ReLU for all others).
        dtype: dtype of the computation (float32 or bfloat16); parameters stay float32.
        remat: whether blocks are recomputed in the backward pass, to save memory.
        **kwargs: the body's own options: ``last_relu`` (ResNets), ``dropout`` (AlexNet, VGG,
            SqueezeNet), ``times`` (CORnet-R, RT, S) and ``readout`` (CORnets),
            ``drop_path`` (ViTs; training takes the rng ``"drop_path"`` then).

    Returns:
        The flax module.

    Raises:
        InputError: (a ValueError) if a name, an option or a size is not valid.

    Example:
        >>> model = create_model("resnet18", num_classes=10, front_end="svp", image_size=64)
        >>> variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
        >>> logits, endpoints = jax.jit(model.apply)(variables, jnp.zeros((2, 64, 64, 3)))
    """
    body_class, preset = find_body(name)
    if front_end not in FRONT_ENDS:
        raise InputError(f"unknown front_end {front_end!r}; valid: {', '.join(FRONT_ENDS)}")
    if image_size < MIN_IMAGE_SIZE:
        raise InputError(
            f"image size too small: image_size={image_size}, must be {MIN_IMAGE_SIZE} or more"
        )
    if num_classes < 1:
        raise InputError(f"num_classes={num_classes}, must be 1 or more")
    _check_options(body_class, preset, kwargs, f"option of {name}")
    body = body_class(
        act=activations.make(activation or body_class.default_activation),
        num_classes=num_classes,
        after={"none": "image", "svp": "v2"}.get(front_end, "v1"),
        dtype=dtype,
        remat=remat,
        **preset,
        **kwargs,
    )
    if front_end == "none":
        if front_end_options:
            raise InputError("front_end_options given with front_end='none'; use 'vone' or 'svp'")
        return body

    from jaxbio.models.front_end import EVNET_DEFAULTS, SVP_DEFAULTS, V1, V2, VONE_DEFAULTS

    options = dict(front_end_options or {})
    defaults = {"vone": VONE_DEFAULTS, "svp": SVP_DEFAULTS, "evnet": EVNET_DEFAULTS}[front_end]
    retina = None
    if front_end == "evnet":
        shared: dict[str, Any]
        shared = {"image_size": image_size, "visual_degrees": options.get("visual_degrees")}
        of_retina = options.pop("retina", {})
        _check_options(Retina, shared, of_retina, "key of front_end_options['retina']")
        retina = Retina(**shared, **of_retina)
        options.setdefault("visual_degrees", image_size / PIXELS_PER_DEGREE)
    _check_options(V1, {}, options, "front_end_options key")
    v1 = V1(**{**defaults, "image_size": image_size, "dtype": dtype, **options})
    v2 = V2(body_class.v2_channels, dtype=dtype) if front_end == "svp" else None
    return Pathway(v1=v1, v2=v2, body=body, retina=retina)


def _check_options(
    module: type[nn.Module], preset: Mapping[str, Any], options: Mapping[str, Any], what: str
) -> None:
    valid = {field.name for field in dataclasses.fields(module)} - set(preset)
    valid -= {"parent", "name"}
    if issubclass(module, Body):  # their common fields create_model sets itself
        valid -= {field.name for field in dataclasses.fields(Body)}
    for key in options:
        if key not in valid:
            names = ", ".join(sorted(valid)) or "none"
            raise InputError(f"unknown {what}: {key!r}; valid: {names}")
