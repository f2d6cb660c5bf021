"""Networks that JAX cannot trace: called on the host, from within its compiled programs."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxbio.api.host_call import host_call
from jaxbio.api.outputs import LOGITS, choose, split_output
from jaxbio.errors import InputError

_PROBES = 3  # images by which the shapes are found out; few, and not the size of other axes


# Images float32 ``[N, S, S, 3]`` and names of layers to what a network returns, and the activity
# within, that of these layers.
Call = Callable[[np.ndarray, Collection[str]], tuple[Any, dict[str, Any]]]
# Images and the loss's gradient by the logits to that by the images.
Gradient = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Hosted:
    """Any such network, applied as jaxbio's own.

    Logits alone and all layers are separate calls: a program that uses one makes only one.

    Attributes:
        call: the network.
        gradient: its; None: unknown.
        shapes: of every layer that there is, per image.
        names: the layers that are computed.
    """

    call: Call
    gradient: Gradient | None
    shapes: Mapping[str, tuple[int, ...]]
    names: tuple[str, ...]

    def only(self, names: Collection[str]) -> "Hosted":
        """The same network without the work for other layers."""
        return dataclasses.replace(self, names=tuple(n for n in self.names if n in names))

    @property
    def differentiable(self) -> bool:
        """Whether attacks can follow its gradient."""
        return self.gradient is not None

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
        # Gradients, which only logits have, pass by what cannot be differentiated.
        found = self._call(self.names, jax.lax.stop_gradient(images))
        layers = dict(zip(self.names, found, strict=True))
        return (self._logits(images) if LOGITS in self.shapes else None), layers

    def _call(self, names: tuple[str, ...], images: jax.Array) -> tuple[jax.Array, ...]:
        def host(images: np.ndarray) -> list[np.ndarray]:
            flat = images.reshape(-1, *images.shape[-3:])  # [..., N, S, S, 3] under vmap
            _, layers = split_output(*self.call(flat, names), len(flat))
            lead = images.shape[:-3]
            return [np.reshape(layers[name], (*lead, *self.shapes[name])) for name in names]

        shapes = [(len(images), *self.shapes[name]) for name in names]
        return tuple(host_call(host, shapes, images))

    def _logits(self, images: jax.Array) -> jax.Array:
        gradient = self.gradient
        if gradient is None:
            return self._call((LOGITS,), images)[0]

        def slope(images: np.ndarray, by_logits: np.ndarray) -> list[np.ndarray]:
            flat = images.reshape(-1, *images.shape[-3:])
            return [gradient(flat, by_logits.reshape(len(flat), -1)).reshape(images.shape)]

        @jax.custom_vjp
        def logits(images: jax.Array) -> jax.Array:
            return self._call((LOGITS,), images)[0]

        def backward(images: jax.Array, by_logits: jax.Array) -> tuple[jax.Array]:
            (found,) = host_call(slope, [images.shape], images, by_logits)
            return (found,)

        logits.defvjp(lambda images: (logits(images), images), backward)
        return logits(images)


def hosted(
    call: Call,
    gradient: Gradient | None,
    names: Collection[str],
    image_size: int,
    wanted: Sequence[str] | None,
) -> Hosted:
    """Finds out what a network on the host gives, by three grey images.

    Of the layers within, ``names`` may be asked for; ``wanted`` are names or patterns, None: all.

    Raises:
        InputError: a layer that is wanted is not there.
    """
    grey = np.zeros((_PROBES, image_size, image_size, 3), np.float32)
    _, layers = split_output(*call(grey, names), _PROBES)
    shapes = {n: tuple(np.shape(x)[1:]) for n, x in layers.items() if len(x) == _PROBES}
    return Hosted(call, gradient, shapes, tuple(choose(shapes, wanted)))
