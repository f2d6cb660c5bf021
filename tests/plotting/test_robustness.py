import numpy as np

from jaxbio.plotting.robustness import plot_robustness, plot_robustness_comparison


def test_heat_map_shows_every_cell():
    accuracy = np.array([[0.1, 0.2, 0.3], [0.9, 0.8, 0.72]])
    figure = plot_robustness(accuracy, ["fog", "gaussian_noise"], [1, 3, 5], clean=0.95)
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), 100 * accuracy)
    assert [text.get_text() for text in axes.texts] == ["10", "20", "30", "90", "80", "72"]
    assert "95.0" in axes.get_title()


def test_bars_of_every_run():
    errors = {"svp": [0.1, 0.2], "plain": [0.3, 0.4]}
    figure = plot_robustness_comparison(errors, ["fog", "mean"], chance=0.1, count=40)
    assert [bar.get_height() for bar in figure.axes[0].patches] == [10, 20, 30, 40]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"svp", "plain", "error of chance, 90 %"} == set(names)
