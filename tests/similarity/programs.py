"""What a traced program holds."""

import math
from typing import Any

import jax


def largest_array(program: Any) -> int:
    """Numbers in the largest array of a program, inner programs included."""
    inner = jax.tree.leaves(
        [list(eqn.params.values()) for eqn in program.eqns], is_leaf=_is_program
    )
    sizes = [math.prod(v.aval.shape) for eqn in program.eqns for v in eqn.outvars]
    sizes += [largest_array(p) for p in inner if _is_program(p)]
    return max(sizes, default=0)


def _is_program(x: Any) -> bool:
    return hasattr(x, "eqns")
