"""A Python function of NumPy arrays, called from within a compiled program.

``jax.pure_callback`` hands over JAX arrays, which a thread of XLA's pool has to fill; where all of
them wait in callbacks (on one core that is the first one) nothing ever goes on (jax issue 24255).
Here the function gets the program's own buffers, so that nothing waits.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

# Arrays ``[..., *of one call]`` to arrays float32 with the same leading axes.
Host = Callable[..., Sequence[np.ndarray]]


def host_call(host: Host, shapes: Sequence[tuple[int, ...]], *arrays: jax.Array) -> list[jax.Array]:
    """What ``host`` returns, traceable; left out of a program that does not use it.

    Args:
        host: called with NumPy arrays that are not to be changed, on any thread. Under ``vmap`` all
            of them have one more axis in front, as what it returns.
        shapes: of the arrays float32 that it returns.
        arrays: what it is called with.
    """
    return _call.bind(*arrays, host=host, shapes=tuple(map(tuple, shapes)))


def _called(*arrays: Any, host: Host, shapes: Any) -> list[np.ndarray]:
    return [np.asarray(x, np.float32) for x in host(*map(np.asarray, arrays))]


def _abstract(*arrays: Any, host: Host, shapes: Any) -> list[Any]:
    return [jax.core.ShapedArray(shape, jnp.float32) for shape in shapes]


def _batched(arrays: Any, axes: Any, *, host: Host, shapes: Any) -> Any:
    pairs = list(zip(arrays, axes, strict=True))
    size = next(x.shape[axis] for x, axis in pairs if axis is not None)
    wide = [
        jnp.broadcast_to(x, (size, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in pairs
    ]
    found = _call.bind(*wide, host=host, shapes=tuple((size, *shape) for shape in shapes))
    return found, [0] * len(found)


def _lowered(context: Any, *arrays: Any, host: Host, shapes: Any) -> Any:
    def callback(*given: Any) -> tuple[np.ndarray, ...]:
        return tuple(_called(*given, host=host, shapes=shapes))

    result, _, _ = mlir.emit_python_callback(
        context,
        callback,
        None,
        list(arrays),
        context.avals_in,
        context.avals_out,
        has_side_effect=False,
        returns_token=False,
    )
    return result


_call = Primitive("host_call")
_call.multiple_results = True
_call.def_impl(lambda *arrays, **what: [jnp.asarray(x) for x in _called(*arrays, **what)])
_call.def_abstract_eval(_abstract)
batching.primitive_batchers[_call] = _batched
mlir.register_lowering(_call, _lowered)
