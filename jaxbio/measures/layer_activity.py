"""Activity of many layers on all stimuli, in a bounded amount of memory."""

import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from jaxbio.errors import InputError
from jaxbio.features import Extractor, FeatureRequest
from jaxbio.features.layers import Layer
from jaxbio.ops.images import Preprocessing
from jaxbio.similarity import Products, products

# One batch's features, of which two or three are alive at a time.
_BATCH_BYTES = 2**27
# A layer at one step, in all images. All layers of a network such as VGG-16 that are narrower have
# room together; the default of 4096 units stays below it with up to 16,384 images.
_MOST_BYTES = 2**28
_BLOCK_BYTES = 2**26  # of units in float32; products take the double, besides


class Place(NamedTuple):
    """A layer at a time step.

    Attributes:
        layer: its name.
        step: counted from 0; None for layers without time.
    """

    layer: str
    step: int | None

    def __str__(self) -> str:
        return self.layer if self.step is None else f"{self.layer}, step {self.step}"


Activity = dict[Place, np.ndarray | Products]


def wide_layers(layers: Mapping[str, Layer], images: int, max_units: int) -> list[str]:
    """Layers whose activity takes more than 256 MiB at a step: their units are not kept.

    Of a layer at most ``max_units`` units count; 0: all of them.
    """
    return [
        name
        for name, layer in layers.items()
        if 4 * images * _kept_units(layer, max_units) > _MOST_BYTES
    ]


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
    scratch: Path | None = None,
) -> Activity:
    """Features of every layer at every time step, one forward pass in all.

    Of a layer with more than ``max_units`` units a random sample is kept, the same at every step.
    (A sample and not a projection: Pearson's r over units is not kept by projections.) Steps before
    the image arrives, at which a layer is the same for all images, are left out.

    Of :func:`wide_layers` there are only inner products. Their activity waits in a file without a
    name, which goes with the process, and is read again in blocks of units.

    Args:
        model: from :func:`jaxbio.create_model`.
        variables: the model's.
        images: ``[S, size, size, 3]`` uint8.
        request: layers and steps.
        preprocessing: what the model was trained with.
        max_units: largest number of units kept; 0: all of them.
        seed: of the samples.
        mesh: devices that share each batch; default: all.
        scratch: folder for the activity of wide layers; None: these are kept in memory, too.

    Returns:
        Per layer and step ``[S, units]`` float32, or of wide layers their products.

    Raises:
        InputError: an unknown layer or step, or no room in the folder.
    """
    extractor = Extractor(model, variables, request, preprocessing, mesh=mesh)
    kept = {name: _sample(layer, max_units, seed) for name, layer in extractor.layers.items()}
    wide = [] if scratch is None else wide_layers(extractor.layers, len(images), max_units)
    places = [place for layer in extractor.layers.values() for place in _places(layer)]
    shapes = {place: (len(images), len(kept[place.layer])) for place in places}
    if wide and scratch is not None:
        _check_room(scratch, {p: shape for p, shape in shapes.items() if p.layer in wide})
    found: dict[Place, Any] = {
        place: _Waiting(scratch, shape)
        if scratch is not None and place.layer in wide
        else np.empty(shape, np.float32)
        for place, shape in shapes.items()
    }
    size = max(1, min(64, _BATCH_BYTES // max(1, extractor.bytes_per_image)))
    batches = (
        {"image": images[i : i + size], "index": np.arange(i, min(i + size, len(images)))}
        for i in range(0, len(images), size)
    )
    for batch, features in extractor.stream(batches):
        for place in places:
            values = features[place.layer]
            if place.step is not None:
                steps: Any = extractor.layers[place.layer].steps
                values = values[:, steps.index(place.step)]
            flat = values.reshape(len(values), -1)
            if flat.shape[1] > len(kept[place.layer]):
                flat = flat[:, kept[place.layer]]
            found[place][batch["index"]] = flat
    for place, waiting in found.items():
        if isinstance(waiting, _Waiting):
            found[place] = products(waiting.blocks())
            waiting.close()
    return found


class _Waiting:
    """Activity on disk, image after image, in a file without a name."""

    def __init__(self, folder: Path, shape: tuple[int, int]):
        self._folder, self._shape = folder, shape
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed when it was read

    def __setitem__(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Writes images that follow each other."""
        try:
            self._file.seek(4 * int(rows[0]) * self._shape[1])
            self._file.write(np.ascontiguousarray(values, np.float32).data)
        except OSError as error:
            raise InputError(
                f"{self._folder}: {error.strerror}: free room there, or set --max_units=4096"
            ) from error

    def blocks(self) -> Iterator[np.ndarray]:
        """Some units of all images at a time."""
        images, units = self._shape
        self._file.flush()
        width = max(1, _BLOCK_BYTES // (4 * images))
        for start in range(0, units, width):
            block = np.empty((images, min(width, units - start)), np.float32)
            for row in range(images):
                os.preadv(self._file.fileno(), [block[row]], 4 * (row * units + start))
            yield block

    def close(self) -> None:
        """Gives its room back."""
        self._file.close()


def _check_room(folder: Path, shapes: Mapping[Place, tuple[int, int]]) -> None:
    needed, free = 4 * sum(map(math.prod, shapes.values())), shutil.disk_usage(folder).free
    if needed > free:
        layers = ", ".join(dict.fromkeys(place.layer for place in shapes))
        raise InputError(
            f"the units of {layers} take {needed / 2**30:.1f} GiB, {folder} has room for "
            f"{free / 2**30:.1f}: free some, or set --max_units=4096"
        )


def _places(layer: Layer) -> list[Place]:
    if layer.steps is None:
        return [Place(layer.name, None)]
    return [Place(layer.name, step) for step in layer.steps if step >= layer.arrival_step]


def _kept_units(layer: Layer, max_units: int) -> int:
    units = math.prod(layer.shape)
    return min(units, max_units) if max_units else units


def _sample(layer: Layer, max_units: int, seed: int) -> np.ndarray:
    units = math.prod(layer.shape)
    if _kept_units(layer, max_units) == units:
        return np.arange(units)
    return np.sort(np.random.default_rng(seed).choice(units, max_units, replace=False))
