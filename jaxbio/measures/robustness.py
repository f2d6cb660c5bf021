"""accuracy under image corruptions (docs/robustness.md)

Every cell once, then tables, figures and comparisons. Results go to ``evaluation/robustness.json``
(``robustness_imagenet_c.json``, ``robustness_reference.json``, ``robustness_published.json``),
figures to ``report/``. Cells that the file already holds, for the same checkpoint, data and
settings, are not measured again: an interrupted evaluation goes on.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from jaxbio.errors import InputError, suggest
from jaxbio.files import read_json, write_json
from jaxbio.measures.measure import a_list, always, identity, publish, result_file, told
from jaxbio.runs.progress import format_table, say
from jaxbio.runs.waiting import waiting

if TYPE_CHECKING:
    from jaxbio.tasks.classification.opened import Session

NAME = "robustness"
_MIN_SHEET_SIZE = 32

Scores = dict[str, Any]
Cell = tuple[str, int]  # corruption and severity


class Plan(NamedTuple):
    """What is to be measured, and how.

    Attributes:
        settings: what the result's file says beside run and data.
    """

    name: str
    settings: dict[str, Any]
    cells: list[Cell]
    measure: Callable[[str, int], dict[str, float]]


def options(add: Any) -> None:
    """The measure's flags."""
    names = a_list("all")
    add("--corruptions", "--corruption", help="names, or benchmark, validation or all", **names)
    add("--severities", "--severity", help="1 to 5, or all", **names)
    add(
        "--protocol",
        choices=("imagecorruptions", "imagenet_c"),
        default="imagecorruptions",
        help="whose corruptions: the package's, or those of ImageNet-C's files (the mCE of papers)",
    )
    add(
        "--corrupted",
        metavar="FOLDER",
        help="read a published set as it is: ImageNet-C's folders KIND/SEVERITY/CLASS/*, or "
        "CIFAR-10-C's KIND.npy and labels.npy; default of --corruptions: all that it has",
    )
    add("--reference", action="store_true", help="corrupt by the imagecorruptions package")
    add("--workers", type=int, default=0, metavar="N", help="of --reference; 0: one per core")
    runs = {**a_list(), "metavar": "RUNS"}
    add("--compare", **runs, help="other measured run directories, shown beside")


needs_data = always


def run(session: "Session", options: argparse.Namespace) -> dict[str, Any]:
    """Measures the cells that are not known yet, and writes each at once; then tables and figures.

    Raises:
        InputError: unknown names, severities or order; a run to compare that was not measured so.
    """
    import jax

    plan = _of_published(session, options) if options.corrupted else _of_ours(session, options)
    file = result_file(session, plan.name)
    whole_identity = {**identity(session), **plan.settings}
    # Found out before hours of measuring.
    others = [_open_other(run, plan.name, plan.settings, session) for run in options.compare]
    record = _measured(file, whole_identity)

    def keep() -> None:
        if jax.process_index() == 0:
            write_json(file, {**whole_identity, **record})

    if "clean" not in record:
        record["clean"] = session.measure(told(session.batches(), session.source.num_eval))
        keep()
    missing = [cell for cell in plan.cells if _key(*cell) not in record["cells"]]
    speaks = jax.process_index() == 0 and not sys.stderr.isatty()
    for name, severity in tqdm(missing, unit="cell", disable=not sys.stderr.isatty()):
        with waiting(f"{name} {severity}", tell=say if speaks else None):
            measured = plan.measure(name, severity)
        record["cells"][_key(name, severity)] = measured
        keep()
        if speaks:
            say(f"{name} {severity}: top-1 {100 * measured['top1']:.2f} %")

    errors, scores = _scores(record, plan.cells, plan.settings)
    result = {**whole_identity, "scores": scores, **record}
    compared = {session.run.path.name: scores} if others else {}
    for label, other in others:
        compared[_unused(label, compared)] = _scores_of_other(other, plan.cells, label)
    severities = sorted({severity for _, severity in errors})
    tables = [_table(errors, scores, severities, result["protocol"]), _means(scores, result)]
    if compared:
        tables.append(_comparison(compared, result["protocol"]))
    if jax.process_index() == 0:
        _save_figures(session, result, errors, compared)
    publish(session, plan.name, result, "\n\n".join(tables))
    return result


def _of_ours(session: "Session", options: argparse.Namespace) -> Plan:
    from jaxbio.corruptions import frost_textures
    from jaxbio.corruptions.selection import parse_corruptions, parse_severities
    from jaxbio.measures.corrupted_accuracy import check_order, measure_compiled, measure_reference

    order = session.config.eval.corrupt
    check_order(order, options.reference)
    if options.reference and options.protocol != "imagecorruptions":
        raise InputError(
            f"--reference is imagecorruptions: leave out --protocol={options.protocol}"
        )
    names, severities = parse_corruptions(options.corruptions), parse_severities(options.severities)
    settings = {
        "corrupt": order,
        "corruptions_by": "imagecorruptions" if options.reference else "jaxbio",
        "protocol": options.protocol,
        "frost": "photographs" if options.reference else frost_textures.source(),
        "seed": session.config.seed,
    }
    file = "robustness"
    if options.reference or options.protocol != "imagecorruptions":
        file += "_reference" if options.reference else f"_{options.protocol}"

    def measure(name: str, severity: int) -> dict[str, float]:
        if options.reference:
            return measure_reference(session, name, severity, order, workers=options.workers)
        return measure_compiled(session, name, severity, options.protocol)

    return Plan(file, settings, [(name, s) for name in names for s in severities], measure)


def _of_published(session: "Session", options: argparse.Namespace) -> Plan:
    from jaxbio.corruptions.names import corruption_names
    from jaxbio.corruptions.selection import parse_severities
    from jaxbio.data.corrupted import open_corrupted
    from jaxbio.measures.corrupted_accuracy import measure_published

    if options.reference or options.protocol != "imagecorruptions":
        raise InputError("--corrupted has corrupted pictures: leave out --reference and --protocol")
    published = open_corrupted(options.corrupted)
    names: list[str] = []
    for name in options.corruptions:
        subset = corruption_names(name) if name in ("benchmark", "validation") else [name]
        names += published.kinds if name == "all" else subset
    if not names:
        raise InputError(f"--corruptions is empty: use all or some of {', '.join(published.kinds)}")
    for name in names:
        if name not in published.kinds:
            known = suggest(name, published.kinds, "use all or some of")
            raise InputError(f"--corruptions={name} is not in {published.folder}: {known}")
    cells = [(n, s) for n in dict.fromkeys(names) for s in parse_severities(options.severities)]
    for name, severity in cells:
        if (name, severity) not in published.places:
            raise InputError(f"{published.folder} has no {name} at severity {severity}")
    # AlexNet was measured on ImageNet; elsewhere papers quote the mean error.
    normalised = not published.arrays and session.arguments["num_classes"] == 1000
    settings = {
        "corrupt": "published",
        "corruptions_by": str(published.folder),
        "protocol": "imagenet_c" if normalised else "published",
        "frost": "published",
        "normalised": normalised,
        "fingerprint": published.fingerprint(),
    }

    def measure(name: str, severity: int) -> dict[str, float]:
        return measure_published(session, published, name, severity)

    return Plan("robustness_published", settings, cells, measure)


def chance_of(result: dict[str, Any]) -> float:
    """Accuracy of guessing among the classes of a result."""
    return 1 / result.get("answers_among", result["model"]["num_classes"])


def _measured(file: Path, whole_identity: dict[str, Any]) -> dict[str, Any]:
    """What the file holds of this very checkpoint, data and settings."""
    if file.exists():
        recorded = read_json(file)
        if all(recorded.get(key) == value for key, value in whole_identity.items()):
            return {"clean": recorded["clean"], "cells": recorded["cells"]}
        print(f"{file} is of another checkpoint, data or settings: measuring anew", flush=True)
    return {"cells": {}}


def _key(name: str, severity: int) -> str:
    return f"{name}/{severity}"


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.2f}"


def _table(errors: dict[Cell, float], scores: Scores, severities: list[int], protocol: str) -> str:
    rows = [("top-1 error %", *(f"sev. {s}" for s in severities), "mean", "CE (AlexNet = 100)")]
    for name, of_name in scores["corruptions"].items():
        cells = [_percent(errors[name, severity]) for severity in severities]
        normalised = _percent(of_name[f"ce_{protocol}"]) or "-"
        rows.append((name, *cells, _percent(of_name["mean_error"]), normalised))
    return format_table(rows)


def _means(scores: dict[str, Any], settings: dict[str, Any]) -> str:
    protocol = settings["protocol"]
    rows = [
        ("means", "%"),
        ("clean error", _percent(scores["clean_error"])),
        ("mean error, unnormalised", _percent(scores["mean_error"])),
        ("mean error minus clean, unnormalised", _percent(scores["mean_error_increase"])),
        (f"mCE, {protocol}", _percent(scores[f"mce_{protocol}"]) or "-"),
        (f"relative mCE, {protocol}", _percent(scores[f"relative_mce_{protocol}"]) or "-"),
    ]
    if settings["corrupt"] == "published":
        notes = f"read from {settings['corruptions_by']}; "
        if settings["normalised"]:
            notes += "CE and mCE (of all 15 benchmark corruptions) are those of papers"
        else:
            notes += "papers quote the mean error: CE and mCE are ImageNet-C's"
        return f"{format_table(rows)}\n{notes}"
    notes = (
        f"corrupted {settings['corrupt'].replace('_', ' ')} by {settings['corruptions_by']}, "
        f"protocol {protocol}, frost from {settings['frost']}; CE and mCE divide by AlexNet's "
        "errors on ImageNet-C: meaningful for ImageNet only, and computed from all 15 benchmark "
        "corruptions at all 5 severities; papers' are those of --protocol=imagenet_c"
    )
    return f"{format_table(rows)}\n{notes}"


def _open_other(
    path: str, name_of_file: str, settings: dict[str, Any], session: "Session"
) -> tuple[str, dict[str, Any]]:
    file = Path(path) / "evaluation" / f"{name_of_file}.json"
    if not file.exists():
        raise InputError(f"--compare={path}: no {file.name} there; measure that run first")
    recorded = read_json(file)
    asked = {**settings, "data": session.source.describe()}
    for key, value in asked.items():
        if recorded.get(key) != value:
            raise InputError(
                f"--compare={path} was measured with {key}={recorded.get(key)!r}, this run with "
                f"{value!r}: measure both in the same way"
            )
    return Path(path).resolve().name, recorded


def _unused(label: str, taken: dict[str, Any]) -> str:
    number = 2
    unused = label
    while unused in taken:
        unused, number = f"{label} ({number})", number + 1
    return unused


def _scores_of_other(recorded: dict[str, Any], wanted: list[Cell], label: str) -> Scores:
    lacking = [_key(*cell) for cell in wanted if _key(*cell) not in recorded["cells"]]
    if lacking:
        raise InputError(
            f"--compare: {label} lacks {lacking[0]} and {len(lacking) - 1} more cells; measure it "
            "with the same --corruptions and --severities"
        )
    return _scores(recorded, wanted, recorded)[1]


def _scores(
    record: dict[str, Any], cells: list[Cell], settings: dict[str, Any]
) -> tuple[dict[Cell, float], Scores]:
    """Top-1 errors in [0, 1] by (corruption, severity), and what papers quote of them."""
    from jaxbio.measures.robustness_scores import robustness_scores

    errors = {cell: 1.0 - record["cells"][_key(*cell)]["top1"] for cell in cells}
    clean = 1.0 - record["clean"]["top1"]
    # Whether AlexNet's errors on ImageNet-C mean anything here.
    normalised = settings.get("normalised", True)
    return errors, robustness_scores(errors, clean, settings["protocol"], normalised=normalised)


def _comparison(compared: dict[str, dict[str, Any]], protocol: str) -> str:
    names = next(iter(compared.values()))["corruptions"]
    rows = [("mean top-1 error %", *compared)]
    rows.append(("clean", *(_percent(s["clean_error"]) for s in compared.values())))
    for name in names:
        errors = (s["corruptions"][name]["mean_error"] for s in compared.values())
        rows.append((name, *map(_percent, errors)))
    for label, key in (
        ("mean, unnormalised", "mean_error"),
        ("mean minus clean, unnormalised", "mean_error_increase"),
        (f"mCE, {protocol}", f"mce_{protocol}"),
    ):
        rows.append((label, *(_percent(s[key]) or "-" for s in compared.values())))
    return format_table(rows)


def _save_figures(
    session: "Session",
    result: dict[str, Any],
    errors: dict[Cell, float],
    compared: dict[str, Scores],
) -> None:
    import numpy as np

    from jaxbio.corruptions.sheet import picture_sheet
    from jaxbio.plotting.robustness import plot_robustness, plot_robustness_comparison
    from jaxbio.runs.figures import save_figures

    scores, severities = result["scores"], sorted({severity for _, severity in errors})
    names = list(scores["corruptions"])
    accuracy = np.array([[1.0 - errors[n, s] for s in severities] for n in names])
    clean, count = 1.0 - scores["clean_error"], int(result["clean"]["count"])
    chance = chance_of(result)
    figures = {"robustness": plot_robustness(accuracy, names, severities, clean, chance, count)}
    image = next(iter(session.batches()))["image"][0]
    ours = result["corrupt"] != "published"
    if ours and min(image.shape[:2]) >= _MIN_SHEET_SIZE:
        shown = severities[len(severities) // 2]
        figures["corruptions"] = picture_sheet(image, names, [shown], session.config.seed)
    if compared:
        bars = {
            label: [*(s["corruptions"][n]["mean_error"] for n in names), s["mean_error"]]
            for label, s in compared.items()
        }
        figures["robustness_comparison"] = plot_robustness_comparison(
            bars, [*names, "mean"], chance, count
        )
    save_figures(session.run, figures)
