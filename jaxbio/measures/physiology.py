"""a layer's units as an electrophysiologist would find them (docs/physiology.md)

Receptive fields, tuning curves and their distributions beside macaque V1's: a table, JSON, a page.
"""

import argparse
import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxbio.errors import InputError
from jaxbio.measures.measure import a_list, network_identity, never, publish
from jaxbio.runs.progress import format_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jaxbio.features.layers import Layer
    from jaxbio.physiology.distributions import Distribution
    from jaxbio.physiology.examination import Recording, Textures
    from jaxbio.physiology.properties import Study
    from jaxbio.physiology.recording import Probe
    from jaxbio.physiology.score import Score
    from jaxbio.tasks.classification.opened import Session

NAME = "physiology"
_TRIALS_OF_NOISY = 20
_SHOWN_UNITS = 5
_BATCH_BYTES = 2**28  # of a layer's activity


class Examined(NamedTuple):
    """A layer at one time step.

    Attributes:
        label: the step's name; "" of layers without time.
    """

    label: str
    recording: "Recording"
    studies: "dict[str, Study]"
    scores: "dict[str, Score]"


def options(add: Any) -> None:
    """The measure's flags."""
    add("--layer", default="v1", metavar="NAME", help="an endpoint with space; default: v1")
    add("--times", **a_list("last"), help="all, last or steps")
    add("--degrees", type=float, default=8.0, metavar="D", help="the model's field of view")
    add(
        "--stimuli",
        **a_list("all"),
        help="of orientation, spatial_frequency, size, texture; default: all that there are",
    )
    add(
        "--position",
        type=_place,
        default=(0.5, 0.5),
        metavar="Y,X",
        help="of the stimuli, degrees from the centre; default: 0.5,0.5",
    )
    add("--textures", metavar="DIR", help="with noise/FAMILY/* and texture/FAMILY/*")
    add("--texture_degrees", type=float, default=4.0, metavar="D", help="of the texture pictures")
    add("--distributions", metavar="FILE", help="own neurons: CSV or MAT, a column per property")
    add("--trials", type=int, default=0, metavar="N", help="of noisy models; default: 20")
    add("--max_units", type=int, default=4096, metavar="N", help="sampled of those found; 0: all")


needs_data = never


def run(session: "Session", options: argparse.Namespace) -> dict[str, Any]:
    """Records the layer and measures its units.

    Prints a table; writes JSON and a page into ``evaluation/physiology_LAYER``, figures beside it.

    Raises:
        InputError: a layer without space, or one whose units do not answer; a field of view that is
            smaller than the stimuli; wrong stimuli; a file that does not hold what it should.
    """
    import jax

    from jaxbio.features.layers import time_labels
    from jaxbio.physiology.distributions import PUBLISHED
    from jaxbio.physiology.examination import measure_properties, record, score_properties
    from jaxbio.runs.figures import save_figures
    from jaxbio.runs.html import write_page

    sets, textures = _stimuli(options)
    distributions = {**PUBLISHED, **_own(options.distributions)}
    probe, layer = _probe(session, options)
    recordings = record(
        probe,
        sets,
        steps=len(layer.steps or (0,)),
        centre=options.position,
        textures=textures,
        max_units=options.max_units,
    )
    examined = []
    for label, recording in zip(time_labels(layer) or [""], recordings, strict=True):
        studies = measure_properties(recording)
        scores = score_properties(studies, distributions, seed=session.config.seed)
        examined.append(Examined(label, recording, studies, scores))
    result = {
        **network_identity(session),
        "layer": layer.name,
        "degrees": options.degrees,
        "position": options.position,
        "trials": probe.trials,
        "stimuli": list(recordings[0].rates),
        "distributions": {name: table.source for name, table in distributions.items()},
        "times": [_entry(one) for one in examined],
    }
    if jax.process_index() == 0:
        key = f"{NAME}_{layer.name}"
        folder = session.run.path / "evaluation"
        tables = {f"Properties {one.label}".strip(): _rows(one) for one in examined}
        figures = _figures(examined, distributions)
        names = [f"{key}_{name.replace(' ', '_').replace(',', '')}" for name in figures]
        save_figures(session.run, dict(zip(names, figures.values(), strict=True)), "evaluation")
        for figure in figures.values():
            figure.set_layout_engine("none")  # it is laid out, and drawn again for the page
        title = f"Physiology of {result['model']['name']}, {layer.name}"
        write_page(folder / f"{key}.html", title, tables, figures)
        text = "\n\n".join(f"{name}\n{format_table(rows)}" for name, rows in tables.items())
        publish(session, key, result, f"{text}\n\nreport: {folder / f'{key}.html'}")
    return result


def _place(text: str) -> tuple[float, float]:
    try:
        y, x = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: two numbers, such as 0.5,0.5") from None
    return y, x


def _stimuli(options: argparse.Namespace) -> "tuple[list[str], Textures | None]":
    """Names of the sets of gratings, and the texture pictures."""
    from jaxbio.measures.textures import read_textures
    from jaxbio.physiology.protocol import SETS

    known = [*SETS, "texture"]
    for name in options.stimuli:
        if name not in ("all", *known):
            raise InputError(f"--stimuli={name} is unknown: use all or some of {', '.join(known)}")
    if "texture" in options.stimuli and not options.textures:
        raise InputError("--stimuli=texture needs pictures: give --textures=DIR")
    everything = "all" in options.stimuli
    sets = [name for name in SETS if everything or name in options.stimuli]
    shown = options.textures and (everything or "texture" in options.stimuli)
    return sets, read_textures(options.textures, options.texture_degrees) if shown else None


def _own(file: str | None) -> "dict[str, Distribution]":
    from jaxbio.files.matlab import read_mat
    from jaxbio.physiology.distributions import from_columns, read_csv

    if file is None:
        return {}
    if Path(file).suffix != ".mat":
        return read_csv(Path(file))
    columns = {k: v for k, v in read_mat(Path(file)).items() if not k.startswith("__")}
    return from_columns(columns, file)


def _probe(session: "Session", options: argparse.Namespace) -> "tuple[Probe, Layer]":
    """The layer at the chosen steps as a function of images."""
    import jax
    import jax.numpy as jnp
    from flax import linen as nn

    from jaxbio.features import FeatureRequest
    from jaxbio.features.layers import inspect_model, only, select_layers
    from jaxbio.physiology.recording import Probe, View

    size = session.preprocessing.image_size
    available, noisy = inspect_model(session.model, session.variables, size)
    request = FeatureRequest([options.layer], options.times)
    (layer,) = select_layers(available, request).values()
    if len(layer.shape) == 1:
        spacious = [name for name, other in available.items() if len(other.shape) > 1]
        raise InputError(
            f"--layer={layer.name} has no space, so no receptive fields: use one of "
            f"{', '.join(spacious)}"
        )
    if layer.steps is not None:  # before the image arrives there is nothing to record
        seen = tuple(step for step in layer.steps if step >= layer.arrival_step)
        if not seen:
            raise InputError(
                f"--times: the image reaches {layer.name} at step {layer.arrival_step}"
            )
        layer = dataclasses.replace(layer, steps=seen)
    if options.trials < 0 or options.max_units < 0:
        raise InputError(
            f"--trials={options.trials}, --max_units={options.max_units}: use 0 or more"
        )

    model = only(session.model, [layer.name])

    def forward(variables: Any, images: jax.Array, key: jax.Array) -> jax.Array:
        inputs = session.preprocessing.normalise(images)
        _, endpoints = model.apply(variables, inputs, rngs={"noise": key})
        activity = endpoints[layer.name]
        if layer.steps is not None:
            activity = jnp.moveaxis(activity[jnp.array(layer.steps)], 1, 0)
        return activity.astype(jnp.float32).reshape(len(images), -1)

    # It has rows and columns, and can be asked about pictures of other sizes.
    resizable = isinstance(session.model, nn.Module) and len(layer.shape) == 3
    trials = options.trials or (_TRIALS_OF_NOISY if noisy else 1)
    fitting = _BATCH_BYTES // (4 * math.prod(layer.feature_shape))
    probe = Probe(
        jax.tree_util.Partial(forward, session.variables),
        View(size, options.degrees),
        trials=trials,
        seed=session.config.seed,
        batch=min(64, max(8, fitting // 8 * 8)),
        shape=layer.feature_shape if resizable else None,
    )
    return probe, layer


def _entry(one: Examined) -> dict[str, Any]:
    """JSON of a time step: what was measured of how many units, and its scores."""
    import numpy as np

    properties = {}
    for study, (recorded, values) in one.studies.items():
        for name, found in values.items():
            defined = found[~np.isnan(found)]
            properties[name] = {
                "study": study,
                "recorded": int(recorded.sum()),
                "undefined": len(found) - len(defined),
                "median": float(np.median(defined)) if len(defined) else None,
                "score": one.scores[name]._asdict() if name in one.scores else None,
            }
    recording = one.recording
    return {
        "time": one.label,
        "units": len(recording.units),
        "answering_units": recording.answered,
        "properties": properties,
    }


def _rows(one: Examined) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("property", "units", "undefined", "median", "score", "of ceiling", "p")
    ]
    for name, entry in _entry(one)["properties"].items():
        median = "" if entry["median"] is None else f"{entry['median']:.3g}"
        scored = ("", "", "")
        if entry["score"] is not None:
            score = one.scores[name]
            raw = f"{score.raw:.3f} +- {score.error:.3f}"
            scored = (f"{score.score:.3f}", f"{raw} of {score.ceiling:.3f}", f"{score.p:.3f}")
        rows.append((name, str(entry["recorded"]), str(entry["undefined"]), median, *scored))
    return rows


def _figures(
    examined: list[Examined], distributions: "dict[str, Distribution]"
) -> "dict[str, Figure]":
    import numpy as np

    from jaxbio.physiology.protocol import ORIENTATIONS, POSITIONS, RADII, SPATIAL_FREQUENCIES
    from jaxbio.plotting.physiology import plot_distributions, plot_over_time, plot_tuning

    figures = {}
    for one in examined:
        suffix = f", {one.label}" if one.label else ""
        figures[f"tuning{suffix}"] = plot_tuning(
            _shown_units(one.recording), POSITIONS, ORIENTATIONS, SPATIAL_FREQUENCIES, RADII
        )
        histograms = _histograms(one, distributions)
        if histograms:
            figures[f"distributions{suffix}"] = plot_distributions(histograms)
    if len(examined) > 1:
        names = dict.fromkeys(name for one in examined for name in one.scores)
        lines = {
            name: [one.scores[name].score if name in one.scores else np.nan for one in examined]
            for name in names
        }
        figures["scores over time"] = plot_over_time(lines, [one.label for one in examined])
    return figures


def _histograms(one: Examined, distributions: "dict[str, Distribution]") -> dict[str, Any]:
    from jaxbio.physiology.distributions import BINS, UNITS, histogram
    from jaxbio.plotting.physiology import Histogram

    found = {}
    for name, (study, edges) in BINS.items():
        if study not in one.studies or not one.studies[study].recorded.any():
            continue
        counts, undefined = histogram(one.studies[study].values[name], edges)
        table = distributions.get(name)
        note = f"{undefined} undefined" if undefined else ""
        if name in one.scores:
            note = f"score {one.scores[name].score:.2f}" + (f", {note}" if note else "")
        measured = None if table is None else table.counts / table.neurons
        units = int(counts.sum()) + undefined
        found[name] = Histogram(
            edges,
            counts / max(1, units),
            measured,
            units,
            None if table is None else table.neurons,
            UNITS.get(name, ""),
            note,
        )
    return found


def _shown_units(recording: "Recording") -> list[Any]:
    """Units from the strongest to the weakest answer, evenly spaced."""
    import numpy as np

    from jaxbio.physiology.tuning import best_condition, drift_components
    from jaxbio.plotting.physiology import UnitTuning

    means = {
        name: drift_components(recording.rates[name])[0]
        for name in ("orientation", "spatial_frequency", "size")
        if name in recording.rates
    }
    strength = means["orientation"].reshape(len(recording.units), -1).max(1)
    order = np.argsort(-strength)[: max(_SHOWN_UNITS, len(strength) * 3 // 4)]
    count = min(_SHOWN_UNITS, len(order))
    rows = order[np.linspace(0, len(order) - 1, count).astype(int)]

    def curve(name: str, row: int, axis: int) -> Any:
        if name not in means:
            return None
        dc = means[name][row : row + 1]
        at = [index[0] for index in best_condition(dc)]
        at[axis] = slice(None)
        return dc[0][tuple(at)]

    return [
        UnitTuning(
            f"unit {recording.units[row]}",
            recording.maps[row],
            curve("orientation", row, 2),
            curve("spatial_frequency", row, 1),
            curve("size", row, 0),
        )
        for row in rows
    ]
