"""Receptive fields of a whole layer, in bounded memory, and the units at the stimuli's centre.

Reference:
    Marques, Schrimpf and DiCarlo 2021, doi:10.1101/2021.03.01.433495.
"""

import dataclasses

import numpy as np

from jaxbio.errors import InputError
from jaxbio.physiology import protocol
from jaxbio.physiology.recording import PER_POSITION, Probe

FIELD_FLOOR = 0.05  # of its largest response: below, a position is outside a receptive field
TOLERANCE = 0.15  # degrees from the stimuli's centre within which units are recorded

_ENTRY_BYTES = 12  # of a response kept for a receptive field: unit int32, position int32, float32


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
    positions = len(design.parameters) // PER_POSITION
    found, start = [], 0
    while start < len(blank):
        collector = FieldCollector(start, len(blank), positions, memory // _ENTRY_BYTES)
        for units, response in probe.field_responses(design.parameters, blank):
            collector.add(response, units)
        found.append(collector.near(centre, TOLERANCE, protocol.POSITIONS))
        start = collector.stop
    fields = ReceptiveFields(
        np.concatenate([part.units for part in found]),
        np.concatenate([part.position_yx for part in found]),
        np.concatenate([part.maps for part in found]),
        sum(part.answered for part in found),
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

    def add(self, response: np.ndarray, units: np.ndarray | None = None) -> None:
        """Takes the responses at the next position.

        Args:
            response: ``[n]``.
            units: ``[n]``, whose they are, indices into the layer; None: of all units, in order.
        """
        units = np.arange(len(response)) if units is None else units
        mine = (units >= self.start) & (units < self.stop)
        units, response = units[mine] - self.start, np.asarray(response)[mine]
        self._peak[units] = np.maximum(self._peak[units], response)
        above = response > FIELD_FLOOR * self._peak[units]
        units, response = units[above].astype(np.int32), response[above]
        self._kept.append((units, np.full(len(units), self._position, np.int32), response))
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
