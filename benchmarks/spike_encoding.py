"""Pictures per second of the spike encoders, by table and by rate.

  python benchmarks/spike_encoding.py [--pictures=64] [--repeats=9]

Random pictures of 20 by 20 pixels, 250 steps, compiled, medians. "By table" is
jaxbio.ops.encoding.make_encoder; "by rate" draws intervals with jax.random.poisson.
"""

import argparse
import statistics
import time

import jax
import numpy as np

from jaxbio.ops.encoding import encode, list_encoders, make_encoder

_STEPS = 250


def seconds(function, *arguments, repeats: int) -> float:
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    rates = np.arange(256) * 0.5
    levels = np.random.default_rng(0).integers(0, 256, (options.pictures, 20, 20), np.uint8)
    keys = jax.random.split(jax.random.key(0), options.pictures)
    print(f"{jax.devices()[0].device_kind}, {options.pictures} pictures at once")
    for name in list_encoders():
        by_table = jax.jit(jax.vmap(make_encoder(name, rates, _STEPS)))
        by_rate = jax.jit(jax.vmap(lambda key, rate, name=name: encode(name, key, rate, _STEPS)))
        one = seconds(by_table, keys, levels, repeats=options.repeats)
        other = seconds(by_rate, keys, rates[levels], repeats=max(1, options.repeats // 3))
        print(
            f"{name:10s} by table {options.pictures / one:9.0f} pictures/s, "
            f"by rate {options.pictures / other:9.0f}"
        )


if __name__ == "__main__":
    main()
