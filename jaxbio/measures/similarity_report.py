"""The HTML report of the mode ``similarity``: one file, figures inside."""

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxbio.files import write_text
from jaxbio.measures.brain import Brain
from jaxbio.measures.layer_activity import Place
from jaxbio.measures.scores import MEASURES
from jaxbio.plotting.similarity import plot_heat_map, plot_mds, plot_rdms, plot_score_bars
from jaxbio.similarity import square

_MOST_LAYERS = 7  # in RDM pictures and scaling, evenly over the network
_MOST_CONDITIONS = 400  # beyond it, pictures of RDMs show nothing and scaling takes minutes
_STYLE = (
    "body{font-family:sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left;"
    "border-bottom:1px solid #ccc}img{max-width:100%}"
    ".synthetic{background:#fd6;padding:.8em;font-weight:bold}"
)


def write_html(
    path: Path, result: dict[str, Any], brain: Brain, activity: dict[Place, np.ndarray]
) -> None:
    """Writes the report, atomically.

    Args:
      path: of the file.
      result: what the JSON file holds.
      brain: the recordings, of the first time bin.
      activity: of every layer and step.
    """
    parts = [
        f"<h1>{_text(result['model']['name'])} against {_text(brain.recordings.name)}</h1>",
        _banner(result),
        _facts(result),
        *(f"<p>{_text(remark)}</p>" for remark in result["remarks"]),
    ]
    for bin_name in dict.fromkeys(row["bin"] for row in result["scores"]):
        for name in dict.fromkeys(row["measure"] for row in result["scores"]):
            parts.append(_measure_section(result, name, bin_name))
    parts.append(_geometry(brain, activity))
    title = f"similarity: {result['model']['name']}"
    page = (
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{_text(title)}</title>"
        f"<style>{_STYLE}</style>{''.join(parts)}</html>\n"
    )
    write_text(path, page)


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


def _measure_section(result: dict[str, Any], name: str, bin_name: str) -> str:
    rows = [r for r in result["scores"] if r["measure"] == name and r["bin"] == bin_name]
    limits = next(e for e in result["ceilings"] if e["measure"] == name and e["bin"] == bin_name)
    measure = MEASURES[name]
    ceiling = None if limits["low"] is None else (limits["low"], limits["high"])
    label = _labelled(measure.title, result)
    bars = plot_score_bars(
        [_place_name(row) for row in rows],
        np.array([row["score"] for row in rows]),
        np.array([[row["low"], row["high"]] for row in rows]),
        ceiling,
        label,
    )
    heading = f"{measure.title}{f', {bin_name}' if bin_name else ''}"
    parts = [f"<h2>{_text(heading)}</h2>"]
    known = "unknown" if limits["what"] is None else limits["what"]
    parts.append(f"<p>Interval: {_text(measure.interval)}. Noise ceiling: {_text(known)}.</p>")
    parts.append(_image(bars))
    steps = sorted({row["step"] for row in rows if row["step"] is not None})
    if len(steps) > 1:
        layers = list(dict.fromkeys(r["layer"] for r in rows if r["step"] is not None))
        scores = np.full((len(layers), len(steps)), np.nan)
        for row in rows:
            if row["step"] is not None:
                scores[layers.index(row["layer"]), steps.index(row["step"])] = row["score"]
        parts.append(_image(plot_heat_map(scores, layers, [str(s) for s in steps], label)))
    return "".join(parts)


def _geometry(brain: Brain, activity: dict[Place, np.ndarray]) -> str:
    """RDM pictures and scaling, of the recordings and of layers at their last step."""
    if len(brain.condition_labels) > _MOST_CONDITIONS:
        return f"<p>No RDM pictures of {len(brain.condition_labels)} conditions.</p>"
    last = {place.layer: place for place in activity}
    chosen = np.unique(np.linspace(0, len(last) - 1, min(_MOST_LAYERS, len(last))).astype(int))
    note = " (synthetic)" if brain.recordings.synthetic else ""
    rdms = {f"{brain.recordings.name}{note}": np.asarray(square(brain.subject_rdms.mean(axis=0)))}
    for place in [list(last.values())[i] for i in chosen]:
        rdms[str(place)] = brain.condition_rdm(activity[place], str(place))
    order = np.argsort(brain.condition_labels, kind="stable")
    labels = brain.condition_labels[order]
    pictures = plot_rdms({t: r[np.ix_(order, order)] for t, r in rdms.items()}, labels)
    places = {title: embed_dissimilarities(rdm) for title, rdm in rdms.items()}
    return (
        f"<h2>Representational dissimilarity matrices</h2>{_image(pictures)}"
        "<h2>Geometry: multidimensional scaling</h2>"
        f"{_image(plot_mds(places, brain.condition_labels))}"
    )


def _place_name(row: dict[str, Any]) -> str:
    return row["layer"] if row["step"] is None else f"{row['layer']} t={row['step']}"


def _labelled(title: str, result: dict[str, Any]) -> str:
    return f"{title}, SYNTHETIC" if result["synthetic"] else title


def _banner(result: dict[str, Any]) -> str:
    if not result["synthetic"]:
        return ""
    return (
        "<p class=synthetic>Synthetic recordings: simulated, not measured. "
        "These scores say nothing of a brain.</p>"
    )


def _facts(result: dict[str, Any]) -> str:
    recordings = result["recordings"]
    facts = {
        "run": f"{result['run']}, step {result['step']}",
        "recordings": recordings["source"],
        "stimuli": f"{recordings['stimuli']} images of {recordings['objects']} objects",
        "neuroids": recordings.get("neuroids", "dissimilarities only"),
        "settings": ", ".join(f"{k}: {v}" for k, v in result["settings"].items()),
    }
    rows = "".join(f"<tr><th>{_text(k)}<td>{_text(v)}" for k, v in facts.items())
    return f"<table>{rows}</table>"


def _image(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return f'<p><img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def _text(value: Any) -> str:
    return html.escape(str(value))
