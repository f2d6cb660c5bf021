"""Learning from images, one after another, by one network or by several at once.

All functions take a leading axis of networks: weights ``[N, ...]``, parameters scalars or ``[N]``.
One network is ``N = 1`` (:func:`stack`, :func:`unstack`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxbio.ops.stdp import normalise
from jaxbio.spiking import competition, learning_dense, learning_sparse
from jaxbio.spiking.groups import constants, see
from jaxbio.spiking.network import Network, Parameters, Weights, published_order
from jaxbio.spiking.presentation import EVERYTHING, Learning, present

Array = jax.Array
Encoder = Callable[[Array, Array], Array]

# Of one network: below this the bookkeeping of slots costs more than it saves (on a CPU).
_DENSE_WEIGHTS = 65_536


def stack(weights: list[Weights]) -> Weights:
    """Weights of several networks of one shape as one tree with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *weights)


def unstack(weights: Weights, index: int = 0) -> Weights:
    """One network out of several."""
    return jax.tree.map(lambda leaf: leaf[index], weights)


def learn(
    network: Network,
    parameters: Parameters,
    weights: Weights,
    encoder: Encoder,
    keys: Array,
    levels: Array,
    first: Array,
    learning: Learning = EVERYTHING,
    *,
    masked: bool = True,
    images_per_update: int = 1,
) -> tuple[Weights, Array]:
    """Shows a sequence of images to every network; published online learning.

    Args:
      network: the shape, static.
      parameters: scalars or ``[N]``.
      weights: with a leading axis ``[N]``.
      encoder: ``encoder(key, levels [pixels]) -> bool [steps, pixels]``.
      keys: ``[N]``; image ``i`` of a network is encoded with ``fold_in(key, first + i)``.
      levels: ``[B, N, pixels]`` grey levels of the B images.
      first: number of images that the networks have learned from before.
      learning: static.
      masked: keep trained competition within positions after each image (``lc`` only).
      images_per_update: 1 as published. More is an approximation: that many images see the same
        weights, and their changes are added up.

    Returns:
      Weights, and spike counts float32 ``[B, N, neurons]`` in published order.
    """
    images, networks, pixels = levels.shape
    tiled = jax.tree.map(
        lambda value: jnp.tile(value, images_per_update) if jnp.ndim(value) else value, parameters
    )
    program = choose_program(network, tiled, learning, networks * images_per_update)

    def one_update(weights: Weights, batch: tuple[Array, Array]) -> tuple[Weights, Array]:
        pictures, numbers = batch  # [U, N, pixels], [U]
        each = jax.vmap(lambda n: jax.vmap(lambda k: jax.random.fold_in(k, n))(keys))(numbers)
        x = jax.vmap(jax.vmap(encoder))(each, pictures)
        x = x.reshape(-1, network.steps, pixels)
        if images_per_update == 1:
            weights, counts = program.show(weights, x)
        else:
            weights, counts = _summed(network, parameters, weights, x, program)
        if masked and learning.yy and weights.yy is not None:
            weights = jax.vmap(lambda w: competition.mask(network, w))(weights)
        return weights, counts.reshape(images_per_update, networks, -1)

    updates = images // images_per_update
    pictures = levels.reshape(updates, images_per_update, networks, pixels)
    numbers = (first + jnp.arange(images)).reshape(updates, images_per_update)
    if images_per_update == 1:
        weights = program.enter(weights)
    weights, counts = jax.lax.scan(one_update, weights, (pictures, numbers))
    if images_per_update == 1:
        weights = program.leave(weights)
    return weights, counts.reshape(images, networks, network.neurons)


class Program(NamedTuple):
    """How to show one image to each of N networks, and the form of the weights meanwhile.

    Attributes:
      show: weights in that form and spikes ``[N, steps, pixels]`` to weights and spike counts
        ``[N, neurons]``.
      enter: from ``Weights`` with a leading axis to that form.
      leave: back.
    """

    show: Callable[[Weights, Array], tuple[Weights, Array]]
    enter: Callable[[Weights], Weights]
    leave: Callable[[Weights], Weights]


def choose_program(
    network: Network, parameters: Parameters, learning: Learning, networks: int
) -> Program:
    """The fastest program for a kind of network and what learns; all give the same spikes.

    Args:
      network: static.
      parameters: scalars or ``[networks]``.
      learning: static.
      networks: N.
    """
    if network.trained_competition or network.shared or not (learning.theta and learning.xy):
        return _plain_program(network, parameters, learning, networks)
    small = network.neurons * network.window <= _DENSE_WEIGHTS
    kernel = learning_dense if small else learning_sparse
    return grouped_program(network, parameters, networks, kernel.learn_image)


def grouped_program(
    network: Network, parameters: Parameters, networks: int, learn_image: Callable[..., Any]
) -> Program:
    """A program made of one for independent groups; weights are ``[N * positions, filters, K]``."""
    numbers = constants(network, parameters, networks)
    split = (networks, network.positions)

    def enter(weights: Weights) -> Weights:
        xy = jnp.swapaxes(weights.xy, -1, -2)
        return Weights(xy.reshape(-1, *xy.shape[2:]), weights.theta.reshape(-1, network.filters))

    def leave(weights: Weights) -> Weights:
        xy = jnp.swapaxes(weights.xy, -1, -2)
        return Weights(
            xy.reshape(*split, *xy.shape[1:]), weights.theta.reshape(*split, network.filters)
        )

    def show(weights: Weights, x: Array) -> tuple[Weights, Array]:
        seen = see(network, x).reshape(-1, network.steps, network.window)
        xy, theta, counts = learn_image(
            numbers, weights.xy, weights.theta, seen, network.refractory
        )
        return Weights(xy, theta), published_order(counts.reshape(*split, network.filters))

    return Program(show, enter, leave)


def _plain_program(
    network: Network, parameters: Parameters, learning: Learning, networks: int
) -> Program:
    spread = _spread(parameters, networks)

    def show_one(weights: Weights, x: Array, parameters: Parameters) -> tuple[Weights, Array]:
        weights, recording, _ = present(network, parameters, weights, x, learning)
        return weights, recording.counts

    def show(weights: Weights, x: Array) -> tuple[Weights, Array]:
        return jax.vmap(show_one)(weights, x, spread)

    return Program(show, lambda weights: weights, lambda weights: weights)


def _spread(parameters: Parameters, networks: int) -> Parameters:
    return jax.tree.map(
        lambda value: jnp.broadcast_to(jnp.asarray(value, jnp.float32), (networks,)), parameters
    )


def _summed(
    network: Network, parameters: Parameters, weights: Weights, x: Array, program: Program
) -> tuple[Weights, Array]:
    """Adds up what several images, each seen with the same weights, would change."""
    networks = weights.xy.shape[0]
    copies = x.shape[0] // networks
    many = jax.tree.map(lambda leaf: jnp.tile(leaf, (copies, *(1,) * (leaf.ndim - 1))), weights)
    learned, counts = program.show(program.enter(many), x)

    def add(before: Array, after: Array) -> Array:
        return before + (after.reshape(copies, *before.shape) - before[None]).sum(0)

    summed = jax.tree.map(add, weights, program.leave(learned))
    total = _spread(parameters, networks).mean_weight.reshape(-1, 1, 1, 1) * network.window
    xy = normalise(jnp.clip(summed.xy, 0.0, 1.0), total, axis=2)
    return summed._replace(xy=xy), counts
