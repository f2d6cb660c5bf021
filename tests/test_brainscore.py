"""The Brain-Score bridge, with small stand-ins for what Brain-Score brings.

The same code was run with the real classes in an environment of their own: docs/brainscore.md.
"""

import itertools
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from PIL import Image

from jaxbio.brainscore import ActivationsModel, TemporalCommitment
from jaxbio.errors import InputError
from jaxbio.models.cornet_s import CORnetS
from jaxbio.ops.images import Preprocessing

_SIZE = 8


class Recurrent(nn.Module):
    """IT has two steps, V1 one; each is a known function of the image."""

    @nn.compact
    def __call__(self, x, train=False):
        pooled = nn.avg_pool(x, (4, 4), (4, 4))
        scale = self.param("scale", nn.initializers.ones, ())
        endpoints = {
            "V1": (scale * pooled)[None],
            "IT": jnp.stack([2.0 * pooled, 3.0 * pooled]),
            "penultimate": pooled.mean((1, 2)),
        }
        return pooled.mean((1, 2)), endpoints


class FakeAssembly:
    """A presentation x neuroid array that knows its coordinates, as xarray's do."""

    def __init__(self, values, coords, dims):
        self.values, self.dims, self.flat = np.asarray(values), list(dims), coords
        self.shape = self.values.shape
        self.indexes = {}
        self.coords = {
            name: SimpleNamespace(dims=(dim,), values=np.asarray(v))
            for name, (dim, v) in coords.items()
        }

    def transpose(self, *dims):
        order = [self.dims.index(dim) for dim in dims]
        return FakeAssembly(self.values.transpose(order), self.flat, dims)


class FakeExtractor:
    """Calls back like Brain-Score's helper: preprocess paths, get activations, package."""

    def __init__(self, get_activations, preprocessing, identifier, batch_size):
        self._get, self._read = get_activations, preprocessing

    def insert_attrs(self, wrapper):
        wrapper.from_paths = self

    def __call__(self, stimuli, layers, number_of_trials=1):
        (values,) = self._get(self._read(stimuli), layers).values()
        flat = values.reshape(len(values), -1)
        coords = {
            "stimulus_id": ("presentation", [str(s) for s in stimuli]),
            "layer": ("neuroid", [layers[0]] * flat.shape[1]),
            "neuroid_num": ("neuroid", list(range(flat.shape[1]))),
        }
        # The other way round, to see that names decide.
        return FakeAssembly(flat.T, coords, ("neuroid", "presentation"))


@pytest.fixture
def activations():
    model = Recurrent()
    variables = model.init(jax.random.key(0), jnp.zeros((1, _SIZE, _SIZE, 3)))
    return ActivationsModel(
        model,
        variables,
        identifier="tiny",
        preprocessing=Preprocessing(_SIZE, (0.5,) * 3, (0.5,) * 3),
        make_extractor=FakeExtractor,
    )


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    files = []
    for i in range(3):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(rng.integers(0, 256, (_SIZE, _SIZE, 3), np.uint8)).save(files[-1])
    return files


def _commitment(activations, **bins):
    bins = bins or {"V1": [(50, 150)], "IT": [(100, 200), (200, 300)]}
    return TemporalCommitment(activations, bins, make_assembly=FakeAssembly)


def test_import_needs_no_brain_score():
    assert not [name for name in sys.modules if name.startswith("brainscore")]


def test_steps_are_layers(activations, paths):
    assert activations.layer_names == ["V1@0", "IT@0", "IT@1", "penultimate"]
    images = activations.read_images(paths)
    found = activations.get_activations(images, ["IT@0", "IT", "V1@0", "penultimate"])
    pooled = (images / 127.5 - 1).reshape(3, 2, 4, 2, 4, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    for name, factor in (("IT@0", 2), ("IT", 3), ("V1@0", 1)):
        np.testing.assert_allclose(found[name], factor * pooled, atol=1e-5)
    assert found["penultimate"].shape == (3, 3)
    for wrong in ("V4", "IT@2", "IT@x", "penultimate@0"):
        with pytest.raises(InputError, match="use some of V1@0, IT@0"):
            activations.get_activations(images, [wrong])


def test_requested_bins_take_the_step_that_overlaps_most(activations, paths):
    brain = _commitment(activations)
    brain.start_recording("IT", [(70, 170), (190, 260), (150, 250), (400, 500), (0, 10)])
    assembly = brain.look_at(paths)
    assert assembly.dims == ["presentation", "neuroid", "time_bin"]
    steps = [activations([*paths], layers=[f"IT@{t}"]).values.T for t in (0, 1)]
    for place, step in enumerate((0, 1, 0, 1, 0)):
        np.testing.assert_array_equal(assembly.values[:, :, place], steps[step])
    assert assembly.flat["time_bin_start"] == ("time_bin", [70.0, 190.0, 150.0, 400.0, 0.0])
    assert set(assembly.flat["region"][1]) == {"IT"}
    assert len(set(assembly.flat["neuroid_id"][1])) == assembly.shape[1]
    assert list(assembly.flat["stimulus_id"][1]) == [str(p) for p in paths]


def test_recording_targets_may_be_enumerations(activations, paths):
    brain = _commitment(activations)
    brain.start_recording(SimpleNamespace(value="V1"), [(50, 150)])
    assert brain.look_at(paths).shape == (3, 12, 1)
    assert brain.identifier == "tiny"
    assert brain.visual_degrees() == 8


def test_what_does_not_fit_is_refused(activations, paths):
    with pytest.raises(InputError, match=r"time_bins\['IT'\] has 1 bins, .* 2 steps"):
        _commitment(activations, IT=[(100, 200)])
    with pytest.raises(InputError, match="no time bins for the region V4: committed are V1, IT"):
        _commitment(activations).start_recording("V4", [(0, 1)])
    with pytest.raises(InputError, match="before start_recording"):
        _commitment(activations).look_at(paths)


def test_the_published_bins_of_cornet_s():
    """50-150 ms in V1, 70-270 in V2, 90-290 in V4, 100-300 in IT, in 1, 2, 4 and 2 equal bins."""
    for region, (start, end, count) in {
        "V1": (50, 150, 1),
        "V2": (70, 270, 2),
        "V4": (90, 290, 4),
        "IT": (100, 300, 2),
    }.items():
        edges = np.linspace(start, end, count + 1)
        expected = list(itertools.pairwise(edges))
        assert [tuple(map(float, b)) for b in CORnetS.time_bins[region]] == expected
