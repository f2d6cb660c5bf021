"""One picture: reading, voting, recording, figures."""

import jax
import numpy as np
import pytest
from PIL import Image

from jaxbio.errors import InputError
from jaxbio.spiking.classify import classify, read_picture
from jaxbio.spiking.network import Network, Parameters, Weights, initial_weights
from jaxbio.tasks.stdp.figures import (
    filter_competition,
    network_figures,
    presentation_figures,
    weight_planes,
)

KEY = jax.random.key(0)
NETWORK = Network(filters=3, kernel=6, stride=2, crop=8, steps=60)
PARAMETERS = Parameters(mean_weight=0.5, c_w=-20.0)
VOTES = np.random.default_rng(0).random((4, 3, 2, 2)).astype(np.float32)
PICTURE = np.full((8, 8), 255, np.uint8)


@pytest.fixture(scope="module")
def weights():
    return initial_weights(NETWORK, PARAMETERS, KEY)


@pytest.fixture(scope="module")
def outcome(weights):
    return classify(NETWORK, PARAMETERS, weights, VOTES, PICTURE, KEY)


def test_scores_are_those_of_the_recorded_counts(outcome):
    counts = np.asarray(outcome.recording.counts).reshape(3, 2, 2)
    assert counts.sum() > 0
    np.testing.assert_array_equal(outcome.recording.spikes.sum(0), outcome.recording.counts)
    expected = (counts * VOTES).max(1).sum((1, 2))
    np.testing.assert_allclose(outcome.scores, expected, rtol=1e-5)
    assert outcome.label == expected.argmax()


def test_darkness_has_no_label(weights):
    outcome = classify(NETWORK, PARAMETERS, weights, VOTES, np.zeros((8, 8), np.uint8), KEY)
    assert outcome.label == -1


def test_figures_of_a_presentation(weights, outcome):
    figures = presentation_figures(NETWORK, PARAMETERS, weights, outcome, KEY)
    counts = np.asarray(outcome.recording.counts)
    best = int(np.argmax(counts * VOTES[outcome.label].reshape(-1)))
    filter_number, position = divmod(best, 4)
    assert figures["best_voters_weights"].axes[0].get_title() == (
        f"filter {filter_number} at ({position // 2}, {position % 2})"
    )
    shown = figures["best_voters_weights"].axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown.reshape(-1), weights.xy[position, :, filter_number])
    v = figures["best_voters_voltages"].axes[0].lines[0].get_ydata()
    np.testing.assert_array_equal(v, outcome.recording.v[:, best])
    dots = figures["spikes"].axes[0].collections[0].get_offsets()
    assert len(dots) == counts.sum()
    assert set(figures) > {"scores", "random_neuron_voltage", "best_voters_spikes", "activity"}


@pytest.mark.parametrize("kind", ["lc", "c", "fc"])
def test_weight_planes_are_what_the_windows_hold(kind):
    network = Network(kind=kind, filters=2, kernel=8 if kind == "fc" else 6, stride=2, crop=8)
    weights = initial_weights(network, PARAMETERS, KEY)
    planes = weight_planes(network, weights)
    side = network.side if kind == "lc" else 1
    assert planes.shape == (2, side, side, network.kernel, network.kernel)
    place = side * side - 1
    np.testing.assert_array_equal(planes[1, -1, -1].reshape(-1), weights.xy[place, :, 1])


def test_trained_competition_has_figures():
    network = Network(filters=3, kernel=6, stride=2, crop=8, trained_competition=True)
    yy = np.zeros((12, 12), np.float32)
    yy[0 * 4 + 2, 1 * 4 + 2] = -8.0  # filter 0 to filter 1, at the third of four positions
    weights = Weights(*initial_weights(network, PARAMETERS, KEY)[:2], yy)
    between = filter_competition(network, weights)
    assert between[0, 1] == -2.0
    assert np.count_nonzero(between) == 1
    figures = network_figures(network, PARAMETERS, weights, VOTES)
    names = {"weights", "stdp", "competition_histogram", "competition", "competition_stdp", "votes"}
    assert set(figures) == names
    after, before = figures["stdp"].axes[0].lines[:2]
    assert (after.get_ydata()[0], before.get_ydata()[0]) == (1e-2, -1e-4)
    assert figures["stdp"].axes[0].get_ylabel() == "change of weight"
    assert figures["competition_stdp"].axes[0].get_ylabel() == "change of weight (mV)"


def test_an_uncalibrated_network_has_fewer_figures(weights):
    assert set(network_figures(NETWORK, PARAMETERS, weights, None)) == {"weights", "stdp"}
    assert set(network_figures(NETWORK, PARAMETERS, weights, 0 * VOTES)) == {"weights", "stdp"}


def test_pictures_are_read_square_and_grey(tmp_path):
    colour = np.zeros((40, 20, 3), np.uint8)
    colour[10:30] = 255
    Image.fromarray(colour).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", 10)
    assert picture.shape == (10, 10)
    assert (picture == 255).all()  # the central square
    assert (read_picture(tmp_path / "a.png", 10, invert=True) == 0).all()
    exact = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(exact).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png", 8), exact)


def test_deep_pictures_keep_their_grey_levels(tmp_path):
    levels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(levels * 257).save(tmp_path / "deep.png")  # 65,535 is white
    np.testing.assert_array_equal(read_picture(tmp_path / "deep.png", 8), levels)
    Image.fromarray(levels.astype(np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(InputError, match="pixels of mode F: save it with 8 bits"):
        read_picture(tmp_path / "float.tiff", 8)


def test_transparent_paper_is_no_ink_and_photographs_stand_upright(tmp_path):
    """Black ink on transparent paper is dark on white, white ink on it light on black."""
    for ink, invert in ((0, True), (255, False)):
        drawn = np.zeros((8, 8, 4), np.uint8)
        drawn[2:4, 1:7] = (ink, ink, ink, 255)
        Image.fromarray(drawn).save(tmp_path / "ink.png")
        picture = read_picture(tmp_path / "ink.png", 8, invert=invert)
        np.testing.assert_array_equal(picture, 255 * (drawn[..., 3] > 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "turned.png", 8), np.rot90(picture, -1))


@pytest.mark.parametrize("picture", [np.ones((8, 8), np.float32), np.full((8, 8), -1)])
def test_what_are_no_grey_levels_is_refused(weights, picture):
    with pytest.raises(InputError, match="0 to 255"):
        classify(NETWORK, PARAMETERS, weights, VOTES, picture, KEY)


def test_errors(tmp_path, weights):
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png.* no picture"):
        read_picture(tmp_path / "text.png", 8)
    with pytest.raises(InputError, match=r"none\.png does not exist"):
        read_picture(tmp_path / "none.png", 8)
    with pytest.raises(InputError, match=r"shape \(9, 8\): the network sees 8 by 8"):
        classify(NETWORK, PARAMETERS, weights, VOTES, np.zeros((9, 8)), KEY)
    with pytest.raises(InputError, match="not calibrated"):
        classify(NETWORK, PARAMETERS, weights, None, PICTURE, KEY)
    with pytest.raises(InputError, match="unknown readout 'x'"):
        classify(NETWORK, PARAMETERS, weights, VOTES, PICTURE, KEY, readout="x")
    with pytest.raises(InputError, match="unknown encoder 'x'"):
        classify(NETWORK, PARAMETERS, weights, VOTES, PICTURE, KEY, encoder="x")
