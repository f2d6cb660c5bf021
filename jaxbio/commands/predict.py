"""Says what a trained classifier sees in pictures.

  jaxbio predict runs/svp_resnet_imagenet cat.jpg photographs/
  jaxbio predict svp_resnet digit.png --top=3 --output=predictions.csv

Pictures are prepared as in the evaluation, and turned as their camera says. The CSV has the
probability of every class; of a spiking network (task stdp) the share of the votes.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from jaxbio.commands.command_line import Parser, start_jax
from jaxbio.commands.experiments import find_run, open_config
from jaxbio.errors import InputError
from jaxbio.files import csv_text, read_json, write_text
from jaxbio.runs.progress import format_table

if TYPE_CHECKING:
    import numpy as np


def options(parser: Parser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("run", metavar="RUN", help="run directory, or the experiment whose run is in runs/")
    add("pictures", nargs="+", metavar="FILE", help="pictures, or folders of them")
    add("--config", metavar="EXPERIMENT", help="of converted weights: image size and normalisation")
    add("--checkpoint", default="best", metavar="WHICH", help="best (default), last or a step")
    add("--top", type=int, default=1, metavar="N", help="classes to show; default: 1")
    add("--output", metavar="FILE", help="CSV to write")
    add("--invert", action="store_true", help="spiking networks: dark digits on light paper")


def run(options: argparse.Namespace) -> None:
    """Predicts, prints a table, writes the CSV."""
    workdir = find_run(options.run)
    recorded = read_json(workdir / "config.json")
    task = recorded.get("config", {}).get("task", "classification")
    if task not in ("classification", "stdp"):
        raise InputError(
            f"{workdir} is a run of task {task}, whose network was fitted to distances between "
            "pictures and names none: predict with the classifier that it began from"
        )
    if options.top < 1:
        raise InputError(f"--top={options.top}: use 1 or more")
    if task == "stdp":
        _predict_spiking(options, workdir)
        return
    if options.invert:
        raise InputError("--invert is for spiking networks")
    config = None if options.config is None else open_config(options.config)
    start_jax()
    from jaxbio.data.class_names import readable
    from jaxbio.data.settings import read_settings
    from jaxbio.features.pictures import given_pictures
    from jaxbio.measures.predictions import predict
    from jaxbio.tasks.classification.opened import open_session

    try:
        session = open_session(config, str(workdir), options.checkpoint)
    except InputError:  # its data may be elsewhere; the pictures are the user's own
        session = open_session(config, str(workdir), options.checkpoint, with_data=False)
    names = session.class_names
    if names is None and session.source is not None:
        names = session.source.class_names
    one_size = session.source is not None and session.source.one_size
    pictures = given_pictures(options.pictures, one_size=one_size)
    size = min(
        session.config.eval.batch_size, -(-len(pictures) // session.mesh.size) * session.mesh.size
    )
    settings = read_settings(session.config.data)
    settings = dataclasses.replace(settings, max_bad_files=0, exif_rotation=True)
    found = predict(session, pictures.batches(settings, size))
    if names is None or len(names) != found.shape[1]:
        names = [str(number) for number in range(found.shape[1])]
    _tell(options, pictures.names, [readable(name) for name in names], found)


def _predict_spiking(options: argparse.Namespace, workdir: Path) -> None:
    import numpy as np

    from jaxbio.features.pictures import given_pictures
    from jaxbio.spiking.classify import read_picture
    from jaxbio.tasks.stdp.registry import find_network
    from jaxbio.tasks.stdp.saved import open_network

    if options.config is not None:
        raise InputError(f"--config is for converted weights, {workdir} is a run of task stdp")
    pictures = given_pictures(options.pictures)
    start_jax()
    saved = open_network(find_network(workdir.parent, workdir.name), options.checkpoint)
    votes = []
    for file in pictures.paths:
        pixels = saved.fitted(read_picture(Path(file), saved.picture_size, options.invert))
        votes.append(saved.classify(pixels, saved.task.config.seed).scores)
    scores = np.asarray(votes, np.float64)
    shares = scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-12)
    _tell(options, pictures.names, saved.class_names, shares)


def _tell(
    options: argparse.Namespace, files: list[str], names: list[str], probabilities: "np.ndarray"
) -> None:
    print(format_table(_rows(files, names, probabilities, options.top)))
    if options.output:
        write_text(options.output, _csv(files, names, probabilities))
        print(f"\nwritten to {options.output}")


def _rows(
    files: list[str], names: list[str], probabilities: "np.ndarray", top: int
) -> list[tuple[str, ...]]:
    shown = min(top, len(names))
    heads = [f"class {number}" for number in range(1, shown + 1)] if shown > 1 else ["class"]
    rows = [("picture", *heads)]
    for file, row in zip(files, probabilities, strict=True):
        order = (-row).argsort(kind="stable")[:shown]
        rows.append((file, *(f"{names[i]} ({100 * row[i]:.1f} %)" for i in order)))
    return rows


def _csv(files: list[str], names: list[str], probabilities: "np.ndarray") -> str:
    rows = [["picture", "class", "probability", *names]]
    for file, row in zip(files, probabilities, strict=True):
        best = int(row.argmax())
        rows.append([file, names[best], f"{row[best]:.6g}", *(f"{p:.6g}" for p in row)])
    return csv_text(rows)
