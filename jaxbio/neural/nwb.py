"""Neurodata Without Borders (``.nwb``): spikes around stimulus onsets, or a table of responses.

Read with h5py: ``units`` (``spike_times``, its index, ``id``; other columns of text, such as the
region, are kept), and the one table in ``intervals`` that has ``start_time`` and a column that says
what was shown. Or any table whose rows are presentations, with such a column and a column of
numbers ``[presentation, neuroid]``.

Reference:
    Rubel et al. 2022, "The Neurodata Without Borders ecosystem for neurophysiological data
    science", eLife 11:e78362.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jaxbio.errors import InputError
from jaxbio.files import hdf5
from jaxbio.files.reading import reading
from jaxbio.neural.presentations import IDS, recordings_of_presentations
from jaxbio.neural.recordings import Recordings

# Names of the column that says what was shown.
_SHOWN = (*IDS, "stimulus_name", "image_name", "stimulus", "image", "stim_id", "frame")
BINS = ((70.0, 170.0),)  # ms after onset: Brain-Score's for IT


def load_nwb(
    path: str | Path,
    stimuli: str | Path | None = None,
    *,
    time_bins: Sequence[tuple[float, float]] = BINS,
) -> Recordings:
    """Loads firing rates (spikes per second) after the onset of each stimulus.

    Args:
        path: the ``.nwb`` file.
        stimuli: the CSV of the stimulus set, as for BrainIO.
        time_bins: start and end in ms after onset, of spikes; a table of responses has one bin.

    Raises:
        InputError: unreadable, or with neither units and intervals nor a table of responses.
    """
    path, table = Path(path), Path(stimuli) if stimuli else None
    if table is not None and table.suffix != ".csv":
        raise InputError(f"--stimuli={table}: NWB needs the CSV of its stimulus set")
    with reading(path, "an NWB file"), hdf5.open_hdf5(path) as file:
        assembly, shown, neuroids, bins = _presentations(file, path, time_bins)
    return recordings_of_presentations(
        assembly, shown, path, table, neuroids=neuroids, time_bins=bins
    )


def _presentations(file: h5py.File, path: Path, time_bins: Any) -> tuple:
    tables = [(g, name) for g in hdf5.groups(file) if g.name != "/units" and (name := _shown(g))]
    timed = [(group, name) for group, name in tables if "start_time" in group]
    if "units" in file and "spike_times" in file["units"] and timed:
        if len(timed) > 1:
            listed = ", ".join(group.name for group, _ in timed)
            raise InputError(f"{path} has presentations in {listed}: keep one of them")
        group, name = timed[0]
        bins = np.asarray(time_bins, np.float64).reshape(-1, 2)
        onsets = hdf5.read_dataset(group["start_time"]).astype(np.float64)
        units = file["units"]
        assembly = np.stack([_rates(t, onsets, bins) for t in _spike_trains(units)], axis=1)
        return assembly, {IDS[0]: _ids(group, name)}, _properties(units, assembly.shape[1]), bins
    for group, name in tables:
        ids = _ids(group, name)
        for entry in group.values():
            if isinstance(entry, h5py.Dataset) and entry.ndim == 2 and entry.shape[0] == len(ids):
                values = hdf5.read_dataset(entry).astype(np.float64)
                neuroids = {"neuroid_id": np.array([f"unit_{i}" for i in range(values.shape[1])])}
                return values[:, :, None], {IDS[0]: ids}, neuroids, None
    raise InputError(
        f"{path} has neither units with spike_times and an interval table of presentations, nor a "
        f"table of responses; a column that names the stimulus is one of {', '.join(_SHOWN)}"
    )


def _shown(group: h5py.Group) -> str | None:
    return next((n for n in _SHOWN if isinstance(group.get(n), h5py.Dataset)), None)


def _ids(group: h5py.Group, name: str) -> np.ndarray:
    values = hdf5.read_dataset(group[name])
    if values.dtype.kind == "f" and (values == np.floor(values)).all():
        values = values.astype(np.int64)
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values.astype(str)


def _spike_trains(units: h5py.Group) -> list[np.ndarray]:
    """Sorted spike times of every unit, s."""
    times = hdf5.read_dataset(units["spike_times"]).astype(np.float64)
    ends = hdf5.read_dataset(units["spike_times_index"]).astype(np.int64)
    if (np.diff(ends, prepend=0) < 0).any() or (len(ends) and ends[-1] != len(times)):
        raise ValueError(f"spike_times_index does not divide the {len(times)} spike_times")
    return [np.sort(train) for train in np.split(times, ends)[: len(ends)]]


def _rates(train: np.ndarray, onsets: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Spikes per second ``[presentation, bin]`` of one unit."""
    edges = onsets[:, None, None] + bins[None] / 1000.0
    counts = np.diff(np.searchsorted(train, edges), axis=2)[:, :, 0]
    return counts / (np.diff(bins, axis=1)[:, 0] / 1000.0)[None]


def _properties(units: h5py.Group, count: int) -> dict[str, np.ndarray]:
    """Columns of text and ids of the units."""
    found = {"neuroid_id": np.array([f"unit_{i}" for i in range(count)])}
    for name, entry in units.items():
        plain = isinstance(entry, h5py.Dataset) and hdf5.is_plain(entry)
        if plain and entry.shape == (count,):
            values = hdf5.read_dataset(entry)
            if name == "id":
                found["neuroid_id"] = values.astype(str)
            elif values.dtype.kind == "U" and not name.endswith("_index"):
                found[{"location": "region"}.get(name, name)] = values
    return found
