"""The compiled forward pass that returns layers instead of logits."""

import collections
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from jaxbio.errors import InputError
from jaxbio.features.layers import Layer, activity_of, inspect_model, only, select_layers
from jaxbio.features.projection import Projection, make_projection, project
from jaxbio.features.request import FeatureRequest
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.mesh import batch_sharding, make_mesh, replicated

Batch = Mapping[str, Any]
Features = dict[str, np.ndarray]


def extract(
    model: nn.Module,
    variables: Mapping[str, Any],
    images: np.ndarray | Iterable[np.ndarray],
    request: FeatureRequest,
    preprocessing: Preprocessing,
    *,
    batch_size: int = 64,
    mesh: Mesh | None = None,
) -> Iterator[Features]:
    """Features of images, batch after batch, in order.

    One compilation per batch size: batches smaller than the largest so far are padded, and the
    padding is cut off again. The next batch is computed while the caller has the last one.

    Args:
        model: from :func:`jaxbio.create_model`.
        variables: the model's.
        images: uint8 ``[N, S, S, 3]``, or an iterable of batches uint8 ``[b, S, S, 3]``.
        request: layers, steps, pooling, projection.
        preprocessing: what the model was trained with; S is its ``image_size``.
        batch_size: into which an array of all images is cut.
        mesh: devices that share each batch; default: all.

    Returns:
        Iterator of dicts: layer to float32 ``[b, H, W, C]`` or ``[b, C]``, with ``[b, T, ...]`` for
        layers with a time axis; ``[b, (T,) C]`` if pooled and ``[b, (T,) N]`` if projected.

    Raises:
        InputError: an unknown layer or step, or images of another shape or type.

    Example:
        >>> model = jaxbio.create_model("cornet_z", num_classes=5, image_size=32)
        >>> variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
        >>> prepared = Preprocessing(32, mean=(0.5,) * 3, std=(0.5,) * 3)
        >>> images = np.zeros((20, 32, 32, 3), np.uint8)
        >>> batches = extract(model, variables, images, FeatureRequest("IT"), prepared)
        >>> np.concatenate([batch["IT"] for batch in batches]).shape  # of 1 time step
        (20, 1, 1, 1, 512)
    """
    extractor = Extractor(model, variables, request, preprocessing, mesh=mesh)
    if isinstance(images, np.ndarray | jax.Array):
        images = [
            cast(np.ndarray, images)[i : i + batch_size] for i in range(0, len(images), batch_size)
        ]

    def numbered() -> Iterator[Batch]:
        start = 0
        for batch in images:
            yield {"image": batch, "index": np.arange(start, start + len(batch))}
            start += len(batch)
        if not start:
            raise InputError("images is empty: give uint8 batches [b, S, S, 3]")

    return (features for _, features in extractor.stream(numbered()))


class Extractor:
    """A model's forward pass, compiled to return chosen layers; for many streams of images.

    Args:
        model: from :func:`jaxbio.create_model`.
        variables: the model's; copied to every device of the mesh if they are not there.
        request: layers, steps, pooling, projection.
        preprocessing: what the model was trained with.
        mesh: devices that share each batch; default: all.
        noise_seed: where the front-end's noise is on at evaluation, its key is a function of this
            seed and of the batch's first index, as in the evaluation of accuracy.

    Attributes:
        layers: what comes out, by name.
        noisy: whether the model draws noise even at evaluation.
        noise_seed: as given.

    Raises:
        InputError: an unknown layer or step, or several processes.
    """

    def __init__(
        self,
        model: nn.Module,
        variables: Mapping[str, Any],
        request: FeatureRequest,
        preprocessing: Preprocessing,
        *,
        mesh: Mesh | None = None,
        noise_seed: int = 0,
    ):
        if jax.process_count() > 1:
            raise InputError(
                f"features come from one process, this one has {jax.process_count() - 1} others: "
                "start it alone"
            )
        image_size = preprocessing.image_size
        available, self.noisy = inspect_model(model, variables, image_size, request.operations)
        self.layers: dict[str, Layer] = select_layers(available, request)
        self.noise_seed = noise_seed
        model = only(model, self.layers)
        self._request = request
        self._mesh = make_mesh() if mesh is None else mesh
        self._image_shape = (image_size, image_size, 3)
        self._variables = jax.device_put(dict(variables), replicated(self._mesh))
        pooled = select_layers(available, dataclasses.replace(request, projection=0))
        self._projections = jax.device_put(
            {
                name: make_projection(
                    name, math.prod(pooled[name].shape), request.projection, request.seed
                )
                for name, layer in self.layers.items()
                if layer.projected
            },
            replicated(self._mesh),
        )

        def forward(
            variables: dict[str, Any],
            projections: dict[str, Projection],
            images: jax.Array,
            first_index: jax.Array,
        ) -> dict[str, jax.Array]:
            key = jax.random.fold_in(jax.random.key(noise_seed), first_index)
            endpoints = activity_of(
                model,
                variables,
                preprocessing.normalise(images),
                request.operations,
                rngs={"noise": key},
            )
            return {
                name: _finished(endpoints[name], layer, request.pool, projections.get(name))
                for name, layer in self.layers.items()
            }

        self._forward = jax.jit(forward)

    @property
    def bytes_per_image(self) -> int:
        """Size of one image's features over all layers."""
        return sum(4 * math.prod(layer.feature_shape) for layer in self.layers.values())

    def settings(self) -> dict[str, Any]:
        """What is extracted, as plain JSON."""
        layers = {
            name: {"steps": layer.steps and list(layer.steps), "shape": list(layer.shape)}
            for name, layer in self.layers.items()
        }
        settings: dict[str, Any] = {"layers": layers, "pool": self._request.pool}
        settings["projection"] = self._request.projection
        if self._request.projection:
            settings["projection_seed"] = self._request.seed
        return settings

    def stream(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Features]]:
        """Features of each batch, computed one batch ahead of the caller.

        Args:
            batches: dicts with ``image`` uint8 ``[b, S, S, 3]`` and ``index`` int ``[b]``; other
                entries pass through.

        Yields:
            The batch and its features, ``[b, ...]`` per layer.
        """
        waiting: collections.deque = collections.deque()
        size = 0
        for batch in batches:
            devices = self._mesh.size  # which share a batch equally
            size = max(size, -(-len(batch["image"]) // devices) * devices)
            waiting.append((batch, self._start(batch, size)))
            if len(waiting) > 1:
                yield self._finish(*waiting.popleft())
        while waiting:
            yield self._finish(*waiting.popleft())

    def _start(self, batch: Batch, size: int) -> dict[str, jax.Array]:
        images = batch["image"]
        _check_images(images)
        if images.shape[1:] != self._image_shape:
            raise InputError(
                f"images are {images.shape[1:]}, the model's are {self._image_shape}: give all the "
                "same size"
            )
        if len(images) < size:
            padded = np.zeros((size, *self._image_shape), np.uint8)
            padded[: len(images)] = images
            images = padded
        images = jax.device_put(images, batch_sharding(self._mesh))
        first_index = np.int32(batch["index"][0])
        features = self._forward(self._variables, self._projections, images, first_index)
        for array in features.values():
            array.copy_to_host_async()
        return features

    def _finish(self, batch: Batch, features: dict[str, jax.Array]) -> tuple[Batch, Features]:
        count = len(batch["image"])
        return batch, {name: np.asarray(features[name])[:count] for name in self.layers}


def _finished(
    activity: jax.Array, layer: Layer, pool: str, projection: Projection | None
) -> jax.Array:
    """An endpoint as it comes out: batch first, chosen steps, pooled, projected, float32."""
    if layer.steps is not None:
        kept = activity if len(layer.steps) == len(activity) else activity[np.array(layer.steps)]
        activity = jnp.moveaxis(kept, 1, 0)
    first_unit = 1 if layer.steps is None else 2
    activity = activity.astype(jnp.float32)
    space = tuple(range(first_unit, activity.ndim - 1))
    if pool != "none" and space:
        activity = (jnp.mean if pool == "mean" else jnp.max)(activity, axis=space)
    if projection is None:
        return activity
    return project(projection, activity.reshape(*activity.shape[:first_unit], -1))


def _check_images(images: Any) -> None:
    shape: tuple[int, ...]
    dtype, shape = getattr(images, "dtype", None), getattr(images, "shape", ())
    if dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3 or not shape[0]:
        raise InputError(
            f"images are {dtype or type(images).__name__} {tuple(shape)}: give uint8 "
            "batches [b, S, S, 3]"
        )
