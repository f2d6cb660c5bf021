"""The readers of everything that a user hands over, by kind; each is given a path.

A reader returns, or raises an ``InputError``: whatever else it does is a failure.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxbio import features
from jaxbio.behaviour.trials import read_trials
from jaxbio.commands.main import main
from jaxbio.data import splits
from jaxbio.data.mnist import open_mnist
from jaxbio.data.settings import Settings
from jaxbio.data.shards import open_shards
from jaxbio.errors import InputError
from jaxbio.files.pictures import find_pictures, is_turned, open_picture
from jaxbio.neural import open_recordings
from jaxbio.physiology.distributions import read_csv
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.metrics_file import read_metrics
from jaxbio.spiking.classify import read_picture
from jaxbio.tasks.config import check_config, restored_config
from jaxbio.tasks.loop import _finished_table
from jaxbio.tasks.stdp.activity import recorded_counts

logging.getLogger("jaxbio").setLevel(logging.ERROR)
logging.getLogger("PIL").setLevel(logging.ERROR)
warnings.simplefilter("ignore")


def command(*words: object) -> None:
    """A command, whose one line of error is an ``InputError``; what it prints goes nowhere."""
    code = main([str(word) for word in words])
    if code:
        raise InputError


def weights(path: Path) -> None:
    command("weights", path, "--list")


def neural(path: Path) -> None:
    recordings = open_recordings(path, objects_per_category=0)
    recordings.describe()
    if recordings.stimuli.images is not None:
        recordings.stimuli.read_images(8)


def describe(path: Path) -> None:
    command("neural", "describe", path)


def feature_file(path: Path) -> None:
    with features.load(path) as file:
        for layer in file:
            assert np.asarray(file[layer]).dtype.kind in "fiu"
        assert all(isinstance(name, str) for name in (*file.images, *file.skipped))


def idx(path: Path) -> None:
    open_mnist(Settings(source="mnist", data_dir=str(path.parent.parent)))


def shards(path: Path) -> None:
    source = open_shards(Settings(source="shards", data_dir=str(path.parent)))
    for split in (source.train, source.eval):
        for i in range(len(split)):
            with contextlib.suppress(InputError):
                splits.picture(split, i)


def picture(path: Path) -> None:
    assert open_picture(path).mode in ("L", "RGB")
    is_turned(path)
    read_picture(path, 20, invert=True)


def decoding(path: Path) -> None:
    """The pipeline's decoder, on each picture of a folder; only here tensorflow is imported."""
    from jaxbio.data.decoding import decode
    from jaxbio.data.tensorflow_cpu import tf

    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        for upright in (False, True):
            with contextlib.suppress(tf.errors.InvalidArgumentError, InputError):
                decode(tf.constant(file.read_bytes()), upright)


def folder(path: Path) -> None:
    found, _ = find_pictures(path)
    for name in found:
        with contextlib.suppress(InputError):
            open_picture(name)


def activity(path: Path) -> None:
    recorded_counts(path, "d" * 32, lambda: (np.zeros((2, 2)), np.zeros(2)))


def trials(path: Path) -> None:
    read_trials(path)


def distributions(path: Path) -> None:
    read_csv(path)


def run(path: Path) -> None:
    """A run directory: lists and the page take it, whatever lies in one of their runs."""
    one, root = path.parent, path.parent.parent
    command("runs", "list", root)
    command("spiking", "--runs", root, "list")
    command("board", root, "--export", root.parent / "site")
    directory = RunDirectory(one)
    read_metrics(directory.metrics_file, "loss")

    def finished() -> None:
        results = directory.results()
        if results is not None:
            _finished_table(_Table(), directory, results)

    def resumed() -> None:
        recorded = directory.recorded()
        if recorded is not None:
            directory.record_config({}, {}, restored_config(recorded).to_dict())

    def opened() -> None:
        recorded = directory.recorded()
        check_config(restored_config(recorded or {}))

    whats: list[Callable[[], None]] = [finished, resumed, opened]
    whats.append(lambda: command("spiking", "--runs", root, "show", one.name))
    whats.append(lambda: command("curves", one, "--output", os.devnull + ".png"))
    for what in whats:
        with contextlib.suppress(InputError):
            what()


class _Table:
    def result_rows(self, results):
        rows = {k: v for k, v in results.items() if k in ("top1", "similarity", "loss")}
        return [(name, f"{value:.3f}") for name, value in rows.items()]


READERS: dict[str, Callable[[Path], None]] = {
    "weights": weights,
    "neural": neural,
    "describe": describe,
    "features": feature_file,
    "idx": idx,
    "shards": shards,
    "picture": picture,
    "decoding": decoding,
    "folder": folder,
    "activity": activity,
    "trials": trials,
    "distributions": distributions,
    "run": run,
}


def warm() -> None:
    """Imports what the readers import late, so that each fork need not."""
    import matplotlib.figure  # noqa: F401
    import scipy.io  # noqa: F401

    import jaxbio.plotting.curves
    import jaxbio.weights.reader  # noqa: F401

    jnp.float32  # noqa: B018, no backend: a fork may start one
