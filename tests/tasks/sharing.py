"""A small network that several processes train from shards, by the loop and command of any task.

``python -m tests.tasks.sharing NAME=VALUE ...`` is ``jaxbio train`` with this task. Half of its
first layer is on each of two devices.
"""

import sys
import time
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jaxbio.commands.main import main
from jaxbio.data import eval_batches, open_source, train_batches
from jaxbio.runs.mesh import abstract_state, make_mesh, put_batches
from jaxbio.runs.schedules import Periods
from jaxbio.runs.state import NEVER
from jaxbio.tasks import loop

PAUSE = 0.05  # seconds per step, for signals to meet it


@struct.dataclass
class State:
    step: jax.Array
    params: dict

    def count_parameters(self):
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))

    def items(self):
        return {"variables": {"params": self.params, "constants": {}}}

    def with_items(self, step, items):
        return State(jnp.int32(step), items["variables"]["params"])


def _new_state():
    keys = jax.random.split(jax.random.key(0))
    params = {
        "first": 0.1 * jax.random.normal(keys[0], (3072, 16)),
        "second": 0.1 * jax.random.normal(keys[1], (16, 10)),
    }
    return State(jnp.int32(0), params)


def _losses(params, batch):
    x = batch["image"].reshape(len(batch["label"]), -1) / 255
    logits = jnp.maximum(x @ params["first"], 0) @ params["second"]
    rows = jnp.arange(len(batch["label"]))
    return -jax.nn.log_softmax(logits)[rows, batch["label"]], logits.argmax(1) == batch["label"]


class Sharing:
    best_by: ClassVar[str] = "top1"
    images_per_step: ClassVar[int] = 16

    def __init__(self, config):
        self.config = config
        self.mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
        self.source = open_source(config.data)
        self.periods = Periods(
            total=config.train.total_steps,
            evaluate=config.eval.every_steps,
            checkpoint=config.checkpoint.every_steps,
        )
        self.like = abstract_state(_new_state, self.mesh)
        self._shardings = jax.tree.map(lambda leaf: leaf.sharding, self.like)
        self._mine = {
            "process_index": jax.process_index(),
            "process_count": jax.process_count(),
        }

    def initial_state(self):
        return jax.jit(_new_state, out_shardings=self._shardings)()

    def train_step(self):
        @jax.jit
        def step(state, batch):
            def mean_loss(params):
                return _losses(params, batch)[0].mean()

            loss, gradient = jax.value_and_grad(mean_loss)(state.params)
            params = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, gradient)
            count = jnp.float32(len(batch["label"]))
            # The numbers of the pictures, for a test of who has seen what.
            index = batch["index"].astype(jnp.float32)
            metrics = {"count": count, "loss": loss * count}
            metrics |= {"seen": jnp.sum(index), "seen_squared": jnp.sum(index**2)}
            return State(state.step + 1, params), {**metrics, "bad_step": NEVER}

        return step

    def warm_up(self, state):
        """What there is compiles at once."""

    def batches(self, start_step):
        batches = train_batches(
            self.source,
            self.config.data,
            global_batch_size=self.images_per_step,
            seed=0,
            start_step=start_step,
            num_steps=self.periods.total - start_step,
            **self._mine,
        )
        for batch in put_batches(batches, self.mesh):
            time.sleep(PAUSE)
            yield batch

    def test(self, state):
        batches = eval_batches(self.source, self.config.data, global_batch_size=52, **self._mine)

        @jax.jit
        def right(params, batch):
            return jnp.sum(_losses(params, batch)[1] & batch["mask"])

        total = sum(int(right(state.params, b)) for b in put_batches(batches, self.mesh))
        return state, {"top1": total / self.source.num_eval}

    def describe(self, state):
        return "sharing"

    def progress_line(self, metrics):
        return f"loss {metrics['loss']}"

    def headline(self, results):
        return f"top1 {results['top1']}"

    def result_rows(self, results):
        return [("top1", f"{results['top1']:.3f}")]

    def record(self, new):
        return {"data": self.source.describe()}

    def watch(self, run, state):
        """No figures."""

    def write_report(self, run, state):
        """No figures."""


if __name__ == "__main__":
    loop.prepare = Sharing
    sys.exit(main(["train", "relu_vit:digits", *sys.argv[1:]]))
