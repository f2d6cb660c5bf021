"""layers against neural recordings (docs/similarity.md)

Every layer and time step is scored by every measure; a table, JSON and an HTML report. Each score
is written at once: an interrupted evaluation goes on, and other layers or measures are added to
what the file holds of the same network, recordings and settings.
"""

import argparse
import hashlib
import sys
import zlib
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from jaxbio.errors import InputError
from jaxbio.measures.measure import a_list, network_identity, never, publish, result_file
from jaxbio.measures.similarity_record import Cell, Record, Row
from jaxbio.runs.progress import format_table, say

if TYPE_CHECKING:
    import numpy as np

    from jaxbio.measures.brain import Brain
    from jaxbio.measures.layer_activity import Activity
    from jaxbio.neural import Recordings
    from jaxbio.similarity import Products
    from jaxbio.tasks.classification.opened import Session

NAME = "similarity"
_PLAIN_LINE_SECONDS = 10.0
_NUMBERS_AT_ONCE = 2**25  # of RDMs of layers that are scored together
_SYNTHETIC = "SYNTHETIC recordings: simulated, not measured. These scores say nothing of a brain."
_CELL = ("bin", "measure", "layer", "step")


def options(add: Any) -> None:
    """The measure's flags."""
    add("--neural", default="synthetic", metavar="PATH", help="recordings; default: synthetic ones")
    add_recordings(add)
    add("--layers", **a_list("all"), help="endpoints; default: all")
    add("--times", **a_list("all"), help="all, last or steps")
    add("--measures", **a_list(), help="rsa, sit, svm, pls, ridge, cka, ...; default: all")
    add("--bins", choices=["mean", "all"], default="mean", help="time bins of the recordings")
    add("--max_units", type=int, default=4096, metavar="N", help="sampled of each layer; 0: all")


def add_recordings(add: Any) -> None:
    """The flags of :func:`chosen_recordings`."""
    add(
        "--region",
        metavar="NAME",
        help="part of the recordings: IT, V4, human_it, ...; default: all, of RDMs one by one",
    )
    add("--stimuli", metavar="PATH", help="the images, or BrainIO's CSV, if not beside the file")
    add("--objects_per_category", type=int, default=7, metavar="N", help="of Cadieu's; 0: unknown")
    add("--drop_nan", action="store_true", help="drop neuroids with NaN responses")


def chosen_recordings(path: str, options: argparse.Namespace, **more: Any) -> "Recordings":
    """The part of some recordings that flags choose; ``more`` as of ``open_recordings``."""
    from jaxbio.neural import open_recordings

    return open_recordings(
        path,
        region=options.region,
        stimuli=options.stimuli,
        objects_per_category=options.objects_per_category,
        drop_nan=options.drop_nan,
        **more,
    )


needs_data = never


def run(session: "Session", options: argparse.Namespace) -> dict[str, Any]:
    """Scores the layers; a table, and JSON and HTML into ``evaluation/similarity_<recordings>``.

    Raises:
        InputError: unknown layers, steps or measures, or recordings that do not allow them.
    """
    return compare_with(session, chosen_recordings(options.neural, options), options)


def compare_with(
    session: "Session", recordings: "Recordings", options: argparse.Namespace
) -> dict[str, Any]:
    """:func:`run` with recordings that are in memory."""
    import jax

    from jaxbio.features import FeatureRequest
    from jaxbio.features.layers import inspect_model, select_layers
    from jaxbio.measures.brain import brains
    from jaxbio.measures.layer_activity import layer_activity, wide_layers
    from jaxbio.measures.scores import choose_measures
    from jaxbio.measures.similarity_report import write_html

    if options.max_units < 0:
        raise InputError(
            f"--max_units={options.max_units}: use a number of units, or 0 for all of them"
        )
    request = FeatureRequest(options.layers, options.times)
    seed, image_size = session.config.seed, session.preprocessing.image_size
    compared = brains(recordings, options.bins, seed)
    available, _ = inspect_model(session.model, session.variables, image_size)
    chosen = select_layers(available, request)
    wide = wide_layers(chosen, len(recordings.stimuli), options.max_units)
    names, remarks = choose_measures(options.measures, compared[0], wide)
    identity: dict[str, Any] = {
        **network_identity(session),
        "recordings": {**recordings.describe(), "fingerprint": _fingerprint(recordings)},
        "synthetic": recordings.synthetic,
        "settings": {
            "bins": options.bins,
            "max_units": options.max_units,
            "seed": seed,
            "image_size": image_size,
            "conditions": "objects" if compared[0].has_views else "images",
        },
    }
    file = result_file(session, f"{NAME}_{recordings.name}")
    record = Record(file, identity, [brain.name for brain in compared], list(available))
    record.remarks = remarks
    say(f"activity of {len(chosen)} layers in {len(recordings.stimuli)} images")
    activity = layer_activity(
        session.model,
        session.variables,
        recordings.stimuli.read_images(image_size),
        request,
        session.preprocessing,
        max_units=options.max_units,
        seed=seed,
        mesh=session.mesh,
        scratch=session.run.path,
    )
    if "sit" in names:
        noise = compared[0].noise
        record.more["noise"] = {
            "slope": noise.slope, "offset": noise.offset, "repetitions": noise.repetitions,
        }  # fmt: skip
    wanted = _measure(record, compared, names, activity)
    result, whole = record.result(wanted), record.result()
    if jax.process_index() == 0:
        key = f"{NAME}_{recordings.name}"
        html = session.run.path / "evaluation" / f"{key}.html"
        write_html(html, whole, compared[0], activity)
        banner = [_SYNTHETIC, ""] if recordings.synthetic else []
        remarks = list(result["remarks"])
        more = len(whole["scores"]) - len(result["scores"])
        if more:
            remarks.append(f"{more} scores of other layers or measures are kept in the file")
        table = "\n".join([*banner, _table(result), *remarks, f"report: {html}"])
        publish(session, key, whole, table)
    return result


def _measure(
    record: Record, compared: "list[Brain]", names: list[str], activity: "Activity"
) -> set[Cell]:
    """Fills the record, some layers at a time; returns all cells that were asked for.

    Equal activities (two names of one layer) are scored once.
    """
    from jaxbio.measures.scores import MEASURES

    digests = {place: _digest(x) for place, x in activity.items()}
    layers = list(dict.fromkeys(place.layer for place in activity))
    work = [
        (brain, name, some)
        for brain in compared
        for name in names
        for some in _groups(layers, activity, brain, MEASURES[name].together)
    ]
    seconds = 0.1 if sys.stderr.isatty() else _PLAIN_LINE_SECONDS
    total = len(compared) * len(names) * len(layers)
    bar = tqdm(total=total, unit="layer", mininterval=seconds)
    wanted: set[Cell] = set()
    scored: dict[Any, Row] = {  # before, perhaps under another name of the layer
        (bin_name, name, digests[place]): _numbers(row)
        for (bin_name, name, layer, step), row in record.cells.items()
        for place in activity
        if (place.layer, place.step) == (layer, step)
    }
    with bar:  # closed after an error, too: its line would run into the message
        for brain, name, some in work:
            bar.set_description_str(f"{brain.name} {name} {some[-1]}".strip(), refresh=False)
            if (brain.name, name) not in record.ceilings:
                ceiling = MEASURES[name].ceiling(brain)
                limits = ceiling._asdict() if ceiling else dict.fromkeys(("low", "high", "what"))
                record.ceilings[brain.name, name] = {"bin": brain.name, "measure": name, **limits}
            places = [place for place in activity if place.layer in some]
            cells = {(brain.name, name, place.layer, place.step): place for place in places}
            wanted |= cells.keys()
            new = {digests[p]: p for p in places if (brain.name, name, digests[p]) not in scored}
            if new:
                found = MEASURES[name].score(brain, {str(p): activity[p] for p in new.values()})
                for digest, place in new.items():
                    s = found[str(place)]
                    row = {"score": s.value, "low": s.low, "high": s.high, "ceiled": s.ceiled}
                    scored[brain.name, name, digest] = row
            missing = {cell: place for cell, place in cells.items() if cell not in record.cells}
            if missing:
                entries = {c: scored[brain.name, name, digests[p]] for c, p in missing.items()}
                record.add(
                    {c: {**dict(zip(_CELL, c, strict=True)), **e} for c, e in entries.items()}
                )
            bar.update(len(some))
    return wanted


def _groups(
    layers: list[str], activity: "Activity", brain: "Brain", together: bool
) -> list[list[str]]:
    """Layers that are scored at once: one, or as many as have RDMs of not too many numbers."""
    if not together:
        return [[layer] for layer in layers]
    groups: list[list[str]] = [[]]
    room = most = max(1, _NUMBERS_AT_ONCE // len(brain.condition_labels) ** 2)
    for layer in layers:
        steps = sum(place.layer == layer for place in activity)
        if groups[-1] and steps > room:
            groups.append([])
            room = most
        groups[-1].append(layer)
        room -= steps
    return groups


def _digest(x: "np.ndarray | Products") -> tuple[tuple[int, ...], int]:
    values: Any = getattr(x, "inner", x)
    return x.shape, zlib.crc32(values)


def _numbers(row: Row) -> Row:
    return {key: value for key, value in row.items() if key not in _CELL}


def _fingerprint(recordings: "Recordings") -> str:
    """Of the numbers, so that other recordings of the same name are not taken for these."""
    import numpy as np

    digest = hashlib.sha256()
    for array in (recordings.responses, *recordings.rdms.values()):
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _table(result: dict[str, Any]) -> str:
    """One line per layer, step and bin; one column per measure: score [interval]."""
    names = list(dict.fromkeys(row["measure"] for row in result["scores"]))
    marks = {name: f"{name} [95 %]" for name in names}
    part = "time bin" if "neuroids" in result["recordings"] else "region"
    lines = [("layer", "step", part, *marks.values())]
    cells: dict[tuple, dict[str, str]] = {}
    for row in result["scores"]:
        step = "" if row["step"] is None else str(row["step"])
        text = f"{row['score']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        if row["ceiled"] is not None:
            text += f" ({row['ceiled']:.2f})"
        cells.setdefault((row["layer"], step, row["bin"]), {})[row["measure"]] = text
    lines += [(*key, *(values[name] for name in names)) for key, values in cells.items()]
    for bin_name in dict.fromkeys(entry["bin"] for entry in result["ceilings"]):
        limits = {e["measure"]: _limits(e) for e in result["ceilings"] if e["bin"] == bin_name}
        lines.append(("noise ceiling", "", bin_name, *(limits[name] for name in names)))
    note = "in round brackets: share of the explainable variance, r^2 / ceiling"
    shown = any(row["ceiled"] is not None for row in result["scores"])
    return format_table(lines) + (f"\n{note}" if shown else "")


def _limits(entry: dict[str, Any]) -> str:
    if entry["low"] is None:
        return "unknown"
    if entry["low"] == entry["high"]:
        return f"{entry['low']:.3f}"
    return f"{entry['low']:.3f} to {entry['high']:.3f}"
