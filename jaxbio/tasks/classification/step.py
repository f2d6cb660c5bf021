"""One training step and one evaluation step: pure functions, ready for jit.

Every trainer of the library has this signature: ``step(state, batch) -> (state, metrics)``.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.typing import ArrayLike

from jaxbio.ops.images import Preprocessing
from jaxbio.runs.state import NEVER, TrainState
from jaxbio.tasks.classification.adversarial import Adversary
from jaxbio.tasks.classification.arr import COLLECTION, ResponseRegulariser
from jaxbio.tasks.classification.augmentation import Augmentation
from jaxbio.tasks.classification.frozen import Frozen
from jaxbio.tasks.classification.losses import cross_entropy, metric_sums
from jaxbio.tasks.classification.mixing import Mixing

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
Step = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]

# Keep the draws of augmentation, attacks and mixing apart from the model's, from the same key.
_AUGMENTATION = 0x617567
_ADVERSARY = 0x616476
_MIXING = 0x6D6978


def make_train_step(
    model: nn.Module,
    preprocessing: Preprocessing,
    optimizer: optax.GradientTransformation,
    schedule: Callable[[jax.Array], jax.Array],
    *,
    seed: ArrayLike,
    label_smoothing: float = 0.0,
    accumulate: int = 1,
    ema_decay: float = 0.0,
    ema_warmup: bool = True,
    regulariser: ResponseRegulariser | None = None,
    augmentation: Augmentation | None = None,
    adversary: Adversary | None = None,
    frozen: Frozen | None = None,
    mixing: Mixing | None = None,
) -> Step:
    """Builds ``step(state, batch) -> (state, metrics)``.

    Randomness (augmentation, dropout, neural noise, stochastic depth) is ``fold_in(key(seed),
    state.step)``, so that a resumed run repeats an uninterrupted one.

    Args:
        model: called as ``model(images, train=True)``, returns ``(logits, endpoints)``.
        preprocessing: of its images.
        optimizer: from :func:`jaxbio.tasks.classification.optimizers.make_optimizer`.
        schedule: step -> learning rate.
        seed: of the step's randomness.
        label_smoothing: in [0, 1).
        accumulate: micro-batches that one step runs in sequence and whose gradients it averages.
        ema_decay: of the averaged variables; 0 leaves ``state.ema`` alone. The response memory is
            a running mean already and is taken as it is.
        ema_warmup: let the decay rise as ``(1 + step) / (10 + step)`` until it is ``ema_decay``, so
            that the average forgets the random weights at once.
        regulariser: adds ARR to the loss; the state holds its memory. Micro-batches visit the
            memory one after another, so that with ``accumulate=n`` the order is examples 0, n, 2n,
            ..., then 1, n + 1, ...
        augmentation: of the images, here on the device.
        adversary: attacks the images, augmented ones, with the state that the step begins with.
        frozen: what does not learn; the optimiser leaves it out, too.
        mixing: of pictures and labels in pairs, before random erasing. Accuracy then counts the
            class with the larger weight.

    Returns:
        The step. Its batch has ``image`` ``[B, H, W, C]`` uint8 and ``label`` ``[B]``; its metrics
        are sums over the batch (see :func:`~jaxbio.tasks.classification.losses.metric_sums`;
        ``loss`` is the cross-entropy, and ``arr`` the regulariser without its coefficient) plus
        ``learning_rate``, ``grad_norm`` and ``bad_step``: the step if its loss or gradient is not
        finite, else ``NEVER``.
    """

    def loss_fn(params, model_state, constants, batch, key):
        params = params if frozen is None else frozen.stop(params)
        images = preprocessing.normalise(batch["image"])
        if augmentation is not None:
            images = augmentation.normalised(images, batch["key"])
        collections = {name: value for name, value in model_state.items() if name != COLLECTION}
        variables = {"params": params, "constants": constants, **collections}
        rngs = streams(key)

        def forward():
            return model.apply(variables, images, train=True, rngs=rngs, mutable=list(collections))

        (logits, endpoints), changed = forward() if frozen is None else frozen.apply(forward)
        losses = cross_entropy(logits, batch["label"], label_smoothing)
        if mixing is not None:  # the loss of soft labels is linear in them
            others = cross_entropy(logits, batch["other"], label_smoothing)
            losses = batch["weight"] * losses + (1.0 - batch["weight"]) * others
        total, sums = jnp.mean(losses), metric_sums(logits, batch["label"], losses)
        changed = dict(changed)
        if regulariser is not None:
            distance, memory = regulariser.train(model_state[COLLECTION], endpoints, batch["label"])
            total += regulariser.arr.coefficient * distance
            sums["arr"] = distance * len(losses)
            changed[COLLECTION] = memory
        return total, (changed, sums)

    grad_fn = jax.grad(loss_fn, has_aux=True)

    def gradients(state: TrainState, batch: Batch, key: jax.Array):
        if accumulate == 1:
            return grad_fn(state.params, state.model_state, state.constants, batch, key)

        # Example i goes to micro-batch i % accumulate: every device keeps its own examples.
        micro = jax.tree.map(
            lambda x: jnp.moveaxis(x.reshape(-1, accumulate, *x.shape[1:]), 1, 0), batch
        )

        def body(carry, inputs):
            total, model_state, sums = carry
            part, index = inputs
            grads, (model_state, part_sums) = grad_fn(
                state.params, model_state, state.constants, part, jax.random.fold_in(key, index)
            )
            return (
                jax.tree.map(jnp.add, total, grads),
                model_state,
                jax.tree.map(jnp.add, sums, part_sums),
            ), None

        zeros = jax.tree.map(jnp.zeros_like, state.params)
        names = ("loss", "top1", "top5", "count", *(["arr"] if regulariser is not None else []))
        no_sums = {name: jnp.float32(0) for name in names}
        (total, model_state, sums), _ = jax.lax.scan(
            body, (zeros, state.model_state, no_sums), (micro, jnp.arange(accumulate))
        )
        return jax.tree.map(lambda g: g / accumulate, total), (model_state, sums)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        batch = {name: batch[name] for name in ("image", "label")}
        if augmentation is not None:
            keys = augmentation.keys(jax.random.fold_in(key, _AUGMENTATION), len(batch["label"]))
            batch = {**batch, "image": augmentation.pixels(batch["image"], keys), "key": keys}
        if mixing is not None:
            batch = mixing(batch, jax.random.fold_in(key, _MIXING))
        if adversary is not None:
            kept = {n: v for n, v in state.model_state.items() if n != COLLECTION}
            variables = {"params": state.params, "constants": state.constants, **kept}
            drawn = jax.random.fold_in(key, _ADVERSARY)
            images = adversary.attack(model, preprocessing, variables, batch, drawn)
            batch = {**batch, "image": images}
        grads, (model_state, sums) = gradients(state, batch, key)
        new, metrics = updated(state, grads, model_state, sums, optimizer, schedule)
        if ema_decay:
            decay: jax.Array | float = ema_decay
            if ema_warmup:
                decay = jnp.minimum(decay, (1.0 + state.step) / (10.0 + state.step))
            latest = {"params": new.params, "model_state": model_state}
            averages = _averaged(decay, cast("dict[str, Any]", state.ema), latest, frozen)
            new = new.replace(ema=averages)
        return new, metrics

    return step


def updated(
    state: TrainState,
    grads: Any,
    model_state: dict[str, Any],
    sums: Metrics,
    optimizer: optax.GradientTransformation,
    schedule: Callable[[jax.Array], jax.Array],
) -> tuple[TrainState, Metrics]:
    """The next state, but for its averages, and the metrics of the step that leads to it."""
    learning_rate = schedule(state.step) * state.plateau.scale
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    grad_norm = optax.tree.norm(grads)
    finite = jnp.isfinite(sums["loss"]) & jnp.isfinite(grad_norm)
    metrics = {
        **sums,
        "learning_rate": learning_rate,
        "grad_norm": grad_norm,
        "bad_step": jnp.where(finite, NEVER, state.step),
    }
    new = state.replace(
        step=state.step + 1,
        params=jax.tree.map(lambda p, u: p - learning_rate * u, state.params, updates),
        model_state=model_state,
        opt_state=opt_state,
    )
    return new, metrics


def streams(key: jax.Array) -> dict[str, jax.Array]:
    """A training pass's keys of dropout, a front-end's noise and stochastic depth."""
    names = ("dropout", "noise", "drop_path")
    return dict(zip(names, jax.random.split(key, len(names)), strict=True))


def _averaged(
    decay: jax.Array | float, ema: dict[str, Any], new: dict[str, Any], frozen: Frozen | None
) -> dict[str, Any]:
    averages = jax.tree.map(lambda a, b: decay * a + (1.0 - decay) * b, ema, new)
    if frozen is not None:  # the mean of equal numbers is not always the number
        averages["params"] = _fixed(frozen, averages["params"], new["params"])
        for name in averages["model_state"].keys() - {COLLECTION}:
            kept = _fixed(frozen, averages["model_state"][name], new["model_state"][name])
            averages["model_state"][name] = kept
    if COLLECTION in new["model_state"]:
        averages["model_state"][COLLECTION] = new["model_state"][COLLECTION]
    return averages


def _fixed(frozen: Frozen, average: Any, new: Any) -> Any:
    return jax.tree.map(lambda learns, a, b: a if learns else b, frozen.learning(new), average, new)


def make_answer(
    model: nn.Module,
    preprocessing: Preprocessing,
    *,
    seed: int,
    classes: Sequence[int] | None = None,
) -> Callable[[dict[str, Any], Batch], tuple[jax.Array, Any]]:
    """Builds ``answer(variables, batch) -> (logits, endpoints)`` of evaluation.

    Where the front-end's noise is on at evaluation, its key is a function of the seed and of the
    batch's first example.

    Args:
        model: called as ``model(images, train=False)``.
        preprocessing: of its images.
        seed: of the noise.
        classes: the only ones that are answered: logits of the others are -inf. None: all.

    Returns:
        The function. Its batch has ``image`` and ``index``; logits are ``[B, K]``.
    """

    def answer(variables: dict[str, Any], batch: Batch) -> tuple[jax.Array, Any]:
        key = jax.random.fold_in(jax.random.key(seed), batch["index"][0])
        images = preprocessing.normalise(batch["image"])
        logits: Any
        logits, endpoints = model.apply(variables, images, train=False, rngs={"noise": key})
        if classes is not None:
            allowed = np.isin(np.arange(logits.shape[-1]), classes)[None]
            logits = jnp.where(allowed, logits, -jnp.inf)
        return logits, endpoints

    return answer


def eval_sums(
    logits: jax.Array,
    endpoints: Any,
    variables: dict[str, Any],
    batch: Batch,
    regulariser: ResponseRegulariser | None = None,
) -> Metrics:
    """Metric sums of a batch that has ``label`` and ``mask``; see :func:`make_eval_step`."""
    labels, mask = batch["label"], batch["mask"]
    sums = metric_sums(logits, labels, cross_entropy(logits, labels), mask)
    if regulariser is not None:
        sums["arr"] = regulariser.evaluate(variables[COLLECTION], endpoints, labels, mask)
    return sums


def make_eval_step(
    model: nn.Module,
    preprocessing: Preprocessing,
    *,
    seed: int,
    regulariser: ResponseRegulariser | None = None,
    classes: Sequence[int] | None = None,
) -> Callable[[dict[str, Any], Batch], Metrics]:
    """Builds ``step(variables, batch) -> metric sums``.

    Args:
        model: see :func:`make_answer`.
        preprocessing: of its images.
        seed: of the noise.
        regulariser: reports ARR too, against the memory among the variables, as the sum ``arr``.
        classes: see :func:`make_answer`.

    Returns:
        The step. Its batch has ``image``, ``label``, ``index`` and ``mask`` ``[B]``; examples with
        a False mask do not count.
    """
    answer = make_answer(model, preprocessing, seed=seed, classes=classes)

    def step(variables: dict[str, Any], batch: Batch) -> Metrics:
        return eval_sums(*answer(variables, batch), variables, batch, regulariser)

    return step
