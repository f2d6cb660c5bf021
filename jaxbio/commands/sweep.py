"""Trains at every point of a grid, with several seeds, one after the other in one process.

  jaxbio sweep svp_resnet model.name=resnet18,resnet34 --seeds=0:3
  jaxbio sweep cornet_rt optimizer.learning_rate=1e-3,3e-3 data.mean=(0,0,0),(0.5,0.5,0.5)
  jaxbio train svp_resnet --seeds=0:5

Every run has a directory of its own; repeating the command goes on where it stopped. The table has
mean and standard deviation over seeds for each point of the grid, sweep.csv a line for each run.
--config.KEY=VALUE changes a key of all runs.
"""

import argparse
import itertools
import math
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxbio.commands.command_line import Parser, add_processes, start_jax
from jaxbio.commands.experiments import Override, add_experiment, chosen, open_config
from jaxbio.errors import InputError, NonFiniteError
from jaxbio.files import csv_text, write_text
from jaxbio.runs.listing import JUDGED_BY
from jaxbio.runs.progress import format_table, say
from jaxbio.runs.waiting import waiting
from jaxbio.tasks.config import check_training

_MOST_RUNS = 10_000


class Point(NamedTuple):
    """One run of a sweep.

    Attributes:
        values: what is varied, as text, by key; without the seed.
        seed: of the run.
        config: complete and checked.
        workdir: its directory.
    """

    values: dict[str, str]
    seed: int
    config: ConfigDict
    workdir: Path


def options(parser: Parser) -> None:
    """The command's arguments."""
    add_experiment(parser)
    add_seeds(parser)
    add_processes(parser)


def add_seeds(parser: Parser) -> None:
    """The flag of repeated runs."""
    parser.add_argument(
        "--seeds", metavar="FIRST:END", help="a run with each of these seeds; 0:3 is 0, 1, 2"
    )


def run(options: argparse.Namespace) -> None:
    """Trains all points."""
    experiment, changes = chosen(options)
    if experiment is None:
        raise InputError("the experiment is missing: for example jaxbio sweep svp_resnet seed=0,1")
    # One value is no grid, and --config.KEY=VALUE is the value itself.
    varied = [c for c in changes if not c[0].startswith("--") and len(_alternatives(c[2])) > 1]
    run_sweep(experiment, [c for c in changes if c not in varied], varied, options)


def run_sweep(
    experiment: str,
    fixed: Sequence[Override],
    varied: Sequence[Override],
    options: argparse.Namespace,
) -> None:
    """Trains every combination of values with every seed; prints and writes the results.

    ``fixed`` are changes of all runs, ``varied`` those whose values are lists with commas;
    ``options`` has ``seeds``, ``workdir`` and the flags of distributed runs.

    Raises:
        InputError: any of the configurations is wrong; found out before the first run.
    """
    points = _points(experiment, fixed, varied, options.seeds, options.workdir)
    folder = points[0].workdir.parent
    say(f"{len(points)} runs in {folder}; starting JAX")
    with waiting("starting JAX"):
        start_jax(options)
        import jax

        from jaxbio.tasks.loop import train

    finished: list[tuple[Point, dict[str, Any] | None]] = []
    for number, point in enumerate(points, 1):
        say(f"\n[{number}/{len(points)}] {point.workdir.name}")
        try:
            results = train(point.config, str(point.workdir))
        except NonFiniteError as error:
            say(f"diverged: {error}")
            finished.append((point, None))
            continue
        if results is None:
            break  # it was asked to stop, and said so
        finished.append((point, results))
    if jax.process_index() == 0 and finished:
        write_text(folder / "sweep.csv", _csv(finished))
        say(f"\n{format_table(summary(finished))}\n\nwritten to {folder / 'sweep.csv'}")


def summary(finished: Sequence[tuple[Point, dict[str, Any] | None]]) -> list[tuple[str, ...]]:
    """Rows of a table: for each point of the grid the mean over its seeds, never over points.

    A point without results diverged.
    """
    measured = [results for _, results in finished if results is not None]
    name = next((key for key in JUDGED_BY if measured and key in measured[0]), "result")
    groups: dict[tuple[str, ...], list[dict[str, Any] | None]] = {}
    for point, results in finished:
        groups.setdefault(tuple(point.values.values()), []).append(results)
    rows = [(*finished[0][0].values, "runs", f"{name}, mean", "SD over seeds", "diverged")]
    for values, of_point in groups.items():
        scores = [results[name] for results in of_point if results is not None]
        mean = f"{statistics.mean(scores):.4f}" if scores else "-"
        deviation = f"{statistics.stdev(scores):.4f}" if len(scores) > 1 else "-"
        lost = str(len(of_point) - len(scores))
        rows.append((*values, str(len(of_point)), mean, deviation, lost))
    return rows


def _points(
    experiment: str,
    fixed: Sequence[Override],
    varied: Sequence[Override],
    seeds: str | None,
    workdir: str | None,
) -> list[Point]:
    grid = [[(flag, key, value) for value in _alternatives(text)] for flag, key, text in varied]
    base = open_config(experiment, fixed)
    if base.get("teachers"):
        raise InputError("teachers is a sweep of its own: leave it out, or --seeds and lists")
    if seeds is not None and any(key == "seed" for _, key, _ in varied):
        raise InputError("--seeds and seed=... are both given: use one")
    numbers = [None] if seeds is None else _parse_seeds(seeds)
    count = math.prod(map(len, [numbers, *grid]))
    if count > _MOST_RUNS:
        raise InputError(f"{count} runs are more than {_MOST_RUNS}: vary less")
    folder = Path(workdir or Path("runs") / f"{base.name}_sweep")
    points = []
    for changes in itertools.product(*grid):
        values = {key: value for _, key, value in changes if key != "seed"}
        for seed in numbers:
            of_seed = [] if seed is None else [("--seeds", "seed", str(seed))]
            config = open_config(experiment, [*fixed, *changes, *of_seed])
            check_training(config)
            words = [f"{key}={value}" for key, value in [*values.items(), ("seed", config.seed)]]
            name = re.sub(r"[/\s]", "_", ",".join(words))
            points.append(Point(values, config.seed, config, folder / name))
    return points


def _alternatives(text: str) -> list[str]:
    """Values between the commas that no bracket encloses."""
    found = re.findall(r"(?:\([^()]*\)|\[[^\[\]]*\]|[^,])+", text)
    return list(dict.fromkeys(found)) or [""]


def _parse_seeds(text: str) -> range:
    first, colon, end = text.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise InputError(f"--seeds={text}: use FIRST:END, such as 0:5 for 0, 1, 2, 3, 4")
    if int(end) - int(first) > _MOST_RUNS:
        raise InputError(f"--seeds={text} are more than {_MOST_RUNS} runs: use fewer")
    return range(int(first), int(end))


def _csv(finished: Sequence[tuple[Point, dict[str, Any] | None]]) -> str:
    rows = []
    for point, results in finished:
        numbers = {k: v for k, v in (results or {}).items() if isinstance(v, int | float)}
        state = "diverged" if results is None else "finished"
        run = str(point.workdir)
        rows.append({**point.values, "seed": point.seed, "state": state, **numbers, "run": run})
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return csv_text([columns, *([row.get(name, "") for name in columns] for row in rows)])
