"""A task that counts: everything that a run does, at no cost.

``python -m tests.tasks.counting RUN STEPS`` runs it in a process of its own, which can be killed.
"""

import sys
import time
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from matplotlib.figure import Figure

from configs import svp_resnet
from jaxbio.errors import InputError, NonFiniteError
from jaxbio.runs.figures import save_figures
from jaxbio.runs.schedules import Periods
from jaxbio.runs.state import NEVER
from jaxbio.tasks import loop


@struct.dataclass
class State:
    """The steps done, and the sum of their numbers."""

    step: jax.Array
    total: jax.Array

    def count_parameters(self):
        return self.total.size

    def items(self):
        return {"variables": {"params": {"total": self.total}, "constants": {}}}

    def with_items(self, step, items):
        return State(jnp.int32(step), items["variables"]["params"]["total"])


class Counting:
    """Adds the number of every step to 1000 numbers; tests and saves every second step."""

    best_by: ClassVar[str] = "accuracy"
    images_per_step: ClassVar[int] = 1

    def __init__(self, config, steps=6, pause=0.0):
        self.config, self.pause = config, pause
        self.periods = Periods(total=steps, evaluate=2, checkpoint=2)
        sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        self.like = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            jax.eval_shape(self.initial_state),
        )

    def initial_state(self):
        return State(jnp.int32(0), jnp.zeros(1000))

    def train_step(self):
        def step(state, number):
            metrics = {"count": jnp.float32(1), "loss": jnp.float32(number), "bad_step": NEVER}
            return State(state.step + 1, state.total + number), metrics

        return step

    def warm_up(self, state):
        """Nothing is compiled."""

    def batches(self, start_step):
        for number in range(start_step, self.periods.total):
            time.sleep(self.pause)
            yield number

    def test(self, state):
        return state, {"accuracy": float(state.total[0])}

    def describe(self, state):
        return "counting"

    def progress_line(self, metrics):
        return f"loss {metrics['loss']}"

    def headline(self, results):
        return f"accuracy {results['accuracy']}"

    def result_rows(self, results):
        return [("accuracy", f"{results['accuracy']:.1f}")]

    def record(self, new):
        return {"data": {"numbers": "0, 1, 2, ..."}}

    def watch(self, run, state):
        save_figures(run, {"now": Figure(figsize=(1, 1))})

    def write_report(self, run, state):
        self.watch(run, state)


def config(**changes):
    """A configuration that is checked as any other; the counting looks at ``log`` alone."""
    config = svp_resnet.get_config()
    config.update_from_flattened_dict({"log.every_steps": 1, "log.tensorboard": False, **changes})
    return config


def main(run, steps, pause="0", **changes):
    loop.prepare = lambda config: Counting(config, int(steps), float(pause))
    try:
        loop.train(config(**changes), run)
    except (InputError, NonFiniteError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
