"""The mode ``physiology`` on a model whose layers are known functions of the images."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from PIL import Image

from configs import base
from jaxbio.errors import InputError
from jaxbio.measures.measure import chosen_measure, measure
from jaxbio.ops.gabor import GaborParameters, gabor_kernels
from jaxbio.ops.images import Preprocessing
from jaxbio.physiology import protocol
from jaxbio.physiology.distributions import PUBLISHED

_SIZE = 64
_ORIENTATIONS = np.array([0.0, 45, 90, 135])


class Layers(nn.Module):
    """Simple and complex cells at four orientations, the same in time, a layer without space."""

    arrival_steps = {"area": 1}  # noqa: RUF012 - what networks with time declare

    @nn.compact
    def __call__(self, x, train=False):
        ones = np.ones(4)
        parameters = GaborParameters(1.5 * ones, _ORIENTATIONS, 0 * ones, 0.5 * ones, 0.5 * ones)
        maps = []
        for quadrature in (0, 1):
            kernels = gabor_kernels(
                parameters, pixels_per_degree=8, kernel_size=13, quadrature=quadrature
            )
            kernels = kernels - kernels.mean((1, 2), keepdims=True)
            kernels = jnp.asarray(kernels).transpose(1, 2, 0)[:, :, None]
            maps.append(
                jax.lax.conv_general_dilated(
                    x[..., :1],
                    kernels,
                    (4, 4),
                    ((6, 6), (6, 6)),
                    dimension_numbers=("NHWC", "HWIO", "NHWC"),
                )
            )
        cells = jnp.concatenate([nn.relu(maps[0]), jnp.sqrt(maps[0] ** 2 + maps[1] ** 2)], -1)
        self.param("unused", nn.initializers.zeros, ())
        endpoints = {
            "v1": cells,
            "area": jnp.stack([jnp.zeros_like(cells), cells, 3 * cells]),
            "flat": cells.mean((1, 2)),
            "dead": jnp.zeros_like(cells),
        }
        return cells.mean((1, 2)), endpoints


@pytest.fixture
def session(tmp_path, monkeypatch):
    # A coarser protocol: a tenth of the pixels and a third of the gratings.
    monkeypatch.setattr(protocol, "PIXELS_PER_DEGREE", 8)
    monkeypatch.setattr(protocol, "POSITIONS", np.linspace(-2.5, 2.5, 11))
    monkeypatch.setattr(protocol, "PHASES", np.arange(0, 360, 90.0))
    config = base.get_config()
    model = Layers()
    return SimpleNamespace(
        config=config,
        run=SimpleNamespace(path=tmp_path),
        step=3,
        arguments={"name": "known"},
        model=model,
        variables=model.init(jax.random.key(0), jnp.zeros((1, _SIZE, _SIZE, 3))),
        preprocessing=Preprocessing(_SIZE, (0.5,) * 3, (0.5,) * 3),
        source=None,
    )


@pytest.fixture
def textures(tmp_path):
    rng = np.random.default_rng(0)
    for kind, spread in (("noise", 20), ("texture", 60)):
        for family in ("a", "b"):
            folder = tmp_path / "pictures" / kind / family
            folder.mkdir(parents=True)
            for sample in range(3):
                grey = np.clip(rng.normal(128, spread, (16, 16)), 0, 255).astype(np.uint8)
                Image.fromarray(grey).save(folder / f"{sample}.png")
    return tmp_path / "pictures"


@pytest.mark.slow
def test_everything(session, textures, tmp_path, capsys):
    own = tmp_path / "own.csv"
    own.write_text("modulation_ratio\n" + "1.5\n0.1\n" * 10)
    result = measure(session, "physiology", textures=str(textures), distributions=str(own))
    (entry,) = result["times"]
    found = entry["properties"]
    assert entry["units"] == 8  # kinds of cells, every half a degree: one place
    assert set(PUBLISHED) <= set(found)
    assert found["preferred_orientation"]["undefined"] == 0
    assert 0 < found["modulation_ratio"]["score"]["raw"] < 1
    assert found["circular_variance"]["score"] is None
    # Texture pictures have three times the contrast of noise.
    assert 0.3 < found["texture_modulation_index"]["median"] < 0.7
    assert result["distributions"]["modulation_ratio"] == str(own)
    written = json.loads((tmp_path / "evaluation" / "physiology_v1.json").read_text())
    assert written["times"][0]["units"] == entry["units"]
    page = (tmp_path / "evaluation" / "physiology_v1.html").read_text()
    assert page.count("<img") == 2
    assert (tmp_path / "evaluation" / "physiology_v1_tuning.png").stat().st_size
    assert "surround_suppression_index" in capsys.readouterr().out


@pytest.mark.slow
def test_time_steps_are_recorded_in_one_pass(session, tmp_path):
    result = measure(
        session, "physiology", layer="area", times=["all"], stimuli=["orientation"], max_units=5
    )
    first, second = result["times"]  # not the step before the image arrives
    assert (first["time"], second["time"]) == ("step 1", "step 2")
    # Rates are scaled step by step, so three times the activity is the same physiology.
    for name, found in first["properties"].items():
        assert found["median"] == pytest.approx(second["properties"][name]["median"], rel=1e-3)
    assert first["units"] == 5
    assert "surround_diameter" not in first["properties"]
    assert (tmp_path / "evaluation" / "physiology_area_scores_over_time.png").exists()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"layer": "v4"}, "v4"),
        ({"layer": "flat"}, "flat has no space.*v1"),
        ({"layer": "dead"}, "no unit"),
        ({"layer": "area", "times": ["0"]}, "step 1"),
        ({"degrees": 4.0}, "degrees=4"),
        ({"stimuli": ["colour"]}, "colour"),
        ({"stimuli": ["texture"]}, "--textures"),
        ({"textures": "nowhere"}, "nowhere"),
        ({"distributions": "nowhere.csv"}, "nowhere.csv"),
        ({"distributions": "nowhere.mat"}, "nowhere.mat"),
        ({"trials": -1}, "trials=-1"),
    ],
)
def test_what_cannot_be_measured(session, changes, match):
    with pytest.raises(InputError, match=match):
        measure(session, "physiology", **changes)


def test_texture_folders_that_do_not_match(session, textures):
    (textures / "noise" / "a" / "0.png").unlink()
    with pytest.raises(InputError, match="2, 3 pictures"):
        measure(session, "physiology", textures=str(textures))
    (textures / "texture" / "b" / "0.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"0\.png"):
        measure(session, "physiology", textures=str(textures))


def test_a_position_is_two_numbers():
    assert chosen_measure("physiology", position=(1, 0.5))[1].position == (1.0, 0.5)
    for wrong in ("1", "1,2,3", "a,b"):
        with pytest.raises(InputError, match=f"--position: '{wrong}': two numbers"):
            chosen_measure("physiology", position=wrong)
