"""Figures over time steps: what is drawn where."""

import numpy as np
import pytest

from jaxbio.plotting.recurrence import (
    plot_accuracy_over_time,
    plot_activation_maps,
    plot_rdms_over_time,
)

ARRIVAL = {"V1": 0, "IT": 2}


def drawn(axes):
    return axes.get_images()[0].get_array() if axes.get_images() else None


def test_activation_maps():
    image = np.full((8, 8, 3), 0.5)
    maps = {"V1": np.arange(3 * 16.0).reshape(3, 4, 4), "IT": np.arange(12.0).reshape(3, 2, 2)}
    axes = plot_activation_maps(image, maps, ARRIVAL).axes
    assert len(axes) == 2 * 4
    np.testing.assert_array_equal(drawn(axes[0]), image)
    np.testing.assert_array_equal(drawn(axes[2]), maps["V1"][1])
    np.testing.assert_array_equal(drawn(axes[7]), maps["IT"][2])
    assert [a.get_title() for a in axes[5:]] == ["IT, t=0", "IT, t=1", "IT, t=2"]
    colours = [a.title.get_color() for a in axes[5:]]
    assert colours[0] == colours[1] != colours[2] == "black"
    assert {a.get_images()[0].get_clim() for a in axes[1:4]} == {(0.0, 47.0)}


def test_rdms_share_a_scale_and_areas_may_have_fewer_steps():
    rdms = {"V1": np.zeros((1, 3, 3)), "IT": np.stack([np.eye(3), 2 * np.eye(3)])}
    figure = plot_rdms_over_time(rdms)
    panels = [a for a in figure.axes if a.get_images()]
    assert len(panels) == 3
    assert {a.get_images()[0].get_clim() for a in panels} == {(0.0, 2.0)}
    np.testing.assert_array_equal(drawn(panels[2]), rdms["IT"][1])


def test_accuracy():
    lines = {"rt": [0.1, 0.1, 0.8], "s": [0.9, 0.95]}
    figure = plot_accuracy_over_time(lines, chance=0.1, count=40, arrival=2)
    first, second = (bars.lines[0] for bars in figure.axes[0].containers)
    np.testing.assert_allclose(first.get_ydata(), [10, 10, 80])
    np.testing.assert_allclose(second.get_xdata(), [0, 1])
    labels = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert {"rt", "s", "before the image"} < set(labels)


def test_nothing_to_plot():
    with pytest.raises(ValueError, match="nothing to plot"):
        plot_rdms_over_time({})
    with pytest.raises(ValueError, match="nothing to plot"):
        plot_accuracy_over_time({}, chance=0.1, count=40)
