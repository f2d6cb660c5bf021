"""One picture through a calibrated network, with everything that happened recorded."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxbio.errors import InputError
from jaxbio.files.pictures import open_picture
from jaxbio.ops.encoding import encode
from jaxbio.spiking.network import Network, Parameters, Weights
from jaxbio.spiking.presentation import Recording, present
from jaxbio.spiking.readouts import (
    check_readout,
    predicted_labels,
    require_calibrated,
    voting_scores,
)


class Outcome(NamedTuple):
    """The outcome of a presentation.

    Attributes:
        label: the one given, or -1.
        scores: ``[classes]``.
        recording: spikes and potentials of every step.
        votes: ``[classes, filters, rows, columns]``, which the scores come from.
    """

    label: int
    scores: np.ndarray
    recording: Recording
    votes: np.ndarray


def read_picture(path: Path, size: int, invert: bool = False) -> np.ndarray:
    """Reads an image file as a picture like those that a network was trained on.

    The central square is taken, in grey, upright as its EXIF orientation says, and resized. What is
    transparent is paper: black, or white with ``invert``.

    Args:
        path: see :func:`jaxbio.files.pictures.open_picture`.
        size: side of the data set's pictures, pixels.
        invert: for dark digits on light paper; data sets have light ones on black.

    Returns:
        uint8 ``[size, size]``.

    Raises:
        InputError: no such file, not an image, or one whose range of grey levels is not known.
    """
    grey = open_picture(path, background=255 if invert else 0).convert("L")
    side = min(grey.size)
    left, top = ((length - side) // 2 for length in grey.size)
    square = grey.crop((left, top, left + side, top + side))
    if side != size:
        square = square.resize((size, size), Image.Resampling.BOX)
    picture = np.asarray(square)
    return 255 - picture if invert else picture


def classify(
    network: Network,
    parameters: Parameters,
    weights: Weights,
    votes: np.ndarray | None,
    picture: np.ndarray,
    key: jax.Array,
    *,
    readout: str = "patch_voting",
    top_n: int = 1,
    encoder: str = "renewal",
) -> Outcome:
    """Shows a picture to a network that does not learn, and lets it vote.

    Args:
        network: the network.
        parameters: its numbers.
        weights: what it has learned.
        votes: ``[classes, filters, rows, columns]``.
        picture: uint8 ``[crop, crop]``.
        key: of the encoding.
        readout: one of ``jaxbio.spiking.readouts.VOTING``.
        top_n: of the readout ``top_n``.
        encoder: one of :func:`jaxbio.ops.encoding.list_encoders`.

    Raises:
        InputError: a network without votes, a picture of another size, an unknown name.
    """
    check_readout(readout, top_n)
    votes = require_calibrated(votes)
    if np.shape(picture) != (network.crop, network.crop):
        raise InputError(
            f"picture of shape {np.shape(picture)}: the network sees {network.crop} by "
            f"{network.crop} pixels"
        )
    dtype, low, high = np.asarray(picture).dtype, np.min(picture), np.max(picture)
    if not np.issubdtype(dtype, np.integer) or low < 0 or high > 255:
        raise InputError(
            f"picture of dtype {dtype}, values {low} to {high}: give grey levels 0 to 255 as uint8"
        )
    rates = jnp.asarray(picture, jnp.float32).reshape(-1) * (parameters.intensity / 255.0)
    x = encode(encoder, key, rates, network.steps, network.dt)
    show = jax.jit(present, static_argnums=(0,), static_argnames=("record",))
    _, recording, _ = show(network, parameters, weights, x, record=True)
    counts = np.asarray(recording.counts).reshape(1, *votes.shape[1:])
    scores = voting_scores(counts, votes, readout, top_n)
    return Outcome(int(predicted_labels(scores)[0]), np.asarray(scores[0]), recording, votes)
