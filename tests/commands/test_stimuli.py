"""Stimuli of parametric experiments from one's own pictures."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

from jaxbio.behaviour import read_stimuli
from jaxbio.behaviour.trials import image_id
from jaxbio.commands.main import main
from jaxbio.corruptions.parametric import CONDITIONS, distort, mean_amplitude
from jaxbio.data import eval_batches, open_source


@pytest.fixture
def pictures(tmp_path):
    """Two of the categories' own folders, one of ImageNet's classes that is a dog's, one none."""
    rng = np.random.default_rng(0)
    for name in ("cat", "boat", "n02085782", "n01440764"):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for i in range(2):
            picture = Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8))
            picture.save(folder / f"{name}_{i}.png")
    return tmp_path / "pictures"


def _run(pictures, output, *words):
    return main(["stimuli", str(pictures), f"--output={output}", "--size=32", *words])


def test_every_picture_in_every_condition(pictures, tmp_path, capsys):
    output = tmp_path / "stimuli"
    assert _run(pictures, output, "--experiment=contrast", "--conditions=c50,c05") == 0
    assert "2 pictures of classes that belong to none" in capsys.readouterr().out
    stimuli = read_stimuli(output)
    assert len(stimuli) == 6 * 2
    assert {(s.category, s.condition) for s in stimuli} == {
        (category, condition) for category in ("cat", "boat", "dog") for condition in ("c50", "c05")
    }
    assert len({image_id(s.path.name) for s in stimuli}) == 6
    strong, weak = (
        np.std([np.asarray(Image.open(s.path)) for s in stimuli if s.condition == condition])
        for condition in ("c50", "c05")
    )
    assert strong / weak == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("experiment", ["power-equalisation", "uniform-noise"])
def test_the_pixels_are_those_of_distort(pictures, tmp_path, experiment):
    conditions = CONDITIONS[experiment][:2]
    output = tmp_path / "stimuli"
    words = f"--experiment={experiment}", f"--conditions={','.join(conditions)}", "--seed=3"
    assert _run(pictures, output, *words) == 0
    source = open_source(SimpleNamespace(source="folder", data_dir=str(pictures)))
    settings = SimpleNamespace(source="folder", image_size=32)
    (batch,) = eval_batches(source, settings, global_batch_size=8)
    shown = np.flatnonzero(np.array(source.class_names)[batch["label"]] != "n01440764")
    images = batch["image"][shown]
    spectrum = mean_amplitude(images)
    for condition in conditions:
        expected = distort(
            images, experiment, condition, jax.random.key(3),
            indices=np.arange(len(shown)), spectrum=spectrum,
        )  # fmt: skip
        found = [s.path for s in read_stimuli(output) if s.condition == condition]
        pixels = np.stack([np.asarray(Image.open(path)) for path in sorted(found)])
        np.testing.assert_allclose(pixels, np.asarray(expected), atol=1)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--experiment=contrst"], "contrast"),
        (["--experiment=contrast", "--conditions=c51"], "c50"),
        (["--experiment=contrast", "--size=8"], "--size=8"),
    ],
)
def test_wrong_words(pictures, tmp_path, capsys, words, named):
    assert _run(pictures, tmp_path / "new", *words) == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_no_pictures(tmp_path, capsys):
    assert _run(tmp_path / "none", tmp_path / "new", "--experiment=contrast") == 2
    assert f"{tmp_path / 'none'} does not exist" in capsys.readouterr().err


def test_other_classes_and_a_full_folder(pictures, tmp_path, capsys):
    assert _run(pictures, pictures, "--experiment=contrast") == 2
    assert "not empty" in capsys.readouterr().err
    (pictures / "cat").rename(pictures / "cats")
    assert _run(pictures, tmp_path / "new", "--experiment=contrast") == 2
    assert "did you mean 'cat'" in capsys.readouterr().err
