"""A whole examination: units found and recorded, their properties measured and scored."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxbio.errors import InputError
from jaxbio.physiology import protocol
from jaxbio.physiology.distributions import Distribution
from jaxbio.physiology.properties import STUDIES, Study
from jaxbio.physiology.receptive_fields import find_central_units
from jaxbio.physiology.recording import Probe, batches_of, firing_rate_scale, firing_rates
from jaxbio.physiology.score import Score, score

_TRIALS_OF_FIELDS = 10  # of noisy layers, at the receptive-field map


class Textures(NamedTuple):
    """Pictures of the texture study.

    Attributes:
        pictures: uint8 ``[2, families, samples, S, S, 3]``, noise first.
        degrees: what their side shows.
    """

    pictures: np.ndarray
    degrees: float


class Recording(NamedTuple):
    """What units answered, in spikes/s.

    Attributes:
        units: ``[R]``, indices into the layer (at one time step).
        position_yx: ``[R, 2]``, centres of the receptive fields, degrees.
        maps: ``[R, y, x]``, activity at the positions of the receptive-field map.
        answered: units of the layer that answered the map anywhere.
        blank: ``[R]``, at the grey screen.
        rates: stimulus set to ``[R, *factors]``, see ``protocol.StimulusSet``; ``texture``:
            ``[R, 2, families, samples]``.
    """

    units: np.ndarray
    position_yx: np.ndarray
    maps: np.ndarray
    answered: int
    blank: np.ndarray
    rates: dict[str, np.ndarray]


def record(
    probe: Probe,
    sets: Sequence[str] = tuple(protocol.SETS),
    *,
    steps: int = 1,
    centre: tuple[float, float] = protocol.CENTRE,
    textures: Textures | None = None,
    max_units: int = 0,
) -> list[Recording]:
    """Finds the units at the stimuli and records them.

    Args:
        probe: the layer; of a layer in time, the units of all steps in a row, one step after the
            other: all are recorded in one pass.
        sets: names out of ``protocol.SETS``. The orientation set is always shown, since it gives
            the firing rates their scale.
        steps: time steps; each is a recording with a scale of its own.
        centre: y, x of the stimuli, degrees.
        textures: pictures of the texture study, if they are to be shown.
        max_units: of a step; more are sampled by the probe's seed. 0: all.

    Returns:
        A recording for every step.

    Raises:
        InputError: see ``recording.find_central_units`` and ``recording.firing_rate_scale``, or no
            unit of a step lies at the stimuli.
    """
    mapping = probe
    if probe.trials > _TRIALS_OF_FIELDS:
        mapping = dataclasses.replace(probe, trials=_TRIALS_OF_FIELDS)
    fields = find_central_units(mapping, centre)
    blank = probe.blank()
    per_step = len(blank) // steps
    rows = []
    for step in range(steps):
        mine = np.flatnonzero(fields.units // per_step == step)
        if not len(mine):
            raise InputError(f"none of {steps} time steps may be without units; step {step} is")
        if 0 < max_units < len(mine):
            rng = np.random.default_rng(probe.seed)
            mine = np.sort(rng.choice(mine, max_units, replace=False))
        rows.append(mine)
    chosen = np.concatenate(rows)
    units = fields.units[chosen]
    activity = {}
    for name in dict.fromkeys(["orientation", *sets]):
        parameters, shape = protocol.SETS[name](centre)
        activity[name] = probe.responses(parameters, units).reshape(len(units), *shape)
    if textures is not None:
        activity["texture"] = _show(probe, textures, units)
    recordings, start = [], 0
    for mine in rows:
        here, dark = slice(start, start + len(mine)), blank[fields.units[mine]]
        start += len(mine)
        scale = firing_rate_scale(activity["orientation"][here], dark)
        recordings.append(
            Recording(
                fields.units[mine] % per_step,
                fields.position_yx[mine],
                fields.maps[mine],
                fields.answered,
                firing_rates(dark, *scale),
                {name: firing_rates(answers[here], *scale) for name, answers in activity.items()},
            )
        )
    return recordings


def measure_properties(recording: Recording) -> dict[str, Study]:
    """Every study whose stimuli were shown, by name."""
    return {
        name: study(recording.rates[stimuli], recording.blank)
        for name, (study, stimuli) in STUDIES.items()
        if stimuli in recording.rates
    }


def score_properties(
    studies: Mapping[str, Study], distributions: Mapping[str, Distribution], *, seed: int = 0
) -> dict[str, Score]:
    """Scores of all properties that were measured here and there; none of studies without units."""
    return {
        name: score(studies[table.study].values[name], table, seed=seed)
        for name, table in distributions.items()
        if table.study in studies and studies[table.study].recorded.any()
    }


def _show(probe: Probe, textures: Textures, units: np.ndarray) -> np.ndarray:
    pictures, degrees = textures
    shape = pictures.shape[:3]
    flat = pictures.reshape(-1, *pictures.shape[3:])
    batches = batches_of(flat, probe.batch)
    shown = probe.pictures(batches, units, lambda some: probe.view.place(some, degrees))
    return shown[:, : len(flat)].reshape(len(units), *shape)
