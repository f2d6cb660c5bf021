"""Accuracy under image corruptions (Hendrycks & Dietterich 2019)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from jaxbio.corruptions import corruption_names
from jaxbio.errors import InputError
from jaxbio.evaluation.session import Session

Corruptor = Callable[[Sequence[np.ndarray], Sequence[int]], list[np.ndarray]]
SEVERITIES = (1, 2, 3, 4, 5)


def parse_corruptions(names: Sequence[str]) -> list[str]:
    """Expands ``benchmark``, ``validation`` and ``all``; checks the others.

    Raises:
      InputError: an unknown name.
    """
    known = corruption_names("all")
    expanded: list[str] = []
    for name in names:
        if name in ("benchmark", "validation", "all"):
            expanded += corruption_names(name)
        elif name in known:
            expanded.append(name)
        else:
            raise InputError(
                f"--corruption={name}: use benchmark, validation, all or some of {', '.join(known)}"
            )
    return list(dict.fromkeys(expanded))


def parse_severities(values: Sequence[str]) -> list[int]:
    """Numbers 1 to 5 from strings; ``all`` means every one.

    Raises:
      InputError: anything else.
    """
    severities: list[int] = []
    for value in values:
        if value == "all":
            severities += SEVERITIES
        elif value.isdecimal() and int(value) in SEVERITIES:
            severities.append(int(value))
        else:
            raise InputError(f"--severity={value}: use 1 to 5, or all")
    return sorted(set(severities))


def evaluate_corruption(
    session: Session, corruptor: AbstractContextManager[Corruptor], corrupt: str
) -> dict[str, float]:
    """Measures a model on the corrupted test set.

    Args:
      session: the model and its data.
      corruptor: maps lists of uint8 images and of their indices to corrupted images.
      corrupt: ``before_resize`` corrupts whole images (the published protocol); ``after_resize``
        the resized and cropped ones. Which of the two moves accuracies by points.

    Returns:
      As :func:`jaxbio.evaluation.accuracy.evaluate`.

    Raises:
      InputError: an unknown value of ``corrupt``.
    """
    if corrupt not in ("before_resize", "after_resize"):
        raise InputError(f"eval.corrupt='{corrupt}': use before_resize or after_resize")
    with corruptor as apply:
        if corrupt == "before_resize":
            return session.measure(session.batches(transform=apply))
        return session.measure(_corrupt_batches(session.batches(), apply))


def _corrupt_batches(
    batches: Iterable[dict[str, Any]], apply: Corruptor
) -> Iterator[dict[str, Any]]:
    for batch in batches:
        real = np.flatnonzero(batch["mask"])  # padding is not worth the work
        images = batch["image"].copy()
        corrupted = apply([images[i] for i in real], [int(batch["index"][i]) for i in real])
        images[real] = corrupted
        yield {**batch, "image": images}
