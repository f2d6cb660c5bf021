"""The report of a network from its recorded activity."""

import json

import numpy as np
import pytest

from jaxbio.spiking.readouts import READOUTS
from jaxbio.tasks.stdp.report import accuracy_rows, measure_readouts, score_figures, training_figure


def activity(n: int, seed: int, gain: float = 5.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    preference = 1 + gain * np.eye(3).repeat(2, 1)[labels]
    return rng.poisson(preference[:, :, None, None], (n, 6, 2, 2)), labels


def test_report():
    calibration, test = activity(48, 0), activity(30, 1)
    measured = measure_readouts(calibration, test, 3)
    assert tuple(measured) == READOUTS
    figures = score_figures(calibration, test, measured, ["a", "b", "c"])
    best = max(READOUTS[:-1], key=lambda name: measured[name].accuracy)
    curve = figures[f"accuracy by calibration images, {best}"].axes[0].lines[0]
    assert curve.get_xdata().tolist() == [3, 6, 12, 24, 48]
    assert curve.get_ydata()[-1] == pytest.approx(100 * measured[best].accuracy)
    row = ("linear", f"{100 * measured['linear'].accuracy:.2f}")
    assert row in [cells[:2] for cells in accuracy_rows(measured)]


def test_dependence_on_calibration_takes_n():
    calibration, test = activity(48, 0, 0.5), activity(60, 1, 0.5)
    measured = {"top_n": measure_readouts(calibration, test, 3, top_n=6)["top_n"]}
    others = measure_readouts(calibration, test, 3, top_n=1)["top_n"]
    assert measured["top_n"].accuracy != others.accuracy
    figures = score_figures(calibration, test, measured, ["a", "b", "c"], top_n=6)
    curve = figures["accuracy by calibration images, top_n"].axes[0].lines[0]
    assert curve.get_ydata()[-1] == pytest.approx(100 * measured["top_n"].accuracy)


def test_training_figure(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert training_figure(path) is None
    lines = [
        {"step": 2, "split": "train", "spikes": 9.0},
        {"step": 4, "split": "test", "accuracy": 0.5, "images": 40},
    ]
    path.write_text(json.dumps(lines[0]))
    assert training_figure(path) is None
    path.write_text("\n".join(map(json.dumps, lines)))
    axes = training_figure(path).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[40, 50]])
