"""Recording from a layer: what its units answer, how fast they would fire.

A layer is a function of images that the caller gives. Its activity is never kept as a whole: at 672
pixels a layer's answers to all stimuli would take 100 GiB. The map of receptive fields is given
position by position; other stimuli are kept for chosen units only. Where a part of the pictures is
enough for these, the layer is shown that part.

Reference:
    Marques, Schrimpf and DiCarlo 2021, doi:10.1101/2021.03.01.433495.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxbio.errors import InputError
from jaxbio.ops.cores import run_all
from jaxbio.physiology import protocol
from jaxbio.physiology.stimuli import GREY, gratings, place
from jaxbio.physiology.windows import Locality, Part, find_locality, rows_of

# uint8 images [B, S, S, 3] and a random key -> activity [B, units].
Activity = Callable[[jax.Array, jax.Array], jax.Array]

PER_POSITION = 8  # gratings shown at each position of the receptive-field map

# Of macaque V1, spikes/s: median response to the best grating, median spontaneous and largest rate.
_MEDIAN_BEST, _MEDIAN_BLANK, _LARGEST = 33.8, 0.82, 243.1
_RESPONSIVE = 5.0


@dataclasses.dataclass(frozen=True)
class View:
    """What a model sees of the screen.

    Attributes:
        size: side of its input in pixels.
        degrees: of visual angle that the side covers.

    Raises:
        InputError: if either is out of range.
    """

    size: int
    degrees: float = 8.0

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 < self.degrees < 180:
            raise InputError(
                f"a view of {self.size} pixels and degrees={self.degrees}: needs 1 or more pixels, "
                "and between 0 and 180 degrees"
            )

    def gratings(self, parameters: jax.Array | np.ndarray) -> jax.Array:
        """Gratings as the model sees them, uint8 ``[N, size, size, 3]``.

        They are drawn at the published 56 pixels per degree and resized, as published.
        """
        pixels = max(1, round(self.degrees * protocol.PIXELS_PER_DEGREE))
        degrees = pixels / protocol.PIXELS_PER_DEGREE
        pictures = gratings(parameters, size=pixels, degrees=degrees)
        return place(pictures, degrees=degrees, view_degrees=degrees, size=self.size)

    def changed_by(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and last pixel (row, column), ``[N, 2]`` each, that gratings ``[N, 7]`` change."""
        scale = self.size / self.degrees
        centre = self.size / 2 + parameters[:, :2] * scale
        spread = parameters[:, 3:4] * scale + 2 + scale / protocol.PIXELS_PER_DEGREE
        low, high = (
            np.clip(end, 0, self.size - 1).astype(int)
            for end in (np.floor(centre - spread), np.ceil(centre + spread))
        )
        return low, high

    def place(self, pictures: np.ndarray, degrees: float) -> jax.Array:
        """Pictures ``[N, S, S(, 3)]`` that show so many degrees, as the model sees them."""
        return place(
            jnp.asarray(pictures), degrees=degrees, view_degrees=self.degrees, size=self.size
        )

    def blank(self) -> jax.Array:
        """The grey screen, uint8 ``[1, size, size, 3]``."""
        return jnp.full((1, self.size, self.size, 3), GREY, jnp.uint8)


@dataclasses.dataclass(frozen=True)
class Probe:
    """A layer under the electrode: activity in, firing or not, trials averaged.

    Attributes:
        activity: the layer, traceable; a ``jax.tree_util.Partial`` keeps its bound variables out of
            the compiled programs.
        view: what the model sees.
        trials: presentations of every stimulus that are averaged; 1 unless the model is noisy.
        seed: of the noise.
        batch: stimuli at once, 8 or more: the 8 of a position of the receptive-field map stay
            together.
        shape: ``(..., rows, columns, channels)`` of the layer, if it can also be shown pictures of
            other sizes: then it is shown parts of pictures, where they are enough.
    """

    activity: Activity
    view: View
    trials: int = 1
    seed: int = 0
    batch: int = 8
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.trials < 1 or self.batch < PER_POSITION:
            raise InputError(
                f"trials={self.trials}, batch={self.batch}: must be 1 or more and {PER_POSITION} "
                "or more"
            )

    def blank(self) -> np.ndarray:
        """Activity at the grey screen, ``[units]``."""
        return self._blank(self.view.size)

    def responses(self, parameters: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Activity of chosen units at gratings, float32 ``[len(units), N]``.

        Args:
            parameters: ``[N, 7]``, see ``stimuli.FIELDS``.
            units: indices into the layer.
        """
        batches = batches_of(parameters, self.batch)
        return self.pictures(batches, units, self.view.gratings)[:, : len(parameters)]

    def pictures(
        self,
        batches: Iterable[Any],
        units: np.ndarray,
        draw: Callable[[Any], jax.Array] = jnp.asarray,
    ) -> np.ndarray:
        """Activity of chosen units at batches of pictures, float32 ``[len(units), N]``.

        Args:
            batches: uint8 ``[B, S, S, 3]`` each, or what ``draw`` makes such pictures of.
            units: indices into the layer.
            draw: called where the batch is shown.
        """
        part = self._locality and self._locality.part(units)
        corner, side, places = part or Part(np.zeros(2, np.int32), self.view.size, units)

        def show(numbered: tuple[int, Any]) -> np.ndarray:
            number, batch = numbered
            images = draw(batch)
            corners = np.broadcast_to(corner, (len(images), 2))
            return np.asarray(_chosen(self._show(images, corners, side, number), places))

        return np.concatenate(list(run_all(show, enumerate(batches)))).T

    def field_responses(
        self, parameters: np.ndarray, blank: np.ndarray
    ) -> Iterator[tuple[np.ndarray | None, np.ndarray]]:
        """The layer's responses at the receptive-field map, position by position.

        Args:
            parameters: ``[8 positions, 7]``, 8 conditions of a position in a row.
            blank: ``[units]``, at the grey screen.

        Yields:
            The units that can answer at a position, None for all, and their largest activity
            there above the blank's, 0 or more.
        """
        low, high = self.view.changed_by(parameters)
        locality = self._locality
        parts = None if locality is None else locality.around(low, high)
        side = self.view.size if parts is None else parts.side
        floor = blank if parts is None else self._blank(side)
        corners = np.zeros((len(low), 2), int) if parts is None else parts.corners(low)

        def show(numbered: tuple[int, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
            number, (batch, corners) = numbered
            activity = self._show(self.view.gratings(batch), corners, side, number)
            positions = activity.reshape(-1, PER_POSITION, activity.shape[-1])
            return np.asarray(field_response(positions, floor))

        size = self.batch // PER_POSITION * PER_POSITION
        batches = zip(batches_of(parameters, size), batches_of(corners, size), strict=True)
        answers = itertools.chain.from_iterable(run_all(show, enumerate(batches)))
        for pixel, response in zip(low[::PER_POSITION], answers, strict=False):
            if parts is None:
                yield None, response
                continue
            units = parts.units(pixel)
            part = parts.part(pixel, units)
            assert part is not None
            yield units, response[part.places]

    @functools.cached_property
    def _locality(self) -> Locality | None:
        """How far units see; None where whole pictures are to be shown. Noise hides it."""
        if self.shape is None or self.trials > 1:
            return None
        rows = functools.cache(functools.partial(rows_of, self.activity, self.shape))

        def answers(pictures: np.ndarray, corners: np.ndarray, side: int) -> np.ndarray:
            return np.asarray(self._show(pictures, corners, side))

        return find_locality(answers, rows, self.shape, self.view.size, self.batch)

    def _show(self, pictures: Any, corners: np.ndarray, side: int, number: int = 0) -> jax.Array:
        """Activity at parts of a batch of pictures; ``number`` is the batch's, for the noise."""
        layer = self.activity if isinstance(self.activity, Partial) else Partial(self.activity)
        key = jax.random.fold_in(jax.random.key(self.seed), number)
        return _answers(layer, pictures, corners, key, side, self.trials)

    def _blank(self, side: int) -> np.ndarray:
        """At the grey screen, or a part of it: in a batch, to share the others' program."""
        grey = np.full((self.batch, *[self.view.size] * 2, 3), GREY, np.uint8)
        return np.asarray(self._show(grey, np.zeros((self.batch, 2), np.int32), side)[0])


def batches_of(stimuli: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Batches of one size, for one compilation: the last is filled up with its last stimulus."""
    for start in range(0, len(stimuli), size):
        yield stimuli[np.arange(start, start + size).clip(max=len(stimuli) - 1)]


def _mean_activity(layer: Partial, images: jax.Array, key: jax.Array, trials: int) -> jax.Array:
    """Over trials; ``[B, units]``, before negative values are cut."""
    if trials == 1:
        return layer(images, jax.random.fold_in(key, 0))

    def add(trial: jax.Array, total: jax.Array) -> jax.Array:
        return total + layer(images, jax.random.fold_in(key, trial))

    return jax.lax.fori_loop(1, trials, add, layer(images, jax.random.fold_in(key, 0))) / trials


@functools.partial(jax.jit, static_argnames=("side", "trials"))
def _answers(
    layer: Partial, images: jax.Array, corners: jax.Array, key: jax.Array, side: int, trials: int
) -> jax.Array:
    if side < images.shape[1]:
        images = jax.vmap(
            lambda image, corner: jax.lax.dynamic_slice(image, (*corner, 0), (side, side, 3))
        )(images, corners)
    return jnp.maximum(_mean_activity(layer, images, key, trials).astype(jnp.float32), 0)


@jax.jit
def _chosen(activity: jax.Array, units: jax.Array) -> jax.Array:
    return activity[:, units]


@jax.jit
def field_response(activity: jax.Array, blank: jax.Array) -> jax.Array:
    """Response of units at positions of the map.

    Args:
        activity: ``[..., C, units]`` at the conditions shown at each, 0 or more.
        blank: ``[units]``, at the blank screen, 0 or more.

    Returns:
        ``[..., units]``: the largest above the blank's, 0 or more.
    """
    # One pass over long rows: on CPUs a reduction over a short leading axis is four times slower.
    peak = functools.reduce(jnp.maximum, list(jnp.moveaxis(activity, -2, 0)))
    return jnp.maximum(peak - jnp.broadcast_to(blank, peak.shape), 0)


def firing_rate_scale(orientation: np.ndarray, blank: np.ndarray) -> tuple[float, float]:
    """The line from activity to spikes/s that gives a layer the medians of macaque V1.

    Args:
        orientation: activity ``[N, ..., phases]`` at the orientation set, 0 or more.
        blank: ``[N]``, at the blank screen, 0 or more.

    Returns:
        Slope and offset.

    Raises:
        InputError: if no unit answers more than at the blank screen.
    """
    best = orientation.astype(np.float64).mean(-1).reshape(len(orientation), -1).max(1)
    blank = blank.astype(np.float64).ravel()
    excess = best - blank
    responsive = excess > _RESPONSIVE / _LARGEST * excess.max(initial=0)
    if not responsive.any():
        raise InputError(f"none of the {len(blank)} units answers gratings more than the blank")
    low, high = np.median(blank[responsive]), np.median(best[responsive])
    if not high > low:
        raise InputError("the units' median answer to gratings does not exceed that to the blank")
    slope = (_MEDIAN_BEST - _MEDIAN_BLANK) / (high - low)
    return float(slope), float(_MEDIAN_BLANK - slope * low)


def firing_rates(activity: np.ndarray, slope: float, offset: float) -> np.ndarray:
    """Spikes/s, float64, of activity of any shape; negative activity and rates are 0."""
    return np.maximum(slope * np.maximum(activity.astype(np.float64), 0) + offset, 0)
