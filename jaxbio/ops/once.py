"""Programs that run once: their time is that of their compilation."""

from collections.abc import Callable
from typing import Any

import jax


def jit_once(function: Callable[..., Any], **options: Any) -> Any:
    """``jax.jit`` for a function that is called once; not to be nested in another ``jit``.

    The code generator's first level: the creation of a network compiles in a third of the time.

    Args:
        function: whatever ``jax.jit`` takes.
        options: of ``jax.jit``.
    """
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 1}, **options)
