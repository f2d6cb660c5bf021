"""What a classifier answers on its test set: by picture, by class, as a confusion matrix."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.data.class_names import readable
from jaxbio.files import csv_text
from jaxbio.measures.measure import told
from jaxbio.runs.mesh import put_batches, replicated
from jaxbio.runs.progress import format_table
from jaxbio.tasks.classification.losses import summarise
from jaxbio.tasks.classification.opened import Session
from jaxbio.tasks.classification.step import eval_sums, make_answer

_ALL_SHOWN = 20  # classes; of more the worst are
_WORST_SHOWN = 10


class Answers(NamedTuple):
    """Of the examples that count, in the order of the test set.

    Attributes:
        index: int ``[N]``, their numbers in the test set.
        label: int ``[N]``.
        answer: int ``[N]``, the likeliest class.
        probability: float32 ``[N]``, its.
    """

    index: np.ndarray  # type: ignore[assignment]
    label: np.ndarray
    answer: np.ndarray
    probability: np.ndarray


def answer_test_set(session: Session) -> tuple[dict[str, float], Answers]:
    """One pass over the test set.

    Returns:
        The means of :func:`jaxbio.tasks.classification.accuracy.evaluate`, and all answers; the
        same in every process.
    """
    answer = make_answer(
        session.model, session.preprocessing, seed=session.config.seed, classes=session.classes
    )

    def step(variables: dict[str, Any], batch: dict[str, jax.Array]) -> tuple[Any, Any]:
        logits, endpoints = answer(variables, batch)
        probabilities = jax.nn.softmax(logits.astype(jnp.float32))
        found = {
            **{name: batch[name] for name in ("index", "label", "mask")},
            "answer": jnp.argmax(logits, axis=-1),
            "probability": jnp.max(probabilities, axis=-1),
        }
        return eval_sums(logits, endpoints, variables, batch, session.regulariser), found

    everywhere = replicated(session.mesh)
    program = jax.jit(step, out_shardings=(everywhere, everywhere))
    sums, parts = None, []
    batches = told(session.batches(), session.source.num_eval)
    for batch in put_batches(batches, session.mesh):
        new, found = program(session.variables, batch)
        sums = new if sums is None else jax.tree.map(jnp.add, sums, new)
        parts.append(found)
    whole = {name: np.concatenate([np.asarray(p[name]) for p in parts]) for name in parts[0]}
    order = np.flatnonzero(whole.pop("mask"))
    order = order[np.argsort(whole["index"][order], kind="stable")]
    answers = Answers(**{name: values[order] for name, values in whole.items()})
    return summarise(jax.device_get(sums)), answers


def confusion_matrix(answers: Answers, num_classes: int) -> np.ndarray:
    """Int ``[K, K]``: how many pictures of a class (row) were given each answer (column)."""
    cells = answers.label.astype(np.int64) * num_classes + answers.answer
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def by_class(confusion: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Of each class that has pictures ``class``, ``count``, ``top1``, ``mostly`` (or None).

    ``mostly`` is the most frequent wrong answer.
    """
    rows = []
    for number, counts in enumerate(confusion):
        if count := int(counts.sum()):
            wrong = counts.copy()
            wrong[number] = 0
            rows.append(
                {
                    "class": names[number],
                    "count": count,
                    "top1": int(counts[number]) / count,
                    "mostly": names[int(wrong.argmax())] if wrong.any() else None,
                }
            )
    return rows


def class_table(classes: Sequence[dict[str, Any]]) -> str:
    """Accuracy by class; of many classes the worst."""
    few = len(classes) <= _ALL_SHOWN
    shown = classes if few else sorted(classes, key=lambda c: c["top1"])[:_WORST_SHOWN]
    rows = [("class" if few else f"worst of {len(classes)}", "images", "top-1 %", "mistaken for")]
    for of in shown:
        other = "" if of["mostly"] is None else readable(of["mostly"])
        rows.append((readable(of["class"]), str(of["count"]), f"{100 * of['top1']:.2f}", other))
    return format_table(rows)


def predictions_csv(answers: Answers, pictures: Sequence[str], names: Sequence[str]) -> str:
    """A line per picture: its name, class, answer, the answer's probability, whether it is right.

    ``pictures`` are names of the test set's pictures, by number, ``names`` those of the classes.
    """
    rows: list[tuple[Any, ...]] = [("picture", "class", "answer", "probability", "correct")]
    for index, label, answer, probability in zip(*answers, strict=True):
        said = (names[label], names[answer], f"{probability:.6g}", int(answer == label))
        rows.append((pictures[index], *said))
    return csv_text(rows)


def confusion_csv(confusion: np.ndarray, names: Sequence[str]) -> str:
    """The matrix with the classes' names at its rows and columns."""
    rows = ((name, *counts) for name, counts in zip(names, confusion.tolist(), strict=True))
    return csv_text([("class", *names), *rows])
