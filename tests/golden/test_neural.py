"""Conversion of the published .mat layout, against the published converter's result."""

import numpy as np
import pytest

from jaxbio.neural import load_cadieu
from tests.golden import vectors

pytestmark = pytest.mark.golden


CASES = vectors.dynamics_cases("neural_finetuning")


@pytest.mark.parametrize("name", [k for k in CASES if k == "nf_convert"])
def test_conversion(name):
    case, gold = CASES[name], vectors.dynamics_arrays(CASES, name)
    recordings = load_cadieu(vectors.dynamics_dir() / case["mat"], objects_per_category=0)
    stimuli = recordings.stimuli
    assert len(stimuli) == case["n_images"]
    assert recordings.responses.shape[1] == case["n_sites"]
    np.testing.assert_array_equal(stimuli.paths, gold["image_paths"])
    np.testing.assert_array_equal(recordings.responses[:, :, 0], gold["features"])
    assert recordings.responses.dtype == gold["features"].dtype
    np.testing.assert_array_equal(stimuli.splits, gold["image_splits"])
    names = [case["categ_name_map"][str(i)] for i in range(len(case["categ_name_map"]))]
    np.testing.assert_array_equal(stimuli.labels, np.array(names)[gold["image_ctg"]])
