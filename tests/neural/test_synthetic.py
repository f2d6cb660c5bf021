"""The offline stand-in."""

import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.neural import synthetic_recordings
from jaxbio.neural.rendering import centred_views, object_shapes, render


@pytest.fixture(scope="module")
def recordings():
    return synthetic_recordings(views=4, image_size=32, sites=40, repetitions=6)


def test_the_arrangement_of_cadieu(recordings):
    stimuli = recordings.stimuli
    assert stimuli.images.shape == (196, 32, 32, 3)
    labels, counts = np.unique(stimuli.labels, return_counts=True)
    assert (len(labels), set(counts)) == (7, {28})
    objects, counts = np.unique(stimuli.objects, return_counts=True)
    assert (len(objects), set(counts)) == (49, {4})
    assert recordings.responses.shape == (196, 40, 3)
    np.testing.assert_allclose(recordings.responses, recordings.repetitions.mean(0), rtol=1e-6)


def test_it_says_that_it_is_synthetic(recordings):
    assert recordings.synthetic
    assert recordings.name == "synthetic"
    assert "not measured" in recordings.describe()["source"]


def test_same_seed_same_data(recordings):
    again = synthetic_recordings(views=4, image_size=32, sites=40, repetitions=6)
    np.testing.assert_array_equal(again.responses, recordings.responses)
    np.testing.assert_array_equal(again.stimuli.images, recordings.stimuli.images)
    other = synthetic_recordings(seed=1, views=4, image_size=32, sites=40, repetitions=6)
    assert not np.array_equal(other.stimuli.images, recordings.stimuli.images)


def test_invariance_grows_over_time(recordings):
    """Views of one object grow alike: the share of variance between objects rises."""
    by_object = recordings.responses.reshape(49, 4, 40, 3)
    between = by_object.mean(1).var(axis=0).mean(0)
    total = recordings.responses.var(axis=0).mean(0)
    share = between / total
    assert share[0] < share[1] < share[2]


def test_no_image_is_blank_and_objects_differ():
    parts, colours = object_shapes(np.random.default_rng(3))
    images = render(parts, colours, centred_views(49), 24)
    assert (images.reshape(49, -1).std(axis=1) > 5).all()
    assert len(np.unique(images.reshape(49, -1), axis=0)) == 49


def test_wrong_sizes():
    with pytest.raises(InputError, match="views=0"):
        synthetic_recordings(views=0)
