import numpy as np
import pytest

from jaxbio.plotting.curves import plot_curves

_LINES = [
    {"step": 10, "split": "train", "loss": 2.0, "top1": 0.2},
    {"step": 20, "split": "train", "loss": 1.0, "top1": 0.6},
    {"step": 20, "split": "test", "loss": 1.5, "top1": 0.5},
]


def test_each_run_has_its_training_and_test_curves():
    figure = plot_curves({"a": _LINES, "b": _LINES})
    loss, accuracy = figure.axes
    assert len(loss.lines) == len(accuracy.lines) == 4
    train, test = accuracy.lines[:2]
    np.testing.assert_allclose(train.get_ydata(), [20.0, 60.0])
    np.testing.assert_allclose(test.get_xydata(), [[20.0, 50.0]])


def test_tests_that_say_of_how_many_images_have_intervals():
    known = [*_LINES[:2], _LINES[2] | {"count": 100}]
    accuracy = plot_curves({"a": known, "b": [*_LINES[:2], _LINES[2] | {"count": "ten"}]}).axes[1]
    (bars,) = accuracy.containers
    ((_, low), (_, high)) = bars.lines[2][0].get_segments()[0]
    np.testing.assert_allclose([low, high], [40.4, 59.6], atol=0.05)  # Wilson, 50 of 100


def test_no_run_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        plot_curves({})
