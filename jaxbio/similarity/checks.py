"""What every measure does with its input: shapes, finite values, something that varies.

Shapes are always checked. Values are checked where they are known: inside somebody's ``jit``,
``vmap`` or ``grad`` an array has no values yet, and the functions stay pure and compilable.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxbio.errors import InputError


def compiled(function: Callable | None = None, *, static: Iterable[str] = ()) -> Callable:
    """``jax.jit`` with float32 matrix products in full precision (GPUs and TPUs round otherwise).

    Args:
        function: the function; without it, a decorator is returned.
        static: names of the arguments that are not arrays.
    """
    if function is None:
        return functools.partial(compiled, static=static)

    @functools.wraps(function)
    def exact(*args: Any, **kwargs: Any) -> Any:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return jax.jit(exact, static_argnames=tuple(static))


def known(*arrays: Any) -> bool:
    """Whether all arrays have values, not only shapes."""
    return not any(isinstance(x, jax.core.Tracer) for x in arrays)


def floats(x: Any, name: str, ndim: int | tuple[int, ...]) -> jax.Array:
    """The array as floating point, float32 or wider, after a check of its number of axes.

    Raises:
        InputError: if it has another number of axes, is empty, or has NaN or infinite values.
    """
    x = jnp.asarray(x)
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if x.ndim not in allowed or x.size == 0:
        axes = " or ".join(map(str, allowed))
        raise InputError(f"{name} has shape {x.shape}, must have {axes} axes and not be empty")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(jnp.result_type(float))
    elif x.dtype.itemsize < 4:  # sums of squares of a layer overflow in float16, vanish in bfloat16
        x = x.astype(jnp.float32)
    if known(x) and not bool(jnp.isfinite(x).all()):
        bad = int((~jnp.isfinite(x)).sum())
        raise InputError(
            f"{name} has {bad} NaN or infinite values of {x.size}; "
            "drop them beforehand (jaxbio.similarity.drop_nan)"
        )
    return x


def local(x: jax.Array) -> jax.Array:
    """The array, as a whole in this process if it is spread over several (all must call this)."""
    if not known(x) or x.is_fully_addressable:
        return x
    everywhere = NamedSharding(cast(Any, x.sharding).mesh, PartitionSpec())
    return jnp.asarray(np.asarray(jax.jit(lambda x: x, out_shardings=everywhere)(x)))


def finite(x: jax.Array, what: str) -> jax.Array:
    """The result itself; raises an InputError if it has values that are no numbers."""
    if known(x) and not bool(jnp.isfinite(x).all()):
        bad = int((~jnp.isfinite(x)).sum())
        raise InputError(
            f"{what}: {bad} of {x.size} results are not finite: the input overflows {x.dtype}, or "
            "does not vary; scale it, or give it in float64"
        )
    return x


def same_length(n: int, m: int, name_n: str, name_m: str, unit: str = "stimuli") -> None:
    """Raises an InputError unless the two numbers of stimuli (pairs, ...) agree."""
    if n != m:
        raise InputError(f"{name_n} has {n} {unit} and {name_m} {m}; they must be the same ones")


def choice(value: str, valid: Iterable[str], name: str) -> None:
    """Raises an InputError with the valid names unless ``value`` is one of them."""
    valid = tuple(valid)
    if value not in valid:
        raise InputError(f"unknown {name} {value!r}; valid: {', '.join(valid)}")


def varies(x: jax.Array, name: str) -> None:
    """Raises an InputError if nothing varies over the stimuli, the second last axis."""
    if not known(x):
        return
    if x.shape[-2] < 2:
        raise InputError(f"{name} has {x.shape[-2]} stimulus, must have at least 2")
    constant = np.asarray((x.max(-2) == x.min(-2)).all(-1))
    if constant.any():
        where = f" (index {np.argwhere(constant)[0].tolist()})" if constant.ndim else ""
        raise InputError(f"{name}{where} is constant over all stimuli: no score is defined")


def neuroids_vary(x: jax.Array, name: str) -> None:
    """Raises an InputError if one of the neuroids of ``[..., n, q]`` is constant over stimuli."""
    if not known(x):
        return
    constant = np.asarray(x.max(-2) == x.min(-2))
    if constant.any():
        where = np.argwhere(constant)[0].tolist()
        raise InputError(
            f"{name}: neuroid {where[-1]} is constant over all stimuli ({constant.sum()} such in "
            "all), its correlation is undefined; drop it beforehand"
        )


def whole_labels(labels: Any, n: int, name: str) -> tuple[np.ndarray, int]:
    """Labels of any kind as indices from 0, in sorted order of their names, and their number.

    Raises:
        InputError: if they are not one per stimulus.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or len(labels) != n:
        raise InputError(f"{name} has shape {labels.shape}, must have one label per stimulus ({n})")
    names, index = np.unique(labels, return_inverse=True)
    return index, len(names)
