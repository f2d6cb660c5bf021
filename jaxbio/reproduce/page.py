"""The page of a table, and the same as text."""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from jaxbio.plotting.style import panel
from jaxbio.reproduce.table import Context, Table
from jaxbio.runs.html import write_page


def table_rows(entries: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Rows of text: head, then row, published, ours with its interval, verdict, of each entry."""
    rows: list[tuple[str, ...]]
    rows = [("row", "published", "ours", "95 %", "verdict")]
    for entry in entries:
        measured, error = entry["measured"], entry["error"]
        ours = "-" if measured is None else f"{measured:.4f}"
        if measured is not None and error is not None:
            ours += f" +- {error:.4f}"
        interval = entry["interval"]
        within = "-" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"
        rows.append((entry["name"], entry["published_text"], ours, within, entry["verdict"]))
    return rows


def command(name: str, context: Context) -> str:
    """What measures the rows that are not measured yet."""
    words = ["jaxbio", "reproduce", name, f"--seeds={context.seeds}", f"--output={context.output}"]
    if context.data is not None:
        words.append(f"--data={context.data}")
    return shlex.join([*words, *(["--dry_run"] if context.dry_run else [])])


def write_report(
    path: Path,
    name: str,
    table: Table,
    entries: Sequence[Mapping[str, Any]],
    context: Context,
) -> None:
    """Writes the page atomically; ``entries`` are those of ``results.json``."""
    about = [("what", ""), ("table", name), ("source", table.source)]
    about += [("needs", need.missing()) for need in table.needs]
    about += [("note", line) for line in table.about]
    if context.dry_run:
        about.append(("DRY RUN", "on synthetic data: the path is proven, no value means anything"))
    about.append(("command", command(name, context)))
    details = [("row", "configuration", "tolerance", "seconds", "note")]
    for entry in entries:
        tolerance = "the spread" if entry["tolerance"] is None else f"{entry['tolerance']:g}"
        details.append(
            (
                entry["name"],
                entry["configuration"],
                f"{entry['rule']}, {tolerance}",
                f"{entry['seconds']:g}",
                entry["note"],
            )
        )
    tables: dict[str, Sequence[tuple[str, ...]]]
    tables = {"Results": table_rows(entries), "Rows": details, "About": about}
    figures = {} if not entries else {"ours beside published": _figure(entries, table.quantity)}
    write_page(path, f"{table.title}{' (synthetic)' if context.dry_run else ''}", tables, figures)


def _figure(entries: Sequence[Mapping[str, Any]], quantity: str) -> Figure:
    figure, axes = panel(7, 1 + 0.22 * len(entries))
    places = range(len(entries))
    for place, entry in zip(places, entries, strict=True):
        for one in entry["published_all"]:
            axes.errorbar(one["value"], place + 0.15, xerr=one["spread"] or 0, fmt="ks", ms=3)
        if entry["measured"] is not None and math.isfinite(entry["measured"]):
            axes.errorbar(
                entry["measured"], place - 0.15, xerr=entry["error"] or 0, fmt="o", ms=4, c="C0"
            )
    axes.set_yticks(list(places), [entry["name"][:40] for entry in entries], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel(quantity)
    axes.set_title("squares: published; circles: ours", fontsize=9)
    return figure
