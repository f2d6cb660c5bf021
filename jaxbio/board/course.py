"""How a run goes, in a few numbers: read in passing, since tables show hundreds of runs.

Of ``metrics.jsonl`` all tests are read, and of training lines a sample and the newest: the rest is
looked at by a search for words only, at the speed of memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxbio.runs.listing import JUDGED_BY
from jaxbio.runs.metrics_file import MetricsReader, parse_lines

_TEST = b'"split": "test"'  # as it is written
_SAMPLED = 64  # training lines of what is read at once
_KEPT = 256
_POINTS = 40  # of a sparkline
_CHUNK = 1 << 22  # bytes
_TRAINING = ("loss", "rdm_loss", "spikes")

Line = dict[str, Any]


class Course:
    """The numbers of one run that a table shows; ``metrics.jsonl`` need not exist.

    Attributes:
        last: the newest training line.
        damaged: whether a line that was looked at is none.
    """

    def __init__(self, file: Path):
        self._reader = MetricsReader(file)
        self._tests: list[Line] = []
        self._training: list[Line] = []
        self.last: Line = {}
        self.damaged = False

    @property
    def waiting(self) -> bool:
        """Whether there is something to read."""
        return self._reader.waiting > 0

    def read(self) -> bool:
        """Reads some of what has come; True where there is more."""
        text, anew = self._reader.text(_CHUNK)
        if anew:
            self._tests, self._training, self.last, self.damaged = [], [], {}, False
        tests = list(_with(_TEST, text))
        sample = _sample(text)
        found = parse_lines(sample)
        self.damaged |= len(found) < len(sample)
        self._tests = _thinned(self._tests + parse_lines(tests), _KEPT)
        training = [line for line in found if line["split"] == "train"]
        self._training = _thinned(self._training + training, _KEPT)
        self.last = self._training[-1] if self._training else self.last
        return self.waiting

    @property
    def step(self) -> int | None:
        """The newest step; None before the first line."""
        return max((line["step"] for line in (self.last, *self._tests[-1:]) if line), default=None)

    @property
    def speed(self) -> float | None:
        """Images per second."""
        return _number(self.last.get("images_per_s"))

    def sparkline(self) -> dict[str, Any] | None:
        """Of the number that the run is judged by, or of the loss before there are two tests."""
        for split, lines, keys in (
            ("test", self._tests, JUDGED_BY),
            ("train", self._training, _TRAINING),
        ):
            for key in keys:
                numbers = [_number(line.get(key)) for line in lines]
                values = [float(f"{n:.4g}") for n in numbers if n is not None]
                if len(values) > 1:
                    return {"of": f"{split}/{key}", "values": _thinned(values, _POINTS)}
        return None


def _with(word: bytes, text: bytes) -> Iterator[bytes]:
    """The lines that hold a word."""
    place = text.find(word)
    while place >= 0:
        end = text.index(b"\n", place)
        yield text[text.rfind(b"\n", 0, place) + 1 : end]
        place = text.find(word, end)


def _sample(text: bytes) -> list[bytes]:
    """Lines at even distances, and the last one; all of a short text."""
    if text.count(b"\n") <= _SAMPLED:
        return text.splitlines()
    starts = {text.rfind(b"\n", 0, len(text) * i // _SAMPLED) + 1 for i in range(_SAMPLED)}
    starts.add(text.rfind(b"\n", 0, len(text) - 1) + 1)
    return [text[start : text.index(b"\n", start)] for start in sorted(starts)]


def _thinned(values: list[Any], most: int) -> list[Any]:
    """At most so many of them, at even distances; the newest stays."""
    stride = -(-len(values) // most) or 1
    return values[::-1][::stride][::-1]


def _number(value: Any) -> float | None:
    finite = type(value) in (int, float) and abs(value) < 1e300
    return float(value) if finite else None
