"""Losses, and the sums from which metrics are made."""

import jax
import jax.numpy as jnp
import optax


def cross_entropy(logits: jax.Array, labels: jax.Array, label_smoothing: float = 0.0) -> jax.Array:
    """Softmax cross-entropy per example.

    Args:
        logits: ``[B, K]`` float.
        labels: ``[B]`` int, 0..K-1.
        label_smoothing: share of the target spread evenly over all classes, in [0, 1).

    Returns:
        ``[B]`` float32, in nats.
    """
    logits = logits.astype(jnp.float32)
    if not label_smoothing:
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), label_smoothing)
    return optax.softmax_cross_entropy(logits, targets)


def metric_sums(
    logits: jax.Array, labels: jax.Array, losses: jax.Array, mask: jax.Array | None = None
) -> dict[str, jax.Array]:
    """Sums over a batch that add up over batches and devices.

    Args:
        logits: ``[B, K]``.
        labels: ``[B]`` int.
        losses: ``[B]`` loss per example.
        mask: ``[B]`` bool, False for padding that must not count; None counts every example.

    Returns:
        Float32 scalars ``loss``, ``top1``, ``top5`` (the K best where K < 5) and ``count``. An
        example is in the top k if fewer than k classes score at least as high as its own; ties thus
        count against the model, and so do NaN logits.
    """
    weights = jnp.ones(labels.shape, jnp.float32) if mask is None else mask.astype(jnp.float32)
    own = jnp.take_along_axis(logits, labels[:, None], axis=-1)
    rivals = jnp.sum(~(logits < own), axis=-1) - 1  # the example's own class always ties itself
    return {
        "loss": jnp.sum(jnp.where(weights > 0, losses, 0.0) * weights),
        "top1": jnp.sum((rivals < 1) * weights),
        "top5": jnp.sum((rivals < 5) * weights),
        "count": jnp.sum(weights),
    }


def summarise(sums: dict[str, float]) -> dict[str, float]:
    """Means per example from accumulated sums, and ``count``."""
    count = float(sums["count"])
    means = {name: float(total) / count for name, total in sums.items() if name != "count"}
    return {**means, "count": int(count)}
