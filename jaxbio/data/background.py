"""Iterators that work ahead in threads: one over a Python iterator, and their end at exit."""

import atexit
import queue
import threading
import weakref
from collections.abc import Generator, Iterator
from typing import Any

_open: list[weakref.ref] = []


def closed_at_exit(generator: Generator) -> Generator:
    """Has a generator closed before the interpreter shuts down.

    A thread that calls into Python (to read a record, say) while that happens would hang it; the
    generator's ``close`` ends its threads.
    """
    _open.append(weakref.ref(generator, _open.remove))
    return generator


@atexit.register
def _close_all() -> None:
    for reference in reversed(_open.copy()):  # the consumers before what they consume
        generator = reference()
        if generator is not None:
            generator.close()


def in_background(items: Iterator[Any], depth: int) -> Generator[Any, None, None]:
    """Yields the items of an iterator that is advanced in a thread, up to ``depth`` ahead.

    The thread starts with the first item asked for, and ends with the iterator: when that is
    exhausted, closed or forgotten; a generator is closed with it. What the iterator raises is
    raised here, after the items before it.

    Args:
        items: the iterator; used by the thread alone.
        depth: items to hold ready, 1 or more.
    """
    return closed_at_exit(_worked_ahead(items, depth))


def _worked_ahead(items: Iterator[Any], depth: int) -> Generator[Any, None, None]:
    ready: queue.Queue = queue.Queue(depth)
    stop = threading.Event()

    def put(entry: tuple[str, Any]) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(("item", item)):
                    return
            put(("end", None))
        except BaseException as error:  # handed over to the consumer, whatever it is
            put(("error", error))

    thread = threading.Thread(target=work, name="jaxbio.data", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stop.set()
        thread.join()
        if isinstance(items, Generator):
            items.close()
