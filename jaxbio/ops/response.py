"""Response-adaptive activations and aggregated response regularisation, on plain arrays.

A memory of class means is ``{"count": [K] int32, "mean": {endpoint: [K, C] float32}}``: one count
per class, and per endpoint the running mean of its aggregated response. Rows of classes that were
never seen hold zeros and count 0.

Reference:
    Qiu et al. 2024, "Dynamic Neural Response Tuning", ICLR 2024.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbio.errors import InputError

Memory = dict[str, Any]

_SQRT_HALF = np.float32(np.sqrt(0.5))
_DENSITY = np.float32(1 / np.sqrt(2 * np.pi))


@jax.custom_vjp
def raa(x: jax.Array, shift: jax.Array) -> jax.Array:
    """Response-adaptive activation, ``x * Phi(x + shift)``; GELU where the shift is 0.

    Phi is the standard normal distribution function. Values and both derivatives are computed in
    float32 whatever the dtypes, and the backward pass keeps ``x`` and ``shift`` alone.

    Args:
        x: floating, any shape.
        shift: floating, of x's rank; each axis is x's or 1.

    Returns:
        Shape and dtype of ``x``.

    Example:
        >>> raa(jnp.ones((2, 3)), jnp.zeros((2, 1)))  # 0.8413 everywhere
    """
    return _raa_forward(x, shift)[0]


def _raa_forward(x: jax.Array, shift: jax.Array):
    wide = x.astype(jnp.float32)
    y = wide * _normal_cdf(wide + shift.astype(jnp.float32))
    return y.astype(x.dtype), (x, shift)


def _raa_backward(kept: tuple[jax.Array, jax.Array], g: jax.Array):
    x, shift = kept
    wide, g = x.astype(jnp.float32), g.astype(jnp.float32)
    z = wide + shift.astype(jnp.float32)
    slope = g * wide * (_DENSITY * jnp.exp(-0.5 * jnp.square(z)))  # of Phi, hence of the shift
    shared = [axis for axis, n in enumerate(shift.shape) if n == 1 != x.shape[axis]]
    dx = g * _normal_cdf(z) + slope
    return dx.astype(x.dtype), jnp.sum(slope, shared, keepdims=True).astype(shift.dtype)


raa.defvjp(_raa_forward, _raa_backward)


def _normal_cdf(z: jax.Array) -> jax.Array:
    return 0.5 + 0.5 * lax.erf(z * _SQRT_HALF)


def raa2(x: jax.Array, shift: jax.Array) -> jax.Array:
    """The rectified form, ``max(x + shift, 0)``; ReLU where the shift is 0.

    Args:
        x: floating, any shape.
        shift: floating, of x's rank; each axis is x's or 1.

    Returns:
        Shape and dtype of ``x``.
    """
    return jax.nn.relu(x.astype(jnp.float32) + shift.astype(jnp.float32)).astype(x.dtype)


def new_memory(num_classes: int, widths: Mapping[str, int]) -> Memory:
    """A memory that has seen nothing.

    Args:
        num_classes: rows.
        widths: endpoint to number of features.
    """
    return {
        "count": jnp.zeros(num_classes, jnp.int32),
        "mean": {name: jnp.zeros((num_classes, n), jnp.float32) for name, n in widths.items()},
    }


def update_memory(
    memory: Memory,
    responses: Mapping[str, jax.Array],
    labels: jax.Array,
    *,
    momentum: float = 0.1,
    start: int = 0,
    interval: int = 1,
) -> tuple[dict[str, jax.Array], Memory]:
    """Takes a batch into the memory, as if its samples came one after another.

    A sample of a class that has been visited n times updates the class mean if n is a multiple of
    ``interval``: it replaces the mean if n <= ``start``, else mean <- (1 - momentum) * mean +
    momentum * response. Each sample's target is its class mean right after its own visit. Within
    the batch the recursion is a lower-triangular weighting of the samples of a class, hence one
    matrix product for all endpoints; all powers in it have exponents of 0 or more, so that it is
    stable however many samples a class has. Targets and memory carry no gradient.

    Args:
        memory: from :func:`new_memory`.
        responses: ``[B, C]`` of every endpoint of the memory.
        labels: ``[B]`` int, 0..K-1. Samples whose label has no row are refused if the labels are
            known, and under ``jit``, where they are not, leave the memory alone and have
            themselves as target.
        momentum: weight of a new response, in (0, 1].
        start: visits, beyond the first, up to which a response replaces the mean.
        interval: visits between updates.

    Returns:
        Targets ``[B, C]`` float32 of every endpoint, and the new memory.

    Raises:
        InputError: labels without a row, or other endpoints or widths than the memory's.
    """
    count = memory["count"]
    _check(memory, responses, labels)
    wide = {name: lax.stop_gradient(responses[name].astype(jnp.float32)) for name in responses}
    names = list(wide)
    stacked = jnp.concatenate([wide[name] for name in names], axis=1)
    old = jnp.concatenate([memory["mean"][name] for name in names], axis=1)

    rows = count.shape[0]
    known = (labels >= 0) & (labels < rows)
    row = jnp.where(known, labels, rows)  # reads are masked, writes dropped
    same = (labels[:, None] == labels[None, :]) & known[:, None]
    place = jnp.arange(labels.shape[0])
    earlier = same & (place[None, :] < place[:, None])
    visits = count.at[row].get(mode="fill", fill_value=0) + jnp.sum(earlier, 1)
    updates = known & (visits % interval == 0)
    replaces = updates & (visits <= start)
    blends = updates & ~replaces

    upto = same & (place[None, :] <= place[:, None])
    blended = jnp.sum(upto & blends[None, :], 1)  # within the batch, up to and with oneself
    replaced = jnp.sum(upto & replaces[None, :], 1)
    keep = jnp.float32(1 - momentum)
    linked = upto & updates[None, :] & (replaced[:, None] == replaced[None, :])
    share = jnp.where(replaces, 1.0, momentum).astype(jnp.float32)
    age = jnp.maximum(blended[:, None] - blended[None, :], 0)
    weights = jnp.where(linked, share[None, :] * keep**age, 0.0)
    of_old = jnp.where(known & (replaced == 0), keep**blended, 0.0)

    targets = jnp.matmul(weights, stacked, precision=lax.Precision.HIGHEST)
    targets += of_old[:, None] * old.at[row].get(mode="fill", fill_value=0.0)
    exact = replaces | ~known  # where the target is the response itself, to the last bit
    targets = jnp.where(exact[:, None], stacked, targets)
    last = known & ~jnp.any(same & (place[None, :] > place[:, None]), 1)
    new = old.at[jnp.where(last, row, rows)].set(targets, mode="drop")
    new_count = count.at[row].add(1, mode="drop")
    return _split(targets, wide), {"count": new_count, "mean": _split(new, wide)}


def read_memory(
    memory: Memory,
    responses: Mapping[str, jax.Array],
    labels: jax.Array,
    mask: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """The class means as targets, without an update.

    Args:
        memory: from :func:`update_memory`.
        responses: ``[B, C]`` of every endpoint of the memory.
        labels: ``[B]`` int, 0..K-1.
        mask: ``[B]`` bool, False for samples that must not count.

    Returns:
        Targets ``[B, C]`` float32 of every endpoint. Samples that do not count, and those of
        classes that were never seen, have themselves as target: they contribute nothing.

    Raises:
        InputError: labels without a row, or other endpoints or widths than the memory's.
    """
    _check(memory, responses, labels)
    counts = memory["count"].at[labels].get(mode="fill", fill_value=0) > 0
    counts &= labels >= 0  # negative indices count from the end
    if mask is not None:
        counts &= mask
    targets = {}
    for name, response in responses.items():
        mean = memory["mean"][name].at[labels].get(mode="fill", fill_value=0.0)
        targets[name] = lax.stop_gradient(
            jnp.where(counts[:, None], mean, response.astype(jnp.float32))
        )
    return targets


def arr_loss(responses: Sequence[jax.Array], targets: Sequence[jax.Array]) -> jax.Array:
    """Aggregated response regularisation: how far responses are from their class means.

    Mean of ``|response - target|`` over all entries of one feature width, then the mean over the
    widths. A response that is its target, as a class's very first one, has no gradient.

    Args:
        responses: ``[N, C]`` arrays; N and C may differ among them.
        targets: of the same shapes, without gradient.

    Returns:
        Float32 scalar, 0 or more.
    """
    by_width: dict[int, list[jax.Array]] = {}
    for response, target in zip(responses, targets, strict=True):
        difference = response.astype(jnp.float32) - lax.stop_gradient(target)
        # jnp.abs has the slope 1 at 0.
        distance = difference * lax.stop_gradient(jnp.sign(difference))
        by_width.setdefault(response.shape[-1], []).append(distance)
    means = [jnp.mean(jnp.concatenate(group)) for group in by_width.values()]
    return jnp.mean(jnp.stack(means))


def _split(stacked: jax.Array, like: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    widths = [part.shape[1] for part in like.values()]
    return dict(zip(like, jnp.split(stacked, np.cumsum(widths)[:-1], axis=1), strict=True))


def _check(memory: Memory, responses: Mapping[str, jax.Array], labels: jax.Array) -> None:
    means, rows = memory["mean"], memory["count"].shape[0]
    ours = {name: response.shape[1] for name, response in responses.items()}
    theirs = {name: mean.shape[1] for name, mean in means.items()}
    if ours != theirs:
        different = sorted(dict(ours.items() ^ theirs.items()))
        raise InputError(
            f"the response memory is of another model: {', '.join(different)} differ; it has "
            f"{_widths(theirs)}, the model gives {_widths(ours)}"
        )
    if not isinstance(labels, jax.core.Tracer):
        values = np.asarray(labels)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= rows:
            wrong = low if low < 0 else high
            raise InputError(
                f"label {wrong} has no row in a response memory of {rows} classes: make it with "
                "as many classes as the labels have"
            )


def _widths(widths: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({width})" for name, width in widths.items()) or "nothing"
