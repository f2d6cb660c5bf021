"""The LIF layer and networks of it: dynamics, gradients, time, bodies, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import spiking_cnn as spiking_cnn_config
from jaxbio.errors import InputError
from jaxbio.models import create_model
from jaxbio.models.lif_layer import LIF
from jaxbio.tasks.classification.build import build_model, model_arguments

SIZE = 32


def reference(currents, tau, threshold, refractory, theta_plus, tau_theta):
    """One neuron, written out."""
    v = theta = 0.0
    wait, spikes = 0, []
    for current in currents:
        v *= np.exp(-1 / tau)
        theta *= np.exp(-1 / tau_theta)
        v += current if wait == 0 else 0.0
        wait = max(wait - 1, 0)
        spikes.append(v >= threshold + theta)
        if spikes[-1]:
            v, wait = 0.0, refractory
            theta += theta_plus
    return spikes


@pytest.mark.parametrize(("refractory", "theta_plus"), [(0, 0.0), (2, 0.0), (0, 0.3), (1, 0.2)])
def test_lif_layer_has_the_dynamics(refractory, theta_plus):
    currents = np.random.default_rng(0).uniform(0, 0.8, (40, 1, 3))
    constants = {
        "tau": 4.0,
        "threshold": 0.9,
        "refractory": refractory,
        "theta_plus": theta_plus,
        "tau_theta": 20.0,
    }
    spikes = LIF(**constants).apply({}, jnp.asarray(currents, jnp.float32))
    for neuron in range(3):
        assert spikes[:, 0, neuron].tolist() == reference(currents[:, 0, neuron], **constants)
    assert 0 < spikes.sum() < spikes.size


def test_lif_gradients_are_those_of_the_unrolled_potential():
    """Below the threshold nothing is reset, so that the surrogate's argument is known."""
    decay = np.exp(-1 / 2.0)
    currents = jnp.array([[0.3], [0.1], [0.2]])
    gradient = jax.grad(
        lambda c: LIF(tau=2.0, surrogate="fast_sigmoid", slope=3.0).apply({}, c)[2, 0]
    )
    v = 0.3 * decay**2 + 0.1 * decay + 0.2
    surrogate = 1 / (1 + 3.0 * (1 - v)) ** 2
    expected = surrogate * np.array([[decay**2], [decay], [1.0]])
    np.testing.assert_allclose(gradient(currents), expected, rtol=1e-5)


def test_a_weight_learns_to_fire_through_the_layer():
    """The wanted number of spikes is met only if the gradient points the right way."""
    layer = LIF(tau=5.0)

    @jax.jit
    def loss(weight):
        return (layer.apply({}, jnp.full((20, 1), weight)).sum() - 5.0) ** 2

    weight = jnp.float32(0.1)
    optimizer = optax.adam(0.02)
    state = optimizer.init(weight)
    gradient = jax.jit(jax.grad(loss))
    for _ in range(60):
        updates, state = optimizer.update(gradient(weight), state)
        weight = weight + updates
    assert loss(weight) <= 1.0 < loss(0.1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"tau": 0.0}, "tau=0.0"), ({"refractory": -1}, "refractory=-1"), ({"surrogate": "x"}, "'x'")],
)
def test_lif_errors(fields, message):
    with pytest.raises(InputError, match=message):
        LIF(**fields).apply({}, jnp.ones((2, 1)))
    with pytest.raises(InputError, match="time first"):
        LIF().apply({}, jnp.ones(2))


@pytest.fixture(scope="module")
def small():
    model = create_model("spiking_cnn", num_classes=3, image_size=SIZE, steps=4)
    x = jax.random.normal(jax.random.key(1), (2, SIZE, SIZE, 3))
    return model, jax.jit(model.init)(jax.random.key(0), x), x


def test_endpoints_are_spikes_over_time(small):
    model, variables, x = small
    logits, endpoints = jax.jit(model.apply)(variables, x)
    assert logits.shape == endpoints["logits"].shape == (2, 3)
    assert endpoints["layer1"].shape == (4, 2, 16, 16, 32)
    assert endpoints["layer3"].shape == (4, 2, 4, 4, 128)
    assert set(np.unique(endpoints["layer1"])) == {0.0, 1.0}
    np.testing.assert_allclose(
        endpoints["penultimate"], endpoints["layer3"].mean((0, 2, 3)), rtol=1e-5, atol=1e-6
    )


def test_the_past_does_not_depend_on_the_length(small):
    model, variables, x = small
    longer = create_model("spiking_cnn", num_classes=3, image_size=SIZE, steps=6)
    apply = jax.jit(lambda m, v, x: m.apply(v, x)[1]["layer2"], static_argnums=0)
    np.testing.assert_array_equal(apply(longer, variables, x)[:4], apply(model, variables, x))


@pytest.mark.slow
def test_it_learns(small):
    model, variables, x = small
    labels = jnp.array([0, 2])
    optimizer = optax.adam(0.01)

    @jax.jit
    def step(params, stats, state):
        def loss(params):
            (logits, _), new = model.apply(
                {"params": params, "batch_stats": stats}, x, True, mutable=["batch_stats"]
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), new["batch_stats"]

        (value, stats), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), stats, state, value, gradients

    params, stats = variables["params"], variables["batch_stats"]
    state = optimizer.init(params)
    values = []
    for _ in range(12):
        params, stats, state, value, gradients = step(params, stats, state)
        values.append(value)
    assert values[-1] < 0.3 * values[0]
    assert all(np.abs(g).max() > 0 for g in jax.tree.leaves(gradients["body"]["conv1"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "front_end"),
    [("resnet18", "none"), ("vgg11_bn", "none"), ("squeezenet1_1", "vone")],
)
def test_any_body_runs_as_a_spiking_network(body, front_end):
    model = create_model(
        "spiking_cnn", num_classes=3, image_size=SIZE, front_end=front_end, body=body, steps=3
    )
    x = jax.ShapeDtypeStruct((2, SIZE, SIZE, 3), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    variables = jax.eval_shape(model.init, key, x)
    plain = create_model(body, num_classes=3, image_size=SIZE, front_end=front_end)
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(v["params"]))
        for v in (variables, jax.eval_shape(plain.init, key, x))
    ]
    assert sizes[0] == sizes[1]
    logits, endpoints = jax.eval_shape(model.apply, variables, x)
    assert logits.shape == (2, 3)
    maps = set(endpoints) - {"v1", "v1_bottleneck", "penultimate", "logits"}
    assert all(endpoints[name].shape[:2] == (3, 2) for name in maps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "gelu"}, "leave activation='relu'"),
        ({"steps": 0}, "steps=0"),
        ({"body": "cornet_s"}, "feed-forward"),
        ({"body": "resnet19"}, "unknown model 'resnet19'"),
        ({"surrogate": "sigmoid"}, "unknown surrogate"),
    ],
)
def test_spiking_cnn_errors(options, message):
    model = create_model("spiking_cnn", num_classes=3, image_size=SIZE, **options)
    with pytest.raises(InputError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, SIZE, SIZE, 3)))


def test_a_configuration_reaches_the_network():
    config = spiking_cnn_config.get_config("mnist")
    config.model.spiking.steps = 3
    config.model.spiking.surrogate = "fast_sigmoid"
    model = build_model(model_arguments(config, 10))
    assert (model.steps, model.surrogate, model.body) == (3, "fast_sigmoid", "small")
    with pytest.raises(ValueError, match="use digits, mnist"):
        spiking_cnn_config.get_config("cifar10")
