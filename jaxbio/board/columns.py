"""The numbers of ``metrics.jsonl``, 16 bytes each, so that a million lines fit in memory."""

from array import array
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import Any, NamedTuple

from jaxbio.runs.metrics_file import MetricsReader

_MOST_SERIES = 500  # of one run; a damaged file may name any number
_HUGE = 1e300
_CHUNK = 1 << 18  # bytes


class Series(NamedTuple):
    """One number over the steps of a run.

    Attributes:
        steps: rising, ``[N]``.
        values: finite, ``[N]``.
    """

    steps: "array[int]"
    values: "array[float]"

    def between(self, low: float, high: float, most: int) -> tuple[list[int], list[float]]:
        """Steps and values from step ``low`` to ``high``.

        Of more than ``most`` points every n-th is taken, and the newest always.
        """
        first, end = bisect_left(self.steps, low), bisect_right(self.steps, high)
        stride = -(-(end - first) // most) or 1
        chosen = range(end - 1, first - 1, -stride)[::-1]
        return [self.steps[i] for i in chosen], [self.values[i] for i in chosen]


class Columns:
    """The numbers of one run, read as they come; ``metrics.jsonl`` need not exist.

    Attributes:
        series: by ``SPLIT/KEY``, such as ``train/loss``.
    """

    def __init__(self, file: Path):
        self._reader = MetricsReader(file)
        self.series: dict[str, Series] = {}

    def read(self) -> bool:
        """Reads some of what has come; True where there may be more."""
        lines, anew = self._reader.more(_CHUNK)
        if anew:
            self.series.clear()
        for line in lines:
            self._add(line)
        return self._reader.waiting > 0

    @property
    def damaged(self) -> int:
        """Lines that were left out."""
        return self._reader.damaged

    def _add(self, line: dict[str, Any]) -> None:
        step, split = line["step"], line["split"]
        for key, value in line.items():
            if type(value) not in (int, float) or key == "step" or not abs(value) < _HUGE:
                continue
            name = f"{split}/{key}"
            found = self.series.get(name)
            if found is None:
                if len(self.series) >= _MOST_SERIES:
                    continue
                found = self.series[name] = Series(array("q"), array("d"))
            if found.steps and step < found.steps[-1]:
                continue  # a damaged file; steps rise
            found.steps.append(step)
            found.values.append(value)
