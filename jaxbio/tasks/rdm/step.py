"""The step that pulls a network's RDM towards a target's."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from jaxbio.ops.images import Preprocessing
from jaxbio.runs.state import TrainState
from jaxbio.similarity import rdm_loss
from jaxbio.tasks.classification.frozen import Frozen
from jaxbio.tasks.classification.losses import cross_entropy, metric_sums
from jaxbio.tasks.classification.step import Batch, Metrics, Step, streams, updated


def make_rdm_step(
    model: nn.Module,
    preprocessing: Preprocessing,
    optimizer: optax.GradientTransformation,
    schedule: Callable[[jax.Array], jax.Array],
    *,
    layer: str,
    timed: bool = False,
    seed: int | jax.Array,
    class_weight: float = 0.0,
    frozen: Frozen | None = None,
    l2_sp: float = 0.0,
    start: Any = None,
) -> Step:
    """Builds ``step(state, batch) -> (state, metrics)``.

    The loss is the mean squared difference of two RDMs of object means
    (:func:`jaxbio.similarity.rdm_loss`), plus ``class_weight`` times the cross-entropy, plus
    ``l2_sp / 2`` times the squared distance from the starting point (Li et al. 2018, "Explicit
    inductive bias for transfer learning with convolutional networks"). The network
    is in training mode, as published: BatchNorm takes the batch's statistics, dropout acts.
    ``layer`` is the endpoint whose RDM is trained; of a ``timed`` one, ``[T, B, ...]``, the last
    step counts. ``start`` are the parameters that ``l2_sp`` pulls to.

    Returns:
        The step. Its batch has ``image`` ``[B, H, W, 3]`` uint8, ``label`` ``[B]``, ``object``
        ``[B]`` in 0 .. n - 1, and ``target`` ``[n, n]``. Its metrics are ``count`` and, times that,
        ``loss`` and ``rdm_loss``, and with classification ``top1``.
    """

    def loss_fn(params: Any, state: TrainState, batch: Batch, key: jax.Array):
        params = params if frozen is None else frozen.stop(params)
        variables = {"params": params, "constants": state.constants, **state.model_state}

        def forward():
            return model.apply(
                variables,
                preprocessing.normalise(batch["image"]),
                train=True,
                rngs=streams(key),
                mutable=list(state.model_state),
            )

        (logits, endpoints), changed = forward() if frozen is None else frozen.apply(forward)
        activity = endpoints[layer][-1] if timed else endpoints[layer]
        features = activity.reshape(len(logits), -1).astype(jnp.float32)
        of_rdm = rdm_loss(features, batch["target"], batch["object"])
        total, count = of_rdm, jnp.float32(len(logits))
        sums = {"count": count, "rdm_loss": count * of_rdm}
        if class_weight:
            losses = cross_entropy(logits, batch["label"])
            total = of_rdm + class_weight * jnp.mean(losses)
            sums["top1"] = metric_sums(logits, batch["label"], losses)["top1"]
        if l2_sp:
            moved = jax.tree.map(jnp.subtract, params, start)
            total += 0.5 * l2_sp * optax.tree.norm(moved, squared=True)
        return total, (dict(changed), {"loss": count * total, **sums})

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        grads, (model_state, sums) = jax.grad(loss_fn, has_aux=True)(
            state.params, state, batch, key
        )
        return updated(state, grads, model_state, sums, optimizer, schedule)

    return step
