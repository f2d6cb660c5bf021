"""Linear SVMs on Cadieu's images: IT, V4 and the penultimate layers of twenty networks."""

from collections.abc import Sequence
from typing import Any

import jax

from jaxbio.reproduce import cadieu
from jaxbio.reproduce.table import EQUAL, Context, Measured, Published, Row, Table
from jaxbio.similarity import svm_score
from jaxbio.similarity.crossval import strata

_AREAS = {"IT": (0.6543, 0.0166), "V4": (0.31872, 0.0170)}
_SITES = 168


def _rows(context: Context) -> Sequence[Row]:
    areas = [
        Row(
            f"{area} multi-unit sites",
            "C chosen on the reported splits, as published",
            (Published(*values),),
            rule=EQUAL,
            detail=area,
        )
        for area, values in _AREAS.items()
    ]
    text = (
        f"penultimate layer, {_SITES} sampled units, noise matched, C chosen on the reported "
        "splits, as published"
    )
    return areas + cadieu.rows(context, text, "svm")


def _measure(row: Row, context: Context) -> Measured:
    if row.detail in _AREAS:
        brain = cadieu.recordings(context, row.detail)
        features: Any = brain.patterns
        more: dict[str, Any] = {}
    else:
        brain = cadieu.recordings(context)
        features = cadieu.penultimate(row.detail, brain, context)
        more = {"neural": brain.patterns, "noise": brain.noise, "key": jax.random.key(0)}
    groups = strata(brain.objects, brain.labels)
    result = svm_score(
        features, brain.labels, groups, selection="published", n_features=_SITES, **more
    )
    value, error = float(result.mean), float(result.std)
    half = 1.96 * error / len(result.accuracy) ** 0.5
    return Measured(value, error, (value - half, value + half), "error: over splits")


TABLE = Table(
    title="Linear SVMs on Cadieu's images",
    source=cadieu.SOURCE,
    needs=(cadieu.ARCHIVE,),
    rows=_rows,
    measure=_measure,
    can_dry_run=True,
)
