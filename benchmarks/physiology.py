"""Time of the whole physiology protocol at a V1: ``python benchmarks/physiology.py [--size=224]``.

Prints the seconds of each part, compilation apart, and of the properties of 10,000 units.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxbio import create_model
from jaxbio.features.layers import layer_shapes
from jaxbio.physiology import protocol
from jaxbio.physiology.properties import STUDIES
from jaxbio.physiology.receptive_fields import find_central_units
from jaxbio.physiology.recording import Probe, View


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--model", default="squeezenet1_1")
    parser.add_argument("--front_end", default="svp")
    parser.add_argument("--layer", default="v1")
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    probe = _probe(options)
    start = time.perf_counter()
    positions = protocol.receptive_field_set().parameters
    # Each program once; what it shows is shown again below.
    _timed("compilation for the map", lambda: next(probe.field_responses(positions, probe.blank())))
    fields = _timed("receptive fields", lambda: find_central_units(probe))
    print(f"{len(fields.units)} units at the centre of {fields.answered}")
    first = protocol.size_set().parameters[: options.batch]
    _timed("compilation for the units", lambda: probe.responses(first, fields.units))
    for name, design in protocol.SETS.items():
        parameters = design().parameters
        _timed(
            f"{name}, {len(parameters)} gratings",
            lambda parameters=parameters: probe.responses(parameters, fields.units),
        )
    print(f"{'recording and compilation':32}{time.perf_counter() - start:8.1f} s")
    rng = np.random.default_rng(0)
    blank, units = np.ones(10_000), 10_000
    designs = {name: design().shape for name, design in protocol.SETS.items()}
    designs["texture"] = (2, 15, 15)
    rates = {name: rng.gamma(1.0, 30.0, (units, *shape)) for name, shape in designs.items()}
    _timed(
        "properties of 10,000 units",
        lambda: [study(rates[name], blank) for study, name in STUDIES.values()],
    )


def _probe(options: argparse.Namespace) -> Probe:
    model = create_model(
        options.model, image_size=options.size, front_end=options.front_end, num_classes=10
    )
    images = jnp.zeros((1, options.size, options.size, 3))
    variables = jax.jit(model.init)(jax.random.key(0), images)

    def layer(variables: Any, images: jax.Array, key: jax.Array) -> jax.Array:
        _, endpoints = model.apply(variables, (images / 255.0 - 0.5) / 0.5, rngs={"noise": key})
        return endpoints[options.layer].reshape(len(images), -1)

    shape = layer_shapes(model, variables, options.size)[options.layer].shape
    return Probe(Partial(layer, variables), View(options.size), batch=options.batch, shape=shape)


def _timed(what: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = work()
    print(f"{what:32}{time.perf_counter() - start:8.1f} s", flush=True)
    return result


if __name__ == "__main__":
    main()
