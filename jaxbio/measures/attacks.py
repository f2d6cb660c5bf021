"""accuracy under white-box attacks (docs/attacks.md)

Attacks follow the model's own gradient, through normalisation, recurrence and noise. Besides
``evaluation/attacks_PRESET.json`` there are the same per image as CSV, and two figures in
``report/``: accuracy over epsilon; images, perturbations and attacked images. Control attacks on
the first batch tell whether a high accuracy is robustness or a gradient that leads nowhere.

What every batch gave under every attack at every radius is kept at once in
``evaluation/attacks_PRESET.partial/``: with the same checkpoint, data and settings an interrupted
evaluation goes on, and its result is that of an uninterrupted one. The folder goes when the result
is written.
"""

import argparse
import dataclasses
import functools
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from jaxbio.errors import InputError
from jaxbio.files import csv_text, write_text
from jaxbio.measures.measure import a_list, always, identity, need_all_classes, publish, result_file
from jaxbio.ops.intervals import wilson
from jaxbio.runs.progress import format_table, say
from jaxbio.runs.waiting import waiting

if TYPE_CHECKING:
    import numpy as np

    from jaxbio.attacks import Attack
    from jaxbio.measures.parts import Part
    from jaxbio.tasks.classification.opened import Session

NAME = "attacks"
_PRESETS = ("pgd20", "vonenet", "evnet", "autoattack_lite")


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


def options(add: Any) -> None:
    """The measure's flags."""
    add("--preset", choices=_PRESETS, default="pgd20", help="the attacks of a paper")
    add("--norm", choices=("linf", "l2", "l1"), help="only the preset's attacks in this norm")
    add(
        "--epsilon",
        **{**a_list(), "default": None},
        help="radii for images in [0, 1], such as 1/255,8/255, in place of the preset's",
    )
    add(
        "--steps",
        type=int,
        metavar="N",
        help="of every attack, in place of the preset's; fewer steps of PGD are longer",
    )
    add("--restarts", type=int, default=1, metavar="N", help="random starts; the best counts")
    add("--samples", type=int, metavar="N", help="gradients averaged where the model is noisy")
    add(
        "--count",
        type=int,
        default=1000,
        metavar="N",
        help="images of the test set, drawn at random, always the same; 0: all",
    )
    add("--transfer", metavar="RUN", help="a network whose attacked images are tried on this one")
    add("--no_controls", action="store_true", help="leave out the signs of gradient masking")


needs_data = always


def run(session: "Session", options: argparse.Namespace) -> dict[str, Any]:
    """Attacks the images at every radius; prints the table, writes JSON, CSV and figures.

    Raises:
        InputError: a radius outside the range of the images, a preset without attacks in the norm,
            a model whose gradients are zero.
    """
    import jax
    import numpy as np

    from jaxbio.attacks.ball import epsilons
    from jaxbio.measures.attacked import Target, controls, open_other
    from jaxbio.measures.parts import Parts
    from jaxbio.measures.sample import sampled_batches
    from jaxbio.runs.mesh import put_batches

    need_all_classes(session, NAME)
    attacks = _chosen(options)
    size = session.preprocessing.image_size
    for attack in attacks:
        for epsilon in attack.epsilons:  # before any work
            epsilons(epsilon, np.zeros((1, size, size, 3), np.float32), attack.norm)
    target = Target.of(session)
    other = None if options.transfer is None else open_other(session, options.transfer)

    def batches() -> Iterator[Any]:
        return put_batches(sampled_batches(session, options.count), session.mesh)

    first = next(batches())
    healthy = target.gradients(first)
    if healthy["flat"] == 1:
        raise InputError(
            f"{session.run.path}: the gradient of every image is zero, so that attacks that follow "
            "it measure nothing; a spiking layer needs surrogate gradients"
        )
    looks = [target.look(batch) for batch in batches()]
    index, label, correct = (np.concatenate(x) for x in zip(*looks, strict=True))
    described = {}
    for a in attacks:
        samples = a.samples if target.stochastic else 1
        described[a.name] = {"method": a.method, "norm": a.norm, "samples": samples, **a.options}
    name = f"{NAME}_{options.preset}"
    parts = Parts(
        result_file(session, name).with_suffix(".partial"),
        {
            **identity(session),
            "attacks": [[described[a.name], a.epsilons] for a in attacks],
            "sample": options.count,
            "batch_size": session.config.eval.batch_size,
            "images": session.config.data.to_dict(),
            "seed": session.config.seed,
        },
    )
    cells, shown = [], {}
    work = [(attack, epsilon) for attack in attacks for epsilon in attack.epsilons]
    first_process, terminal = jax.process_index() == 0, sys.stderr.isatty()
    tell = say if first_process and not terminal else None
    total = len(work) * len(looks)
    bar = tqdm(total=total, unit="batch", disable=not (first_process and terminal))
    for place, (attack, epsilon) in enumerate(work):
        found = []
        for number, batch in enumerate(batches()):
            show = (number, attack, epsilon) == (0, attacks[0], max(attacks[0].epsilons))
            measure = functools.partial(target.part, attack, batch, epsilon, show)
            doing = f"{attack.name}, epsilon {epsilon:.3g}, batch {number + 1} of {len(looks)}"
            with waiting(doing, tell=tell):
                part = parts.get(f"{place}_{number}", measure)
            bar.update()
            found.append((part["fooled"], part["margin"]))
            if show:
                shown = part
        cells.append(Cell(attack, epsilon, *(np.concatenate(x) for x in zip(*found, strict=True))))
    bar.close()
    result = {
        **identity(session),
        "preset": options.preset,
        "attacks": described,
        "images": len(index),
        "noise_at_evaluation": target.stochastic,
        "clean": _share(correct),
        "accuracy_under_attack": _accuracies(cells, correct),
    }
    if not options.no_controls:
        result |= controls(session, target, other, cells[0].attack, first, healthy)
    if first_process:
        per_image = _per_image(index, label, correct, cells)
        write_text(result_file(session, name).with_suffix(".csv"), per_image)
        _save_figures(session, name, result, label[shown["row"]], shown)
    publish(session, name, result, _table(result))
    parts.remove()
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
        norms = sorted({a.norm for a in PRESETS[options.preset]})
        raise InputError(
            f"--norm={options.norm}: {options.preset} attacks in {', '.join(norms)} only; use one "
            "of these, or --preset=vonenet, which has all norms"
        )
    if options.epsilon == []:
        raise InputError("--epsilon=: give radii such as 1/255,8/255, or leave it out")
    radii = tuple(sorted({parse_radius(text) for text in options.epsilon or ()}))
    if radii and len({a.norm for a in attacks}) > 1:
        raise InputError(
            f"--epsilon={','.join(options.epsilon)}: {options.preset} has several norms; choose "
            "one with --norm"
        )
    return [
        dataclasses.replace(
            attack,
            epsilons=radii or attack.epsilons,
            samples=attack.samples if options.samples is None else options.samples,
            options={**_with_steps(attack, options.steps), "restarts": options.restarts},
        )
        for attack in attacks
    ]


def _with_steps(attack: "Attack", steps: int | None) -> dict[str, Any]:
    """The attack's options with another number of steps, which walk as far in all as before."""
    found = dict(attack.options)
    if steps is not None and "step" in found:
        found["step"] = min(1.0, found["step"] * found["steps"] / steps)
    return found if steps is None else {**found, "steps": steps}


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


def _table(result: dict[str, Any]) -> str:
    """Accuracy per norm and radius, and what speaks against it."""
    rows = [("norm", "epsilon", "accuracy %", "95 % interval", "of each attack %")]
    clean = {"clean": {"0": {**result["clean"], "attacks": {}}}}
    for norm, cells in (clean | result["accuracy_under_attack"]).items():
        for radius, cell in cells.items():
            low, high = (f"{100 * v:.1f}" for v in cell["interval"])
            each = ", ".join(f"{k} {100 * v:.2f}" for k, v in cell["attacks"].items())
            rows.append((norm, radius, f"{100 * cell['accuracy']:.2f}", f"{low} - {high}", each))
    warnings = [f"WARNING: {warning}" for warning in result.get("warnings", ())]
    return "\n".join([format_table(rows), *warnings])


def _per_image(
    index: "np.ndarray", label: "np.ndarray", correct: "np.ndarray", cells: list[Cell]
) -> str:
    rows: list[tuple[Any, ...]]
    rows = [("index", "label", "clean_correct", "attack", "epsilon", "fooled", "margin")]
    for cell in cells:
        columns = (index, label, correct, cell.fooled, cell.margin)
        for number, of_class, right, fooled, margin in zip(*columns, strict=True):
            rows.append(
                (number, of_class, int(right), cell.attack.name, f"{cell.epsilon:.6g}",
                 int(fooled), f"{margin:.6g}")
            )  # fmt: skip
    return csv_text(rows)


def _save_figures(
    session: "Session", name: str, result: dict[str, Any], labels: "np.ndarray", shown: "Part"
) -> None:
    """Accuracy over the radius; and images ``shown``, of the classes ``labels``."""
    from jaxbio.data.class_names import readable
    from jaxbio.plotting.attacks import plot_accuracy_under_attack, plot_attacked_images
    from jaxbio.runs.figures import save_figures

    clean = result["clean"]
    curves = {
        norm: (
            [0.0, *map(float, cells)],
            [clean["accuracy"], *(c["accuracy"] for c in cells.values())],
            [clean["interval"], *(c["interval"] for c in cells.values())],
        )
        for norm, cells in result["accuracy_under_attack"].items()
    }
    names = [readable(name) for name in session.source.class_names]
    titles = [
        (f"class: {names[label]}", f"said: {names[said]}")
        for label, said in zip(labels, shown["said"], strict=True)
    ]
    figures = {
        name: plot_accuracy_under_attack(curves, 1 / session.source.num_classes, result["images"]),
        f"{name}_images": plot_attacked_images(shown["before"] / 255.0, shown["after"], titles),
    }
    save_figures(session.run, figures)
