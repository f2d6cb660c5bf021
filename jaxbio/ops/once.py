"""Programs that run once: their time is that of their compilation."""

import functools
from collections.abc import Callable
from typing import Any

import jax


def jit_once(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """``jax.jit`` for a function that is called once; part of the program in another one's trace.

    The code generator's first level: the creation of a network compiles in a third of the time.

    Args:
        function: of trees of arrays.
        options: of ``jax.jit``.
    """
    quick = jax.jit(function, compiler_options={"xla_backend_optimization_level": 1}, **options)

    @functools.wraps(function)
    def once(*args: Any) -> Any:
        traced = any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(args))
        return function(*args) if traced else quick(*args)  # only a whole program has options

    return once
