"""How commands show warnings."""

import warnings

import numpy as np

from jaxbio.errors import shorten_warnings
from jaxbio.spiking.readouts import fit_linear, votes_from_counts


def test_a_warning_is_one_line_and_said_once(capsys):
    counts, labels = np.eye(4, dtype=int), np.array([0, 0, 1, 3])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        shorten_warnings()
        votes_from_counts(counts, labels, 5)
        fit_linear(counts, labels, 5)
        warnings.warn("two\nlines", stacklevel=1)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("WARNING: no calibration image of class 2, 4: never chosen; ")
    assert second == "WARNING: two lines"
