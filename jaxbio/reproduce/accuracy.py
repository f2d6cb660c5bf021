"""What the tables of ImageNet measure: top-1, and errors under corruptions."""

import math

from jaxbio.measures.measure import measure
from jaxbio.reproduce.networks import IMAGENET, converted, open_on_imagenet
from jaxbio.reproduce.table import Context, Measured, Row


def top1(row: Row, context: Context) -> Measured:
    """Top-1 of the network that ``row.detail`` names, with the weights of the row's one need."""
    session = _open(row, context)
    value = measure(session, "accuracy")["top1"]
    error = math.sqrt(value * (1 - value) / len(session.source.eval))
    return Measured(value, error, (value - 1.96 * error, value + 1.96 * error))


def mce(row: Row, context: Context) -> Measured:
    """Mean corruption error of the 15 corruptions of ImageNet-C, five severities, over AlexNet's.

    The corruptions are made here, not read from ImageNet-C's JPEG files.
    """
    session = _open(row, context)
    result = measure(session, "robustness", corruptions=["benchmark"], protocol="imagenet_c")
    return Measured(
        float(result["scores"]["mce_imagenet_c"]),
        note="corruptions made here by ImageNet-C's protocol, not its JPEG files",
    )


def _open(row: Row, context: Context):
    run = converted(row.detail, context.find(row.needs[0]), context.output)
    return open_on_imagenet(run, context.find(IMAGENET))
