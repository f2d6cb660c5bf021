"""Brain-Score's stored values of behavioural consistency, i2n (Rajalingham et al. 2018)."""

from collections.abc import Sequence

import numpy as np

from jaxbio.errors import InputError
from jaxbio.files.npz import read_npz
from jaxbio.reproduce.table import EQUAL, Context, Measured, Need, Published, Row, Table, below
from jaxbio.similarity import Trials, ceiled, i2n_consistency

_FILE = "brainscore_i2n.npz"
_VALUES = {"alexnet": 0.253, "resnet18": 0.3638, "resnet34": 0.37787}
_FIELDS = ("trial_image", "trial_distractor", "trial_choice", "image_truth", "trial_orders")


def _rows(context: Context) -> Sequence[Row]:
    return [
        Row(
            f"{name}, i2n",
            "stored object probabilities against human trials, halves of the trials, over the root "
            "of the ceiling",
            (Published(value),),
            0.005,
            EQUAL,
            detail=name,
        )
        for name, value in _VALUES.items()
    ]


def _measure(row: Row, context: Context) -> Measured:
    path = context.find(TABLE.needs[0])
    field = f"{row.detail}_probabilities"
    arrays = read_npz(path, (*_FIELDS, field))
    columns = {name: np.asarray(arrays[name]) for name in _FIELDS}
    for name, values in columns.items():
        if values.dtype.kind not in "iu":
            raise InputError(f"{path}: field '{name}' is {values.dtype}: must be indices")
    trials = Trials(*(columns[name] for name in _FIELDS[:3]))
    orders = columns["trial_orders"]
    if orders.ndim != 2:
        raise InputError(f"{path}: field 'trial_orders' must be [repetitions, trials]")
    scores, ceilings = i2n_consistency(
        np.asarray(arrays[field], np.float64), trials, columns["image_truth"], orders
    )
    values = np.asarray(ceiled(scores, ceilings, "root"))
    value, error = float(values.mean()), float(values.std() / len(values) ** 0.5)
    return Measured(value, error, (value - 1.96 * error, value + 1.96 * error))


TABLE = Table(
    title="Brain-Score's stored i2n values",
    source="tests of github.com/brain-score/vision, benchmark Rajalingham2018",
    needs=(
        Need(
            f"DATA/{_FILE}: {', '.join(_FIELDS)} and MODEL_probabilities [images, objects]",
            "human trials of Rajalingham 2018, which Brain-Score keeps for those with access, and "
            "MODEL-probabilities.nc beside its tests; docs/reproduce.md says how to convert them",
            "20 MB",
            below(_FILE),
        ),
    ),
    rows=_rows,
    quantity="i2n consistency over the ceiling",
    measure=_measure,
)
