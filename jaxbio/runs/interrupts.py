"""Being told to stop: SIGTERM and Ctrl-C become a flag that the loop reads between steps."""

import signal
import threading
from typing import Any

import jax
from jax.experimental import multihost_utils

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupts:
    """Once armed, the first SIGTERM or SIGINT asks to stop; a second one acts as usual.

    Before that both act as usual: a process that only compiles so far has nothing to save, and
    ends at once. (Python's own handlers would wait until the compiler returns.)

    With several processes the cluster's preemption notice is used, which makes all of them stop at
    the same step.
    """

    def __init__(self):
        self._received = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        return self

    def arm(self) -> None:
        """From here on there is something to save."""
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        self._restore()

    def stop_requested(self, step: int) -> bool:
        """True once this run should save and end.

        Args:
            step: the same in all processes that ask.
        """
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._received

    def _handle(self, number: int, frame: object) -> None:
        self._received = True
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)
