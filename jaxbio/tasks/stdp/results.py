"""Results of a test: of one network, or of a population with its table and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxbio.files import csv_text
from jaxbio.plotting.spiking_scores import plot_accuracy_curve, plot_search
from jaxbio.spiking.accuracy import Accuracy
from jaxbio.spiking.population import Member


def summarise(
    measured: Sequence[Mapping[str, Accuracy]], members: Sequence[Member], readout: str
) -> dict[str, Any]:
    """The results of one network or of several, JSON-able.

    Args:
        measured: per member, of :func:`jaxbio.tasks.stdp.report.measure_readouts`.
        members: as many.
        readout: whose accuracy stands for the whole.

    Returns:
        ``accuracy`` and ``error`` of that readout, ``readouts`` with all that is known of each, and
        ``<readout>_accuracy`` (the log keeps numbers only). Of several networks accuracies are
        means, errors the standard deviation of one network, and ``population`` has each.
    """
    if len(measured) == 1:
        readouts = {name: one.record() for name, one in measured[0].items()}
    else:
        readouts = {name: _mean([table[name] for table in measured]) for name in measured[0]}
    results = {
        "accuracy": readouts[readout]["accuracy"],
        "error": readouts[readout]["error"],
        "readouts": readouts,
        **{f"{name}_accuracy": one["accuracy"] for name, one in readouts.items()},
    }
    if len(measured) > 1:
        results["population"] = [
            {"seed": member.seed, **member.changes, "readouts": _short(table)}
            for member, table in zip(members, measured, strict=True)
        ]
    return results


@dataclass(frozen=True)
class GridPoint:
    """The networks that differ in their seed only.

    Attributes:
        values: of the parameters that vary.
        accuracies: per readout, one in [0, 1] per seed.
    """

    values: dict[str, float]
    accuracies: dict[str, list[float]]

    @property
    def seeds(self) -> int:
        """Number of networks."""
        return len(next(iter(self.accuracies.values())))

    def mean(self, readout: str) -> float:
        """Mean accuracy over the seeds."""
        return float(np.mean(self.accuracies[readout]))

    def deviation(self, readout: str) -> float | None:
        """Standard deviation of the accuracy over the seeds; None of one seed."""
        values = self.accuracies[readout]
        return float(np.std(values, ddof=1)) if len(values) > 1 else None


def grid_points(population: Sequence[dict[str, Any]]) -> list[GridPoint]:
    """The members of a population by grid point, in the order of the grid.

    Args:
        population: of ``results.json``: parameters and ``readouts`` of every member.
    """
    points: dict[tuple[float, ...], GridPoint] = {}
    for member in population:
        values = {name: v for name, v in member.items() if name not in ("seed", "readouts")}
        new = GridPoint(values, {name: [] for name in member["readouts"]})
        point = points.setdefault(tuple(values.values()), new)
        for name, one in member["readouts"].items():
            point.accuracies[name].append(one["accuracy"])
    return list(points.values())


def search_table(points: Sequence[GridPoint]) -> list[tuple[str, ...]]:
    """Rows of text: head, then parameters, seeds, and percent +- deviation of each readout."""
    readouts = list(points[0].accuracies)
    rows = [(*points[0].values, "seeds", *(f"{name} %" for name in readouts))]
    for point in points:
        scores = [percent(point.mean(name), point.deviation(name)) for name in readouts]
        rows.append((*(f"{v:g}" for v in point.values.values()), str(point.seeds), *scores))
    return rows


def search_csv(points: Sequence[GridPoint]) -> str:
    """The table as CSV: accuracies in [0, 1], ``<readout>`` and ``<readout>_std`` (empty for one
    seed).
    """
    readouts = list(points[0].accuracies)
    rows: list[list[Any]]
    rows = [[*points[0].values, "seeds", *(n + s for n in readouts for s in ("", "_std"))]]
    for point in points:
        scores = [f(name) for name in readouts for f in (point.mean, point.deviation)]
        rows.append([*point.values.values(), point.seeds, *scores])
    return csv_text(rows)


def search_figures(points: Sequence[GridPoint], readout: str) -> dict[str, Figure]:
    """The accuracy over the parameters that vary, by file name.

    Args:
        points: the grid.
        readout: whose accuracy.

    Returns:
        ``search_<a>``, a curve, where one parameter varies; ``search_<a>_<b>``, a heat map, for
        every pair of several, and ``surface_<a>_<b>`` where both have two values or more.
    """
    columns = {name: [point.values[name] for point in points] for name in points[0].values}
    means = [point.mean(readout) for point in points]
    if len(columns) == 1:
        ((name, values),) = columns.items()
        order = np.argsort(values, kind="stable")
        deviations = [points[i].deviation(readout) or 0.0 for i in order]
        curve = plot_accuracy_curve(
            np.take(values, order), np.take(means, order), deviations, name,
            "whiskers are standard deviations over seeds", best=True,
        )  # fmt: skip
        return {f"search_{name}": curve}
    figures = {}
    names = list(columns)
    for a, b in ((a, b) for i, a in enumerate(names) for b in names[i + 1 :]):
        networks = [(p, accuracy) for p in points for accuracy in p.accuracies[readout]]
        at_a, at_b = ([p.values[name] for p, _ in networks] for name in (a, b))
        shown = (at_a, at_b, [accuracy for _, accuracy in networks], a, b)
        figures[f"search_{a}_{b}"] = plot_search(*shown)
        if len(set(columns[a])) > 1 and len(set(columns[b])) > 1:
            figures[f"surface_{a}_{b}"] = plot_search(*shown, surface=True)
    return figures


def percent(share: float, error: float | None) -> str:
    """A share, and its error if it has one, in percent."""
    return f"{100 * share:.2f}" + ("" if error is None else f" +- {100 * error:.2f}")


def _mean(measured: Sequence[Accuracy]) -> dict[str, float]:
    values = np.array([one.accuracy for one in measured])
    return {"accuracy": float(values.mean()), "error": float(values.std(ddof=1))}


def _short(table: Mapping[str, Accuracy]) -> dict[str, dict[str, float]]:
    return {name: {"accuracy": one.accuracy, "error": one.error} for name, one in table.items()}
