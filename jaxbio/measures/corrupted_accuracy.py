"""Accuracy under image corruptions (Hendrycks & Dietterich 2019)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxbio.corruptions import ReferenceCorruptor, corrupt
from jaxbio.corruptions.sharded import sharded_corrupt
from jaxbio.errors import InputError
from jaxbio.runs.mesh import batch_sharding
from jaxbio.tasks.classification.accuracy import evaluate
from jaxbio.tasks.classification.opened import Session

Corruptor = Callable[[Sequence[np.ndarray], Sequence[int]], list[np.ndarray]]
ORDERS = ("before_resize", "after_resize")


def check_order(order: str) -> None:
    """Raises an ``InputError`` unless ``order`` is a value of ``eval.corrupt``."""
    if order not in ORDERS:
        raise InputError(f"eval.corrupt='{order}': use {' or '.join(ORDERS)}")


def measure_compiled(session: Session, name: str, severity: int, order: str) -> dict[str, float]:
    """Measures a model on the test set corrupted by :func:`jaxbio.corruptions.corrupt`.

    The random stream of an image is ``fold_in(key(config.seed), its number in the test set)``, so
    the result depends neither on the batch size nor on the number of devices.

    Args:
      session: the model and its data.
      name: one of ``corruption_names("all")``.
      severity: 1 to 5.
      order: ``after_resize`` corrupts the resized and cropped images, on the devices; as ImageNet-C
        was made. ``before_resize`` corrupts whole images; a program is compiled for every size of
        image. Which of the two moves accuracies by points.

    Returns:
      As :func:`jaxbio.tasks.classification.accuracy.evaluate`.

    Raises:
      InputError: images smaller than 32 px.
    """
    key = jax.random.key(session.config.seed)
    if order == "before_resize":
        return session.measure(session.batches(transform=_by_size(name, severity, key)))
    size = session.config.data.image_size
    if size < 32:
        raise InputError(f"data.image_size={size}: corruptions need images of 32 px or more")
    program = sharded_corrupt(session.mesh, batch_sharding(session.mesh).spec, name, severity)

    def step(variables: dict[str, Any], batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        images = program(batch["image"], batch["index"], key)
        return session.eval_step(variables, {**batch, "image": images})

    return evaluate(step, session.variables, session.batches(), session.mesh)


def measure_reference(
    session: Session, name: str, severity: int, order: str, *, workers: int = 0
) -> dict[str, float]:
    """The same by the imagecorruptions package, on the CPU.

    Args:
      session: the model and its data.
      name: one of ``corruption_names("all")``.
      severity: 1 to 5.
      order: as in :func:`measure_compiled`.
      workers: processes; 0 takes one per core.
    """
    with ReferenceCorruptor(name, severity, session.config.seed, workers=workers) as apply:
        if order == "before_resize":
            return session.measure(session.batches(transform=apply))
        return session.measure(_corrupt_batches(session.batches(), apply))


def _by_size(name: str, severity: int, key: jax.Array) -> Corruptor:
    """Corrupts images of any sizes: those of one size go together."""

    def apply(images: Sequence[np.ndarray], indices: Sequence[int]) -> list[np.ndarray]:
        groups: dict[tuple[int, ...], list[int]] = {}
        for row, image in enumerate(images):
            groups.setdefault(image.shape, []).append(row)
        results: list[np.ndarray] = [np.empty(0)] * len(images)
        for shape, rows in groups.items():
            # Padding to powers of two bounds the number of compiled programs per size.
            padded = rows + rows[-1:] * ((1 << (len(rows) - 1).bit_length()) - len(rows))
            numbers = np.asarray([indices[row] for row in padded], np.int32)
            try:
                corrupted = corrupt(
                    np.stack([images[row] for row in padded]), name, severity, key, indices=numbers
                )
            except ValueError as error:
                raise InputError(
                    f"images of {shape[0]}x{shape[1]} px cannot be corrupted before resizing "
                    f"({error}): set --config.eval.corrupt=after_resize"
                ) from error
            for row, image in zip(rows, np.asarray(corrupted), strict=False):
                results[row] = image
        return results

    return apply


def _corrupt_batches(
    batches: Iterable[dict[str, Any]], apply: Corruptor
) -> Iterator[dict[str, Any]]:
    for batch in batches:
        real = np.flatnonzero(batch["mask"])  # padding is not worth the work
        images = batch["image"].copy()
        corrupted = apply([images[i] for i in real], [int(batch["index"][i]) for i in real])
        images[real] = corrupted
        yield {**batch, "image": images}
