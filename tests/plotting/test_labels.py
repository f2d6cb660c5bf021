"""Every figure says what its axes and colours are, and figures of accuracy say chance and n."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

from jaxbio import plotting
from jaxbio.plotting import (
    attacks,
    behaviour,
    confusion,
    curves,
    front_end,
    physiology,
    recurrence,
    responses,
    robustness,
    samples,
    similarity,
    spiking,
    spiking_scores,
)

RNG = np.random.default_rng(0)
RDM = np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
NOTE = "40 images"
LINES = [
    {"step": 1, "split": split, "loss": 2.0, "top1": 0.2, "count": 40, "rdm_loss": 0.3}
    | dict.fromkeys(("similarity", "similarity_train"), 0.4)
    | dict.fromkeys(("similarity_before", "similarity_train_before"), 0.1)
    for split in ("train", "test")
]
UNIT = physiology.UnitTuning("unit 7", np.ones((4, 4)), np.ones(6), np.ones(3), np.ones(3))
HISTOGRAM = physiology.Histogram(
    np.arange(5), np.full(4, 0.2), np.full(4, 0.25), 12, 30, "degrees", "score 0.5"
)
BEHAVIOUR = {
    "images": 40,
    "conditions": {
        c: dict.fromkeys(("accuracy", "human_accuracy"), 0.5)
        | dict.fromkeys(("error_consistency", "human_error_consistency"), 0.3)
        | {"images": 20}
        for c in ("colour", "grey")
    },
    "confusion": {"answers": ["cat", "dog", "na"], "shares": np.full((3, 2), 0.3)},
}

# Function: a call of it; whether it shows accuracies.
FIGURES = {
    attacks.plot_accuracy_under_attack: (
        ({"linf": ([0, 1 / 255], [0.9, 0.2], [(0.8, 1), (0.1, 0.3)])}, 0.1, 40),
        True,
    ),
    attacks.plot_attacked_images: (
        (np.zeros((1, 4, 4, 3)), np.ones((1, 4, 4, 3)), [("a", "b")]),
        0,
    ),
    behaviour.plot_behaviour: ((BEHAVIOUR,), True),
    confusion.plot_confusion: ((np.array([[15, 5], [10, 10]]), ["cat", "dog"], 0.1), True),
    curves.plot_curves: (({"run": LINES}, 0.1), True),
    front_end.plot_v1: ((np.zeros((8, 8, 3)), np.ones((2, 3, 3)), np.ones((2, 4, 4))), False),
    physiology.plot_tuning: (
        ([UNIT, UNIT], np.arange(4.0), np.arange(6) * 30.0, 2.0 ** np.arange(3), np.arange(1, 4)),
        False,
    ),
    physiology.plot_distributions: (({f"size_{i}": HISTOGRAM for i in range(5)},), False),
    physiology.plot_over_time: (({"size": [0.1, 0.2]}, ["0", "1"]), False),
    recurrence.plot_activation_maps: ((np.zeros((8, 8, 3)), {"V1": np.ones((2, 4, 4))}), False),
    recurrence.plot_rdms_over_time: (({"V1": np.stack([RDM, RDM])},), False),
    recurrence.plot_accuracy_over_time: (({"net": [0.1, 0.5]}, 0.1, 40, 1), True),
    responses.plot_activation_curves: ((np.arange(3.0), {"raa": {0.5: np.arange(3.0)}}), False),
    responses.plot_shifts: (({"run": {"layer": np.arange(9.0)}},), False),
    responses.plot_response_distributions: (
        ({"run": (RNG.normal(size=(40, 3)), np.arange(40) % 2)}, ["cat", "dog"]),
        False,
    ),
    robustness.plot_robustness: ((np.full((2, 2), 0.5), ["fog", "snow"], [1, 2], 0.9, 0.1, 40), 1),
    robustness.plot_robustness_comparison: (({"a": [0.5], "b": [0.6]}, ["fog"], 0.1, 40), True),
    samples.plot_samples: (([("cat", [np.zeros((4, 4, 3), np.uint8)])],), False),
    similarity.plot_rdms: (({"IT": RDM, "fc": RDM}, [*"aabbcc"]), False),
    similarity.plot_heat_map: ((np.eye(2), np.eye(2), ["V1", "IT"], ["0", "1"], "RSA"), False),
    similarity.plot_score_bars: ((["V1"], np.ones(1), np.array([[0, 2]]), (0.5, 1), "RSA"), False),
    similarity.plot_regions: (
        (["a", "b"], {"V1": np.ones(2)}, {"V1": np.ones((2, 2))}, {"V1": (0.5, 1)}, "RSA"),
        False,
    ),
    similarity.plot_mds: (({"IT": RDM[:, :2]}, [*"aabbcc"]), False),
    similarity.plot_fine_tuning: ((LINES, {"target": RDM}, "RSA", "monkey"), False),
    spiking.plot_weights: ((np.ones((2, 1, 1, 3, 3)),), False),
    spiking.plot_spikes: ((np.eye(5, 3, dtype=bool),), False),
    spiking.plot_voltages: ((np.ones((5, 2)), np.eye(5, 2), np.full(2, 2.0), ["a", "b"]), False),
    spiking.plot_voter_weights: ((np.ones((2, 3, 3)), ["a", "b"]), False),
    spiking.plot_competition_histogram: ((np.eye(3),), False),
    spiking.plot_stdp_curve: ((0.1, 1, 10, 10), False),
    spiking_scores.plot_accuracies: ((["a"], [0.5], [0.1], "readout", 0.1, NOTE), True),
    spiking_scores.plot_accuracy_curve: (([1, 2], [0.5, 0.6], [0.1, 0.1], "n", NOTE, 0.1), True),
    spiking_scores.plot_votes: (([0.7, 0.3], [0.1, 0.1]), False),
    spiking_scores.plot_scores: (([1.0, 3.0], ["a", "b"], 1), False),
    spiking_scores.plot_search: (([1, 2], [1, 1], [0.5, 0.6], "tau", "rate", False, 0.1), False),
}


def public_figures():
    for module in pkgutil.iter_modules(plotting.__path__, "jaxbio.plotting."):
        for name, member in vars(importlib.import_module(module.name)).items():
            if name.startswith("plot_") and inspect.isfunction(member):
                yield member


def label(axes, axis):
    """Its own label, that of an axes in the same row or column, or the figure's."""
    texts = [getattr(axes, f"get_{axis}label")()]
    place = axes.get_subplotspec()
    if place is not None:
        span = "rowspan" if axis == "y" else "colspan"
        for other in axes.figure.axes:
            spec = other.get_subplotspec()
            beside = spec is not None and spec.get_gridspec() is place.get_gridspec()
            if beside and getattr(spec, span) == getattr(place, span):
                texts.append(getattr(other, f"get_{axis}label")())
    texts.append(getattr(axes.figure, f"get_sup{axis}label")())
    return "".join(texts)


def check_labels(figure):
    for axes in figure.axes:
        if not axes.axison:
            continue
        bar = axes.get_label() == "<colorbar>"
        if bar:
            assert axes.get_xlabel() or axes.get_ylabel(), "a colour bar without a label"
        elif axes.name == "polar":  # angles are on its rim
            assert label(axes, "x")
        elif axes.get_xticks().size or axes.get_yticks().size or axes.get_ylabel():
            assert label(axes, "y"), axes.get_title()
            assert label(axes, "x") or not axes.get_xticks().size, axes.get_title()


def texts_of(figure):
    found = []
    figure.draw_without_rendering()
    for artist in figure.findobj(lambda a: hasattr(a, "get_text")):
        found.append(artist.get_text())
    return " ".join(found)


def test_every_figure_is_checked():
    assert set(public_figures()) == set(FIGURES)


@pytest.mark.parametrize("plot", FIGURES, ids=lambda plot: plot.__name__)
def test_axes_and_colour_bars_are_labelled(plot):
    arguments, accuracies = FIGURES[plot]
    figure = plot(*arguments)
    check_labels(figure)
    if accuracies:
        texts = texts_of(figure)
        assert "chance" in texts
        assert "40 " in texts, "of how many images"


def test_an_axis_without_a_label_is_found():
    figure = recurrence.plot_accuracy_over_time({"net": [0.1, 0.5]}, 0.1, 40)
    figure.axes[0].set_xlabel("")
    with pytest.raises(AssertionError):
        check_labels(figure)


def test_numbers_in_cells_stand_out():
    accuracy = np.linspace(0, 1, 60).reshape(6, 10)
    figure = robustness.plot_robustness(accuracy, [*"abcdef"], range(10), 1.0)
    (picture,) = figure.axes[0].images
    for text in figure.axes[0].texts:
        column, row = map(int, text.get_position())
        cell = luminance(picture.to_rgba(100 * accuracy[row, column])[:3])
        ink = luminance((0.0,) * 3 if text.get_color() == "black" else (1.0,) * 3)
        assert (max(cell, ink) + 0.05) / (min(cell, ink) + 0.05) >= 4


def luminance(rgb):
    """Of sRGB, as the Web Content Accessibility Guidelines define it."""
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_intervals_hold_the_accuracy():
    figure = recurrence.plot_accuracy_over_time({"net": [0.0, 0.5, 1.0]}, 0.1, 40)
    (bars,) = figure.axes[0].containers[0].lines[2]
    for (_, low), (_, high) in bars.get_segments():
        assert 0 <= low < high <= 100


def test_yes_and_no_are_named_and_small_numbers_have_no_exponent():
    yes = HISTOGRAM._replace(edges=np.array([0, 0.5, 1]), model=np.ones(2), measured=None)
    wide = HISTOGRAM._replace(edges=np.array([0.001, 0.1, 10, 100, 1000]))
    figure = physiology.plot_distributions({"selective": yes, "rate": wide})
    ticks = [[t.get_text() for t in axes.get_xticklabels()] for axes in figure.axes]
    assert ticks[0] == ["no", "yes"]
    assert ticks[1] == ["0.001", "0.1", "10", "100", "1000"]
