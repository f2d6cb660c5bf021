"""Preparation of responses: dropping what was not recorded."""

from typing import Any

import numpy as np

from jaxbio.errors import InputError
from jaxbio.similarity import checks


def drop_nan(responses: Any, what: str = "neuroids") -> tuple[np.ndarray, np.ndarray]:
    """Leaves out the neuroids (or stimuli) that have any NaN or infinite value.

    Args:
        responses: ``[..., stimuli, neuroids]``.
        what: "neuroids" or "stimuli".

    Returns:
        What is left, and the indices kept (to select the same stimuli of a model).

    Raises:
        InputError: if nothing is left.
    """
    checks.choice(what, ("neuroids", "stimuli"), "thing to drop")
    responses = np.asarray(responses)
    if responses.ndim < 2:
        raise InputError(f"responses has shape {responses.shape}, must be [..., stimuli, neuroids]")
    axis = responses.ndim - (1 if what == "neuroids" else 2)
    others = tuple(a for a in range(responses.ndim) if a != axis)
    kept = np.flatnonzero(np.isfinite(responses).all(others))
    if not kept.size:
        raise InputError(f"every one of the {responses.shape[axis]} {what} has NaN values")
    return responses.take(kept, axis), kept
