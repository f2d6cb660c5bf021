"""Small data sets that the tests of jaxbio.data share."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from jaxbio.data import open_source


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """A colourful uint8 picture with edges and noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3))
    blocks = np.kron(coarse, np.ones((8, 8, 1)))[:height, :width]
    return (blocks + rng.normal(0, 10, blocks.shape)).clip(0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, kind: str = "JPEG", **options) -> bytes:
    """The picture as a file's content."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def write_folder(root, train_per_class=8, eval_per_class=5, classes=("cat", "dog", "emu")):
    """An image folder; file i of a class has a size of its own."""
    seed = 0
    for split, number in (("train", train_per_class), ("val", eval_per_class)):
        for name in classes:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(number):
                seed += 1
                pixels = picture(seed, 40 + 3 * (seed % 5), 36 + 5 * (seed % 7))
                kind, suffix = ("PNG", "png") if i % 4 == 3 else ("JPEG", "JPEG")
                (folder / f"{i:03d}.{suffix}").write_bytes(encoded(pixels, kind))
    return root


def config(**keys):
    """A ``config.data`` with the given keys."""
    return SimpleNamespace(**keys)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory):
    """A folder source's data: 24 training and 15 evaluation images. Not to be changed."""
    return write_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(params=["digits", "folder"])
def opened(request, image_folder):
    """(source, function of keys that gives its settings), for both kinds of pipeline."""

    def settings(**keys):
        common = {"source": request.param, "data_dir": str(image_folder), "image_size": 16}
        return config(**{**common, **keys})

    return open_source(settings()), settings
