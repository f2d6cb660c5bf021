"""Parity of V1 physiology with the published program, on synthetic responses."""

import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxbio.physiology import properties, protocol
from jaxbio.physiology.receptive_fields import FieldCollector
from jaxbio.physiology.recording import field_response, firing_rate_scale
from jaxbio.physiology.score import ks_similarity
from jaxbio.physiology.stimuli import gratings

_DIR = Path(os.environ.get("JAXBIO_GOLDEN_PHYSIOLOGY_DIR") or Path(__file__).parent / "physiology")
_CASES = json.loads((_DIR / "cases.json").read_text())


@pytest.fixture(scope="module")
def gold():
    with np.load(_DIR / "physiology.npz", allow_pickle=False) as file:
        return dict(file)


def _close(ours, gold):
    np.testing.assert_allclose(ours, gold, rtol=1e-6, atol=1e-6, equal_nan=True)


_KINDS = {"orientation": "orientation", "spatial_frequency": "sf", "size": "size"}


def _responses(gold, kind):
    if kind == "texture":
        flat = gold["texture_responses"]
        return flat.reshape(len(flat), 2, 15, 15)
    flat = gold[f"{_KINDS[kind]}_responses"]
    return flat.reshape(len(flat), *protocol.SETS[kind]().shape)


def test_the_axes_are_the_published_ones(gold):
    _close(protocol.RADII, gold["radius_size"])
    _close(protocol.SPATIAL_FREQUENCIES, gold["sf"])
    _close(protocol.ORIENTATIONS, gold["orientation"])
    _close(protocol.PHASES, gold["phase"])


@pytest.mark.parametrize("study", _CASES["properties"])
def test_properties(gold, study):
    measure, kind = properties.STUDIES[study]
    found = measure(_responses(gold, kind), gold["baseline"])
    assert list(found.values) == _CASES["properties"][study]
    _close(np.stack(list(found.values.values()), 1), gold[study])


def test_firing_rates(gold):
    orientation = gold["affine_orientation"].reshape(len(gold["affine_blank"]), -1, 8)
    scale = firing_rate_scale(orientation, gold["affine_blank"])
    _close(scale, gold["affine_slope_offset"])


def test_receptive_fields(gold):
    blank = gold["rf_blank"][:, 0]
    by_position = gold["rf_responses"].reshape(len(blank), 21 * 21, -1)
    with jax.enable_x64(True):
        maps = np.stack([field_response(by_position[:, p].T, blank) for p in range(21 * 21)], 1)
    _close(maps.reshape(-1, 21, 21), gold["rf_map"])
    fields = FieldCollector(0, len(blank), 21 * 21, limit=10**6)
    for p in range(21 * 21):
        fields.add(maps[:, p])
    _close(fields.centroids(protocol.POSITIONS), gold["rf_position_yx"])
    found = fields.near(protocol.CENTRE, 0.15, protocol.POSITIONS)
    np.testing.assert_array_equal(found.units, gold["in_rf"])
    _close(found.position_yx, gold["rf_position_yx"][gold["in_rf"]])


def test_similarity_of_histograms(gold):
    _close(ks_similarity(gold["ks_p"], gold["ks_q"]), gold["ks"])


@pytest.mark.parametrize("how", ["eager", "jit", "vmap"])
def test_gratings_are_exact(gold, how):
    def draw(parameters):
        return gratings(parameters, size=gold["grating_images"].shape[1], degrees=12)

    parameters = gold["grating_parameters"]
    with jax.enable_x64(True):
        if how == "jit":
            pictures = jax.jit(draw)(parameters)
        elif how == "vmap":
            pictures = jax.vmap(draw)(parameters[:, None])[:, 0]
        else:
            pictures = draw(parameters)
    np.testing.assert_array_equal(pictures, gold["grating_images"])
