"""Images per second of spiking networks: learning, inference, populations, batch STDP.

  python benchmarks/spiking.py learning|inference|population [--filters=25,100] [--images=100]
      [--members=16] [--warm=0] [--source=mnist|digits]

Whole programs as train.py runs them: encoding, 250 steps, normalisation; compiled, the first call
left out; the median of the repeats, first and last shown too because learning becomes faster as
neurons specialise. --warm=N learns from N images before timing. The published program (BindsNET in
PyTorch) did 7.7 images/s (25 channels) and 2.1 (100 channels) while learning, 7.6 in tests (110 in
batches of 64) on two cores. For populations on CPUs give JAX one device per core:
XLA_FLAGS=--xla_force_host_platform_device_count=2.
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
from jaxbio.spiking.learning import learn, unstack
from jaxbio.spiking.network import Network, Parameters
from jaxbio.spiking.population import (
    Member,
    initial_members,
    member_parameters,
    over_devices,
    population_mesh,
)
from jaxbio.training.stdp_data import read_pictures

_REPEATS = 7
_BATCH = 256  # images per call of a test, as in configs/base.py
_ENCODER = make_encoder("renewal", np.arange(256) * 0.5, 250)


def learning(options: argparse.Namespace, filters: int, members: int) -> None:
    """Times the learning of one network, or of a population."""
    network = Network(filters=filters)
    people = [Member(seed, {}) for seed in range(members)]
    parameters = member_parameters(Parameters(), people)
    keys = jnp.stack([jax.random.key(member.seed) for member in people])
    mesh = population_mesh(members)
    show = partial(learn, network)

    def run(parameters, weights, keys, levels, first):
        return show(parameters, weights, _ENCODER, keys, levels, first)

    if members > 1:
        run = over_devices(run, mesh, (0, 0, 0, 1, None))
    step = jax.jit(run)
    weights = initial_members(network, parameters, keys)
    rng, images = np.random.default_rng(0), _images(options)
    chunk = options.images

    def levels() -> np.ndarray:
        return images[rng.integers(0, len(images), (chunk, members))]

    began = time.perf_counter()
    compiled = step.lower(parameters, weights, keys, levels(), jnp.int32(0)).compile()
    compile_seconds = time.perf_counter() - began
    rates, spikes = [], 0.0
    for number in range(1 + options.warm // chunk + _REPEATS):
        batch, first = levels(), jnp.int32(number * chunk)
        began = time.perf_counter()
        weights, counts = jax.block_until_ready(compiled(parameters, weights, keys, batch, first))
        rates.append(chunk * members / (time.perf_counter() - began))
        spikes = float(counts.sum()) / chunk / members
    rates = rates[-_REPEATS:]
    print(
        f"learning, {filters} channels, {members} network(s), {mesh.size} device(s): "
        f"{statistics.median(rates):.0f} images/s (first {rates[0]:.0f}, last {rates[-1]:.0f}), "
        f"{spikes:.0f} spikes/image; compiled in {compile_seconds:.1f} s; {_memory()}",
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
