"""The networks that the author of the published spiking program has trained and saved.

Each is read as plain data and shown all 10,000 test images once; the labels come from the votes in
its file. Besides, the votes are counted anew, from the last 10,000 training images, and compared
with those in the file: what disagrees there was measured with another state of the network.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxbio.errors import InputError
from jaxbio.reproduce.table import EQUAL, Context, Measured, Need, Published, Row, Table
from jaxbio.spiking.accuracy import measure_accuracy
from jaxbio.spiking.readouts import fit_linear, predicted_labels, votes_from_counts, voting_scores
from jaxbio.tasks.stdp.imported import config_of, state_of
from jaxbio.tasks.stdp.published import FILES, PublishedNetwork, find_published, read_published
from jaxbio.tasks.stdp.task import Stdp

READOUT = "patch_voting"
STANDARD_ERRORS = 2.5  # combined, within which an accuracy is the published one
SLOPE, CORRELATION = 0.03, 0.985  # of votes: 1 +- that, at least that


def _find(data: Path) -> Path | None:
    return next((path for path in (data / "published_snn", data) if _has_networks(path)), None)


def _has_networks(path: Path) -> bool:
    return (path / "network").is_file() or any(path.glob("*/network"))


def _rows(context: Context) -> Sequence[Row]:
    folder = None if context.data is None else _find(context.data)
    if folder is None:  # the need of the table says so
        return [Row("saved networks", "all networks of the folder", rule=EQUAL)]
    rows = []
    for path in find_published(folder):
        configuration = ""
        published: tuple[Published, ...] = ()
        try:
            saved = read_published(path)
            net = saved.shape
            competition = "fixed" if saved.yy is None else "trained"
            configuration = (
                f"{net.kind.upper()} {net.filters}/{net.kernel}, {competition} competition, "
                f"refractory {net.refractory}, {saved.train_images} training images, {READOUT}, "
                f"{saved.sha256[:16]}"
            )
            score = saved.scores.get(READOUT)
            published = () if score is None else (Published(score.accuracy, score.error),)
        except InputError:
            pass  # measuring it says why
        rows.append(Row(path.absolute().name, configuration, published, rule=EQUAL, detail=path))
    return rows


def _measure(row: Row, context: Context) -> Measured:
    assert context.data is not None  # a need of the table
    saved = read_published(row.detail)
    config = config_of(saved)
    beside = [path for path in (context.data, context.data.parent) if (path / "mnist").is_dir()]
    if beside:
        config.data.data_dir = str(beside[0])
    task = Stdp(config)
    state = state_of(saved)
    calibration = task.activity(state, "calibration", drawn=False)
    test = task.activity(state, "test", drawn=False)
    counted = votes_from_counts(*calibration, task.source.num_classes)
    votes = counted if saved.votes is None else saved.votes
    readouts = {}
    for name, theirs in saved.scores.items():
        if name == "linear":
            labels = fit_linear(*calibration, task.source.num_classes, 0).predict(test[0])
        else:
            labels = predicted_labels(voting_scores(test[0], votes, name))
        ours = measure_accuracy(labels, test[1])
        readouts[name] = {
            "published": theirs.accuracy,
            "published_error": theirs.error,
            "measured": ours.accuracy,
            "error": ours.error,
        }
    if READOUT not in readouts:
        ours = measure_accuracy(predicted_labels(voting_scores(test[0], votes, READOUT)), test[1])
        readouts[READOUT] = {"measured": ours.accuracy, "error": ours.error}
    main = readouts[READOUT]
    slope, correlation = compare_votes(saved.votes, counted)
    verdict, note = _judge(saved, main, slope, correlation, counted)
    score = saved.scores.get(READOUT)
    accuracy, error = main["measured"], main["error"]
    return Measured(
        accuracy,
        error,
        (accuracy - 1.96 * error, accuracy + 1.96 * error),
        note="; ".join(note),
        verdict=verdict,
        more={
            "readout": READOUT,
            "published_error_in_file": None if score is None else score.error_in_file,
            "votes_slope": slope,
            "votes_correlation": correlation,
            "spikes_per_label": {
                "file": None if saved.votes is None else _spikes(saved.votes),
                "measured": _spikes(counted),
            },
            "thresholds_lost": saved.lost_thresholds,
            "readouts": readouts,
        },
    )


def compare_votes(theirs: np.ndarray | None, ours: np.ndarray) -> tuple[float | None, float | None]:
    """Slope of our votes over theirs, and their correlation.

    Theirs are means over draws, ours over all images: theirs are regressed on ours, since noise of
    the votes that a line is fitted on would flatten it. None where there are none, or all are the
    same (a silent network).
    """
    if theirs is None or not np.ptp(theirs) or not np.ptp(ours):
        return None, None
    x, y = (np.asarray(v, np.float64).ravel() for v in (ours, theirs))
    inverse = float(np.polyfit(x, y, 1)[0])
    return (1 / inverse if inverse else None), float(np.corrcoef(x, y)[0, 1])


def _judge(
    saved: PublishedNetwork,
    main: dict[str, Any],
    slope: float | None,
    correlation: float | None,
    counted: np.ndarray,
) -> tuple[str, list[str]]:
    notes = list(saved.notes)
    if not counted.any():
        notes.append("it is silent: no calibration image drew a spike")
    agree = (
        slope is not None
        and correlation is not None
        and abs(slope - 1) <= SLOPE
        and correlation >= CORRELATION
    )
    lost = saved.lost_thresholds and not agree
    if lost and saved.votes is not None:
        notes.append(
            f"its votes were measured with other thresholds: {_spikes(saved.votes):.0f} spikes per "
            f"label there, {_spikes(counted):.0f} here"
        )
    if "published" not in main:
        return "values wanted", [*notes, f"score.json has no accuracy of {READOUT}"]
    difference = main["measured"] - main["published"]
    combined = math.hypot(main["error"], main["published_error"])
    notes.append(f"{difference / combined:+.1f} combined standard errors" if combined else "")
    if abs(difference) <= STANDARD_ERRORS * combined:
        if lost:
            return "reached, with lost thresholds", notes
        if not agree and not saved.lost_thresholds:
            notes.append("votes differ from those in the file")
        return "reached", notes
    if lost:
        return f"thresholds lost: off by {abs(difference):.4f}", notes
    notes.append("thresholds are in the file: its score must be of another state of the network")
    return f"score of another state: off by {abs(difference):.4f}", notes


def _spikes(votes: np.ndarray) -> float:
    return float(votes.reshape(len(votes), -1).sum(1).mean())


TABLE = Table(
    title="The author's own spiking networks",
    source="score.json of each network, github.com/danielgafni/Bachelor",
    needs=(
        Need(
            f"saved networks of the published program, a folder each with {', '.join(FILES)}",
            "github.com/danielgafni/Bachelor, folder networks; give the folder with --data, or "
            "put it into JAXBIO_DATA_DIR as published_snn",
            "1 MB each",
            _find,
        ),
    ),
    took="13 min for 16 networks (busy machine, two cores)",
    rows=_rows,
    measure=_measure,
    about=(
        f"readout {READOUT} with the votes in the file, all test images once; within "
        f"{STANDARD_ERRORS} combined standard errors; MNIST comes from the folder beside, or from "
        "JAXBIO_DATA_DIR",
    ),
)
