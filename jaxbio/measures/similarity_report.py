"""The HTML report of the mode ``similarity``: one file, figures inside."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxbio.measures.brain import Brain
from jaxbio.measures.layer_activity import Activity
from jaxbio.measures.scores import MEASURES
from jaxbio.plotting.similarity import (
    plot_heat_map,
    plot_mds,
    plot_rdms,
    plot_regions,
    plot_score_bars,
)
from jaxbio.runs.figures import save_for_paper
from jaxbio.runs.html import write_page
from jaxbio.similarity import square

_MOST_LAYERS = 7  # in RDM pictures and scaling, evenly over the network
_MOST_THUMBNAILS, _THUMBNAIL = 100, 24  # conditions, pixels
_MOST_CONDITIONS = 400  # beyond it, pictures of RDMs show nothing and scaling takes minutes


def write_html(path: Path, result: dict[str, Any], brain: Brain, activity: Activity) -> None:
    """Writes the report, atomically; each figure as a file too where ``--format`` asks for one.

    ``result`` is what the JSON file holds, ``brain`` the recordings of the first time bin.
    """
    figures: dict[str, Figure]
    remarks, figures = list(result["remarks"]), {}
    if result["synthetic"]:
        remarks.insert(
            0,
            "Synthetic recordings: simulated, not measured. These scores say nothing of a brain.",
        )
    if by_region(result):
        for name in dict.fromkeys(limits["measure"] for limits in result["ceilings"]):
            figures |= _regions(result, name)
    for limits in result["ceilings"]:  # of every time bin and measure
        figures |= measure_figures(result, limits)
    if len(brain.condition_labels) > _MOST_CONDITIONS:
        remarks.append(f"No RDM pictures of {len(brain.condition_labels)} conditions.")
    else:
        figures |= _geometry(brain, activity)
    tables: dict[str, list[tuple[str, ...]]]
    tables = {"Remarks": [("",), *((remark,) for remark in remarks)]} if remarks else {}
    tables["What was compared"] = _facts(result)
    title = f"{result['model']['name']} against {brain.recordings.name}"
    write_page(path, title, tables, figures)
    for number, figure in enumerate(figures.values(), 1):
        save_for_paper(figure, path.with_name(f"{path.stem}_{number}.png"))


def embed_dissimilarities(rdm: np.ndarray) -> np.ndarray:
    """Places ``[n, 2]`` whose distances are near the dissimilarities: metric scaling.

    The start is the classical solution, so that the result does not depend on chance.

    Args:
        rdm: ``[n, n]`` symmetric, zero diagonal.
    """
    from sklearn.manifold import smacof  # takes a second to import

    rdm = np.maximum(np.asarray(rdm, np.float64), 0.0)
    centre = np.eye(len(rdm)) - 1.0 / len(rdm)
    values, vectors = np.linalg.eigh(-0.5 * centre @ np.square(rdm) @ centre)
    start = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0.0))
    return smacof(rdm, n_components=2, init=start, n_init=1, normalized_stress=False)[0]


def by_region(result: dict[str, Any]) -> bool:
    """Whether the bins of a result are regions of which only RDMs are known."""
    return len({limits["bin"] for limits in result["ceilings"]}) > 1 and (
        "neuroids" not in result["recordings"]
    )


def _regions(result: dict[str, Any], name: str) -> dict[str, Figure]:
    """One measure's layers, at their last step, against all regions."""
    scores, intervals, ceilings = {}, {}, {}
    layers: list[str] = []
    for limits in result["ceilings"]:
        if limits["measure"] != name:
            continue
        region = limits["bin"]
        last = {
            row["layer"]: row
            for row in result["scores"]
            if (row["measure"], row["bin"]) == (name, region)
        }
        layers = list(last)
        scores[region] = np.array([row["score"] for row in last.values()])
        intervals[region] = np.array([[row["low"], row["high"]] for row in last.values()])
        known = limits["low"] is not None
        ceilings[region] = (limits["low"], limits["high"]) if known else None
    measure = MEASURES[name]
    figure = plot_regions(layers, scores, intervals, ceilings, measure.title)
    return {f"{measure.title} of every layer with every region. {measure.interval}.": figure}


def measure_figures(result: dict[str, Any], limits: dict[str, Any]) -> dict[str, Figure]:
    """Bars of one measure, and where layers have steps a map of layer and step, by caption.

    Args:
        result: what the JSON file holds.
        limits: the entry of ``ceilings`` of the measure and the time bin.
    """
    name, bin_name = limits["measure"], limits["bin"]
    rows = [r for r in result["scores"] if (r["measure"], r["bin"]) == (name, bin_name)]
    measure = MEASURES[name]
    label = f"{measure.title}, SYNTHETIC" if result["synthetic"] else measure.title
    heading = f"{measure.title}, {bin_name}" if bin_name else measure.title
    known = "unknown" if limits["what"] is None else limits["what"]
    bars = plot_score_bars(
        [_place_name(row) for row in rows],
        np.array([row["score"] for row in rows]),
        np.array([[row["low"], row["high"]] for row in rows]),
        None if limits["low"] is None else (limits["low"], limits["high"]),
        label,
    )
    figures = {f"{heading}. Interval: {measure.interval}. Noise ceiling: {known}.": bars}
    timed = [row for row in rows if row["step"] is not None]
    steps = sorted({row["step"] for row in timed})
    if len(steps) > 1:
        layers = list(dict.fromkeys(row["layer"] for row in timed))
        scores, halves = np.full((2, len(layers), len(steps)), np.nan)
        for row in timed:
            cell = layers.index(row["layer"]), steps.index(row["step"])
            scores[cell], halves[cell] = row["score"], (row["high"] - row["low"]) / 2
        figures[f"{heading}, over layers and steps. Interval: {measure.interval}."] = plot_heat_map(
            scores, halves, layers, [str(step) for step in steps], label
        )
    return figures


def _geometry(brain: Brain, activity: Activity) -> dict[str, Figure]:
    """RDM pictures and scaling, of the recordings and of layers at their last step."""
    last = {place.layer: place for place in activity}
    chosen = np.unique(np.linspace(0, len(last) - 1, min(_MOST_LAYERS, len(last))).astype(int))
    note = " (synthetic)" if brain.recordings.synthetic else ""
    shown = f"{brain.recordings.name} {brain.name}".strip()
    rdms = {f"{shown}{note}": np.asarray(square(brain.subject_rdms.mean(axis=0)))}
    for place in [list(last.values())[i] for i in chosen]:
        rdms[str(place)] = brain.condition_rdm(activity[place], str(place))
    order = np.argsort(brain.condition_labels, kind="stable")
    labels = brain.condition_labels[order]
    pictures = plot_rdms({t: r[np.ix_(order, order)] for t, r in rdms.items()}, labels)
    places = {title: embed_dissimilarities(rdm) for title, rdm in rdms.items()}
    return {
        "Representational dissimilarity matrices.": pictures,
        "Geometry: multidimensional scaling.": plot_mds(
            places, brain.condition_labels, _thumbnails(brain)
        ),
    }


def _thumbnails(brain: Brain) -> np.ndarray | None:
    """The first picture of each condition, or None: there are none, or too many to be seen."""
    stimuli = brain.recordings.stimuli
    _, first = np.unique(brain.conditions, return_index=True)
    if stimuli.images is None or len(first) > _MOST_THUMBNAILS:
        return None
    return stimuli.take(first).read_images(_THUMBNAIL)


def _place_name(row: dict[str, Any]) -> str:
    return row["layer"] if row["step"] is None else f"{row['layer']} t={row['step']}"


def _facts(result: dict[str, Any]) -> list[tuple[str, ...]]:
    recordings = result["recordings"]
    settings = ", ".join(f"{key}: {value}" for key, value in result["settings"].items())
    return [
        ("", "value"),
        ("run", f"{result['run']}, step {result['step']}"),
        ("recordings", str(recordings["source"])),
        ("stimuli", f"{recordings['stimuli']} images of {recordings['objects']} objects"),
        ("neuroids", str(recordings.get("neuroids", "dissimilarities only"))),
        ("settings", settings),
    ]
