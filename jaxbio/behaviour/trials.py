"""Answers in forced-choice trials, as model-vs-human's files hold them."""

import csv
import dataclasses
import itertools
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxbio.behaviour.categories import CATEGORIES
from jaxbio.errors import InputError
from jaxbio.files import csv_text, write_text
from jaxbio.files.reading import check_regular, reading
from jaxbio.files.sizes import text_array

COLUMNS = (
    "subj", "session", "trial", "rt", "object_response", "category", "condition", "imagename",
)  # fmt: skip
NO_ANSWER = "na"
_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclasses.dataclass(frozen=True)
class Trials:
    """Trials of one or several observers; all arrays ``[trials]`` of str but ``rt``.

    Attributes:
        subject: who answered; people are ``subject-01`` and so on.
        response: the category answered, or ``na``.
        category: the category shown.
        condition: of the image, such as ``c05`` or ``0.35``.
        image: its file name.
        session: a number or name.
        rt: seconds until the answer, float64; NaN where unknown.
    """

    subject: np.ndarray
    response: np.ndarray
    category: np.ndarray
    condition: np.ndarray
    image: np.ndarray
    session: np.ndarray
    rt: np.ndarray

    def __len__(self) -> int:
        return len(self.subject)

    def where(self, mask: np.ndarray) -> "Trials":
        """The trials that a mask ``[trials]`` keeps."""
        return Trials(*(getattr(self, f.name)[mask] for f in dataclasses.fields(self)))

    def of(self, *, subject: str | None = None, condition: str | None = None) -> "Trials":
        """The trials of one observer, or of one condition."""
        mask = np.ones(len(self), bool)
        if subject is not None:
            mask &= self.subject == subject
        if condition is not None:
            mask &= self.condition == condition
        return self.where(mask)

    @property
    def correct(self) -> np.ndarray:
        """``[trials]``: whether the answer is the category shown; no answer is wrong."""
        return self.response == self.category

    @property
    def subjects(self) -> list[str]:
        """Names of the observers, sorted."""
        return sorted(set(self.subject.tolist()))

    @property
    def conditions(self) -> list[str]:
        """Conditions, by the numbers in their names, those without numbers last."""
        return sorted(set(self.condition.tolist()), key=_strength)

    def by_image(self) -> tuple[list[str], np.ndarray]:
        """Names of the images without what belongs to the experiment, sorted; and their order.

        Raises:
            InputError: an image was answered twice.
        """
        names = [image_id(name) for name in self.image.tolist()]
        order = np.asarray(sorted(range(len(names)), key=names.__getitem__), int)
        names = [names[i] for i in order]
        for first, second in itertools.pairwise(names):
            if first == second:
                raise InputError(
                    f"{self.subject[0]} answered {first} twice: compare one observer's trials of "
                    "one condition"
                )
        return names, order


class Stimulus(NamedTuple):
    """An image of an experiment.

    Attributes:
        path: of its file.
        category: shown.
        condition: ``0`` where the layout names none.
        session: of the experiment.
    """

    path: Path
    category: str
    condition: str
    session: str


def image_id(name: str) -> str:
    """The part of a published image name that all observers' files share.

    ``0000_cl_s01_bw_boat_40_n02951358_5952.JPEG`` gives ``n02951358_5952.JPEG``, and names without
    such a prefix themselves.
    """
    parts = name.split("_")
    if len(parts) == 1:
        return name
    return "_".join(parts[-2:]) if parts[-2].startswith("n0") else parts[-1]


def _strength(condition: str) -> tuple[list[float], str]:
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", condition)]
    return numbers or [math.inf], condition


def read_trials(paths: str | Path | Iterable[str | Path]) -> Trials:
    """Reads CSV files with model-vs-human's columns (``COLUMNS``, in any order and case).

    ``trial`` and ``rt`` may be missing.

    Args:
        paths: a file, a folder of ``.csv`` files, or several of these.

    Raises:
        InputError: no such file, a column that is missing, a category that is not one of the 16,
            no trials.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    files = [
        file
        for path in map(Path, paths)
        for file in (sorted(path.glob("*.csv")) if path.is_dir() else [path])
    ]
    rows: list[tuple[str, ...]] = []
    for file in files:
        rows += _rows(file)
    if not rows:
        raise InputError(f"no trials in {', '.join(map(str, paths)) or 'an empty list of files'}")
    size = sum(file.stat().st_size for file in files)
    columns = [text_array(files[0], "a column", column, size) for column in zip(*rows, strict=True)]
    return Trials(*columns[:-1], rt=columns[-1].astype(np.float64))  # type: ignore[misc]


def write_trials(path: str | Path, trials: Trials) -> None:
    """Writes a CSV that :func:`read_trials` and model-vs-human read."""
    lines: list[Sequence[Any]] = [COLUMNS]
    fields = (getattr(trials, f.name).tolist() for f in dataclasses.fields(trials))
    rows = zip(*fields, strict=True)
    for number, (subject, response, category, condition, image, session, rt) in enumerate(rows, 1):
        seconds = "NaN" if np.isnan(rt) else repr(rt)
        lines.append((subject, session, number, seconds, response, category, condition, image))
    write_text(Path(path), csv_text(lines))


def read_stimuli(folder: str | Path) -> list[Stimulus]:
    """Finds the images of an experiment in its published layout, below a folder.

    Either ``session-1/0001_xx_dnn_CONDITION_CATEGORY_10_n0123_4.png`` (parametric experiments) or
    ``CATEGORY/NAME.png`` (sketch, stylized, cue-conflict, ...), with folders around them or not.

    Returns:
        Stimuli, sorted by their paths.

    Raises:
        InputError: no folder, no images, or an image whose name tells no category.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of stimuli")
    stimuli = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES):
        parts = path.name.split("_")
        session = next((p.name for p in path.parents if p.name.startswith("session")), "session-1")
        if len(parts) > 5 and parts[4] in CATEGORIES:
            stimuli.append(Stimulus(path, parts[4], parts[3], session))
        elif path.parent.name in CATEGORIES:
            stimuli.append(Stimulus(path, path.parent.name, "0", session))
        else:
            raise InputError(
                f"{path}: neither its folder nor its name is one of the 16 categories; expected "
                "CATEGORY/NAME.png or NUMBER_EXPERIMENT_dnn_CONDITION_CATEGORY_NUMBER_NAME.png"
            )
    if not stimuli:
        raise InputError(f"{folder} has no .png or .jpg images")
    return stimuli


def model_trials(name: str, stimuli: Sequence[Stimulus], probabilities: ArrayLike) -> Trials:
    """The answers of a network: the category of the highest probability.

    Args:
        name: of the network.
        stimuli: from :func:`read_stimuli`.
        probabilities: ``[stimuli, 16]``, see :func:`jaxbio.behaviour.category_probabilities`.

    Raises:
        InputError: shapes that do not fit, or NaN.
    """
    p = np.asarray(probabilities)
    if p.shape != (len(stimuli), len(CATEGORIES)) or np.isnan(p).any():
        raise InputError(
            f"probabilities of shape {p.shape}, NaN in {int(np.isnan(p).any(-1).sum())} rows: "
            f"{len(stimuli)} stimuli need {len(CATEGORIES)} numbers each"
        )
    return Trials(
        subject=np.full(len(stimuli), name),
        response=np.asarray(CATEGORIES)[p.argmax(1)],
        category=np.asarray([s.category for s in stimuli]),
        condition=np.asarray([s.condition for s in stimuli]),
        image=np.asarray([s.path.name for s in stimuli]),
        session=np.asarray([s.session for s in stimuli]),
        rt=np.full(len(stimuli), np.nan),
    )


def csv_lines(
    file: Path, columns: Mapping[str, Sequence[str]], optional: Collection[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """The lines of a CSV of trials: their numbers, and their cells by column, "" where empty.

    Args:
        file: with a header, in any order and case.
        columns: what each may be called.
        optional: those that may be missing.

    Raises:
        InputError: no such file, or a column that is missing.
    """
    check_regular(file)
    with reading(file, "a CSV of trials"), file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        there = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        found = {}
        for column, names in columns.items():
            known = [there[name] for name in names if name in there]
            if not known and column not in optional:
                raise InputError(
                    f"{file}: column {column} is missing; needed: {', '.join(columns)}"
                )
            found[column] = known[0] if known else None
        return [
            (reader.line_num, {c: (row[n] or "").strip() if n else "" for c, n in found.items()})
            for row in reader
        ]


def _rows(file: Path) -> list[tuple[str, ...]]:
    """Of one file, in the order of the fields of :class:`Trials`."""
    lines = csv_lines(file, {name: (name,) for name in COLUMNS}, optional=("trial", "rt"))
    return [_row(file, line, cells) for line, cells in lines]


def _row(file: Path, line: int, cells: dict[str, str]) -> tuple[str, ...]:
    category, response = cells["category"], cells["object_response"].lower()
    allowed = (*CATEGORIES, NO_ANSWER)
    if category not in CATEGORIES or response not in allowed:
        wrong = category if category not in CATEGORIES else response
        raise InputError(
            f"{file}, line {line}: {wrong!r} is not one of the 16 categories ({', '.join(allowed)})"
        )
    seconds = cells["rt"] or "nan"
    try:
        float(seconds)
    except ValueError:
        raise InputError(f"{file}, line {line}: rt={seconds!r} is not a number") from None
    return (
        cells["subj"], response, category, cells["condition"], cells["imagename"],
        cells["session"], seconds,
    )  # fmt: skip
