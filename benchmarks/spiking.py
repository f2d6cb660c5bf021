"""Images per second of spiking networks: learning, inference, populations, batch STDP.

  python benchmarks/spiking.py learning|inference|population [--filters=25,100] [--images=100]
      [--members=16] [--warm=0] [--source=mnist|digits]

Whole programs as train.py runs them: encoding, 250 steps, normalisation; compiled, the first call
left out; the median of the repeats, first and last shown too because learning becomes faster as
neurons specialise. --warm=N learns from N images before timing. The published program (BindsNET in
PyTorch) did 7.7 images/s (25 channels) and 2.1 (100 channels) while learning, 7.6 in tests (110 in
batches of 64) on two cores. One network learns on one core, a population on all of them.
"""

import argparse
import resource
import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxbio.data import open_source
from jaxbio.ops.encoding import make_encoder
from jaxbio.spiking.inference import respond_encoded, respond_in_batches
from jaxbio.spiking.learning import unstack
from jaxbio.spiking.network import Network, Parameters
from jaxbio.spiking.population import Member, initial_members, member_parameters, population_mesh
from jaxbio.spiking.presentation import EVERYTHING
from jaxbio.tasks.stdp.data import read_pictures
from jaxbio.tasks.stdp.state import new_state
from jaxbio.tasks.stdp.step import make_step

_REPEATS = 7
_BATCH = 256  # images per call of a test, as in configs/base.py
_ENCODER = make_encoder("renewal", np.arange(256) * 0.5, 250)


def learning(options: argparse.Namespace, filters: int, members: int) -> None:
    """Times the learning of one network, or of a population."""
    network, people = Network(filters=filters), [Member(seed, {}) for seed in range(members)]
    parameters = member_parameters(Parameters(), people)
    keys = jnp.stack([jax.random.key(member.seed) for member in people])
    mesh = population_mesh(members)
    step = make_step(network, parameters, keys, _ENCODER, mesh, EVERYTHING)
    state = new_state(network, parameters, people, two_step=False)
    rng, images = np.random.default_rng(0), _images(options)
    chunk = options.images
    seconds, spikes = [], 0.0
    for _ in range(1 + options.warm // chunk + _REPEATS):
        batch = images[rng.integers(0, len(images), (chunk, members))]
        began = time.perf_counter()
        state, metrics = jax.block_until_ready(step(state, batch))
        seconds.append(time.perf_counter() - began)
        spikes = float(metrics["spikes"]) / chunk
    rates = [chunk * members / s for s in seconds[-_REPEATS:]]
    print(
        f"learning, {filters} channels, {members} network(s), {mesh.size} device(s): "
        f"{statistics.median(rates):.0f} images/s (first {rates[0]:.0f}, last {rates[-1]:.0f}), "
        f"{spikes:.0f} spikes/image; compiled in {seconds[0] - seconds[1]:.1f} s; {_memory()}",
        flush=True,
    )


def inference(options: argparse.Namespace, filters: int) -> None:
    """Times calibration and test."""
    network, parameters = Network(filters=filters), Parameters()
    each = member_parameters(parameters, [Member(0, {})])
    weights = unstack(initial_members(network, each, jax.random.key(0)[None]))
    images = _images(options)[: max(options.images, 2 * _BATCH)]
    step = jax.jit(
        lambda w, levels, numbers: respond_encoded(
            network, parameters, w, _ENCODER, jax.random.key(1), levels, numbers
        )
    )
    run = partial(respond_in_batches, partial(step, weights), images, _BATCH)
    run()
    rates = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        run()
        rates.append(len(images) / (time.perf_counter() - began))
    print(
        f"inference, {filters} channels: {statistics.median(rates):.0f} images/s; {_memory()}",
        flush=True,
    )


def _images(options: argparse.Namespace) -> np.ndarray:
    source = open_source(ConfigDict({"source": options.source}))
    return read_pictures(source, 20, 1 / 6).train[0]


def _memory() -> str:
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at most"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["learning", "inference", "population"])
    parser.add_argument("--filters", default="25,100")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--warm", type=int, default=0)
    parser.add_argument("--source", default="mnist", choices=["mnist", "digits"])
    options = parser.parse_args()
    for filters in (int(text) for text in options.filters.split(",")):
        if options.mode == "inference":
            inference(options, filters)
            continue
        learning(options, filters, 1)
        if options.mode == "population":
            learning(options, filters, options.members)


if __name__ == "__main__":
    main()
