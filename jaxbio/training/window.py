"""Metrics between two log lines."""

import time
from functools import partial

import jax
import jax.numpy as jnp

from jaxbio.training.steps import NEVER

_LAST = ("learning_rate", "grad_norm")  # of the newest step; all the others are sums


class MetricsWindow:
    """Metrics since the last log line, summed on the device: one transfer per line.

    Args:
      batch_size: images per step.
    """

    def __init__(self, batch_size: int):
        self._batch_size = batch_size
        self._totals: dict[str, jax.Array] | None = None
        self.restart_clock()

    def add(self, metrics: dict[str, jax.Array]) -> None:
        """Takes the metrics of one step."""
        self._totals = metrics if self._totals is None else _combine(self._totals, metrics)
        self._steps += 1

    def restart_clock(self) -> None:
        """Leaves out of the speed what was not training."""
        self._began, self._steps = time.monotonic(), 0

    def bad_step(self) -> int | None:
        """The first step in the window whose loss or gradient is not finite."""
        step = NEVER if self._totals is None else int(self._totals["bad_step"])
        return None if step == NEVER else step

    def close(self) -> dict[str, float]:
        """Means over the window; begins the next one."""
        totals = jax.device_get(self._totals)
        seconds = time.monotonic() - self._began
        count = float(totals.pop("count"))
        del totals["bad_step"]
        metrics = {
            name: float(total) if name in _LAST else float(total) / count
            for name, total in totals.items()
        }
        metrics["images_per_s"] = self._steps * self._batch_size / seconds
        self._totals = None
        self.restart_clock()
        return metrics


@partial(jax.jit, donate_argnums=0)
def _combine(totals: dict[str, jax.Array], new: dict[str, jax.Array]) -> dict[str, jax.Array]:
    combined = {k: v if k in _LAST else totals[k] + v for k, v in new.items()}
    return {**combined, "bad_step": jnp.minimum(totals["bad_step"], new["bad_step"])}
