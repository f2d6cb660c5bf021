"""A scan keeps one core of a CPU busy: several programs, each in a thread, use them all."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import jax

T = TypeVar("T")
R = TypeVar("R")


def programs_at_once() -> int:
    """How many programs are worth running at the same time."""
    if jax.default_backend() != "cpu":
        return 2  # the second one hides the transfers of the first
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(function: Callable[[T], R], arguments: Iterable[T]) -> Iterator[R]:
    """``map``, but several at once; ``function`` calls a compiled program and waits for it.

    Arguments are asked for as they are needed, so that a stream of them takes bounded memory.
    """
    ahead = programs_at_once()
    waiting: collections.deque[Future[R]] = collections.deque()
    with ThreadPoolExecutor(ahead) as pool:
        for argument in arguments:
            waiting.append(pool.submit(function, argument))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
