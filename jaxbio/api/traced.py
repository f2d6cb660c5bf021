"""Networks that JAX traces: Linen modules, NNX modules and functions, as measures take them."""

import contextlib
import contextvars
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
from flax import linen, nnx

from jaxbio.api.outputs import choose, split_output
from jaxbio.errors import InputError

# What the networks people write call "not trained".
_EVALUATION = {
    **dict.fromkeys(("train", "training", "is_training"), False),
    **dict.fromkeys(("deterministic", "use_running_average", "eval", "inference"), True),
}
# Variables, images and random keys to what the network returns, and the activity within.
Forward = Callable[[Any, jax.Array, Mapping[str, jax.Array]], tuple[Any, Mapping[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Traced:
    """Any such network, applied as jaxbio's own.

    Attributes:
        wanted: names or patterns of layers; None: all.
        arrival_steps: of layers with time, see :class:`jaxbio.models.body.Body`.
    """

    forward: Forward
    wanted: Sequence[str] | None = None
    arrival_steps: Mapping[str, int] = dataclasses.field(default_factory=dict)
    blocks: str = ""

    def apply(
        self,
        variables: Mapping[str, Any],
        images: jax.Array,
        train: bool = False,
        rngs: Mapping[str, jax.Array] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Logits and layers of normalised images float32 ``[N, S, S, 3]``.

        Raises:
            InputError: it is to be trained.
        """
        if train:
            raise InputError("a wrapped network is measured, not trained: leave out train=True")
        output, inner = self.forward(variables, images, rngs or {})
        logits, layers = split_output(output, inner, len(images))
        return logits, {name: layers[name] for name in choose(layers, self.wanted)}


def linen_network(module: linen.Module, wanted: Sequence[str] | None) -> Traced:
    """A Linen module, called in evaluation mode; its layers are the outputs of its submodules."""
    known = inspect.signature(type(module).__call__).parameters
    mode: dict[str, Any] = {name: value for name, value in _EVALUATION.items() if name in known}

    def forward(variables: Any, images: jax.Array, rngs: Any) -> tuple[Any, Mapping[str, Any]]:
        output, state = module.apply(
            variables,
            images,
            **mode,
            rngs=dict(rngs),
            capture_intermediates=True,
            mutable=["intermediates"],
        )
        return output, dict(_captured(state.get("intermediates", {})))

    arrival, blocks = getattr(module, "arrival_steps", {}), getattr(module, "blocks", "")
    return Traced(forward, wanted, arrival, blocks if isinstance(blocks, str) else "")


def _captured(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Names with dots between and the last value of each, of Linen's nested collection."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _captured(value, (*path, name))
        elif name != "__call__":
            yield ".".join((*path, name)), value[-1] if isinstance(value, tuple) else value
        elif path:  # the output of the whole is known
            yield ".".join(path), value[-1]


def nnx_network(module: nnx.Module, wanted: Sequence[str] | None) -> tuple[Traced, dict[str, Any]]:
    """An NNX module, a copy of which is set to evaluation mode, and its variables."""
    copy = nnx.merge(*nnx.split(module))
    copy.eval()
    graph, *states = nnx.split(copy, nnx.RngState, ...)
    keys, state = states

    def forward(variables: Any, images: jax.Array, rngs: Any) -> tuple[Any, Mapping[str, Any]]:
        network = nnx.merge(graph, keys, variables["state"])
        with _recording(network) as inner:
            output = network(images)
        return output, inner

    return Traced(forward, wanted), {"state": state}


_record: contextvars.ContextVar[dict[int, list[Any]]] = contextvars.ContextVar("record")
_recorders: dict[type, type] = {}


@contextlib.contextmanager
def _recording(network: nnx.Module) -> Iterator[dict[str, Any]]:
    """Fills a dict with the last output of every submodule of a network that nobody else has.

    Python looks ``__call__`` up in the class, so the submodules get one that keeps its results.
    """
    inner: dict[str, Any] = {}
    calls: dict[int, list[Any]] = {}
    names: dict[int, str] = {}
    for path, module in list(nnx.iter_modules(network)):
        if path and callable(module):
            names[id(module)] = ".".join(map(str, path))
            module.__class__ = _recorder(type(module))
    token = _record.set(calls)
    try:
        yield inner
    finally:
        _record.reset(token)
        inner |= {names[i]: outputs[-1] for i, outputs in calls.items() if i in names}


def _recorder(cls: type) -> type:
    if cls not in _recorders:

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            output = cls.__call__(self, *args, **kwargs)
            _record.get().setdefault(id(self), []).append(output)
            return output

        _recorders[cls] = type(cls.__name__, (cls,), {"__call__": call})
    return _recorders[cls]


def function_network(
    function: Callable[..., Any], wanted: Sequence[str] | None, *, takes_variables: bool
) -> Traced:
    """A function of images, or of variables and images."""

    def forward(variables: Any, images: jax.Array, rngs: Any) -> tuple[Any, Mapping[str, Any]]:
        return (function(variables, images) if takes_variables else function(images)), {}

    return Traced(forward, wanted)
