"""accuracy under white-box attacks (docs/attacks.md)

Attacks follow the model's own gradient, through normalisation, recurrence and noise. Besides
``evaluation/attacks_PRESET.json`` there are the same per image as CSV, and two figures in
``report/``: accuracy over epsilon; images, perturbations and attacked images. Control attacks on
the first batch tell whether a high accuracy is robustness or a gradient that leads nowhere.
"""

import argparse
import dataclasses
import itertools
import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from jaxbio.errors import InputError
from jaxbio.files import csv_text, write_text
from jaxbio.measures.attacked import Target
from jaxbio.measures.measure import (
    a_list,
    always,
    identity,
    need_all_classes,
    publish,
    result_file,
)
from jaxbio.ops.intervals import wilson
from jaxbio.runs.progress import format_table

if TYPE_CHECKING:
    import numpy as np

    from jaxbio.attacks import Attack
    from jaxbio.tasks.classification.opened import Session

NAME = "attacks"
_PRESETS = ("pgd20", "vonenet", "evnet", "autoattack_lite")
_SHOWN = 6
_MORE_SAMPLES = 4


class Cell(NamedTuple):
    """One attack at one radius; arrays over the images, in their order.

    Attributes:
        fooled: whether the model was wrong in the end.
        margin: see :class:`jaxbio.attacks.Attacked`.
    """

    attack: "Attack"
    epsilon: float
    fooled: "np.ndarray"
    margin: "np.ndarray"


class Outcome(NamedTuple):
    """What was measured.

    Attributes:
        index: number in the test set of every image.
        label: its class.
        correct: whether the model is right without an attack.
        cells: every attack at every radius.
        shown: clean images (0..255), attacked ones, and what the model says of those; of the first
            batch, under the first attack at its largest radius.
    """

    result: dict[str, Any]
    index: "np.ndarray"  # type: ignore[assignment]
    label: "np.ndarray"
    correct: "np.ndarray"
    cells: list[Cell]
    shown: "tuple[np.ndarray, np.ndarray, np.ndarray]"


def options(add: Any) -> None:
    """The measure's flags."""
    add("--preset", choices=_PRESETS, default="pgd20", help="the attacks of a paper")
    add("--norm", choices=("linf", "l2", "l1"), help="only the preset's attacks in this norm")
    add(
        "--epsilon",
        **a_list(),
        help="radii for images in [0, 1], such as 1/255,8/255, in place of the preset's",
    )
    add("--steps", type=int, metavar="N", help="of every attack, in place of the preset's")
    add("--restarts", type=int, default=1, metavar="N", help="random starts; the best counts")
    add("--samples", type=int, metavar="N", help="gradients averaged where the model is noisy")
    add("--count", type=int, default=1000, metavar="N", help="first images of the test set; 0: all")
    add("--transfer", metavar="RUN", help="a network whose attacked images are tried on this one")
    add("--no_controls", action="store_true", help="leave out the signs of gradient masking")


needs_data = always


def run(session: "Session", options: argparse.Namespace) -> Outcome:
    """Attacks the images at every radius.

    Raises:
        InputError: a radius outside the range of the images, a preset without attacks in the norm,
            a model whose gradients are zero.
    """
    import numpy as np

    need_all_classes(session, NAME)
    attacks = _chosen(options)
    size = session.preprocessing.image_size
    for attack in attacks:
        _check_radii(attack, size)
    target = Target.of(session)
    other = None if options.transfer is None else _other(session, options.transfer)

    first = next(_batches(session, options.count))
    healthy = target.gradients(first)
    if healthy["flat"] == 1:
        raise InputError(
            f"{session.run.path}: the gradient of every image is zero, so that attacks that follow "
            "it measure nothing; a spiking layer needs surrogate gradients"
        )
    looks = [target.look(batch) for batch in _batches(session, options.count)]
    index, label, correct = (np.concatenate(x) for x in zip(*looks, strict=True))
    shown: Any
    cells, shown = [], None
    work = [(attack, epsilon) for attack in attacks for epsilon in attack.epsilons]
    for attack, epsilon in tqdm(work, unit="attack", disable=not sys.stderr.isatty()):
        found = []
        for number, batch in enumerate(_batches(session, options.count)):
            attacked = target.attack(attack, batch, epsilon)
            found.append(target.fetch((attacked.fooled, attacked.margin), batch))
            if (number, attack, epsilon) == (0, attacks[0], max(attacks[0].epsilons)):
                said = target.answers(batch, attacked.images)
                shown = target.fetch((batch["image"], attacked.images, said), batch)
        cells.append(Cell(attack, epsilon, *(np.concatenate(x) for x in zip(*found, strict=True))))
    result = {
        **identity(session),
        "preset": options.preset,
        "attacks": {a.name: _describe(a, target.stochastic) for a in attacks},
        "images": len(index),
        "noise_at_evaluation": target.stochastic,
        "clean": _share(correct),
        "accuracy_under_attack": _accuracies(cells, correct),
    }
    if not options.no_controls:
        result |= _controls(session, target, other, cells[0].attack, first, healthy)
    return Outcome(result, index, label, correct, cells, shown)


def report(session: "Session", outcome: Outcome) -> dict[str, Any]:
    """Prints the table and what speaks against it; writes JSON, CSV and figures."""
    import jax

    result = outcome.result
    name = f"{NAME}_{result['preset']}"
    rows = [("norm", "epsilon", "accuracy %", "95 % interval", "of each attack %")]
    clean = {"clean": {"0": {**result["clean"], "attacks": {}}}}
    for norm, cells in (clean | result["accuracy_under_attack"]).items():
        for radius, cell in cells.items():
            low, high = (f"{100 * v:.1f}" for v in cell["interval"])
            each = ", ".join(f"{k} {100 * v:.2f}" for k, v in cell["attacks"].items())
            rows.append((norm, radius, f"{100 * cell['accuracy']:.2f}", f"{low} - {high}", each))
    text = format_table(rows)
    for warning in result.get("warnings", ()):
        text += f"\nWARNING: {warning}"
    if jax.process_index() == 0:
        write_text(result_file(session, name).with_suffix(".csv"), _per_image(outcome))
        _save_figures(session, outcome, name)
    publish(session, name, result, text)
    return result


def parse_radius(text: str) -> float:
    """``8/255`` or ``0.03``.

    Raises:
        InputError: neither.
    """
    try:
        above, _, below = text.partition("/")
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"--epsilon={text}: a number or a fraction such as 8/255") from None


def _chosen(options: argparse.Namespace) -> "list[Attack]":
    from jaxbio.attacks import PRESETS

    for name, least in (("steps", 1), ("restarts", 1), ("samples", 1), ("count", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise InputError(f"--{name}={value}: {least} or more")
    attacks = [a for a in PRESETS[options.preset] if options.norm in (None, a.norm)]
    if not attacks:
        raise InputError(f"--norm={options.norm}: {options.preset} has no attack in this norm")
    radii = tuple(sorted(parse_radius(text) for text in options.epsilon))
    if radii and len({a.norm for a in attacks}) > 1:
        raise InputError(
            f"--epsilon={','.join(options.epsilon)}: {options.preset} has several norms; choose "
            "one with --norm"
        )
    changed = {"restarts": options.restarts}
    if options.steps is not None:
        changed["steps"] = options.steps
    return [
        dataclasses.replace(
            attack,
            epsilons=radii or attack.epsilons,
            samples=attack.samples if options.samples is None else options.samples,
            options={**attack.options, **changed},
        )
        for attack in attacks
    ]


def _check_radii(attack: "Attack", size: int) -> None:
    """Before any work."""
    import numpy as np

    from jaxbio.attacks.ball import epsilons

    for epsilon in attack.epsilons:
        epsilons(epsilon, np.zeros((1, size, size, 3), np.float32), attack.norm)


def _other(session: "Session", path: str) -> Target:
    from jaxbio.tasks.classification.opened import open_session

    other = open_session(None, path, with_data=False)
    pairs = {
        "classes": (other.arguments["num_classes"], session.arguments["num_classes"]),
        "data.image_size": (other.preprocessing.image_size, session.preprocessing.image_size),
    }
    for name, (theirs, ours) in pairs.items():
        if theirs != ours:
            raise InputError(f"--transfer={path} has {name} {theirs}, this run has {ours}")
    return Target.of(other)


def _batches(session: "Session", count: int) -> Iterator[Any]:
    """Of the first ``count`` images, on the devices; 0: of all."""
    from jaxbio.runs.mesh import put_batches

    last = math.ceil(count / session.config.eval.batch_size) if count else None
    for batch in put_batches(itertools.islice(session.batches(), last), session.mesh):
        if count:
            batch = {**batch, "mask": batch["mask"] & (batch["index"] < count)}
        yield batch


def _share(hits: "np.ndarray") -> dict[str, Any]:
    return {"accuracy": float(hits.mean()), "interval": wilson(float(hits.mean()), len(hits))}


def _accuracies(cells: list[Cell], correct: "np.ndarray") -> dict[str, dict[str, Any]]:
    """Per norm and radius: right without an attack, and after every attack."""
    found: dict[str, dict[str, Any]] = {}
    for cell in cells:
        here = [c for c in cells if (c.attack.norm, c.epsilon) == (cell.attack.norm, cell.epsilon)]
        robust = correct.copy()
        for other in here:
            robust &= ~other.fooled
        found.setdefault(cell.attack.norm, {})[f"{cell.epsilon:.6g}"] = {
            **_share(robust),
            "attacks": {c.attack.name: float((correct & ~c.fooled).mean()) for c in here},
        }
    return found


def _describe(attack: "Attack", stochastic: bool) -> dict[str, Any]:
    samples = attack.samples if stochastic else 1
    return {"method": attack.method, "norm": attack.norm, "samples": samples, **attack.options}


def _controls(
    session: "Session",
    target: Target,
    other: Target | None,
    attack: "Attack",
    batch: Any,
    healthy: dict[str, float],
) -> dict[str, Any]:
    """Control attacks on one batch at the largest radius, and what they say against the result."""
    from jaxbio.attacks import masking_warnings
    from jaxbio.attacks.ball import largest

    epsilon = max(attack.epsilons)
    _, _, correct = target.look(batch)

    def accuracy(by: Target, attack: "Attack", epsilon: float, **changes: Any) -> float:
        attacked = by.attack(attack, batch, epsilon, **changes)
        (fooled,) = by.fetch((attacked.fooled,), batch)
        return float((by.look(batch)[2] & ~fooled).mean())

    plain = dataclasses.replace(attack, method="pgd", options={"steps": 1, "step": 1.0})
    size = session.preprocessing.image_size
    controls = {
        "attacked": accuracy(target, attack, epsilon),
        "one_step": accuracy(target, plain, epsilon, keep="last"),
        "unbounded": accuracy(target, attack, largest((size, size, 3), attack.norm)),
    }
    if target.stochastic:
        quiet = Target.of(session, noise=False)
        controls["noise_off"] = accuracy(quiet, attack, epsilon)
        more = dataclasses.replace(attack, samples=_MORE_SAMPLES * attack.samples)
        controls["more_samples"] = accuracy(target, more, epsilon, samples=more.samples)
    if other is not None:
        attacked = other.attack(attack, batch, epsilon)
        said = target.answers(batch, attacked.images)
        (right,) = target.fetch((said == batch["label"],), batch)
        controls["transferred"] = float((correct & right).mean())
    chance = 1 / session.source.num_classes
    warnings = masking_warnings(count=len(correct), chance=chance, **controls, **healthy)
    return {"controls": {"images": len(correct), **controls, **healthy}, "warnings": warnings}


def _per_image(outcome: Outcome) -> str:
    rows: list[tuple[Any, ...]]
    rows = [("index", "label", "clean_correct", "attack", "epsilon", "fooled", "margin")]
    for cell in outcome.cells:
        columns = (outcome.index, outcome.label, outcome.correct, cell.fooled, cell.margin)
        for index, label, correct, fooled, margin in zip(*columns, strict=True):
            rows.append(
                (index, label, int(correct), cell.attack.name, f"{cell.epsilon:.6g}", int(fooled),
                 f"{margin:.6g}")
            )  # fmt: skip
    return csv_text(rows)


def _save_figures(session: "Session", outcome: Outcome, name: str) -> None:
    import numpy as np

    from jaxbio.data.class_names import readable
    from jaxbio.plotting.attacks import plot_accuracy_under_attack, plot_attacked_images
    from jaxbio.tasks.classification.report import save_figures

    result = outcome.result
    clean = result["clean"]
    curves = {
        norm: (
            [0.0, *map(float, cells)],
            [clean["accuracy"], *(c["accuracy"] for c in cells.values())],
            [clean["interval"], *(c["interval"] for c in cells.values())],
        )
        for norm, cells in result["accuracy_under_attack"].items()
    }
    before, after, said = outcome.shown
    count = len(said)
    fooled = outcome.correct[:count] & (said != outcome.label[:count])
    rows = np.argsort(~fooled, kind="stable")[:_SHOWN]  # those that the attack turned come first
    names = [readable(name) for name in session.source.class_names]
    titles = [(f"class: {names[outcome.label[i]]}", f"said: {names[said[i]]}") for i in rows]
    figures = {
        name: plot_accuracy_under_attack(curves, 1 / session.source.num_classes, result["images"]),
        f"{name}_images": plot_attacked_images(before[rows] / 255.0, after[rows], titles),
    }
    save_figures(session.run, figures)
