"""From a configuration to its objects: what training and evaluation both need first."""

import logging
import os
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from jaxbio.errors import InputError
from jaxbio.models import create_model
from jaxbio.runs.state import TrainState, make_state
from jaxbio.tasks.classification.arr import COLLECTION, ResponseRegulariser
from jaxbio.tasks.classification.config import Model
from jaxbio.weights import load_v2

_logger = logging.getLogger("jaxbio")
_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def model_arguments(config: ConfigDict, num_classes: int) -> dict[str, Any]:
    """The arguments of :func:`jaxbio.create_model` that a configuration asks for.

    Args:
        config: the whole configuration.
        num_classes: of the data.

    Returns:
        JSON-able keyword arguments, ``name`` included.

    Raises:
        InputError: the class counts of model and data differ, or an unknown dtype.
    """
    model = config.model
    if model.num_classes not in (0, num_classes):
        raise InputError(
            f"model.num_classes={model.num_classes}, but {config.data.source} has {num_classes} "
            "classes: set it to 0 or use other data"
        )
    arguments = {
        "name": model.name,
        "num_classes": num_classes,
        "image_size": config.data.image_size,
        "front_end": model.front_end,
        "front_end_options": {k: v for k, v in model.v1.to_dict().items() if v is not None},
        "activation": model.activation,
        "remat": model.remat,
        "dtype": model.dtype,
    }
    if model.front_end == "evnet":
        retina = {k: v for k, v in model.retina.to_dict().items() if v is not None}
        pixels = {"mean": list(config.data.mean), "std": list(config.data.std)}
        arguments["front_end_options"]["retina"] = {**retina, **pixels}
    # What some networks have no option for is said where it is set.
    arguments |= {option: value for option, value in model.spiking.items() if value is not None}
    for option in ("times", "readout", "last_relu", "drop_path"):
        if model[option] != getattr(Model, option):
            arguments[option] = model[option]
    return arguments


def build_model(arguments: dict[str, Any]) -> nn.Module:
    """Creates the model of :func:`model_arguments`.

    Raises:
        InputError: whatever :func:`jaxbio.create_model` refuses.
    """
    arguments = dict(arguments)
    dtype = _DTYPES[arguments.pop("dtype", "float32")]
    return create_model(arguments.pop("name"), dtype=dtype, **arguments)


def variable_shapes(model: nn.Module, image_size: int) -> dict[str, Any]:
    """Shapes and dtypes of a model's variables; computes nothing."""
    keys = {"params": jax.random.key(0), "noise": jax.random.key(0)}
    images = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32)
    return dict(jax.eval_shape(lambda x: model.init(keys, x, train=False), images))


def read_v2_filters(front_end: str, v2_weights: str) -> dict[str, Any] | None:
    """Reads the V2 filters that a configuration names; warns where the stand-in will be used.

    Args:
        front_end: of the model.
        v2_weights: path of a PyTorch file, or "" to keep the model's seeded stand-in.

    Returns:
        The contents of ``constants["v2"]``, or None to leave the model's own.

    Raises:
        InputError: the file cannot be read or does not fit, or the model has no V2.
    """
    if not v2_weights:
        if front_end == "svp":
            _logger.warning(
                "V2 uses its seeded stand-in filters; model.v2_weights=FILE takes AlexNet's "
                "(docs/weights.md)"
            )
        return None
    if front_end != "svp":
        raise InputError(
            f"model.v2_weights is set, but front_end='{front_end}' has no V2: use svp or unset it"
        )
    try:
        return jax.tree.map(jnp.asarray, load_v2(v2_weights))
    except OSError as error:
        raise InputError(f"model.v2_weights={v2_weights} cannot be read: {error}") from error


def v2_provenance(front_end: str, v2_weights: str) -> str:
    """Where the V2 filters come from, for the record in ``config.json``."""
    if front_end != "svp":
        return "none"
    return os.path.basename(v2_weights) if v2_weights else "seeded stand-in"


def create_state(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
    image_shape: tuple[int, int, int],
    *,
    ema: bool = False,
    regulariser: ResponseRegulariser | None = None,
) -> TrainState:
    """The state at step 0. Pure: may be traced, so that every device creates its own part.

    Args:
        model: called as ``model(images, train=False)``.
        optimizer: from :func:`jaxbio.tasks.classification.optimizers.make_optimizer`.
        key: decides the initial parameters.
        image_shape: ``(H, W, C)``.
        ema: keep running averages.
        regulariser: whose memory the state holds, if any.
    """
    images = jnp.zeros((1, *image_shape), jnp.float32)
    params_key, noise_key = jax.random.split(key)
    variables = dict(model.init({"params": params_key, "noise": noise_key}, images, train=False))
    params, constants = variables.pop("params"), variables.pop("constants", {})
    if regulariser is not None:
        variables[COLLECTION] = regulariser.new_memory()
    return make_state(params, variables, constants, optimizer, ema=ema)
