"""Recording from a layer: where its units look, how fast they would fire, what they answer.

A layer is a function of images that the caller gives. Its activity is never kept as a whole: at 672
pixels a layer's answers to all stimuli would take 100 GiB. Receptive fields are collected position
by position, as far as they matter; other stimuli are kept for the units at the centre only.

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
from jaxbio.physiology.stimuli import GREY, full_fields, gratings, place

# uint8 images [B, S, S, 3] and a random key -> activity [B, units].
Activity = Callable[[jax.Array, jax.Array], jax.Array]

FIELD_FLOOR = 0.05  # of its largest response: below, a position is outside a receptive field
TOLERANCE = 0.15  # degrees from the stimuli's centre within which units are recorded

# Of macaque V1, spikes/s: median response to the best grating, median spontaneous and largest rate.
_MEDIAN_BEST, _MEDIAN_BLANK, _LARGEST = 33.8, 0.82, 243.1
_RESPONSIVE = 5.0

_PER_POSITION = 8  # gratings shown at each position of the receptive-field map
_ENTRY_BYTES = 12  # of a response kept for a receptive field: unit int32, position int32, float32


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

    def place(self, pictures: np.ndarray, degrees: float) -> jax.Array:
        """Pictures ``[N, S, S(, 3)]`` that show so many degrees, as the model sees them."""
        return place(
            jnp.asarray(pictures), degrees=degrees, view_degrees=self.degrees, size=self.size
        )

    def blank(self) -> jax.Array:
        """The grey screen, uint8 ``[1, size, size, 3]``."""
        picture = full_fields(jnp.array([GREY]), size=self.size)
        return jnp.broadcast_to(picture[..., None], (1, self.size, self.size, 3))


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
    """

    activity: Activity
    view: View
    trials: int = 1
    seed: int = 0
    batch: int = 8

    def __post_init__(self) -> None:
        if self.trials < 1 or self.batch < _PER_POSITION:
            raise InputError(
                f"trials={self.trials}, batch={self.batch}: must be 1 or more and {_PER_POSITION} "
                "or more"
            )

    def blank(self) -> np.ndarray:
        """Activity at the grey screen, ``[units]``."""
        return np.asarray(_answers(self._layer, self.view.blank(), self._key(0), self.trials)[0])

    def responses(self, parameters: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Activity of chosen units at gratings, float32 ``[len(units), N]``.

        Args:
            parameters: ``[N, 7]``, see ``stimuli.FIELDS``.
            units: indices into the layer.
        """
        batches = _batches(parameters, self.batch)
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
        chosen = jnp.asarray(units)

        def show(numbered: tuple[int, Any]) -> np.ndarray:
            number, batch = numbered
            key = self._key(number)
            answers = _chosen_answers(self._layer, draw(batch), key, self.trials, chosen)
            return np.asarray(answers)

        return np.concatenate(list(run_all(show, enumerate(batches)))).T

    def field_responses(self, parameters: np.ndarray, blank: np.ndarray) -> Iterator[np.ndarray]:
        """The layer's responses at the receptive-field map, position by position, ``[units]``.

        Args:
            parameters: ``[8 positions, 7]``, 8 conditions of a position in a row.
            blank: ``[units]``, at the grey screen.

        Yields:
            The largest activity at each position above the blank's, 0 or more.
        """
        floor = jnp.asarray(blank)

        def show(numbered: tuple[int, np.ndarray]) -> np.ndarray:
            number, batch = numbered
            images, key = self.view.gratings(batch), self._key(number)
            return np.asarray(_peak_answers(self._layer, images, key, self.trials, floor))

        size = self.batch // _PER_POSITION * _PER_POSITION
        answers = run_all(show, enumerate(_batches(parameters, size)))
        return itertools.islice(
            itertools.chain.from_iterable(answers), len(parameters) // _PER_POSITION
        )

    @property
    def _layer(self) -> Partial:
        return self.activity if isinstance(self.activity, Partial) else Partial(self.activity)

    def _key(self, number: int) -> jax.Array:
        return jax.random.fold_in(jax.random.key(self.seed), number)


def _batches(parameters: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Batches of one size, for one compilation: the last is filled up with its last grating."""
    for start in range(0, len(parameters), size):
        yield parameters[np.arange(start, start + size).clip(max=len(parameters) - 1)]


def _mean_activity(layer: Partial, images: jax.Array, key: jax.Array, trials: int) -> jax.Array:
    """Over trials; ``[B, units]``, before negative values are cut."""
    if trials == 1:
        return layer(images, jax.random.fold_in(key, 0))

    def add(trial: jax.Array, total: jax.Array) -> jax.Array:
        return total + layer(images, jax.random.fold_in(key, trial))

    return jax.lax.fori_loop(1, trials, add, layer(images, jax.random.fold_in(key, 0))) / trials


@functools.partial(jax.jit, static_argnames="trials")
def _answers(layer: Partial, images: jax.Array, key: jax.Array, trials: int) -> jax.Array:
    return jnp.maximum(_mean_activity(layer, images, key, trials).astype(jnp.float32), 0)


@functools.partial(jax.jit, static_argnames="trials")
def _chosen_answers(
    layer: Partial, images: jax.Array, key: jax.Array, trials: int, units: jax.Array
) -> jax.Array:
    return _answers(layer, images, key, trials)[:, units]


@functools.partial(jax.jit, static_argnames="trials")
def _peak_answers(
    layer: Partial, images: jax.Array, key: jax.Array, trials: int, blank: jax.Array
) -> jax.Array:
    activity = _answers(layer, images, key, trials)
    return field_response(activity.reshape(-1, _PER_POSITION, activity.shape[-1]), blank)


@dataclasses.dataclass(frozen=True)
class ReceptiveFields:
    """Units whose receptive fields lie at the stimuli's centre.

    Attributes:
        units: ``[R]``, indices into the layer, increasing.
        position_yx: ``[R, 2]``, centroids, degrees.
        maps: ``[R, y, x]``, responses above the blank's at each position, 0 where they are less
            than 5 % of the unit's largest.
        answered: how many units of the layer answered anywhere.
    """

    units: np.ndarray
    position_yx: np.ndarray
    maps: np.ndarray
    answered: int


def find_central_units(
    probe: Probe, centre: tuple[float, float] = protocol.CENTRE, *, memory: int = 2**30
) -> ReceptiveFields:
    """Maps the receptive fields of a whole layer and picks the units at the stimuli's centre.

    Args:
        probe: the layer.
        centre: y, x of the stimuli, degrees.
        memory: bytes for responses that may belong to a receptive field; where they do not suffice
            the map is recorded again for the remaining units.

    Returns:
        The units whose centroid is within .15 degrees of the stimuli's centre.

    Raises:
        InputError: if the model sees less than the map covers, no unit answers, or none is there.
    """
    design = protocol.receptive_field_set()
    reach = 2 * np.abs(design.parameters[:, :2]).max() + 2 * design.parameters[0, 3]
    if probe.view.degrees < reach:
        raise InputError(
            f"degrees={probe.view.degrees:g} is a field of view smaller than the stimuli: the "
            f"receptive-field map covers {reach:.2f} degrees"
        )
    blank = probe.blank()
    positions = len(design.parameters) // _PER_POSITION
    fields: Any
    found, start = [], 0
    while start < len(blank):
        fields = FieldCollector(start, len(blank), positions, memory // _ENTRY_BYTES)
        for response in probe.field_responses(design.parameters, blank):
            fields.add(response)
        found.append(fields.near(centre, TOLERANCE, protocol.POSITIONS))
        start = fields.stop
    fields = ReceptiveFields(  # type: ignore[misc]
        *(np.concatenate([getattr(part, name) for part in found]) for name in _FIELD_ARRAYS),  # type: ignore[arg-type]
        answered=sum(part.answered for part in found),
    )
    if not fields.answered:
        raise InputError("no unit of the layer answers any grating of the receptive-field map")
    if not len(fields.units):
        raise InputError(
            f"none of the {fields.answered} answering units has its receptive field within "
            f"{TOLERANCE} degrees of {centre} (y, x): the layer has no units there, or no "
            "space; take a layer with space, or other degrees"
        )
    return fields


_FIELD_ARRAYS = ("units", "position_yx", "maps")


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


class FieldCollector:
    """Receptive fields of a range of units, one position after the other, in bounded memory.

    Only responses that may still exceed 5 % of their unit's largest are kept. Where these exceed
    the limit, the range is cut to its first half: ``stop`` tells what is left.

    Args:
        start: first unit.
        stop: end of the units.
        positions: number of positions, of a square lattice, row by row.
        limit: responses kept at most.
    """

    def __init__(self, start: int, stop: int, positions: int, limit: int):
        self.start, self.stop = start, stop
        self._side = round(positions**0.5)
        self._limit = limit
        self._peak = np.zeros(stop - start, np.float64)
        self._position = 0
        self._kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._count = 0

    def add(self, response: jax.Array | np.ndarray) -> None:
        """Takes the responses of the layer's units at the next position, ``[units]``."""
        response = np.asarray(response)[self.start : self.stop]
        np.maximum(self._peak, response, out=self._peak)
        units = np.flatnonzero(response > FIELD_FLOOR * self._peak)
        self._kept.append(
            (units.astype(np.int32), np.full(len(units), self._position, np.int32), response[units])
        )
        self._position += 1
        self._count += len(units)
        if self._count > self._limit:
            self._prune()
            # Well below the limit, so that not every position has to be pruned.
            while self._count > 0.75 * self._limit and self.stop > self.start + 1:
                self.stop = self.start + (self.stop - self.start) // 2
                self._peak = self._peak[: self.stop - self.start]
                self._prune()

    def _prune(self) -> None:
        """Drops responses that have turned out too small, and units outside the range."""
        units, positions, responses = (
            np.concatenate(column) for column in zip(*self._kept, strict=True)
        )
        inside = units < len(self._peak)
        inside[inside] &= responses[inside] > FIELD_FLOOR * self._peak[units[inside]]
        self._kept = [(units[inside], positions[inside], responses[inside])]
        self._count = len(self._kept[0][0])

    def centroids(self, positions: np.ndarray) -> np.ndarray:
        """Centres of the receptive fields, ``[units, 2]`` (y, x) in degrees; NaN: no answer.

        Args:
            positions: ``[side]``, coordinates of the lattice on either axis.
        """
        self._prune()
        units, at, responses = self._kept[0]
        weights = responses.astype(np.float64)
        total = np.bincount(units, weights, len(self._peak))
        centres = np.full((len(self._peak), 2), np.nan)
        index = np.arange(self._side)
        for axis, lattice in enumerate(np.divmod(at, self._side)):
            moment = np.bincount(units, weights * lattice, len(self._peak))
            answers = total > 0
            centres[answers, axis] = np.interp(moment[answers] / total[answers], index, positions)
        return centres

    def near(
        self, centre: tuple[float, float], tolerance: float, positions: np.ndarray
    ) -> ReceptiveFields:
        """The units of the range whose centroid is near a place (y, x), in degrees."""
        centroids = self.centroids(positions)
        distance = np.linalg.norm(centroids - np.array(centre), axis=1)
        chosen = np.flatnonzero(distance <= tolerance)
        row = np.full(len(self._peak), -1)
        row[chosen] = np.arange(len(chosen))
        units, positions, responses = self._kept[0]
        mine = row[units] >= 0
        maps = np.zeros((len(chosen), self._side**2), np.float32)
        maps[row[units[mine]], positions[mine]] = responses[mine]
        return ReceptiveFields(
            chosen + self.start,
            centroids[chosen],
            maps.reshape(len(chosen), self._side, self._side),
            answered=int(np.count_nonzero(~np.isnan(distance))),
        )


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
