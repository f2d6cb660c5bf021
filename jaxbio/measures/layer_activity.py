"""Activity of many layers on all stimuli, in a bounded amount of memory."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from jaxbio.features import Extractor, FeatureRequest
from jaxbio.features.layers import Layer
from jaxbio.ops.images import Preprocessing

# One batch's features, of which two or three are alive at a time.
_BATCH_BYTES = 2**27


class Place(NamedTuple):
    """A layer at a time step, counted from 0; None for layers without time."""

    layer: str
    step: int | None

    def __str__(self) -> str:
        return self.layer if self.step is None else f"{self.layer}, step {self.step}"


def layer_activity(
    model: nn.Module,
    variables: Mapping[str, Any],
    images: np.ndarray,
    request: FeatureRequest,
    preprocessing: Preprocessing,
    *,
    max_units: int = 0,
    seed: int = 0,
    mesh: Mesh | None = None,
) -> dict[Place, np.ndarray]:
    """Features of every layer at every time step, ``[S, units]`` float32, by one forward pass in
    all.

    Images are ``[S, size, size, 3]`` uint8. Of a layer with more than ``max_units`` units (0: any
    number) a random sample is kept, the same at every step. (A sample and not a projection:
    Pearson's r over units is not kept by projections.) Steps before the image arrives, at which a
    layer is the same for all images, are left out.

    Raises:
        InputError: an unknown layer or step.
    """
    extractor = Extractor(model, variables, request, preprocessing, mesh=mesh)
    kept = {name: _sample(layer, max_units, seed) for name, layer in extractor.layers.items()}
    activity = {
        place: np.empty((len(images), len(kept[name])), np.float32)
        for name, layer in extractor.layers.items()
        for place in _places(layer)
    }
    size = max(1, min(64, _BATCH_BYTES // max(1, extractor.bytes_per_image)))
    batches = (
        {"image": images[i : i + size], "index": np.arange(i, min(i + size, len(images)))}
        for i in range(0, len(images), size)
    )
    for batch, features in extractor.stream(batches):
        for place in activity:
            values = features[place.layer]
            if place.step is not None:
                steps: Any = extractor.layers[place.layer].steps
                values = values[:, steps.index(place.step)]
            flat = values.reshape(len(values), -1)
            activity[place][batch["index"]] = flat[:, kept[place.layer]]
    return activity


def _places(layer: Layer) -> list[Place]:
    if layer.steps is None:
        return [Place(layer.name, None)]
    return [Place(layer.name, step) for step in layer.steps if step >= layer.arrival_step]


def _sample(layer: Layer, max_units: int, seed: int) -> np.ndarray:
    units = int(np.prod(layer.shape))
    if not max_units or units <= max_units:
        return np.arange(units)
    return np.sort(np.random.default_rng(seed).choice(units, max_units, replace=False))
