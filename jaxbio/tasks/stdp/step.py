"""The training step of spiking networks: a chunk of images, learned one after another."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxbio.ops.cores import programs_at_once, run_all
from jaxbio.ops.encoding import LevelEncoder
from jaxbio.runs.state import NEVER
from jaxbio.spiking.learning import learn
from jaxbio.spiking.network import Network, Parameters, Weights
from jaxbio.spiking.population import over_devices
from jaxbio.spiking.presentation import Learning
from jaxbio.tasks.stdp.state import SpikingState

Step = Callable[[SpikingState, np.ndarray], tuple[SpikingState, dict[str, Any]]]


def make_step(
    network: Network,
    parameters: Parameters,
    keys: jax.Array,
    encoder: LevelEncoder,
    mesh: Mesh,
    learning: Learning,
    *,
    masked: bool = True,
    images_per_update: int = 1,
) -> Step:
    """``step(state, levels [B, N, pixels]) -> (state, metrics)``, state donated.

    A population is shared among the devices of the mesh, which is that of
    :func:`jaxbio.spiking.population.population_mesh`, or else among the cores of the CPU. The other
    arguments are those of :func:`jaxbio.spiking.learning.learn`.
    """
    members = len(keys)

    def show(parameters, weights, keys, levels, first):
        options = {"masked": masked, "images_per_update": images_per_update}
        return learn(
            network, parameters, weights, encoder, keys, levels, first, learning, **options
        )

    shares = min(members, programs_at_once()) if mesh.size == 1 else 1
    if shares > 1:
        return _step_in_shares(show, parameters, keys, shares)
    if members > 1:
        show = over_devices(show, mesh, (0, 0, 0, 1, None))

    @partial(jax.jit, donate_argnums=0)
    def step(state: SpikingState, levels: jax.Array) -> tuple[SpikingState, dict[str, Any]]:
        weights = state.weights
        if members == 1:
            weights = jax.tree.map(lambda leaf: leaf[None], weights)
        weights, counts = show(parameters, weights, keys, levels, state.step * len(levels))
        if members == 1:
            weights = jax.tree.map(lambda leaf: leaf[0], weights)
        return _after(state, weights, counts)

    return step


def _step_in_shares(
    show: Callable[..., Any], parameters: Parameters, keys: jax.Array, shares: int
) -> Step:
    """Members in equal shares, a program and a thread each."""
    bounds = [round(len(keys) * share / shares) for share in range(shares + 1)]

    @partial(jax.jit, static_argnums=0)
    def learn_share(
        share: int, state: SpikingState, levels: jax.Array
    ) -> tuple[Weights, jax.Array]:
        mine = slice(bounds[share], bounds[share + 1])
        p, weights = jax.tree.map(lambda leaf: leaf[mine], (parameters, state.weights))
        return show(p, weights, keys[mine], levels[:, mine], state.step * len(levels))

    @partial(jax.jit, donate_argnums=0)
    def join(state: SpikingState, learned: list[tuple[Weights, jax.Array]]):
        weights, counts = zip(*learned, strict=True)
        weights = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *weights)
        return _after(state, weights, jnp.concatenate(counts, 1))

    def step(state: SpikingState, levels: np.ndarray) -> tuple[SpikingState, dict[str, Any]]:
        def one(share: int) -> tuple[Weights, jax.Array]:
            return jax.block_until_ready(learn_share(share, state, levels))

        return join(state, list(run_all(one, range(shares))))

    return step


def _after(
    state: SpikingState, weights: Weights, counts: jax.Array
) -> tuple[SpikingState, dict[str, Any]]:
    """The next state, and metrics of the images that caused ``counts [B, N, neurons]``."""
    images, members = counts.shape[:2]
    finite = jnp.isfinite(weights.xy).all() & jnp.isfinite(weights.theta).all()
    metrics = {
        "count": jnp.float32(images),
        "spikes": counts.sum() / members,
        "theta": weights.theta.mean() * images,
        "bad_step": jnp.where(finite, NEVER, state.step + 1),
    }
    return state.replace(weights=weights, step=state.step + 1), metrics
