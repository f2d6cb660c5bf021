"""A network by its name, with weights of a file: what others call a model zoo's entry."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxbio.api import pictures
from jaxbio.data.settings import Settings
from jaxbio.errors import InputError
from jaxbio.features import FeatureRequest
from jaxbio.models.bodies import find_body
from jaxbio.models.body import Body
from jaxbio.models.create import create_model
from jaxbio.ops.images import Preprocessing
from jaxbio.weights.convert import WeightMismatchError
from jaxbio.weights.infer import convert, published_normalisation
from jaxbio.weights.reader import read_torch

_NAMES_IN_AN_ERROR = 4


@dataclass(frozen=True)
class Model:
    """A network that can be applied.

    Attributes:
        module: maps normalised images float32 ``[N, S, S, 3]`` to ``(logits, endpoints)``:
            ``module.apply(variables, preprocessing.normalise(images), train=False)``.
        variables: of the module.
        preprocessing: S, and the normalisation.
        num_classes: number of logits.
    """

    module: nn.Module
    variables: dict[str, Any]
    preprocessing: Preprocessing
    num_classes: int

    def features(
        self,
        images: pictures.Images,
        layers: Sequence[str] | str = "penultimate",
        *,
        times: Sequence[int] | str = "all",
        pool: str = "none",
    ) -> dict[str, np.ndarray]:
        """The activity of layers; arguments and errors are those of ``Run.features``."""
        return pictures.layer_features(
            self.module,
            self.variables,
            self.preprocessing,
            FeatureRequest(layers, times, pool),
            pictures.read_images(images, one_size=False),
            Settings(image_size=self.preprocessing.image_size),
        )


def load_model(
    name: str,
    weights: str | Path | None = None,
    *,
    image_size: int | None = None,
    num_classes: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    seed: int = 0,
    **arguments: Any,
) -> Model:
    """A network with the weights of a PyTorch file, or untrained.

    What is not given is taken from the file, and otherwise that of the published network, as
    ``jaxbio weights`` does. No code of the file is run; PyTorch is not needed.

    Args:
        name: one of ``jaxbio.list_models()``.
        weights: a ``.pth``, ``.pt`` or ``.safetensors`` file; None: random weights.
        image_size: side in pixels; default: the file's, or 224.
        num_classes: default: the file's; 1000 without a file.
        mean: of images in [0, 1], per channel; default: the published network's.
        std: likewise.
        seed: of random weights.
        arguments: others of :func:`jaxbio.create_model`: ``front_end``, ``activation``, ...

    Raises:
        InputError: an unknown network or argument, no such file, or weights of another network.

    Example:
        >>> model = jaxbio.load_model("resnet18", "resnet18-f37072fd.pth")
        >>> model.features("cat.jpg", "layer4")["layer4"].shape
    """
    if weights is None:
        return _untrained(name, image_size, num_classes, mean, std, seed, arguments)
    if os.path.isdir(weights):
        raise InputError(f"weights={weights} is a directory: use jaxbio.open_run for runs")
    find_body(name)  # a wrong name is an error before the file is read
    try:
        found = convert(
            name,
            read_torch(weights),
            mean=mean,
            std=std,
            image_size=image_size,
            num_classes=num_classes,
            **arguments,
        )
    except WeightMismatchError as error:
        raise InputError(_in_one_line(name, weights, error)) from error
    except InputError as error:
        raise InputError(f"{weights}: {error}") from error
    except (ValueError, KeyError, OSError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"weights={weights} cannot be read ({why}): give a PyTorch file") from None
    made = create_model(**found.arguments)
    return Model(made, found.variables, found.preprocessing, found.arguments["num_classes"])


def _untrained(
    name: str,
    image_size: int | None,
    num_classes: int | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    seed: int,
    arguments: dict[str, Any],
) -> Model:
    size = 224 if image_size is None else image_size
    classes = 1000 if num_classes is None else num_classes
    module = create_model(name, image_size=size, num_classes=classes, **arguments)
    body = module if isinstance(module, Body) else cast(Any, module).body
    own_mean, own_std = published_normalisation(body, arguments.get("front_end", "none"))
    preprocessing = Preprocessing(
        size, own_mean if mean is None else tuple(mean), own_std if std is None else tuple(std)
    )
    keys = {"params": jax.random.key(seed), "noise": jax.random.key(seed)}
    init = jax.jit(lambda keys: module.init(keys, jnp.zeros((1, size, size, 3)), train=False))
    return Model(module, dict(init(keys)), preprocessing, classes)


def _in_one_line(name: str, weights: str | Path, error: WeightMismatchError) -> str:
    report = error.report
    names = [*report.missing, *report.unexpected, *report.mismatched]
    more = len(names) - _NAMES_IN_AN_ERROR
    rest = f" and {more} more" if more > 0 else ""
    return (
        f"{weights} does not fit {name}: {', '.join(names[:_NAMES_IN_AN_ERROR])}{rest} missing, "
        "unexpected or of another shape; give the network and num_classes that it was saved with"
    )
