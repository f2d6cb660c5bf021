"""Every kind and severity beside imagecorruptions, on bright, dark, saturated, plain pictures."""

import jax
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from jaxbio.corruptions import corrupt, corrupt_reference, corruption_names
from jaxbio.corruptions.compiled import CORRUPTIONS

pytestmark = pytest.mark.slow  # 95 programs

SIZE = 64


def _pictures():
    china, flower = (load_sample_image(f"{name}.jpg") for name in ("china", "flower"))
    colours = np.zeros((SIZE, SIZE, 3), np.uint8)
    colours[: SIZE // 2, :, 0], colours[:, : SIZE // 2, 1] = 255, 255
    pictures = {
        "bright": china[20 : 20 + SIZE, 300 : 300 + SIZE],
        "dark": flower[10 : 10 + SIZE, 10 : 10 + SIZE] // 3,
        "saturated": colours,
        "plain": china[200 : 200 + SIZE, 250 : 250 + SIZE],
    }
    assert pictures["bright"].mean() > 150
    assert pictures["dark"].mean() < 50
    return pictures


PICTURES = _pictures()


def _rms(corrupted, clean):
    return np.sqrt(((corrupted.astype(float) - clean) ** 2).mean((1, 2, 3)))


@pytest.mark.parametrize("name", corruption_names("all"))
def test_every_severity_changes_pictures_as_much_as_the_reference(name):
    random = CORRUPTIONS[name].draw is not None
    draws = {"glass_blur": 6}.get(name, 40) if random else 1
    for severity in range(1, 6):
        clean = np.repeat(np.stack(list(PICTURES.values())), draws, 0)
        ours = np.asarray(corrupt(clean, name, severity, jax.random.key(severity)))
        ours = ours.reshape(len(PICTURES), draws, SIZE, SIZE, 3)
        for (label, picture), of_picture in zip(PICTURES.items(), ours, strict=True):
            theirs = np.stack(
                [corrupt_reference(picture, name, severity, seed) for seed in range(draws)]
            )
            where = f"{name} {severity} on the {label} picture"
            if not random:
                off = np.abs(of_picture.astype(int) - theirs)
                assert (off > 1).mean() <= 1e-3, where
                continue
            # imagecorruptions divides 0 by 0 where no drop of spatter has a relief: all black.
            theirs = theirs[theirs.any((1, 2, 3))]
            a, b = _rms(of_picture, picture), _rms(theirs, picture)
            error = np.hypot(a.std() / len(a) ** 0.5, b.std() / len(b) ** 0.5)
            assert abs(a.mean() - b.mean()) < 4.5 * error + 0.01 * b.mean() + 0.05, (
                where, a.mean(), b.mean(), error,
            )  # fmt: skip
