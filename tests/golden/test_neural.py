"""Conversion of the published .mat layout, against the published converter's result."""

import numpy as np
import pytest

from jaxbio.neural import load_cadieu
from tests.golden.vectors import dynamics_dir, read_cases_json

pytestmark = pytest.mark.golden


def _case():
    return read_cases_json(dynamics_dir()).get("neural_finetuning", {}).get("nf_convert")


@pytest.mark.parametrize("case", [c for c in [_case()] if c])
def test_conversion(case):
    with np.load(dynamics_dir() / case["file"], allow_pickle=False) as file:
        gold = dict(file)
    recordings = load_cadieu(dynamics_dir() / case["mat"], objects_per_category=0)
    stimuli = recordings.stimuli
    assert len(stimuli) == case["n_images"]
    assert recordings.responses.shape[1] == case["n_sites"]
    np.testing.assert_array_equal(stimuli.paths, gold["image_paths"])
    np.testing.assert_array_equal(recordings.responses[:, :, 0], gold["features"])
    assert recordings.responses.dtype == gold["features"].dtype
    np.testing.assert_array_equal(stimuli.splits, gold["image_splits"])
    names = [case["categ_name_map"][str(i)] for i in range(len(case["categ_name_map"]))]
    np.testing.assert_array_equal(stimuli.labels, np.array(names)[gold["image_ctg"]])
