"""Distributions of properties over the neurons of macaque V1: published tables, users' files.

Reference:
    Marques, Schrimpf and DiCarlo 2021, doi:10.1101/2021.03.01.433495 (bins and ceilings of all);
    the studies of each table are named in it.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxbio.errors import InputError
from jaxbio.files.tables import read_columns


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A histogram of one property over recorded neurons.

    Attributes:
        study: see ``properties.STUDIES``.
        edges: of the bins, increasing.
        counts: neurons in each bin.
        undefined: neurons that were recorded and have no value: not suppressed, not selective.
        source: where the counts come from.
    """

    study: str
    edges: np.ndarray
    counts: np.ndarray
    undefined: int
    source: str

    @property
    def neurons(self) -> int:
        """How many were recorded."""
        return int(self.counts.sum()) + self.undefined


def histogram(values: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, int]:
    """Counts per bin, and how many values are NaN; values beyond the bins count in the outer ones.

    Args:
        values: ``[N]``.
        edges: ``[B + 1]``, increasing.
    """
    defined = values[~np.isnan(values)]
    counts, _ = np.histogram(np.clip(defined, edges[0], edges[-1]), edges)
    return counts, len(values) - len(defined)


_OCTAVES = 2.0 ** np.arange(-4, 5)  # degrees
_SHARES = np.linspace(0, 1, 11)
_YES_NO = np.linspace(0, 1, 3)

_SOURCES = {
    "devalois1982a": "De Valois, Yund & Hepler 1982, doi:10.1016/0042-6989(82)90112-2",
    "devalois1982b": "De Valois, Albrecht & Thorell 1982, doi:10.1016/0042-6989(82)90113-4",
    "schiller1976": "Schiller, Finlay & Volman 1976, doi:10.1152/jn.1976.39.6.1334",
    "cavanaugh2002": "Cavanaugh, Bair & Movshon 2002, doi:10.1152/jn.00692.2001",
}

# Of foveal simple and complex, parafoveal simple and complex cells.
_PEAK_FREQUENCIES = np.array(
    [
        [0, 4, 4, 8, 25, 33, 26, 28, 12, 5, 2, 1],
        [0, 0, 0, 9, 9, 7, 10, 23, 12, 8, 3, 3],
        [2, 4, 10, 12, 18, 7, 18, 3, 4, 0, 0, 0],
        [1, 2, 1, 2, 5, 15, 13, 9, 3, 2, 0, 0],
    ]
)
_BANDWIDTHS = np.array([[0, 0, 0, 6, 5, 10, 7, 2, 0, 0], [0, 3, 4, 10, 17, 6, 2, 1, 0, 0]])


# Study, edges, counts, how many were undefined.
_PUBLISHED: dict[str, tuple[str, np.ndarray, Any, int]] = {
    "preferred_orientation": (
        "devalois1982a", np.linspace(-22.5, 157.5, 5), [110, 83, 100, 92], 0,
    ),
    "peak_spatial_frequency": (
        "devalois1982b", np.array([0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8, 11.2, 16, 22.4]),
        _PEAK_FREQUENCIES.sum(0), 0,
    ),
    "spatial_frequency_selective": ("schiller1976", _YES_NO, [14, 73], 0),
    "spatial_frequency_bandwidth": (
        "schiller1976", np.linspace(0, 100, 11), _BANDWIDTHS.sum(0), 14,
    ),
    "surround_suppression_index": (
        "cavanaugh2002", np.linspace(0, 2, 11), [66, 44, 38, 23, 16, 3, 0, 0, 0, 0], 0,
    ),
    "strongly_suppressed": ("cavanaugh2002", _YES_NO, [42, 148], 0),
    "grating_summation_field": (
        "cavanaugh2002", _OCTAVES, [0, 9, 30, 55, 42, 10, 2, 0], 42,
    ),
    "surround_diameter": ("cavanaugh2002", _OCTAVES, [0, 0, 2, 20, 33, 49, 40, 4], 42),
    "surround_grating_summation_field_ratio": (
        "cavanaugh2002", 2.0 ** np.arange(6), [69, 38, 31, 10, 0], 42,
    ),
}  # fmt: skip
PUBLISHED = {
    name: Distribution(study, edges, np.array(counts), undefined, _SOURCES[study])
    for name, (study, edges, counts, undefined) in _PUBLISHED.items()
}

# Bins of properties whose distributions are not public; the user brings the values.
_OTHER_EDGES: dict[str, dict[str, np.ndarray]] = {
    "ringach2002": {
        "baseline": np.logspace(-4 / 3, 2, 11),
        "max_dc": np.logspace(0, 3, 10),
        "min_dc": np.logspace(-4 / 3, 2, 11),
        "max_ac": np.logspace(0, 3, 10),
        "modulation_ratio": np.linspace(0, 2, 11),
        "circular_variance": np.linspace(0, 1, 14),
        "bandwidth": np.linspace(0, 90, 18),
        "orthogonal_preferred_ratio": np.linspace(0, 1, 14),
        "orientation_selective": _YES_NO,
        "circular_variance_bandwidth_ratio": np.logspace(-3, 0, 16),
        "orthogonal_preferred_ratio_bandwidth_ratio": np.logspace(-3, 0, 16),
        "orthogonal_preferred_ratio_circular_variance_difference": np.linspace(-1, 1, 20),
    },
    "freemanziemba2013": {
        "texture_modulation_index": np.linspace(-1, 1, 25),
        "absolute_texture_modulation_index": np.linspace(0, 1, 13),
        "texture_selectivity": _SHARES,
        "noise_selectivity": _SHARES,
        "texture_sparseness": _SHARES,
        "noise_sparseness": _SHARES,
        "variance_ratio": np.logspace(-2, 1, 13),
        "sample_variance": _SHARES,
        "family_variance": _SHARES,
        "max_texture": np.logspace(-1, 3, 13),
        "max_noise": np.logspace(-1, 3, 13),
    },
}

# Property to its study and its bins: everything that can be scored.
BINS: dict[str, tuple[str, np.ndarray]] = {
    name: (study, edges)
    for study, properties in _OTHER_EDGES.items()
    for name, edges in properties.items()
} | {name: (table.study, table.edges) for name, table in PUBLISHED.items()}

# Of the properties that are no pure numbers.
UNITS = {
    **dict.fromkeys(("baseline", "max_dc", "min_dc", "max_ac"), "spikes/s"),
    **dict.fromkeys(("max_texture", "max_noise"), "spikes/s"),
    **dict.fromkeys(("bandwidth", "preferred_orientation"), "degrees"),
    **dict.fromkeys(("grating_summation_field", "surround_diameter"), "degrees"),
    "peak_spatial_frequency": "cycles/degree",
    "spatial_frequency_bandwidth": "%",
}


def from_columns(columns: Mapping[str, np.ndarray], source: str) -> dict[str, Distribution]:
    """Distributions of a user's own neurons.

    Args:
        columns: property to one value per neuron, NaN where undefined; other columns are ignored.
        source: named in reports and errors, such as the file.

    Returns:
        Property to its distribution, in the published bins.

    Raises:
        InputError: no column is a property, or one holds no number.
    """
    found = {}
    for name in BINS.keys() & columns.keys():
        try:
            values = np.asarray(columns[name]).astype(np.float64).ravel()
        except (TypeError, ValueError):
            raise InputError(f"{source}: column {name} holds something else than numbers") from None
        study, edges = BINS[name]
        counts, undefined = histogram(values, edges)
        if not counts.sum():
            raise InputError(f"{source}: column {name} has no values")
        found[name] = Distribution(study, edges, counts, undefined, source)
    if not found:
        raise InputError(
            f"{source}: no column is a property; it has {', '.join(columns) or 'none'}, and known "
            f"are {', '.join(BINS)}"
        )
    return {name: found[name] for name in BINS if name in found}


def read_csv(path: Path) -> dict[str, Distribution]:
    """Distributions from a CSV file: a header with the properties' names, a neuron per line.

    Args:
        path: UTF-8; an empty cell or ``nan`` is an undefined property.

    Returns:
        See :func:`from_columns`.

    Raises:
        InputError: it cannot be read, a line is too short, or see :func:`from_columns`.
    """
    columns = {
        name.strip(): np.where(np.char.strip(cells) == "", "nan", cells)
        for name, cells in read_columns(path).items()
    }
    return from_columns(columns, str(path))
