"""Two-choice trials of people as a CSV has them, and as indices of pictures and objects."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from jaxbio.behaviour.trials import csv_lines
from jaxbio.errors import InputError
from jaxbio.similarity.behaviour import Trials

# Each column, and what else it may be called (as in the recordings of Rajalingham et al. 2018).
COLUMNS = {
    "image": ("image", "imagename", "image_id", "stimulus_id", "id"),
    "distractor": ("distractor", "dist_obj"),
    "choice": ("choice",),
}


@dataclasses.dataclass(frozen=True)
class Choices:
    """Trials by names.

    Attributes:
        image: which picture was shown: a file's name, with or without its suffix, or OBJECT/NAME.
        distractor: which object was offered beside the picture's own.
        choice: which of the two was chosen.
    """

    image: list[str]
    distractor: list[str]
    choice: list[str]

    def __len__(self) -> int:
        return len(self.image)

    def numbered(self, pictures: Sequence[str], objects: Sequence[str]) -> Trials:
        """The trials by numbers of ``pictures``, which are files in folders by object, and objects.

        Raises:
            InputError: a picture or an object that is not among them, or a name of two pictures.
        """
        numbers: dict[str, int] = {}
        ambiguous = set()
        for number, picture in enumerate(pictures):
            path = Path(picture)
            within = f"{path.parent.name}/{path.name}"
            for name in {path.name, path.stem, within}:
                if numbers.setdefault(name, number) != number:
                    ambiguous.add(name)
        if unclear := ambiguous & set(self.image):
            raise InputError(
                f"several pictures are called {min(unclear)}: call them OBJECT/NAME in the trials"
            )
        of_object = {name: number for number, name in enumerate(objects)}
        return Trials(
            _numbers(self.image, numbers, "picture", len(pictures)),
            _numbers(self.distractor, of_object, "object", len(objects)),
            _numbers(self.choice, of_object, "object", len(objects)),
        )


def read_choices(paths: str | Path | Iterable[str | Path]) -> Choices:
    """Reads CSV files with the columns ``image``, ``distractor`` and ``choice`` (or ``COLUMNS``).

    Raises:
        InputError: no such file, a column that is missing, an empty cell, or no trials.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    files = [Path(path) for path in paths]
    rows = [row for file in files for row in _rows(file)]
    if not rows:
        raise InputError(f"no trials in {', '.join(map(str, files)) or 'an empty list of files'}")
    return Choices(*(list(column) for column in zip(*rows, strict=True)))


def _rows(file: Path) -> list[tuple[str, ...]]:
    lines = csv_lines(file, COLUMNS)
    for line, cells in lines:
        if not all(cells.values()):
            raise InputError(f"{file}, line {line}: a cell is empty")
    return [tuple(cells.values()) for _, cells in lines]


def _numbers(names: list[str], known: dict[str, int], what: str, count: int) -> np.ndarray:
    unknown = sorted(set(names) - known.keys())
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise InputError(f"the trials' {what} {unknown[0]!r}{more} is none of the {count} {what}s")
    return np.array([known[name] for name in names])
