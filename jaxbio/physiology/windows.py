"""Parts of the picture that suffice: what far pixels cannot change need not be computed.

A unit of a convolutional layer sees a part of the picture, so that a layer may be shown that part
alone, at a twentieth of the cost for a V1 at 224 pixels. Nothing is assumed of the layer: how far
its units see is found out with random pictures of which a few pixels are changed, and a part is
used only if the units answer to the parts of random pictures as they do to the whole ones. Layers
that fail this (attention, normalisation over space, noise) are shown whole pictures.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from flax.errors import FlaxError

from jaxbio.physiology.stimuli import GREY

_SAME = 1e-4  # of a channel's largest answer: what counts as no change; rounding is a tenth of it
_WORTHWHILE = 0.7  # of the picture's side, the largest part that saves much
_COARSE = 8  # pixels, the squares of half of the random pictures

# uint8 pictures [B, S, S, 3], corners [B, 2] and the side of the parts -> activity [B, units].
Answers = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
Rows = Callable[[int], int | None]


class Part(NamedTuple):
    """A square part of the pictures.

    Attributes:
        corner: ``[2]``, row and column of its first pixel.
        side: in pixels.
        places: ``[n]``, where the units asked for stand among those that the part has.
    """

    corner: np.ndarray
    side: int
    places: np.ndarray


@dataclasses.dataclass(frozen=True)
class Locality:
    """How far the units of a layer see; see :func:`find_locality`.

    Attributes:
        shape: ``(steps, rows, columns, channels)`` of the layer at whole pictures.
        stride: pixels between neighbouring units.
        reach: units to either side of a block of ``stride`` pixels that the block can change.
        pictures: random ones, ``[B, size, size, 3]``.
        whole: what the layer answers to them, ``[B, units]``.
    """

    answers: Answers
    rows: Rows
    shape: tuple[int, ...]
    size: int
    stride: int
    reach: int
    pictures: np.ndarray
    whole: np.ndarray

    def part(self, units: np.ndarray) -> Part | None:
        """The part that a few units see, or None if it is not known to be enough."""
        _, rows, columns, _ = np.unravel_index(units, self.shape)
        first = np.array([rows.min(), columns.min()])
        blocks = int(max(np.ptp(rows), np.ptp(columns))) + 1 + 2 * self.reach
        part = self._part(units, first, blocks)
        return part if part is not None and self._enough(part, units) else None

    def around(self, low: np.ndarray, high: np.ndarray) -> "Surroundings | None":
        """Parts for changes of the picture between pixels, or None if not known to be enough.

        Args:
            low: ``[N, 2]``, the first row and column changed in each of N pictures.
            high: ``[N, 2]``, the last ones.
        """
        seen = int((high // self.stride - low // self.stride).max()) + 1 + 2 * self.reach
        found = Surroundings(self, seen)
        outermost = [*low.argmin(0), *low.argmax(0)]
        for place in low[[len(low) // 2, *outermost]]:
            units = found.units(place)
            part = found.part(place, units)
            if part is None or not self._enough(part, units):
                return None
        return found

    def _part(self, units: np.ndarray, first: np.ndarray, blocks: int) -> Part | None:
        """The part of so many blocks a side in which units from ``first`` on are undisturbed."""
        side = blocks * self.stride
        if side > _WORTHWHILE * self.size:
            return None
        start = np.clip(first - self.reach, 0, (self.size - side) // self.stride)
        inside = (self.shape[0], *[self.rows(side) or 0] * 2, self.shape[3])
        step, rows, columns, channel = np.unravel_index(units, self.shape)
        rows, columns = rows - start[0], columns - start[1]
        if max(rows.max(), columns.max()) >= inside[1] or min(rows.min(), columns.min()) < 0:
            return None
        places = np.ravel_multi_index((step, rows, columns, channel), inside)
        return Part(start * self.stride, side, places)

    def _enough(self, part: Part, units: np.ndarray) -> bool:
        corners = np.broadcast_to(part.corner, (len(self.pictures), 2))
        answers = self.answers(self.pictures, corners, part.side)[:, part.places]
        return bool((np.abs(answers - self.whole[:, units]) <= self._tolerance[units]).all())

    @functools.cached_property
    def _tolerance(self) -> np.ndarray:
        return _tolerance(self.whole, self.shape).reshape(-1)


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """Parts of one size around places of the picture.

    Attributes:
        locality: of the layer.
        seen: units a side that a change can reach.
    """

    locality: Locality
    seen: int

    @property
    def side(self) -> int:
        """Of the parts, in pixels."""
        return (self.seen + 2 * self.locality.reach) * self.locality.stride

    def units(self, low: np.ndarray) -> np.ndarray:
        """Units that a change from the pixel ``low`` on can reach, indices into the layer."""
        steps, height, width, channels = self.locality.shape
        first = self._first(low)
        rows, columns = (
            np.arange(max(0, start), min(start + self.seen, size))
            for start, size in zip(first, (height, width), strict=True)
        )
        grid = np.ix_(np.arange(steps), rows, columns, np.arange(channels))
        return np.ravel_multi_index(grid, self.locality.shape).ravel()

    def part(self, low: np.ndarray, units: np.ndarray) -> Part | None:
        """The part for a change from the pixel ``low`` on, with the places of its units."""
        return self.locality._part(units, self._first(low), self.seen + 2 * self.locality.reach)

    def corners(self, low: np.ndarray) -> np.ndarray:
        """The first pixels of the parts for changes from the pixels ``low`` ``[N, 2]`` on."""
        locality = self.locality
        last = (locality.size - self.side) // locality.stride
        return np.clip(self._first(low) - locality.reach, 0, last) * locality.stride

    def _first(self, low: np.ndarray) -> np.ndarray:
        return low // self.locality.stride - self.locality.reach


def find_locality(
    answers: Answers, rows: Rows, shape: tuple[int, ...], size: int, batch: int
) -> Locality | None:
    """Finds out how far a layer's units see.

    Args:
        answers: activity at parts of pictures.
        rows: side of a picture to the layer's number of rows, and of columns; None if it has no
            answer to pictures of that size.
        shape: ``(..., rows, columns, channels)`` of the layer.
        size: side of whole pictures, pixels.
        batch: pictures at once.

    Returns:
        None if the layer's rows do not follow the picture's, or it sees all of it everywhere.
    """
    shape = (math.prod(shape[:-3]), *shape[-3:])
    stride = max(1, round(size / shape[1]))
    follows = all(rows(size - k * stride) == shape[1] - k for k in (1, 2) if shape[1] > k)
    if shape[1] != shape[2] or shape[1] < 3 or not follows:
        return None
    corners = np.zeros((batch, 2), np.int32)
    pictures = _random_pictures(batch, size)
    whole = answers(pictures, corners, size)
    changed, block = pictures.copy(), shape[1] // 2
    here = slice(block * stride, (block + 1) * stride)
    changed[:, here, here] = 255 - changed[:, here, here]
    moved = np.abs(answers(changed, corners, size) - whole).reshape(batch, *shape)
    moved = (moved > _tolerance(whole, shape)).any((0, 1, 4))
    if not moved.any():
        return None
    reach = int(np.abs(np.argwhere(moved) - block).max())
    return Locality(answers, rows, shape, size, stride, reach, pictures, whole)


def rows_of(layer: Callable[..., jax.Array], shape: tuple[int, ...], side: int) -> int | None:
    """Rows of a layer that is shown pictures of another size; nothing is computed.

    Args:
        layer: pictures and a random key -> activity ``[B, units]``.
        shape: ``(..., rows, columns, channels)``.
        side: of the pictures, pixels.
    """
    pictures = jax.ShapeDtypeStruct((1, side, side, 3), np.uint8)
    try:
        found = jax.eval_shape(layer, pictures, jax.eval_shape(lambda: jax.random.key(0)))
    except (TypeError, ValueError, FlaxError):  # networks for one size say so in their own ways
        return None
    rows = math.isqrt(found.shape[1] // (math.prod(shape[:-3]) * shape[-1]))
    exact = math.prod(shape[:-3]) * shape[-1] * rows**2 == found.shape[1]
    return rows if exact else None


def _tolerance(answers: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """``[steps, rows, columns, channels]``, what counts as no change, by channel."""
    largest = np.abs(answers).reshape(-1, *shape).max((0, 2, 3), keepdims=True)
    return np.broadcast_to(_SAME * largest[0], shape)


def _random_pictures(count: int, size: int) -> np.ndarray:
    """Black and white in every colour, by pixels and by squares in turn; the first is grey."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 2, (count, size, size, 3), np.uint8) * np.uint8(255)
    squares = pictures[::2, ::_COARSE, ::_COARSE]
    squares = squares.repeat(_COARSE, 1).repeat(_COARSE, 2)
    pictures[::2] = squares[:, :size, :size]
    pictures[0] = GREY
    return pictures
