"""Figures of spiking networks: what they draw, not how it looks."""

import numpy as np
import pytest

from jaxbio.plotting import spiking as plots
from jaxbio.plotting import spiking_scores as scores
from jaxbio.plotting.confusion import plot_confusion
from jaxbio.plotting.saving import png_bytes, save_figure

RNG = np.random.default_rng(0)


def test_weights_are_tiled_by_filter_and_position():
    weights = RNG.random((5, 2, 3, 4, 4))
    figure = plots.plot_weights(weights, counts=np.arange(5))
    sheet = figure.axes[0].images[0].get_array()
    assert sheet.shape == (2 * (8 + 1) - 1, 3 * (12 + 1) - 1)
    np.testing.assert_array_equal(sheet[9 + 4 : 9 + 8, 13 + 8 : 13 + 12], weights[4, 1, 2])
    assert np.ma.is_masked(sheet[8, 0]) or np.isnan(sheet[8, 0])
    assert [text.get_text() for text in figure.axes[0].texts] == list("01234")
    with pytest.raises(ValueError, match=r"weights of shape \(5, 4, 4\)"):
        plots.plot_weights(weights[:, 0, 0])


def test_competition_draws_its_stronger_half():
    competition = -np.array([[0, 100, 60], [40, 0, 0], [90, 10, 0]])
    figure = plots.plot_weights(RNG.random((3, 1, 1, 2, 2)), competition=competition)
    assert len(figure.axes[0].lines) == 3


def test_spikes_are_dots_at_their_times():
    spikes = np.zeros((10, 3), bool)
    spikes[[2, 7], [1, 2]] = True
    figure = plots.plot_spikes(spikes, dt=0.5, names=list("abc"))
    dots = figure.axes[0].collections[0].get_offsets()
    np.testing.assert_array_equal(dots, [[1.0, 1], [3.5, 2]])
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == list("abc")


def test_voltages_have_a_panel_per_neuron():
    v = RNG.normal(-60, 2, (20, 2))
    figure = plots.plot_voltages(v, v > -57, np.array([-52.0, -51.0]), ["one", "two"])
    assert len(figure.axes) == 2
    line, level = figure.axes[1].lines[:2]
    np.testing.assert_array_equal(line.get_ydata(), v[:, 1])
    assert level.get_ydata()[0] == -51.0


def test_voters_share_a_scale():
    weights = RNG.random((7, 3, 3))
    figure = plots.plot_voter_weights(weights, [str(i) for i in range(7)])
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 7
    assert {image.norm.vmax for image in images} == {weights.max()}


def test_competition_histogram_counts_the_masked_pairs():
    competition = -np.arange(16.0).reshape(4, 4)
    mask = np.triu(np.ones((4, 4), bool), 1)
    axes = plots.plot_competition_histogram(competition, mask).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 6


def test_stdp_curve_has_the_signs_of_the_rule():
    axes = plots.plot_stdp_curve(-0.05, -1.6, 17.0, 16.0).axes[0]
    after, before = axes.lines[:2]
    assert after.get_ydata()[0] == -1.6
    assert before.get_ydata()[0] == 0.05
    np.testing.assert_allclose(after.get_ydata()[-1], -1.6 * np.exp(-4.0))
    assert before.get_xdata().max() <= 0 <= after.get_xdata().min()


def test_accuracies_and_curves_are_in_percent():
    bars = scores.plot_accuracies(["a", "b"], [0.5, np.nan], [0.1, 0.0], "class", 0.5, "4 images")
    bars = bars.axes[0].patches
    assert bars[0].get_height() == 50.0
    curve = scores.plot_accuracy_curve(
        [1, 2, 4], [0.5, 0.9, 0.7], [0.1] * 3, "n", "4 images", best=True
    )
    assert "best 90.0 % at 2" in curve.axes[0].get_title()


def test_confusion_has_a_column_of_those_without_an_answer():
    confusion = np.array([[3, 0, 1], [0, 0, 0]])
    axes = plot_confusion(confusion, ["0", "1"]).axes[0]
    shown = np.ma.filled(axes.images[0].get_array(), 0)
    np.testing.assert_array_equal(shown, [[75, 0, 25], [0, 0, 0]])
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "1", "none"]
    assert {text.get_text() for text in axes.texts} == {"75", "25"}


def test_votes_and_scores():
    assert len(scores.plot_votes([0.7, 0.3], [0.1, 0.1]).axes[0].patches) == 2
    assert scores.plot_scores([1.0, 3.0], ["a", "b"], 1).axes[0].get_title() == "label b"
    assert scores.plot_scores([0.0, 0.0], ["a", "b"], -1).axes[0].get_title() == "no label"


def test_search_averages_seeds_and_leaves_holes():
    axes = scores.plot_search([1, 1, 2], [5, 5, 6], [0.4, 0.6, 0.9], "x", "y").axes[0]
    assert {text.get_text() for text in axes.texts} == {"50.0\n± 14.1", "90.0"}
    np.testing.assert_allclose(axes.images[0].get_array(), [[50, np.nan], [np.nan, 90]])
    full = [1, 2, 1, 2], [5, 5, 6, 6], [0.1, 0.2, 0.3, 0.4]
    assert scores.plot_search(*full, "x", "y", surface=True).axes[0].name == "3d"
    with pytest.raises(ValueError, match="full grid"):
        scores.plot_search([1, 1, 2], [5, 5, 6], [0.4, 0.6, 0.9], "x", "y", surface=True)
    with pytest.raises(ValueError, match="one per network"):
        scores.plot_search([], [], [], "x", "y")


def test_saving_is_atomic_and_makes_the_folder(tmp_path):
    figure = scores.plot_votes([0.7, 0.3], [0.1, 0.1])
    target = tmp_path / "report" / "votes.png"
    save_figure(figure, target)
    assert target.read_bytes()[:4] == png_bytes(figure)[:4] == b"\x89PNG"
    before = target.read_bytes()
    figure.savefig = None  # fails halfway
    with pytest.raises(TypeError):
        save_figure(figure, target)
    assert target.read_bytes() == before
    assert list(target.parent.iterdir()) == [target]
