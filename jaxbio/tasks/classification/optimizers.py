"""Optimisers: gradient transformations without the learning rate.

The step multiplies by ``-learning_rate`` itself, since the rate depends on the step and on the
plateau state, both of which the training state holds.
"""

from functools import partial
from typing import Any

import jax
import optax

from jaxbio.options import read
from jaxbio.tasks.classification.config import Optimizer
from jaxbio.tasks.classification.frozen import Frozen


def make_optimizer(config: Any, frozen: Frozen | None = None) -> optax.GradientTransformation:
    """Builds the update direction of the configuration.

    ``sgd`` and ``adam`` add ``weight_decay * w`` to the gradient, before the momentum buffer and
    the moments (PyTorch's L2 form); ``adamw`` adds it to the update (decoupled). Clipping by the
    global norm comes first.

    Args:
        config: the ``optimizer`` section of the configuration.
        frozen: parameters that are left out.

    Returns:
        A transformation whose updates are to be scaled by ``-learning_rate``.

    Raises:
        InputError: a key out of its range.
    """
    config = read(Optimizer, config, "optimizer.")
    parts = []
    if config.clip_norm:
        parts.append(optax.clip_by_global_norm(config.clip_norm))
    kernels = partial(jax.tree_util.tree_map_with_path, _is_kernel)
    mask = None if config.decay == "all" else kernels
    decay = [optax.add_decayed_weights(config.weight_decay, mask)] if config.weight_decay else []
    if config.name == "sgd":
        momentum = optax.trace(config.momentum, config.nesterov) if config.momentum else None
        parts += decay + ([momentum] if momentum else [])
    else:
        adam = optax.scale_by_adam(config.b1, config.b2, config.eps)
        parts += [*decay, adam] if config.name == "adam" else [adam, *decay]
    chain = optax.chain(*parts)
    return chain if frozen is None else optax.masked(chain, frozen.learning)


def _is_kernel(path: tuple, leaf: Any) -> bool:
    # Biases and scales of norms that a scan steps through are stacked, hence the names.
    return leaf.ndim > 1 and getattr(path[-1], "key", None) not in ("bias", "scale")
