"""Progress on the terminal: a bar, or plain lines; and tables.

A terminal that is closed, or an output that is full or whose reader has gone, ends no training.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence

from tqdm import tqdm

_PLAIN_LINE_SECONDS = 5.0
_SILENT_SECONDS = 9.0


def say(text: str) -> None:
    """Prints a line, as long as there is somebody who reads."""
    try:
        print(text, flush=True)
    except UnicodeEncodeError:
        say(text.encode("ascii", "backslashreplace").decode())
    except (OSError, ValueError):  # full, or closed
        _silence()


def _silence() -> None:
    """Sends standard output nowhere: what is in its buffer would fail again at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as long as the process lives


class Progress:
    """A bar on a terminal; a line every few seconds elsewhere.

    Args:
        total: steps of the whole run.
        start: steps done before this process.
        enabled: False in all processes but the first.
    """

    def __init__(self, total: int, start: int, *, enabled: bool = True):
        self._total, self._start, self._done = total, start, start
        self._began = self._last_line = time.monotonic()
        self._enabled = enabled
        self._bar = None
        if enabled and sys.stderr is not None and sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=start, unit="step", dynamic_ncols=True)

    def advance(self) -> None:
        """Counts one step."""
        self._done += 1
        if self._bar is not None:
            self._draw(lambda bar: bar.update(1))
        elif time.monotonic() - self._last_line > _SILENT_SECONDS:  # log lines are far between
            self._line("")

    def advance_first(self) -> None:
        """Counts the first step, and leaves it, with its compilation, out of the time to come."""
        self._done += 1
        self._began = self._last_line = time.monotonic()
        self._start = self._done
        if self._bar is not None:
            self._draw(lambda bar: bar.update(1))
            self._draw(lambda bar: bar.unpause())

    def show(self, text: str, images_per_s: float) -> None:
        """Displays the newest metrics, and the speed."""
        text = f"{text}  {images_per_s:.1f} images/s"
        if self._bar is not None:
            self._draw(lambda bar: bar.set_postfix_str(text))
            return
        since = time.monotonic() - self._last_line
        if since > _PLAIN_LINE_SECONDS or self._done == self._total:
            self._line(text)

    def _line(self, text: str) -> None:
        if not self._enabled:
            return
        self._last_line = now = time.monotonic()
        pace = (now - self._began) / max(1, self._done - self._start)
        minutes, seconds = divmod(int(pace * (self._total - self._done)), 60)
        eta = f"ETA {minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
        say("  ".join(filter(None, (f"step {self._done}/{self._total}", text, eta))))

    def say(self, text: str) -> None:
        """A line of its own, above the bar."""
        if self._enabled:
            if self._bar is not None:
                self._draw(lambda bar: bar.clear())
            say(text)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._draw(lambda bar: bar.close())

    def _draw(self, what: Callable[[tqdm], object]) -> None:
        try:
            what(self._bar)
        except (OSError, ValueError):  # the terminal has gone
            self._bar = None


class Pace:
    """Says when something costly is due again.

    Args:
        seconds: between two times; the first comes when they have passed once.
    """

    def __init__(self, seconds: float):
        self._seconds, self._last = seconds, time.monotonic()

    def due(self) -> bool:
        """Whether the time has come; it then begins anew."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


def format_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Left-aligned columns with a rule below the first row."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
