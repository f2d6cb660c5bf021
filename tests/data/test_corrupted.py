import numpy as np
import pytest

from jaxbio.data.corrupted import open_corrupted
from jaxbio.errors import InputError


@pytest.mark.parametrize("shape", [(), (0,), (10, 1)])
def test_labels_that_are_none_are_refused(tmp_path, shape):
    np.save(tmp_path / "labels.npy", np.zeros(shape, np.int64))
    np.save(tmp_path / "fog.npy", np.zeros((*shape[:1], 32, 32, 3), np.uint8))
    with pytest.raises(InputError, match="all five severities"):
        open_corrupted(tmp_path).open("fog", 1)
