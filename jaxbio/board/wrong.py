"""What a network takes for what, and the pictures that it gets wrong.

The answers are those of ``evaluation/predictions.csv``. The pictures come from the run's own data
set, by the names that stand there, and only where the data are those that were measured.
"""

import csv
import functools
import io
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxbio.board.index import NotFoundError
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.runs.listing import Run
from jaxbio.tasks.config import restored_config

if TYPE_CHECKING:
    import numpy as np

    from jaxbio.data.types import Source

_MOST_BYTES = 1 << 26  # of predictions.csv
_MOST_CLASSES = 50  # of a matrix; of more the most frequent pairs are listed
_MOST_PAIRS = 2500
_OF_A_PAIR = 24  # pictures
_OF_A_RUN = 2000
_SIDE = 96  # of a picture that is shown, pixels
_EXACT = 64  # up to here as it is, pixel by pixel


class Wrong(NamedTuple):
    """The answers of a run.

    Attributes:
        about: for the page: ``labels`` of rows, ``columns``, ``counts`` (None of many classes),
            ``images``, ``right``, ``readout`` and ``pairs``, the most frequent first, each with
            ``class``, ``answer``, ``count`` and ``pictures``: line and probability, surest first.
        names: of these pictures by their line, from 0.
        fingerprint: of the data that were measured.
    """

    about: dict[str, Any]
    names: dict[int, str]
    fingerprint: str


def find_wrong(run: Path) -> Wrong | None:
    """What was answered by a run's last test of its accuracy; None where that is not recorded.

    Raises:
        InputError: a file that is not what jaxbio writes.
    """
    files = [run / "evaluation" / name for name in ("predictions.csv", "accuracy.json")]
    if not all(file.is_file() for file in files):
        return None
    about = [file.stat() for file in files]
    return _read(run, tuple((one.st_mtime_ns, one.st_size) for one in about))


@functools.lru_cache(maxsize=8)
def _read(run: Path, signature: tuple[tuple[int, int], ...]) -> Wrong:
    file = run / "evaluation" / "predictions.csv"
    if signature[0][1] > _MOST_BYTES:
        raise InputError(f"{file} has more than {_MOST_BYTES >> 20} MiB")
    measured = read_json(run / "evaluation" / "accuracy.json")
    try:
        reader = csv.DictReader(io.StringIO(file.read_text()), strict=True)
        if not {"picture", "class", "answer", "probability"} <= set(reader.fieldnames or ()):
            raise ValueError("no columns picture, class, answer, probability")
        rows = list(reader)
        counts = Counter((row["class"], row["answer"]) for row in rows)
        order = [one["class"] for one in measured.get("classes", [])]
        labels = list(dict.fromkeys([*order, *sorted(name for name, _ in counts)]))
        columns = list(dict.fromkeys([*labels, *sorted(name for _, name in counts)]))
        numbers = {name: number for number, name in enumerate(columns)}
        pairs, names = _pairs(rows, counts, numbers)
        few = len(columns) <= _MOST_CLASSES
        about = {
            "labels": labels,
            "columns": columns,
            "counts": [[counts[i, j] for j in columns] for i in labels] if few else None,
            "images": len(rows),
            "right": sum(count for (i, j), count in counts.items() if i == j),
            "readout": measured.get("readout"),
            "pairs": pairs,
        }
        return Wrong(about, names, str(measured["data"]["fingerprint"]))
    except (csv.Error, LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file.name}: {type(error).__name__}: {error}") from error


def _pairs(
    rows: list[dict[str, str]], counts: Counter[tuple[str, str]], numbers: dict[str, int]
) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """The pairs that are confused, and the names of the pictures that are shown of them."""
    lines: dict[tuple[str, str], list[tuple[int, float | None]]] = {}
    for line, row in enumerate(rows):
        if row["class"] != row["answer"]:
            sure = float(row["probability"]) if row["probability"] else None
            lines.setdefault((row["class"], row["answer"]), []).append((line, sure))
    pairs: list[dict[str, Any]] = []
    names: dict[int, str] = {}
    for pair in sorted(lines, key=lambda pair: -counts[pair])[:_MOST_PAIRS]:
        most = min(_OF_A_PAIR, _OF_A_RUN - len(names))
        shown = sorted(lines[pair], key=lambda one: -(one[1] or 0.0))[:most]
        names.update((line, rows[line]["picture"]) for line, _ in shown)
        of = {"class": numbers[pair[0]], "answer": numbers[pair[1]], "count": counts[pair]}
        pairs.append({**of, "pictures": shown})
    return pairs, names


class Pictures:
    """Pictures of the data sets of runs; one set is open at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: tuple[str, Source, str, dict[str, int]] | None = None

    def show(self, run: Run, line: int) -> tuple[bytes, str]:
        """A picture that a run gets wrong, small, by its line in ``predictions.csv``.

        Returns:
            A file, and its media type.

        Raises:
            NotFoundError: no such line.
            InputError: other data than were measured, or none.
        """
        wrong = find_wrong(run.path)
        if wrong is None or line not in wrong.names:
            raise NotFoundError("there is no such picture")
        from jaxbio.data.splits import picture

        with self._lock:
            source, fingerprint, places = self._open(run)
            if fingerprint != wrong.fingerprint:
                raise InputError(
                    "the data are not those that were measured: pictures are of the run's own "
                    "data set (data.source, data.data_dir), as long as that is unchanged"
                )
            place = places.get(wrong.names[line])
            if place is None:
                raise InputError("the data have no picture of that name")
            return _encoded(picture(source.eval, place))

    def _open(self, run: Run) -> "tuple[Source, str, dict[str, int]]":
        from jaxbio.data import open_source

        data = restored_config({"config": run.config}).data
        key = repr(sorted(data.items()))
        if self._opened is None or self._opened[0] != key:
            source = open_source(data)
            split = source.eval
            places = {split.example_name(number): number for number in range(len(split))}
            self._opened = key, source, source.fingerprint(), places
        return self._opened[1:]


def _encoded(pixels: "np.ndarray") -> tuple[bytes, str]:
    from PIL import Image

    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    exact = max(image.size) <= _EXACT
    if not exact:
        image.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    image.save(stream, "PNG" if exact else "JPEG")
    return stream.getvalue(), "image/png" if exact else "image/jpeg"
