"""What attacks climb: losses, gradients averaged over noise, and the images' random keys."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxbio.errors import InputError

Model = Callable[..., Array]
LOSSES = ("ce", "dlr", "margin")
_START, _NOISE, _FINAL = 0, 1, 2


class Attacked(NamedTuple):
    """The result of an attack.

    Attributes:
        images: ``[N, H, W, C]``, inside the ball and [0, 1].
        fooled: ``[N]``, whether the model is wrong (untargeted) or says the target.
        margin: ``[N]``: the best wrong logit minus the label's (untargeted), or the target's minus
            the best other one; above 0 exactly where fooled.
    """

    images: Array
    fooled: Array
    margin: Array


class Objective(NamedTuple):
    """A model and what an attack wants of it.

    Attributes:
        model: ``images -> logits``; stochastic ones ``(images, key) -> logits``.
        labels: ``[N]``.
        targets: ``[N]`` or None.
        loss: one of ``LOSSES``.
        samples: gradients that are averaged (expectation over transformation).
        stochastic: whether the model takes a key.
    """

    model: Model
    labels: Array
    targets: Array | None
    loss: str
    samples: int
    stochastic: bool

    def logits(self, x: Array, keys: Array) -> Array:
        """``[N, K]``. A stochastic model sees each image alone, with a key of its own."""
        if not self.stochastic:
            return self.model(x)
        return jax.vmap(lambda image, key: self.model(image[None], key)[0])(x, keys)

    def margins(self, x: Array, keys: Array) -> Array:
        """As :attr:`Attacked.margin`, of one presentation."""
        return self._margins(self.logits(x, keys))

    def climb(self, x: Array, keys: Array) -> tuple[Array, Array, Array]:
        """Loss ``[N]``, margin ``[N]`` and the gradient of the loss, means over the samples."""

        def total(x: Array, keys: Array) -> tuple[Array, tuple[Array, Array]]:
            logits = self.logits(x, keys)
            losses = self._losses(logits)
            return losses.sum(), (losses, self._margins(logits))

        gradient = jax.value_and_grad(total, has_aux=True)

        def sample(keys: Array) -> tuple[Array, Array, Array]:
            (_, (losses, margins)), slope = gradient(x, keys)
            return losses, margins, slope

        if self.samples == 1:
            return sample(keys)

        def add(sums: Any, number: Array) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, sums, sample(fold(keys, number))), None

        # One after another: a batch fills the device, and its activations fill the memory.
        zeros = (jnp.zeros(len(x)), jnp.zeros(len(x)), jnp.zeros_like(x))
        sums, _ = lax.scan(add, zeros, jnp.arange(self.samples))
        return jax.tree.map(lambda s: s / self.samples, sums)

    def _losses(self, logits: Array) -> Array:
        wanted = self.labels if self.targets is None else self.targets
        own, others = _split(logits, wanted)
        if self.loss == "ce":
            # -log softmax is softplus of this. Of one sample both have the same order and the same
            # direction, and this one's gradient does not vanish where the probability is 1.
            value = jax.nn.logsumexp(others, axis=1) - own
            value = value if self.samples == 1 else jax.nn.softplus(value)
        elif self.loss == "margin":
            value = others.max(1) - own
        else:
            top = lax.top_k(logits, 3 if self.targets is None else 4)[0]
            if self.targets is None:
                return (others.max(1) - own) / (top[:, 0] - top[:, 2] + 1e-12)
            label, _ = _split(logits, self.labels)
            return (own - label) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)
        return value if self.targets is None else -value

    def _margins(self, logits: Array) -> Array:
        wanted = self.labels if self.targets is None else self.targets
        own, others = _split(logits, wanted)
        ahead = own - others.max(1)
        first = logits.argmax(1) == wanted
        # A tie is decided as argmax decides it.
        tiny = jnp.finfo(logits.dtype).tiny
        ahead = jnp.where(first, jnp.maximum(ahead, tiny), jnp.minimum(ahead, -tiny))
        return ahead if self.targets is not None else -ahead


def fold(keys: Array, number: ArrayLike) -> Array:
    """Keys ``[N]`` of a numbered use."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)


def best_of_restarts(
    objective: Objective,
    attempt: Callable[[Array], tuple[Array, Array]],
    keys: Array,
    restarts: int,
) -> Attacked:
    """Runs an attack from several starts, side by side, and keeps each image's best.

    Args:
        objective: what is attacked.
        attempt: keys ``[N]`` to images and their margins ``[N]``.
        keys: ``[N]``.
        restarts: how many.
    """
    if restarts == 1:  # spares the model a batch axis
        x, margins = attempt(fold(keys, 0))
    else:
        starts = jax.vmap(fold, (None, 0))(keys, jnp.arange(restarts))
        x, margins = jax.vmap(attempt)(starts)
        best = margins.argmax(0)
        x = jnp.take_along_axis(x, best.reshape(1, -1, *[1] * (x.ndim - 2)), 0)[0]
        margins = margins.max(0)
    if objective.stochastic:  # the attack chose by noise that it saw; the verdict needs other noise
        margins = objective.margins(x, fold(keys, _FINAL + restarts))
    return Attacked(x, margins > 0, margins)


def start_keys(keys: Array) -> Array:
    """Keys of the random start of one attempt."""
    return fold(keys, _START)


def noise_keys(keys: Array, step: ArrayLike) -> Array:
    """Keys of the model's noise in one step of one attempt."""
    return fold(fold(keys, _NOISE), step)


def make_objective(
    model: Model,
    images: Array,
    labels: ArrayLike,
    key: Array,
    *,
    loss: str = "ce",
    targets: ArrayLike | None = None,
    samples: int = 1,
    stochastic: bool = False,
    indices: ArrayLike | None = None,
) -> tuple[Objective, Array]:
    """Checks the arguments that attacks share; returns the objective and a key per image.

    Raises:
        InputError: images that are not floating in [0, 1], labels or targets that do not fit,
            an unknown loss, samples of a model without noise, too few classes for the loss.
    """
    if loss not in LOSSES:
        raise InputError(f"loss={loss!r}: use one of {', '.join(LOSSES)}")
    if samples < 1 or (samples > 1 and not stochastic):
        raise InputError(
            f"samples={samples}: 1 or more, and above 1 only for a stochastic model: gradients of "
            "one without noise are all the same"
        )
    if images.ndim < 2 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise InputError(
            f"images of dtype {images.dtype} and shape {images.shape}: pass a batch of floating "
            "images in [0, 1], before normalisation"
        )
    if not isinstance(images, jax.core.Tracer) and images.size:
        values = np.asarray(images)  # JAX would trace: this may be called inside jit
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):
            raise InputError(
                f"images span {low:.4g}..{high:.4g}: pass images in [0, 1] and put the "
                "normalisation into the model"
            )
    n = len(images)
    numbers = jnp.arange(n) if indices is None else jnp.asarray(indices)
    integers: dict[str, Any] = {"labels": jnp.asarray(labels), "indices": numbers}
    if targets is not None:
        integers["targets"] = jnp.asarray(targets)
    for name, value in integers.items():
        if value.shape != (n,) or not jnp.issubdtype(value.dtype, jnp.integer):
            raise InputError(f"{name} of shape {value.shape} and {value.dtype}: pass {n} integers")
    objective = Objective(
        model, integers["labels"], integers.get("targets"), loss, samples, stochastic
    )
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)
    classes = jax.eval_shape(objective.logits, images, keys).shape[-1]
    least = 2 if loss != "dlr" else 3 if targets is None else 4
    if classes < least:
        raise InputError(f"loss={loss!r} needs {least} classes or more; the model has {classes}")
    for name in ("labels", "targets"):
        value = integers.get(name)
        if value is None or isinstance(value, jax.core.Tracer) or not n:
            continue
        value = np.asarray(value)
        if value.min() < 0 or value.max() >= classes:
            raise InputError(f"{name} reach {value.max()}: the model has {classes} classes")
    return objective, keys


def _split(logits: Array, classes: Array) -> tuple[Array, Array]:
    """The logit of a class ``[N]``, and all logits with -inf in its place."""
    mask = jnp.arange(logits.shape[1])[None] == classes[:, None]
    return jnp.where(mask, logits, 0.0).sum(1), jnp.where(mask, -jnp.inf, logits)
