"""Learning from images, one after another, by one network or by several at once.

All functions take a leading axis of networks: weights ``[N, ...]``, parameters scalars or ``[N]``.
One network is ``N = 1`` (:func:`stack`, :func:`unstack`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxbio.ops.encoding import LevelEncoder
from jaxbio.ops.stdp import normalise_weights
from jaxbio.spiking import competition, learning_dense, learning_sparse
from jaxbio.spiking.groups import as_floats, see
from jaxbio.spiking.network import Network, Parameters, Weights, published_order
from jaxbio.spiking.presentation import EVERYTHING, Learning

Array = jax.Array

# Below this many weights the bookkeeping of slots costs more than it saves.
_SPARSE_WEIGHTS = 65_536
# How much takes each step together on CPUs: half of what a core's cache holds.
_DENSE_TOGETHER = 131_072  # weights
_SPARSE_TOGETHER = 4096  # neurons


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
    encoder: LevelEncoder,
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
        encoder: of :func:`jaxbio.ops.encoding.make_encoder`.
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
    images, networks, _ = levels.shape
    options = (network, encoder, learning, masked, images_per_update)
    together = _networks_together(network, learning, networks)
    if together == networks:
        return _learn_together(*options, parameters, weights, keys, levels, first)

    # One share after another learns from all images: its weights stay in the cache. The last share
    # is filled up with copies of a network.
    missing = -networks % together

    def share(leaf: Array) -> Array:
        filled = jnp.concatenate([leaf, jnp.repeat(leaf[-1:], missing, axis=0)])
        return filled.reshape(-1, together, *leaf.shape[1:])

    shares = (
        jax.tree.map(share, _spread(parameters, networks)),
        jax.tree.map(share, weights),
        share(keys),
        jnp.swapaxes(share(jnp.swapaxes(levels, 0, 1)), 1, 2),
    )
    weights, counts = jax.lax.map(lambda one: _learn_together(*options, *one, first), shares)  # type: ignore[call-arg]
    weights = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:networks], weights)
    counts = jnp.swapaxes(counts, 0, 1).reshape(images, -1, network.neurons)
    return weights, counts[:, :networks]


def _networks_together(network: Network, learning: Learning, networks: int) -> int:
    """How many networks take each step together: on CPUs as many as fit into the cache, evenly."""
    if jax.default_backend() != "cpu":
        return networks
    if _sparse_pays(network, learning, networks):
        fitting = max(1, _SPARSE_TOGETHER // network.neurons)
    else:
        pairs = network.neurons if network.trained_competition else 0
        fitting = max(1, _DENSE_TOGETHER // (network.neurons * (network.window + pairs)))
    return -(-networks // -(-networks // fitting))


def _sparse_pays(network: Network, learning: Learning, networks: int) -> bool:
    """Whether the sparse program learns all that has to be learned, and faster: on CPUs only, since
    it does little at a time.
    """
    able = learning.theta and learning.xy and not (network.trained_competition or network.shared)
    large = networks * network.neurons * network.window > _SPARSE_WEIGHTS
    return able and large and jax.default_backend() == "cpu"


def _learn_together(
    network: Network,
    encoder: LevelEncoder,
    learning: Learning,
    masked: bool,
    images_per_update: int,
    parameters: Parameters,
    weights: Weights,
    keys: Array,
    levels: Array,
    first: Array,
) -> tuple[Weights, Array]:
    images, networks, pixels = levels.shape
    if networks == 1:  # scalars stay scalars
        parameters = jax.tree.map(lambda value: jnp.asarray(value).reshape(()), parameters)
    copies = jax.tree.map(
        lambda value: jnp.tile(value, images_per_update) if jnp.ndim(value) else value, parameters
    )
    program = choose_program(network, copies, learning, networks * images_per_update, masked)

    def one_update(weights: Weights, batch: tuple[Array, Array]) -> tuple[Weights, Array]:
        pictures, numbers = batch  # [U, N, pixels], [U]
        each = jax.vmap(lambda n: jax.vmap(lambda k: jax.random.fold_in(k, n))(keys))(numbers)
        x = jax.vmap(jax.vmap(encoder.packed))(each, pictures)
        x = x.reshape(-1, *x.shape[2:])
        if images_per_update == 1:
            weights, counts = program.show(weights, x)
        else:
            weights, counts = _summed(network, parameters, weights, x, program)
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
        show: weights in that form and spikes as bits, uint32 ``[N, ceil(steps / 32), pixels]`` of
            :func:`jaxbio.ops.encoding.pack`, to weights and spike counts ``[N, neurons]``.
        enter: from ``Weights`` with a leading axis to that form.
        leave: back.
    """

    show: Callable[[Weights, Array], tuple[Weights, Array]]
    enter: Callable[[Weights], Weights]
    leave: Callable[[Weights], Weights]


def choose_program(
    network: Network, parameters: Parameters, learning: Learning, networks: int, masked: bool
) -> Program:
    """The fastest program for a kind of network and what learns; all give the same spikes.

    Args:
        network: static.
        parameters: scalars or ``[networks]``.
        learning: static.
        networks: N.
        masked: see :func:`learn`.
    """
    if _sparse_pays(network, learning, networks):
        return sparse_program(network, parameters)
    return dense_program(network, parameters, learning, masked)


def dense_program(
    network: Network,
    parameters: Parameters,
    learning: Learning = EVERYTHING,
    masked: bool = True,
) -> Program:
    """:mod:`jaxbio.spiking.learning_dense`, for every kind of network."""
    allowed: Any = competition.allowed_pairs(network) if masked and learning.yy else None
    if allowed is not None:
        allowed = learning_dense.reordered(allowed, network.filters, network.positions)

    def show(weights: Weights, x: Array) -> tuple[Weights, Array]:
        seen = as_floats(see(network, x))
        seen = seen.reshape(-1, *seen.shape[2:])
        weights, counts = learning_dense.learn_image(network, parameters, weights, seen, learning)
        weights = competition.mask(weights, allowed)
        return weights, published_order(counts.reshape(-1, network.positions, network.filters))

    return Program(
        show, partial(learning_dense.enter, network), partial(learning_dense.leave, network)
    )


def sparse_program(network: Network, parameters: Parameters) -> Program:
    """:mod:`jaxbio.spiking.learning_sparse`, for fixed competition and everything learning."""

    def enter(weights: Weights) -> Weights:
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), weights)

    def leave(weights: Weights) -> Weights:
        return jax.tree.map(
            lambda leaf: leaf.reshape(-1, network.positions, *leaf.shape[1:]), weights
        )

    def show(weights: Weights, x: Array) -> tuple[Weights, Array]:
        windows = see(network, x)
        xy, theta, counts = learning_sparse.learn_image(
            network,
            parameters,
            weights.xy,
            weights.theta,
            windows.reshape(-1, *windows.shape[2:]),
        )
        counts = counts.reshape(-1, network.positions, network.filters)
        return Weights(xy, theta), published_order(counts)

    return Program(show, enter, leave)


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
    each: Any = _spread(parameters, networks)  # arrays throughout
    total = each.mean_weight.reshape(-1, 1, 1, 1) * network.window
    xy = normalise_weights(jnp.clip(summed.xy, 0.0, 1.0), total, axis=2)
    yy = summed.yy
    if yy is not None:
        yy = jnp.clip(yy, each.c_w_min[:, None, None], each.c_w_max[:, None, None])
    return summed._replace(xy=xy, yy=yy), counts
