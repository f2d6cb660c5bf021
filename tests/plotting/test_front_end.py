import numpy as np
import pytest

from jaxbio.plotting.front_end import plot_v1


def test_tiles_keep_their_places():
    filters = np.zeros((3, 2, 2))
    filters[2, 0, 0] = -4.0
    figure = plot_v1(np.zeros((8, 8, 3)), filters, np.ones((3, 2, 2)), columns=2)
    sheet = np.asarray(figure.axes[1].images[0].get_array())
    assert sheet.shape == (5, 5)
    assert sheet[3, 0] == -1.0  # third tile: second row, first column; scaled to its magnitude


def test_filters_and_maps_of_different_cells_are_refused():
    with pytest.raises(ValueError, match="3 filters and 2 maps"):
        plot_v1(np.zeros((8, 8, 3)), np.zeros((3, 2, 2)), np.zeros((2, 2, 2)))
