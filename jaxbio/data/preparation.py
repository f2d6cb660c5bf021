"""Settings to graph operations: what both kinds of pipeline do to a batch of images."""

from collections.abc import Iterator

import numpy as np

from jaxbio.data import geometry
from jaxbio.data.background import closed_at_exit
from jaxbio.data.settings import Settings
from jaxbio.data.tensorflow_cpu import tf

# Uniform numbers that each augmentation uses per image.
DRAWS = {
    "none": 0,
    "crop_flip": geometry.WINDOW_DRAWS + 1,
    "shift": geometry.SHIFT_DRAWS,
}


def resized(images: "tf.Tensor", settings: Settings, one_size: bool) -> "tf.Tensor":
    """Evaluation's resize and crop: ``[B, H, W, C]`` to float32 ``[B, S, S, C]``."""
    return geometry.resize_and_centre_crop(
        images, settings.resize_side(one_size), settings.image_size
    )


def augmented(images: "tf.Tensor", draws: "tf.Tensor", settings: Settings) -> "tf.Tensor":
    """``shift``, if that is configured, of images that have their final size.

    Args:
        images: float32 ``[B, S, S, C]``.
        draws: uniform numbers, ``[B, DRAWS[settings.augmentation]]``.
        settings: which augmentation, and how strong.
    """
    if settings.augmentation == "shift":
        return geometry.shift_zoom(images, draws, settings.max_shift, settings.max_zoom)
    return images


def rgb(images: "tf.Tensor") -> "tf.Tensor":
    """Rounded uint8 images with three channels; grey ones are repeated."""
    if images.dtype != tf.uint8:
        images = geometry.to_uint8(images)
    return images if images.shape[-1] == 3 else tf.repeat(images, 3, axis=-1)


def iterate(dataset: "tf.data.Dataset", settings: Settings) -> Iterator[dict[str, np.ndarray]]:
    """Runs a dataset ahead of its consumer; its elements come as (read-only) arrays."""
    options = tf.data.Options()
    options.deterministic = True
    # All parallelism is explicit; the tuning thread would warn on stderr when it is cancelled.
    options.autotune.enabled = False
    options.experimental_warm_start = True  # work begins now: a model compiles meanwhile
    if settings.num_threads:
        options.threading.private_threadpool_size = settings.num_threads
    ahead = dataset.prefetch(settings.prefetch).with_options(options).as_numpy_iterator()
    return closed_at_exit(element for element in ahead)
