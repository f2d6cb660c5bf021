"""Programs that run once: their time is that of their compilation."""

import functools
from collections.abc import Callable
from typing import Any

import jax


def jit_once(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """``jax.jit`` for a function that is called once; part of the program in another one's trace.

    On CPUs with the code generator's first level: the creation of a network compiles in a third of
    the time. Other compilers may not know the option.

    Args:
        function: of trees of arrays.
        options: of ``jax.jit``.
    """

    @functools.wraps(function)
    def once(*args: Any) -> Any:
        if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(args)):
            return function(*args)  # only a whole program has options
        quick = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
        return jax.jit(function, compiler_options=quick, **options)(*args)

    return once
