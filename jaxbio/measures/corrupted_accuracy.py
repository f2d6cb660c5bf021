"""Accuracy under image corruptions (Hendrycks & Dietterich 2019)."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxbio.corruptions import ReferenceCorruptor
from jaxbio.corruptions.sharded import sharded_corrupt
from jaxbio.data import eval_batches
from jaxbio.data.class_names import with_classes_of
from jaxbio.data.corrupted import CorruptedSet
from jaxbio.data.settings import read_settings
from jaxbio.errors import InputError
from jaxbio.runs.mesh import batch_sharding
from jaxbio.tasks.classification.accuracy import evaluate
from jaxbio.tasks.classification.opened import Session

Corruptor = Callable[[Sequence[np.ndarray], Sequence[int]], list[np.ndarray]]
ORDERS = ("before_resize", "after_resize")


def check_order(order: str, reference: bool) -> None:
    """Raises an ``InputError`` unless pictures can be corrupted in the order ``eval.corrupt``."""
    if order not in ORDERS:
        raise InputError(f"eval.corrupt='{order}': use {' or '.join(ORDERS)}")
    if order == "before_resize" and not reference:
        raise InputError(
            "eval.corrupt=before_resize would compile a program for every size of picture: use "
            "--config.eval.corrupt=after_resize, or --reference, which compiles none"
        )


def measure_compiled(
    session: Session, name: str, severity: int, protocol: str = "imagecorruptions"
) -> dict[str, float]:
    """Measures a model on the test set corrupted by :func:`jaxbio.corruptions.corrupt`.

    The resized and cropped images are corrupted, on the devices, as ImageNet-C was made. The random
    stream of an image is ``fold_in(key(config.seed), its number in the test set)``, so the result
    depends neither on the batch size nor on the number of devices.

    Args:
        session: the model and its data.
        name: one of ``corruption_names("all")``.
        severity: 1 to 5.
        protocol: as in :func:`jaxbio.corruptions.corrupt`.

    Returns:
        As :func:`jaxbio.tasks.classification.accuracy.evaluate`.

    Raises:
        InputError: images smaller than 32 px.
    """
    size = session.config.data.image_size
    if size < 32:
        raise InputError(f"data.image_size={size}: corruptions need images of 32 px or more")
    key = jax.random.key(session.config.seed)
    split = batch_sharding(session.mesh).spec
    program = sharded_corrupt(session.mesh, split, name, severity, protocol)

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
        order: ``after_resize`` corrupts the resized and cropped images, ``before_resize`` whole
            ones, which weakens blurs and noise of large pictures.
        workers: processes; 0 takes one per core.
    """
    with ReferenceCorruptor(name, severity, session.config.seed, workers=workers) as apply:
        if order == "before_resize":
            return session.measure(session.batches(transform=apply))
        return session.measure(_corrupt_batches(session.batches(), apply))


def measure_published(
    session: Session, published: CorruptedSet, name: str, severity: int
) -> dict[str, float]:
    """The same on a cell of a published set.

    Its pictures are taken as they are where they have the network's size, as ImageNet-C's are
    meant; others are resized and cropped as in any evaluation. Classes are compared by name.

    Raises:
        InputError: pictures that cannot be read, or classes that the network does not know.
    """
    source, present = with_classes_of(
        published.open(name, severity), session.class_names, session.arguments["num_classes"]
    )
    if session.classes is not None and not set(present) <= set(session.classes):
        raise InputError(f"eval.classes=data: {published.folder} has classes that the data lack")
    settings = read_settings(session.config.data)
    if source.one_size or published.side() == settings.image_size:
        source = dataclasses.replace(source, one_size=True)
        settings = dataclasses.replace(settings, resize_size=0)
    batches = eval_batches(
        source,
        settings,
        global_batch_size=session.config.eval.batch_size,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    return session.measure(batches)


def _corrupt_batches(
    batches: Iterable[dict[str, Any]], apply: Corruptor
) -> Iterator[dict[str, Any]]:
    for batch in batches:
        real = np.flatnonzero(batch["mask"])  # padding is not worth the work
        images = batch["image"].copy()
        corrupted = apply([images[i] for i in real], [int(batch["index"][i]) for i in real])
        images[real] = corrupted
        yield {**batch, "image": images}
