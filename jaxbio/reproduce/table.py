"""What a published table is made of: rows with published values, the data they need, a verdict."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

AT_LEAST, EQUAL = "at least", "equal"


@dataclass(frozen=True)
class Published:
    """A published value.

    Attributes:
        value: in the unit of the row.
        spread: as published: a standard deviation or error; None without.
        where: it stands, where a row has several.
    """

    value: float
    spread: float | None = None
    where: str = ""

    def __str__(self) -> str:
        spread = "" if self.spread is None else f" +- {_number(self.spread)}"
        return f"{_number(self.value)}{spread}" + (f" ({self.where})" if self.where else "")


@dataclass(frozen=True)
class Need:
    """Data that a user has to bring.

    Attributes:
        what: it is.
        where: to get it.
        size: about.
        find: the path below the folder of the data, None where it is not there.
    """

    what: str
    where: str
    size: str
    find: Callable[[Path], Path | None]

    def missing(self) -> str:
        """One line for who has not got it."""
        return f"{self.what} ({self.size}): {self.where}"


@dataclass(frozen=True)
class Row:
    """One number of a table.

    Attributes:
        name: unique in its table.
        configuration: what is measured, in words.
        published: every value that was published, also where they differ; may be none.
        tolerance: how far ours may be away; None: the spread of each published value.
        rule: ``at least`` (more is better) or ``equal``.
        needs: beyond those of the table.
        detail: for the table's own use.
        unpublished: what stands in place of published values where there are none: nobody here has
            them, or the paper has none.
    """

    name: str
    configuration: str
    published: tuple[Published, ...] = ()
    tolerance: float | None = None
    rule: str = AT_LEAST
    needs: tuple[Need, ...] = ()
    detail: Any = None
    unpublished: str = "values wanted"

    def published_text(self) -> str:
        """The published values in words."""
        return " / ".join(map(str, self.published)) or self.unpublished


@dataclass(frozen=True)
class Measured:
    """Ours.

    Attributes:
        value: in the unit of the row; None where it could not be measured.
        error: standard deviation over seeds, or the standard error of one network.
        interval: 95 %.
        note: what a reader has to know.
        verdict: where the table has its own; else :func:`verdict` decides.
        more: further entries of the row in ``results.json``.
    """

    value: float | None
    error: float | None = None
    interval: tuple[float, float] | None = None
    note: str = ""
    verdict: str = ""
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What a measurement is given.

    Attributes:
        data: folder of the data; None where none is known.
        output: folder of what is written.
        seeds: networks per row, where rows are means.
        deadline: on the monotonic clock; None: no end.
        dry_run: on synthetic data of the same format, labelled so.
    """

    data: Path | None
    output: Path
    seeds: int = 5
    deadline: float | None = None
    dry_run: bool = False

    def left(self) -> float:
        """Seconds until the deadline."""
        return math.inf if self.deadline is None else self.deadline - time.monotonic()

    def find(self, need: Need) -> Path:
        """Where the data of a row that is being measured are: its needs have been found before."""
        found = None if self.data is None else need.find(self.data)
        assert found is not None
        return found


class OutOfTimeError(Exception):
    """The budget was spent in the middle of a row; what it has done is saved."""


@dataclass(frozen=True)
class Table:
    """A published table.

    Attributes:
        title: in a line.
        source: of the values.
        rows: as published, or as the data has them.
        measure: of one row.
        needs: data that every row needs.
        took: time it took here, in words; "" if it was never run whole.
        about: lines for the page.
        can_dry_run: whether ``--dry_run`` proves the path without the data.
        quantity: what the values are, for the axis of the figure.
    """

    title: str
    source: str
    rows: Callable[[Context], Sequence[Row]]
    measure: Callable[[Row, Context], Measured]
    needs: tuple[Need, ...] = ()
    took: str = ""
    about: tuple[str, ...] = ()
    can_dry_run: bool = False
    quantity: str = "accuracy, share of the images"


def verdict(row: Row, value: float) -> str:
    """How ours is beside each published value.

    Returns:
        ``reached``, ``short by x``, ``off by x``, or what stands in place of published values; of
        several published values one each.
    """
    if not row.published:
        return row.unpublished
    verdicts = [_against(row, one, value) for one in row.published]
    if len(set(verdicts)) == 1:
        return verdicts[0]
    return "; ".join(
        f"{text} ({_number(one.value)})" for text, one in zip(verdicts, row.published, strict=True)
    )


def _against(row: Row, published: Published, value: float) -> str:
    tolerance = published.spread if row.tolerance is None else row.tolerance
    difference = value - published.value
    if row.rule == EQUAL:
        difference = -abs(difference)
    if difference >= -(tolerance or 0.0) - 1e-9:
        return "reached"
    return f"{'off' if row.rule == EQUAL else 'short'} by {_number(-difference)}"


def below(*names: str) -> Callable[[Path], Path | None]:
    """Finds the first of several paths below the data folder."""

    def find(data: Path) -> Path | None:
        return next((data / name for name in names if (data / name).exists()), None)

    return find


def missing(needs: Sequence[Need], data: Path | None) -> list[Need]:
    """Those of ``needs`` that are not there."""
    return [need for need in needs if data is None or need.find(data) is None]


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
