"""The table and the figures of a population."""

import numpy as np
import pytest

from jaxbio.tasks.stdp.results import grid_points, search_csv, search_figures, search_table


def population(*rows):
    """Members from (mean_weight, c_w, accuracy)."""
    return [
        {
            "seed": number,
            "mean_weight": mean_weight,
            "c_w": c_w,
            "readouts": {"linear": {"accuracy": accuracy, "error": 0.01}},
        }
        for number, (mean_weight, c_w, accuracy) in enumerate(rows)
    ]


FULL = population(
    (0.4, -60, 0.5), (0.4, -60, 0.7), (0.4, -80, 0.8), (0.5, -60, 0.9), (0.5, -80, 0.2)
)


def test_seeds_of_a_point_are_one_row():
    head, *rows = search_table(grid_points(FULL))
    assert head == ("mean_weight", "c_w", "seeds", "linear %")
    assert rows[0] == ("0.4", "-60", "2", "60.00 +- 14.14")
    assert rows[1:] == [
        ("0.4", "-80", "1", "80.00"),
        ("0.5", "-60", "1", "90.00"),
        ("0.5", "-80", "1", "20.00"),
    ]


def test_csv():
    lines = search_csv(grid_points(FULL)).splitlines()
    assert lines[0] == "mean_weight,c_w,seeds,linear,linear_std"
    assert [float(v) for v in lines[1].split(",")] == pytest.approx([0.4, -60, 2, 0.6, 0.1414214])
    assert lines[2] == "0.4,-80,1,0.8,"


def test_seeds_alone_are_one_row():
    members = [{k: m[k] for k in ("seed", "readouts")} for m in FULL[:2]]
    assert search_table(grid_points(members))[1:] == [("2", "60.00 +- 14.14")]
    assert search_figures(grid_points(members), "linear") == {}


def test_two_parameters_have_a_map_and_a_surface():
    figures = search_figures(grid_points(FULL), "linear")
    assert set(figures) == {"search_mean_weight_c_w", "surface_mean_weight_c_w"}
    picture = figures["search_mean_weight_c_w"].axes[0].images[0].get_array()
    np.testing.assert_allclose(picture, [[80, 20], [60, 90]])
    row = search_figures(grid_points(FULL[:3]), "linear")  # one mean_weight
    assert set(row) == {"search_mean_weight_c_w"}


def test_one_parameter_has_a_curve():
    members = [{k: v for k, v in m.items() if k != "c_w"} for m in (FULL[3], *FULL[:2])]
    figures = search_figures(grid_points(members), "linear")
    line = figures["search_mean_weight"].axes[0].lines[0]
    np.testing.assert_allclose(line.get_xydata(), [[0.4, 60], [0.5, 90]])
