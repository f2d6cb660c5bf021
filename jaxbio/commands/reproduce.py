"""Measures a published table again, and says which values are reached.

jaxbio reproduce --list              # every table: source, data (found or not), time it took
jaxbio reproduce spiking --budget=30m
jaxbio reproduce spiking_networks --data=FOLDER --output=DIR

results.json and report.html in the output folder; a repeated command goes on with the rows that are
not measured.
"""

import argparse
import os
import re
import time
from pathlib import Path

from jaxbio.commands.command_line import Parser, start_jax
from jaxbio.errors import InputError

_SHOWN = 2  # of what a table misses
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def options(parser: Parser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("name", nargs="?", help="of a table, see --list")
    add("--list", action="store_true", help="all tables")
    add("--seeds", type=int, default=5, metavar="N", help="networks per row (default: 5)")
    add("--budget", type=_seconds, metavar="TIME", help="such as 90s, 30m, 2h; default: no end")
    add("--data", type=Path, metavar="FOLDER", help="default: JAXBIO_DATA_DIR")
    add("--output", type=Path, metavar="DIR", help="default: runs/reproduce/NAME")
    add(
        "--dry_run",
        action="store_true",
        help="on synthetic data of the same format: proves the path where the data is missing",
    )


def run(options: argparse.Namespace) -> None:
    """Lists the tables, or measures one.

    Raises:
        InputError: an unknown table, or no data for any of its rows.
    """
    from jaxbio.reproduce.table import Context
    from jaxbio.reproduce.tables import open_table

    data = options.data or (Path(d) if (d := os.environ.get("JAXBIO_DATA_DIR")) else None)
    if options.list:
        _list(data)
        return
    if options.name is None:
        raise InputError("which table? jaxbio reproduce --list has all")
    if options.data is not None and not options.data.is_dir():
        raise InputError(f"--data={options.data} is no folder")
    if options.seeds < 1:
        raise InputError(f"--seeds={options.seeds}: at least one network per row")
    table = open_table(options.name)
    if options.dry_run and not table.can_dry_run:
        raise InputError(f"--dry_run: {options.name} has none, it needs its data")
    deadline = None if options.budget is None else time.monotonic() + options.budget
    output = options.output or Path("runs") / "reproduce" / options.name
    context = Context(data, output, options.seeds, deadline, options.dry_run)
    start_jax()
    _run(options.name, table, context)


def _run(name: str, table, context) -> None:
    from jaxbio.reproduce.page import table_rows
    from jaxbio.reproduce.run import PENDING, measure_table
    from jaxbio.runs.progress import format_table, say

    entries = measure_table(name, table, context)
    say(f"\n{format_table(table_rows(entries))}")
    say(f"\nwritten to {context.output / 'results.json'} and {context.output / 'report.html'}")
    if entries and all(
        entry["measured"] is None and entry["verdict"] != PENDING for entry in entries
    ):
        notes = sorted({entry["note"] for entry in entries})
        more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
        raise InputError(f"{name}: nothing could be measured: {notes[0]}{more}")


def _list(data: Path | None) -> None:
    from jaxbio.reproduce.table import Context, missing
    from jaxbio.reproduce.tables import TABLES, open_table

    for name in TABLES:
        table = open_table(name)
        rows = table.rows(Context(data, Path("runs") / "reproduce" / name))
        needs = {need.what: need for need in (*table.needs, *(n for r in rows for n in r.needs))}
        lacking = missing(tuple(needs.values()), data)
        print(f"{name}: {table.title}; {len(rows)} rows\n  source: {table.source}")
        for need in lacking[:_SHOWN]:
            print(f"  MISSING {need.missing()}")
        if len(lacking) > _SHOWN:
            print(f"  MISSING besides {len(lacking) - _SHOWN} files of the same kind")
        if not lacking:
            print("  data: found")
        print(f"  time it took here: {table.took or 'never run whole'}")


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text)
    if match is None or not 0 < float(match[1]) < 1e7:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 30m or 2h")
    return float(match[1]) * _UNITS[match[2]]
