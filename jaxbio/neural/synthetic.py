"""An offline stand-in for recordings: rendered images and a simulated population.

The arrangement is that of Cadieu et al. 2014: 7 categories of 7 objects, 40 views each, 168 sites.
Nothing in it was measured, and every result made from it says so. It exists so that each command
runs anywhere; a score against it says that the code works, not that a model is like a brain.
"""

import numpy as np

from jaxbio.errors import InputError
from jaxbio.neural.recordings import Recordings, StimulusSet
from jaxbio.neural.rendering import (
    CATEGORIES,
    OBJECTS_PER_CATEGORY,
    centred_views,
    object_shapes,
    random_views,
    render,
)

_BINS = ((50.0, 100.0), (100.0, 150.0), (150.0, 200.0))
# Share of each bin's response that follows the picture as it lies, not the object behind it.
_PICTURE_SHARE = (0.8, 0.5, 0.3)
_THUMBNAIL = 16  # pixels: what the simulated sites see of a picture
# Response variance over presentations: (a * mean + b)^2, as fitted to recordings by the SIT code.
_NOISE_A, _NOISE_B = 0.14, 0.92


def synthetic_recordings(
    *,
    seed: int = 0,
    views: int = 40,
    image_size: int = 64,
    sites: int = 168,
    repetitions: int = 10,
) -> Recordings:
    """Renders the images and simulates the population; the same for the same arguments.

    A site is a random linear filter on two descriptions of an image: a thumbnail of the picture
    itself, and one of its object alone, centred and upright. The second's share grows over three
    time bins, as invariance does in IT. Presentations add normal noise of standard deviation
    ``0.14 r + 0.92``.

    Args:
        seed: of everything.
        views: images of each of the 49 objects.
        image_size: side in pixels.
        sites: simulated sites.
        repetitions: presentations of each image; 2 or more for a noise ceiling.

    Returns:
        ``49 * views`` stimuli, object by object, with responses of three time bins. ``synthetic``
        is set.

    Raises:
        InputError: an argument below 1.
    """
    sizes = {"views": views, "image_size": image_size, "sites": sites, "repetitions": repetitions}
    for name, value in sizes.items():
        if value < 1:
            raise InputError(f"synthetic recordings: {name}={value} must be 1 or more")
    rng = np.random.default_rng(seed)
    parts, colours = object_shapes(rng)
    of_object = np.repeat(np.arange(len(parts)), views)
    count = len(of_object)
    images = render(parts[of_object], colours[of_object], random_views(rng, count), image_size, rng)
    prototypes = render(parts, colours, centred_views(len(parts)), _THUMBNAIL)
    pictures = _standardised(_thumbnails(images))
    objects = _standardised(prototypes.reshape(len(parts), -1) / 255.0)[of_object]
    filters = rng.standard_normal((2, pictures.shape[1], sites)) / np.sqrt(pictures.shape[1])
    of_picture, of_identity = pictures @ filters[0], objects @ filters[1]
    drive = [
        np.sqrt(share) * of_picture + np.sqrt(1 - share) * of_identity for share in _PICTURE_SHARE
    ]
    means = np.maximum(0.0, 2.0 + np.stack(drive, axis=-1)).astype(np.float32)
    noise = rng.standard_normal((repetitions, *means.shape), np.float32)
    presentations = means + (_NOISE_A * means + _NOISE_B) * noise
    labels = np.repeat(CATEGORIES, OBJECTS_PER_CATEGORY * views)
    return Recordings(
        name="synthetic",
        stimuli=StimulusSet(
            ids=np.array([f"synthetic_{i:05d}" for i in range(count)]),
            labels=labels,
            objects=np.char.add(np.char.add(labels, "_"), (of_object % 7).astype(str)),
            images=images,
        ),
        responses=presentations.mean(axis=0),
        repetitions=presentations,
        neuroids={
            "neuroid_id": np.array([f"simulated_{i}" for i in range(sites)]),
            "region": np.full(sites, "IT"),
        },
        time_bins=np.array(_BINS),
        synthetic=True,
        source=f"rendered and simulated by jaxbio, seed {seed}: not measured",
    )


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """``[n, 768]``: means of blocks, in [0, 1]; nearest pixels where blocks do not divide."""
    size = images.shape[1]
    if size % _THUMBNAIL:
        index = np.arange(_THUMBNAIL) * size // _THUMBNAIL
        small = images[:, index][:, :, index]
    else:
        block = size // _THUMBNAIL
        blocks = images.reshape(len(images), _THUMBNAIL, block, _THUMBNAIL, block, 3)
        small = blocks.mean(axis=(2, 4))
    return small.reshape(len(images), -1) / 255.0


def _standardised(features: np.ndarray) -> np.ndarray:
    """Each column with mean 0; all of them together with variance 1."""
    centred = features - features.mean(axis=0)
    return centred / max(centred.std(), 1e-12)
