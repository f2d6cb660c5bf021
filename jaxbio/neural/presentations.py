"""Recordings from single presentations, each of a stimulus with an id; and tables of stimuli."""

import logging
from pathlib import Path

import numpy as np

from jaxbio.errors import InputError
from jaxbio.files.tables import read_columns
from jaxbio.neural.images import image_files
from jaxbio.neural.recordings import Recordings, StimulusSet

_logger = logging.getLogger("jaxbio")
IDS = ("stimulus_id", "image_id")
_OBJECT = ("object_name", "object_id")
_LABEL = ("category_name", "category", "object_category")
_FILE = ("filename", "stimulus_path_within_store", "image_file_name")


def recordings_of_presentations(
    assembly: np.ndarray,
    shown: dict[str, np.ndarray],
    path: Path,
    table: Path | None,
    *,
    neuroids: dict[str, np.ndarray],
    time_bins: np.ndarray | None,
) -> Recordings:
    """Means over the presentations of each stimulus, and single presentations.

    Args:
        assembly: ``[presentation, neuroid, time_bin]``; NaN where nothing was recorded.
        shown: columns of the presentations; one of them is ``stimulus_id``.
        path: of the recordings.
        table: CSV of the stimulus set, or None.
        neuroids: columns of the neuroids.
        time_bins: ``[T, 2]`` ms, or None.

    Raises:
        InputError: no ids, or a table that does not fit; it names file and field.
    """
    ids = column(shown, IDS, f"{path}: presentation coordinate")
    rows = read_csv(table) if table else None
    order = _stimulus_order(ids, rows, path, table)
    index = [np.flatnonzero(ids == stimulus) for stimulus in order]
    return Recordings(
        name=path.stem,
        stimuli=stimulus_set(order, [i[0] for i in index], shown, rows, table),
        responses=np.stack([_mean(assembly[i]) for i in index]),
        repetitions=_trials(assembly, index, path),
        neuroids=neuroids,
        time_bins=time_bins,
        source=path.name,
    )


def column(columns: dict[str, np.ndarray], names: tuple[str, ...], what: str) -> np.ndarray:
    """The first of several columns that is there, as text; ``what`` begins the error."""
    found = _known_column(columns, names)
    if found is None:
        raise InputError(f"{what} '{names[0]}' is missing; found {', '.join(columns) or 'none'}")
    return found


def _known_column(columns: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((np.asarray(columns[name]).astype(str) for name in names if name in columns), None)


def read_csv(table: Path) -> dict[str, np.ndarray]:
    """Columns of text, as :func:`jaxbio.files.tables.read_columns`; no lines are refused, too."""
    rows = read_columns(table)
    if not any(map(len, rows.values())):
        raise InputError(f"{table} has no lines: it is not a stimulus set")
    return rows


def _stimulus_order(
    ids: np.ndarray, rows: dict[str, np.ndarray] | None, path: Path, table: Path | None
) -> np.ndarray:
    """Ids of the stimuli shown, in the CSV's order, or in that of first presentation."""
    if rows is None:
        _, first = np.unique(ids, return_index=True)
        return ids[np.sort(first)]
    listed = column(rows, IDS, f"{table}: column")
    unlisted = np.setdiff1d(ids, listed)
    if len(unlisted):
        raise InputError(
            f"{path}: {len(unlisted)} stimuli are not in {table} (the first is '{unlisted[0]}'): "
            "give the stimulus set of this assembly"
        )
    if len(np.unique(listed)) != len(listed):
        raise InputError(f"{table}: column 'stimulus_id' has the same id twice")
    return listed[np.isin(listed, ids)]


def stimulus_set(
    order: np.ndarray,
    first: list[int],
    shown: dict[str, np.ndarray],
    rows: dict[str, np.ndarray] | None,
    table: Path | None,
) -> StimulusSet:
    """Objects and labels of the CSV, else of the assembly, else ids; images of the CSV."""
    listed: dict[str, np.ndarray] = {}
    if rows is not None:
        position = {name: i for i, name in enumerate(column(rows, IDS, f"{table}: column"))}
        index = [position[name] for name in order]
        listed = {name: values[index] for name, values in rows.items()}
    columns = {**{name: values[first] for name, values in shown.items()}, **listed}
    objects = _known_column(columns, _OBJECT)
    objects = order if objects is None else objects
    labels = _known_column(columns, _LABEL)
    names = _known_column(listed, _FILE)
    images = None
    if names is not None and table is not None:
        archive = table.with_suffix(".zip")
        images = image_files(table.parent, names)
        if images is None and archive.exists():
            images = image_files(archive, names)
    return StimulusSet(
        ids=order,
        labels=objects if labels is None else labels,
        objects=objects,
        paths=names,
        images=images,
    )


def _trials(assembly: np.ndarray, index: list[np.ndarray], path: Path) -> np.ndarray | None:
    """Single presentations ``[R, S, N, T]``, of each neuroid the first that were recorded."""
    counts, trials = [], []
    for rows in index:
        shown = assembly[rows]
        missing = np.isnan(shown)
        counts.append((~missing).sum(axis=0))
        trials.append(np.take_along_axis(shown, np.argsort(missing, axis=0, kind="stable"), 0))
    recorded = np.stack(counts)
    if not recorded.any():
        return None
    fewest, most = recorded[recorded > 0].min(), max(map(len, index))
    if fewest < 2:
        return None
    if most > fewest:
        _logger.warning(
            "%s: stimuli were shown %d to %d times; single presentations of each: the first %d",
            path.name,
            fewest,
            most,
            fewest,
        )
    return np.stack([shown[:fewest] for shown in trials], axis=1)


def _mean(shown: np.ndarray) -> np.ndarray:
    """Over the presentations ``[R, N, T]`` that were recorded; NaN where none was."""
    recorded = (~np.isnan(shown)).sum(axis=0)
    total = np.nansum(shown, axis=0, dtype=np.float64)
    mean = np.where(recorded > 0, total / np.maximum(recorded, 1), np.nan)
    return mean.astype(shown.dtype)
