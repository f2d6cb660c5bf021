import numpy as np
import pytest

from jaxbio.plotting.similarity import (
    plot_fine_tuning,
    plot_heat_map,
    plot_mds,
    plot_rdms,
    plot_score_bars,
)

_RDM = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))


def test_scaling_shows_pictures_where_there_are_some():
    places, pictures = np.eye(5, 2), np.zeros((5, 4, 4, 3), np.uint8)
    (bare,) = plot_mds({"a": places}, [*"xxyyy"]).axes
    (shown,) = plot_mds({"a": places}, [*"xxyyy"], pictures).axes
    assert not bare.artists
    np.testing.assert_array_equal([artist.xy for artist in shown.artists], places)


def test_rdms_share_a_scale_and_mark_categories():
    figure = plot_rdms({"a": _RDM, "b": 7 * _RDM}, ["x", "x", "y", "y", "y"])
    first, second = (axes.images[0].get_array() for axes in figure.axes[:2])
    np.testing.assert_array_equal(first, second)  # ranks do not know of the factor
    assert first[0, 0] == 0
    assert first.max() == 100
    assert len(figure.axes[0].lines) == 2
    with pytest.raises(ValueError, match="no RDM"):
        plot_rdms({})


def test_heat_map_leaves_out_what_is_missing():
    scores = np.array([[0.1, 0.2], [np.nan, 0.4]])
    halves = np.array([[0.01, 0.03], [np.nan, np.nan]])
    axes = plot_heat_map(scores, halves, ["V1", "IT"], ["0", "1"], "SIT").axes[0]
    texts = sorted(text.get_text() for text in axes.texts)
    assert texts == ["0.10\n± 0.01", "0.20\n± 0.03", "0.40"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["V1", "IT"]


def test_score_bars_have_intervals_and_a_ceiling():
    intervals = np.array([[0.1, 0.4], [np.nan, np.nan]])
    axes = plot_score_bars(["a", "b"], np.array([0.2, 0.3]), intervals, (0.6, 0.7), "r").axes[0]
    assert [round(bar.get_height(), 3) for bar in axes.patches[:2]] == [0.2, 0.3]
    whisker = axes.containers[0].lines[2][0].get_segments()[0]
    np.testing.assert_allclose(whisker[:, 1], [0.1, 0.4])
    assert "noise ceiling" in [t.get_text() for t in axes.get_legend().get_texts()]
    without = plot_score_bars(["a"], np.array([0.2]), intervals[:1], None, "r").axes[0]
    assert without.get_legend() is None


def test_scaling_has_one_colour_per_category():
    places = {"brain": np.zeros((4, 2)), "layer": np.ones((4, 2))}
    figure = plot_mds(places, ["x", "y", "x", "z"])
    assert [len(axes.collections) for axes in figure.axes] == [3, 3]
    with pytest.raises(ValueError, match="nothing to plot"):
        plot_mds({}, [])


def test_fine_tuning_starts_at_the_score_before():
    test = {"similarity": 0.5, "similarity_before": 0.2}
    test |= {"similarity_train": 0.6, "similarity_train_before": 0.1}
    lines = [
        {"step": 5, "split": "train", "rdm_loss": 0.3},
        {"step": 10, "split": "test", **test},
    ]
    figure = plot_fine_tuning(lines, {"target": _RDM, "after": _RDM}, "SIT", "monkey")
    held_out = figure.axes[1].lines[0]
    np.testing.assert_array_equal(held_out.get_xdata(), [0, 10])
    np.testing.assert_array_equal(held_out.get_ydata(), [0.2, 0.5])
