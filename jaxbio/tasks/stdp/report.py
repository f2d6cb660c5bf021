"""What the report of one network holds: accuracies of every readout, and their figures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting import spiking_scores as plots
from jaxbio.plotting.confusion import plot_confusion
from jaxbio.runs.metrics_file import read_metrics
from jaxbio.spiking.accuracy import (
    Accuracy,
    accuracy_by_calibration,
    accuracy_by_n,
    measure_accuracy,
    read_out,
)
from jaxbio.spiking.readouts import READOUTS, votes_from_counts
from jaxbio.tasks.stdp.activity import Counts

_CALIBRATION_POINTS = 6
_WHISKERS = "whiskers are standard errors"


def measure_readouts(
    calibration: Counts, test: Counts, num_classes: int, *, top_n: int = 1, seed: int = 0
) -> dict[str, Accuracy]:
    """Every readout on the same activity; see :func:`jaxbio.spiking.accuracy.read_out`."""
    return {
        readout: measure_accuracy(
            read_out(readout, calibration, test[0], num_classes, top_n=top_n, seed=seed),
            test[1],
            num_classes,
        )
        for readout in READOUTS
    }


def accuracy_rows(measured: Mapping[str, Accuracy]) -> list[tuple[str, ...]]:
    """Rows of text: head, then every readout with its accuracy and standard error."""
    rows: list[tuple[str, ...]]
    rows = [("readout", "accuracy %", "standard error %", "images")]
    rows += [
        (readout, f"{100 * one.accuracy:.2f}", f"{100 * one.error:.2f}", str(one.count))
        for readout, one in measured.items()
    ]
    return rows


def score_figures(
    calibration: Counts,
    test: Counts,
    measured: Mapping[str, Accuracy],
    class_names: list[str],
    top_n: int = 1,
) -> dict[str, Figure]:
    """Figures of what :func:`measure_readouts` measured, by caption.

    They are accuracy by readout, accuracy and confusion by class for the best voting, dependence on
    n and on the number of calibration images.
    """
    classes = len(class_names)
    best = max((name for name in measured if name != "linear"), key=lambda n: measured[n].accuracy)
    by_class = measured[best]
    sizes = by_class.confusion.sum(1)
    errors = np.sqrt(by_class.per_class * (1 - by_class.per_class) / np.maximum(sizes, 1))
    by_n = accuracy_by_n(*test, votes_from_counts(*calibration, classes))
    by_size = _by_calibration(best, calibration, test, classes, top_n)
    return {
        "accuracy by readout": plots.plot_accuracies(
            list(measured),
            [one.accuracy for one in measured.values()],
            [one.error for one in measured.values()],
            "readout",
            1 / classes,
            f"{by_class.count:,} images, {_WHISKERS}",
        ),
        f"accuracy by class, {best}": plots.plot_accuracies(
            class_names,
            by_class.per_class,
            errors,
            "class",
            1 / classes,
            f"{sizes[sizes > 0].min():,} to {sizes.max():,} images each, {_WHISKERS}",
        ),
        f"confusion, {best}": plot_confusion(by_class.confusion, class_names),
        "accuracy of top_n by n": _curve(by_n, "n best voters", classes, best=True),
        f"accuracy by calibration images, {best}": _curve(by_size, "calibration images", classes),
    }


def training_figure(metrics_file: Path, chance: float | None = None) -> Figure | None:
    """Test accuracy against the number of training images; None where there were no tests.

    Args:
        metrics_file: ``metrics.jsonl`` of the run; its tests have ``images`` and ``accuracy``.
        chance: accuracy of guessing, None if unknown.
    """
    tests = read_metrics(metrics_file, "images", "accuracy")
    if not tests:
        return None
    return plots.plot_accuracy_curve(
        [line["images"] for line in tests],
        [line["accuracy"] for line in tests],
        [line.get("error", 0.0) for line in tests],
        "training images",
        _WHISKERS,
        chance,
    )


def _by_calibration(
    readout: str, calibration: Counts, test: Counts, classes: int, top_n: int
) -> dict[int, Accuracy]:
    """Sizes that double, up to all; only those that have every class."""
    labels = calibration[1]
    last = max(int(np.argmax(labels == label)) for label in np.unique(labels))
    sizes = sorted({len(labels) >> k for k in range(_CALIBRATION_POINTS)})
    enough = [size for size in sizes if size > last]
    return accuracy_by_calibration(readout, calibration, test, enough, classes, top_n=top_n)


def _curve(
    by_number: Mapping[int, Accuracy], label: str, classes: int, best: bool = False
) -> Figure:
    measured = list(by_number.values())
    return plots.plot_accuracy_curve(
        list(by_number),
        [one.accuracy for one in measured],
        [one.error for one in measured],
        label,
        f"{measured[0].count:,} test images, {_WHISKERS}",
        1 / classes,
        best,
    )
