"""Figures of a run's training and of results."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.measures.robustness import chance_of
from jaxbio.measures.similarity_report import measure_figures
from jaxbio.plotting.curves import plot_curves
from jaxbio.plotting.robustness import plot_robustness
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.metrics import read_metrics

_KINDS = ("curves", "robustness", "similarity")


def draw(run: RunDirectory, what: str | Mapping[str, Any], measure: str | None = None) -> Figure:
    """See :meth:`jaxbio.api.network.Network.plot`."""
    if isinstance(what, str):
        if what not in _KINDS:
            raise InputError(f"plot('{what}'): use {', '.join(_KINDS)}, or a result")
        if what == "curves":
            return _curves(run)
        what = _recorded(run, what)
    if "cells" in what:
        return _robustness(what)
    if "ceilings" in what:
        return _similarity(what, measure)
    raise InputError("plot draws results of robustness and similarity; this is neither")


def _curves(run: RunDirectory) -> Figure:
    lines = read_metrics(run.metrics_file, "loss", "top1")
    if not lines:
        raise InputError(
            f"{run.metrics_file} has no loss and top1: curves are of classifiers' runs"
        )
    return plot_curves({run.path.name: lines})


def _recorded(run: RunDirectory, kind: str) -> dict[str, Any]:
    """The newest result of a kind, wherever its data are from."""
    files = [f for f in run.path.glob(f"**/evaluation/{kind}*.json") if f.is_file()]
    if not files:
        raise InputError(f"{run.path} has no results of {kind} yet: evaluate('{kind}') first")
    return read_json(max(files, key=lambda file: file.stat().st_mtime))


def _robustness(result: Mapping[str, Any]) -> Figure:
    top1 = {key: cell["top1"] for key, cell in result["cells"].items()}
    pairs = [(name, int(severity)) for name, _, severity in (k.partition("/") for k in top1)]
    names = list(dict.fromkeys(name for name, _ in pairs))
    severities = sorted({severity for _, severity in pairs})
    accuracy = np.array([[top1.get(f"{n}/{s}", np.nan) for s in severities] for n in names])
    clean = result["clean"]
    chance = chance_of(dict(result)) if "model" in result else None
    return plot_robustness(accuracy, names, severities, clean["top1"], chance, clean.get("count"))


def _similarity(result: Mapping[str, Any], measure: str | None) -> Figure:
    limits = {entry["measure"]: entry for entry in reversed(result["ceilings"])}
    names = list(dict.fromkeys(entry["measure"] for entry in result["ceilings"]))
    chosen = names[0] if measure is None and names else measure
    if chosen not in limits:
        raise InputError(f"measure={measure!r}: the result has {', '.join(names)}")
    return next(iter(measure_figures(dict(result), limits[chosen]).values()))
