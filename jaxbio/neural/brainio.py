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

from pathlib import Path

import numpy as np

from jaxbio.errors import InputError
from jaxbio.neural.netcdf import Variable, read_netcdf
from jaxbio.neural.presentations import recordings_of_presentations
from jaxbio.neural.recordings import Recordings

_DIMS = ("presentation", "neuroid", "time_bin")


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
    return recordings_of_presentations(
        assembly,
        shown,
        path,
        table,
        neuroids=_neuroids(coordinates["neuroid"]),
        time_bins=_time_bins(coordinates["time_bin"], assembly.shape[2], path),
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
