"""BrainIO assemblies: NetCDF of ``presentation x neuroid (x time_bin)`` and a CSV of stimuli.

The assembly's coordinates are flat arrays along one dimension each: ``stimulus_id`` (older:
``image_id``), ``object_name``, ``category_name`` and ``repetition`` along ``presentation``;
``neuroid_id`` and ``region`` along ``neuroid``; ``time_bin_start`` and ``time_bin_end`` (ms) along
``time_bin``. The CSV has one line per stimulus with its id and its file's name; images lie beside
it, or in a zip archive of its name.

Reference:
    Schrimpf et al. 2020, "Integrative Benchmarking to Advance Neurally Mechanistic Models of Human
    Intelligence", doi:10.1016/j.neuron.2020.07.040 (BrainIO is Brain-Score's data format).
"""

import csv
import logging
from pathlib import Path

import numpy as np

from jaxbio.errors import InputError
from jaxbio.neural.images import image_files
from jaxbio.neural.netcdf import Variable, read_netcdf
from jaxbio.neural.recordings import Recordings, StimulusSet

_logger = logging.getLogger("jaxbio")
_DIMS = ("presentation", "neuroid", "time_bin")
_ID = ("stimulus_id", "image_id")
_OBJECT = ("object_name", "object_id")
_LABEL = ("category_name", "category", "object_category")
_FILE = ("filename", "stimulus_path_within_store", "image_file_name")


def load_brainio(path: str | Path, stimuli: str | Path | None = None) -> Recordings:
    """Loads an assembly with its stimuli.

    Responses are means over all presentations of a stimulus that were recorded: a neuroid that
    lacks some keeps the mean of the others. ``repetitions`` holds single presentations: as many of
    each stimulus as the one recorded least often has, in the file's order.

    Args:
        path: the ``.nc`` file, or a folder with one ``.nc`` and one ``.csv``.
        stimuli: the CSV; default: the only one beside the assembly, if there is one. Without it
            there are no images, and objects and categories come from the assembly.

    Raises:
        InputError: a file that is not as described; the message names file and field.
    """
    path, table = _find(Path(path), Path(stimuli) if stimuli else None)
    variables = read_netcdf(path)
    assembly = _assembly(variables, path)
    coordinates = {
        dim: {name: v.values for name, v in variables.items() if v.dims == (dim,)} for dim in _DIMS
    }
    shown = coordinates["presentation"]
    ids = _column(shown, _ID, f"{path}: presentation coordinate")
    rows = _read_csv(table) if table else None
    order = _stimulus_order(ids, rows, path, table)
    index = [np.flatnonzero(ids == stimulus) for stimulus in order]
    responses = np.stack([_mean(assembly[i]) for i in index])
    return Recordings(
        name=path.stem,
        stimuli=_stimuli(order, [i[0] for i in index], shown, rows, table),
        responses=responses,
        repetitions=_trials(assembly, index, path),
        neuroids=_neuroids(coordinates["neuroid"]),
        time_bins=_time_bins(coordinates["time_bin"], assembly.shape[2], path),
        source=path.name,
    )


def _find(path: Path, table: Path | None) -> tuple[Path, Path | None]:
    if path.is_dir():
        assemblies = sorted(path.glob("*.nc"))
        if len(assemblies) != 1:
            raise InputError(f"{path} has {len(assemblies)} .nc files: name the one to read")
        path = assemblies[0]
    if table is None:
        tables = sorted(path.parent.glob("*.csv"))
        table = tables[0] if len(tables) == 1 else None
    elif table.suffix != ".csv":
        raise InputError(f"--stimuli={table}: a BrainIO assembly needs the CSV of its stimulus set")
    return path, table


def _assembly(variables: dict[str, Variable], path: Path) -> np.ndarray:
    """The data variable as ``[presentation, neuroid, time_bin]``."""
    found = [
        (name, v) for name, v in variables.items() if {"presentation", "neuroid"} <= set(v.dims)
    ]
    if len(found) != 1:
        raise InputError(
            f"{path} has {len(found)} variables over 'presentation' and 'neuroid': must be one"
        )
    name, variable = found[0]
    unknown = set(variable.dims) - set(_DIMS)
    if unknown or variable.values.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: variable '{name}' is {variable.values.dtype} over {variable.dims}: must be "
            "numbers over presentation, neuroid (, time_bin)"
        )
    values = variable.values
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    dims = list(variable.dims)
    if "time_bin" not in dims:
        values, dims = values[..., None], [*dims, "time_bin"]
    return np.transpose(values, [dims.index(dim) for dim in _DIMS])


def _column(
    columns: dict[str, np.ndarray], names: tuple[str, ...], what: str, *, required: bool = True
) -> np.ndarray | None:
    for name in names:
        if name in columns:
            return np.asarray(columns[name]).astype(str)
    if required:
        raise InputError(f"{what} '{names[0]}' is missing; found {', '.join(columns) or 'none'}")
    return None


def _read_csv(table: Path) -> dict[str, np.ndarray]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
            names = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read as a CSV file ({error})") from error
    if not rows:
        raise InputError(f"{table} has no lines: it is not a stimulus set")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise InputError(f"{table}: line {number} has not {len(names)} fields")
    return {name: np.array([row[name] for row in rows]) for name in names}


def _stimulus_order(
    ids: np.ndarray, rows: dict[str, np.ndarray] | None, path: Path, table: Path | None
) -> np.ndarray:
    """Ids of the stimuli shown, in the CSV's order, or in that of first presentation."""
    if rows is None:
        _, first = np.unique(ids, return_index=True)
        return ids[np.sort(first)]
    listed = _column(rows, _ID, f"{table}: column")
    unlisted = np.setdiff1d(ids, listed)
    if len(unlisted):
        raise InputError(
            f"{path}: {len(unlisted)} stimuli are not in {table} (the first is '{unlisted[0]}'): "
            "give the stimulus set of this assembly"
        )
    if len(np.unique(listed)) != len(listed):
        raise InputError(f"{table}: column 'stimulus_id' has the same id twice")
    return listed[np.isin(listed, ids)]


def _stimuli(
    order: np.ndarray,
    first: list[int],
    shown: dict[str, np.ndarray],
    rows: dict[str, np.ndarray] | None,
    table: Path | None,
) -> StimulusSet:
    """Objects and labels of the CSV, else of the assembly, else ids; images of the CSV."""
    listed: dict[str, np.ndarray] = {}
    if rows is not None:
        position = {name: i for i, name in enumerate(_column(rows, _ID, f"{table}: column"))}
        index = [position[name] for name in order]
        listed = {name: values[index] for name, values in rows.items()}
    columns = {**{name: values[first] for name, values in shown.items()}, **listed}
    objects = _column(columns, _OBJECT, "", required=False)
    objects = order if objects is None else objects
    labels = _column(columns, _LABEL, "", required=False)
    names = _column(listed, _FILE, "", required=False)
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


def _neuroids(coordinates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: values.astype(str) if values.dtype.kind in "OU" else values
        for name, values in coordinates.items()
        if name != "neuroid"  # an index without meaning
    }


def _time_bins(coordinates: dict[str, np.ndarray], count: int, path: Path) -> np.ndarray | None:
    ends = [coordinates.get(f"time_bin_{end}") for end in ("start", "end")]
    if all(end is not None for end in ends):
        return np.stack([np.asarray(end, np.float64) for end in ends], axis=1)
    if count > 1:
        raise InputError(f"{path}: coordinates 'time_bin_start' and 'time_bin_end' are missing")
    return None
