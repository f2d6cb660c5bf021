"""Readout of object probabilities from features: multinomial logistic regression.

Reference:
    The estimator is scikit-learn's ``LogisticRegression`` after ``StandardScaler``, with the small
    C of Brain-Score's behavioural benchmark (Schrimpf et al. 2018, doi:10.1101/407007).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jaxbio.errors import InputError
from jaxbio.similarity import checks

_STEPS = 500


class Readout(NamedTuple):
    """Linear readout.

    Attributes:
        weights: ``[p, objects]``, of the features as they come.
        bias: ``[objects]``.
    """

    weights: jax.Array
    bias: jax.Array

    def __call__(self, features: Any) -> jax.Array:
        """Probabilities ``[n, objects]`` of features ``[n, p]``."""
        return jax.nn.softmax(jnp.asarray(features) @ self.weights + self.bias[None])


def fit_readout(
    features: Any, labels: Any, n_objects: int, *, c: float = 1e-3, name: str = "features"
) -> Readout:
    """Fits a multinomial logistic regression: ``|W|^2 / 2 + c * sum of cross-entropies``.

    Features are standardised (constant ones only centred); the bias is not penalised.

    Args:
        features: ``[n, p]``.
        labels: object of each image, 0 .. n_objects - 1, ``[n]``.
        n_objects: number of objects.
        c: weight of the data against the penalty, above 0.
        name: what the features are called in errors.

    Returns:
        The readout.

    Raises:
        InputError: if shapes do not fit, values are NaN or constant, or c is not positive.
    """
    x = checks.floats(features, name, 2)
    checks.varies(x, name)
    labels = jnp.asarray(labels)
    if labels.shape != x.shape[:1] or (
        checks.known(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < n_objects)
    ):
        raise InputError(f"labels must be {len(x)} indices in [0, {n_objects}), one per image")
    if not c > 0:
        raise InputError(f"c={c}, must be above 0")
    return _fit(x, labels, jnp.asarray(c, x.dtype), n_objects)


@checks.compiled(static=("n_objects",))
def _fit(x, labels, c, n_objects):
    mean, scale = x.mean(0), x.std(0)
    scale = jnp.where(scale > 0, scale, 1)
    z = (x - mean[None]) / scale[None]

    def loss(parameters):
        weights, bias = parameters
        logits = z @ weights + bias[None]
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, labels).sum()
        return jnp.square(weights).sum() / 2 + c * entropy

    search = optax.lbfgs(memory_size=20)
    value_and_grad = optax.value_and_grad_from_state(loss)
    tolerance = 10 * jnp.finfo(x.dtype).eps ** 0.75

    def step(carry):
        parameters, state, _, number = carry
        value, gradient = value_and_grad(parameters, state=state)
        updates, state = search.update(
            gradient, state, parameters, value=value, grad=gradient, value_fn=loss
        )
        steepest = jnp.max(jnp.abs(gradient[0])), jnp.max(jnp.abs(gradient[1]))
        return optax.apply_updates(parameters, updates), state, jnp.maximum(*steepest), number + 1

    def unfinished(carry):
        return (carry[2] > tolerance) & (carry[3] < _STEPS)

    start = jnp.zeros((x.shape[1], n_objects), x.dtype), jnp.zeros(n_objects, x.dtype)
    first = (start, search.init(start), jnp.asarray(jnp.inf, x.dtype), 0)
    weights, bias = lax.while_loop(unfinished, step, first)[0]
    weights = weights / scale[:, None]
    return Readout(weights, bias - mean @ weights)
