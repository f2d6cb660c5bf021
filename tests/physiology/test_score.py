"""Scores against the published distributions and against users' files."""

import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.physiology.distributions import (
    BINS,
    PUBLISHED,
    from_columns,
    histogram,
    read_csv,
)
from jaxbio.physiology.properties import STUDIES
from jaxbio.physiology.score import ks_similarity, score

# Ceilings as published: the data against itself.
PUBLISHED_CEILINGS = {
    "preferred_orientation": 0.962,
    "peak_spatial_frequency": 0.967,
    "spatial_frequency_selective": 0.963,
    "spatial_frequency_bandwidth": 0.933,
    "surround_suppression_index": 0.958,
    "grating_summation_field": 0.956,
    "surround_diameter": 0.955,
    "circular_variance": 0.959,
    "bandwidth": 0.964,
    "orthogonal_preferred_ratio": 0.962,
    "orientation_selective": 0.994,
    "circular_variance_bandwidth_ratio": 0.968,
    "orthogonal_preferred_ratio_circular_variance_difference": 0.967,
    "modulation_ratio": 0.959,
    "max_dc": 0.968,
    "texture_modulation_index": 0.948,
    "absolute_texture_modulation_index": 0.958,
    "texture_selectivity": 0.940,
    "texture_sparseness": 0.935,
    "variance_ratio": 0.939,
    "max_texture": 0.946,
    "max_noise": 0.945,
}


def _neurons(table):
    middles = (table.edges[:-1] + table.edges[1:]) / 2
    values = np.repeat(middles, table.counts)
    return np.append(values, np.full(table.undefined, np.nan))


@pytest.mark.parametrize("name", PUBLISHED)
def test_ceilings_are_the_published_ones(name):
    table = PUBLISHED[name]
    itself = score(_neurons(table), table)
    if name in PUBLISHED_CEILINGS:
        assert abs(itself.ceiling - PUBLISHED_CEILINGS[name]) < 0.01
    assert abs(itself.score - 1) < 0.01
    assert itself.p > 0.05
    assert itself.undefined == table.undefined


def test_tables_are_complete():
    neurons = {name: table.neurons for name, table in PUBLISHED.items()}
    assert neurons["preferred_orientation"] == 385
    assert neurons["peak_spatial_frequency"] == 363
    assert set(neurons.values()) == {385, 363, 87, 190}
    assert {study for study, _ in BINS.values()} == set(STUDIES)
    assert set(PUBLISHED_CEILINGS) <= set(BINS)


def test_a_distribution_on_the_wrong_side_scores_low():
    table = PUBLISHED["surround_suppression_index"]
    wrong = score(np.full(50, 1.9), table)
    assert wrong.score < 0.05
    assert wrong.p < 0.01
    # Far beyond the bins is the last bin.
    assert score(np.full(50, 99.0), table).raw == wrong.raw


def test_undefined_units():
    table = PUBLISHED["surround_diameter"]
    nothing = score(np.full(40, np.nan), table)
    assert nothing.score == 0
    assert nothing.undefined == 40
    with pytest.raises(InputError, match="no unit"):
        score(np.array([]), table)
    with pytest.raises(InputError, match="samples=0"):
        score(np.ones(3), table, samples=0)


def test_similarity_is_one_minus_the_scaled_distance():
    q = np.array([0.2, 0.3, 0.5])
    assert ks_similarity(q, q) == 1
    np.testing.assert_allclose(ks_similarity(np.array([1.0, 0, 0]), q), 0)
    np.testing.assert_allclose(ks_similarity(np.array([0, 0, 1.0]), q), 1 - 0.5 / 0.8)


def test_histograms_keep_what_is_outside():
    counts, undefined = histogram(np.array([-1, 0, 0.5, 1, 7, np.nan]), np.array([0, 0.5, 1]))
    np.testing.assert_array_equal(counts, [2, 3])
    assert undefined == 1


def test_csv_files(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("unit,circular_variance, bandwidth\na,0.25,30\nb,0.5,\nc,0.75,nan\n\n")
    tables = read_csv(path)
    assert set(tables) == {"circular_variance", "bandwidth"}
    assert tables["circular_variance"].neurons == 3
    assert tables["bandwidth"].undefined == 2
    assert tables["bandwidth"].counts.sum() == 1
    assert tables["bandwidth"].study == "ringach2002"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no column"),
        ("a,b\n1,2\n", "no column"),
        ("bandwidth,max_dc\n1\n", "line 2"),
        ("bandwidth\nwide\n", "bandwidth"),
        ("bandwidth\nnan\n", "bandwidth"),
        ("bandwidth\n", "bandwidth"),
    ],
)
def test_csv_files_that_are_none(tmp_path, text, match):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        read_csv(path)
    with pytest.raises(InputError, match="absent"):
        read_csv(tmp_path / "absent.csv")


def test_columns_of_other_shapes_are_flattened():
    found = from_columns({"max_dc": np.array([[1.0], [50.0]])}, "here")
    assert found["max_dc"].neurons == 2
    assert found["max_dc"].source == "here"


def test_too_few_defined_neurons_give_no_ceiling():
    table = from_columns({"bandwidth": np.array([20.0, *[np.nan] * 29])}, "mine.csv")["bandwidth"]
    with pytest.raises(InputError, match=r"mine\.csv: 1 of 30 neurons"):
        score(np.array([20.0]), table)
