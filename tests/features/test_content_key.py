import copy

import jax
import numpy as np
import pytest

from jaxbio import features
from jaxbio.features.content_key import content_key, describe, differences, digest_variables
from jaxbio.features.pictures import open_pictures
from jaxbio.ops.images import Preprocessing
from tests.features.tiny import MEAN, SIZE, STD, make, write_images


def _describe(variables=None, model=None, preprocessing=None, stimuli="s", noisy=False, **options):
    network, own = make(noisy=noisy)
    batch_size = options.pop("batch_size", 8)
    noise_seed = options.pop("noise_seed", 0)
    request = features.FeatureRequest(**{"layers": ["area", "stem"], **options})
    preprocessed = Preprocessing(SIZE, MEAN, STD)
    extractor = features.Extractor(network, own, request, preprocessed, noise_seed=noise_seed)
    return describe(
        extractor,
        weights=digest_variables(own if variables is None else variables),
        model=model or {"name": "tiny", "num_classes": 3},
        preprocessing=preprocessing or {"image_size": SIZE, "mean": MEAN},
        stimuli=stimuli,
        batch_size=batch_size,
    )


def _changed(change):
    variables = jax.tree.map(np.array, dict(make()[1]))
    change(variables["params"])
    return variables


def _last_bit(params):
    kernel = params["stem"]["kernel"]
    kernel.flat[5] = np.nextafter(kernel.flat[5], np.float32(9))


def _rename(params):
    params["stem2"] = params.pop("stem")


def _narrow(params):
    params["fc"]["bias"] = params["fc"]["bias"].astype(np.float16)


def _reshape(params):
    params["fc"]["bias"] = params["fc"]["bias"][None]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"variables": _changed(_last_bit)}, "other weights"),
        ({"variables": _changed(_rename)}, "other weights"),
        ({"variables": _changed(_narrow)}, "other weights"),
        ({"variables": _changed(_reshape)}, "other weights"),
        ({"model": {"name": "tiny", "num_classes": 4}}, r"model.num_classes=4 (there 3)"),
        ({"preprocessing": {"image_size": 17, "mean": MEAN}}, "preprocessing.image_size=17"),
        ({"stimuli": "t"}, "other stimuli"),
        ({"layers": ["area"]}, "layers=area (there area,stem)"),
        ({"times": (0,)}, "area.steps=[0] (there [0, 1, 2])"),
        ({"pool": "max"}, "pool='max' (there 'none')"),
        ({"projection": 7}, "projection=7 (there 0)"),
    ],
)
def test_everything_that_matters_changes_the_key_and_is_named(change, named):
    base, other = _describe(), _describe(**change)
    assert content_key(base) == content_key(_describe())
    assert content_key(base) != content_key(other)
    assert any(named in line for line in differences(base, other))


def test_what_does_not_matter_does_not():
    assert content_key(_describe(batch_size=4)) == content_key(_describe())
    assert content_key(_describe(seed=4)) == content_key(_describe())
    assert differences(_describe(), copy.deepcopy(_describe())) == []


def test_seed_of_a_projection_and_batches_of_a_noisy_model_matter():
    one = _describe(projection=7, seed=1)
    assert content_key(one) != content_key(_describe(projection=7))
    noisy = _describe(noisy=True)
    assert content_key(noisy) != content_key(_describe(noisy=True, batch_size=4))
    assert content_key(noisy) != content_key(_describe(noisy=True, noise_seed=4))


def test_stimuli_are_known_by_content_name_and_order(tmp_path):
    folder = write_images(tmp_path / "a", 6)
    before = open_pictures(folder).digest()
    assert open_pictures(write_images(tmp_path / "b", 6)).digest() == before
    files = sorted(folder.glob("*.jpg"))
    content = bytearray(files[1].read_bytes())
    content[-3] ^= 1
    files[1].write_bytes(content)
    changed = open_pictures(folder).digest()
    assert changed != before
    files[1].rename(files[1].with_name("zebra.jpg"))
    assert open_pictures(folder).digest() not in (before, changed)
