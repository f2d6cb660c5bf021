import dataclasses

import numpy as np
import pytest

from configs import svp_resnet
from jaxbio.data import eval_batches
from jaxbio.data.types import ArraySplit, Source
from jaxbio.measures.sample import sampled_batches

CLASSES, EACH = 10, 30


@dataclasses.dataclass
class Opened:
    """What a sample asks of a session."""

    source: Source

    def batches(self):
        settings = svp_resnet.get_config().data
        return eval_batches(self.source, settings, global_batch_size=32)


@pytest.fixture(scope="module")
def session():
    """Class by class, as folders are; the images' values are their numbers."""
    labels = np.repeat(np.arange(CLASSES, dtype=np.int32), EACH)
    images = np.tile(np.arange(len(labels), dtype=np.uint16).reshape(-1, 1, 1, 1), (1, 32, 32, 1))
    split = ArraySplit((images % 256).astype(np.uint8), labels)
    return Opened(Source("ordered", [str(c) for c in range(CLASSES)], split, split, True, str))


def drawn(session, count):
    found = {"index": [], "label": [], "image": []}
    for batch in sampled_batches(session, count):
        for name, values in found.items():
            values.append(batch[name][batch["mask"]])
        assert (batch["index"][~batch["mask"]] == -1).all()
    return {name: np.concatenate(values) for name, values in found.items()}


def test_classes_in_order_are_all_seen(session):
    found = drawn(session, 100)
    assert len(set(found["index"].tolist())) == 100
    assert set(found["label"].tolist()) == set(range(CLASSES))
    assert np.bincount(found["label"]).max() < 20
    np.testing.assert_array_equal(found["label"], found["index"] // EACH)
    np.testing.assert_array_equal(found["image"][:, 0, 0, 0], found["index"] % 256)
    assert (np.diff(found["index"]) > 0).all()


def test_a_smaller_sample_is_a_part_of_a_larger_one(session):
    small, large = (set(drawn(session, n)["index"].tolist()) for n in (40, 200))
    assert small < large


@pytest.mark.parametrize("count", [0, CLASSES * EACH, 10_000])
def test_all_of_them(session, count):
    np.testing.assert_array_equal(drawn(session, count)["index"], np.arange(CLASSES * EACH))
