"""Similarity to IT (SIT) of twenty networks on Cadieu's images."""

from collections.abc import Sequence

import jax
import numpy as np

from jaxbio.reproduce import cadieu
from jaxbio.reproduce.table import Context, Measured, Row, Table
from jaxbio.similarity import sit


def _rows(context: Context) -> Sequence[Row]:
    text = "penultimate layer, 100 draws of 8 images per object, noise matched to the sites"
    return cadieu.rows(context, text, "sit")


def _measure(row: Row, context: Context) -> Measured:
    brain = cadieu.recordings(context)
    activity = cadieu.penultimate(row.detail, brain, context)
    images = min(8, int(np.bincount(brain.conditions).min()))
    result = sit(
        activity, brain.patterns, brain.objects, jax.random.key(0), images_per_object=images
    )
    low, high = np.percentile(np.asarray(result.scores), [2.5, 97.5])
    note = "error and interval: of draws"
    return Measured(float(result.mean), float(result.std), (float(low), float(high)), note)


TABLE = Table(
    title="Similarity to IT of twenty networks",
    source=cadieu.SOURCE,
    needs=(cadieu.ARCHIVE,),
    rows=_rows,
    quantity="similarity to IT (SIT)",
    measure=_measure,
    can_dry_run=True,
)
