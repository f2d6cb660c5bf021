import numpy as np
import pytest

from jaxbio.behaviour import CATEGORIES, IMAGENET_CLASSES, category_probabilities
from jaxbio.errors import InputError


def test_the_published_classes():
    assert len(CATEGORIES) == 16
    assert list(CATEGORIES) == sorted(CATEGORIES)
    numbers = [n for classes in IMAGENET_CLASSES.values() for n in classes]
    assert len(numbers) == len(set(numbers)) == 207  # "207 of the 1,000 classes"
    assert IMAGENET_CLASSES["cat"] == (281, 282, 283, 284, 285, 286)
    assert len(IMAGENET_CLASSES["dog"]) == 109
    assert {8, 100, 127, 145} <= set(IMAGENET_CLASSES["bird"])
    assert not {9, 134} & set(IMAGENET_CLASSES["bird"])


def test_probabilities_are_means():
    p = np.zeros((2, 1000), np.float32)
    p[0, 499] = 0.3  # the only class of knife
    p[0, 281:287] = 0.1
    p[1, 152:270] = 0.5
    means = np.asarray(category_probabilities(p))
    assert means.shape == (2, 16)
    assert CATEGORIES[means[0].argmax()] == "knife"  # though cats add up to more
    assert means[0, CATEGORIES.index("cat")] == pytest.approx(0.1)
    assert means[1, CATEGORIES.index("dog")] == pytest.approx(0.5)
    with pytest.raises(InputError, match="16"):
        category_probabilities(p[:, :999])
