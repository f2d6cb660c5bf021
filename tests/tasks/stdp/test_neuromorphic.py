"""NIR: the same spikes after a round trip and by the equations; what it cannot say is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.spiking.network import Network, Parameters, initial_weights
from jaxbio.spiking.presentation import present
from jaxbio.tasks.stdp.imported import config_of
from jaxbio.tasks.stdp.neuromorphic import read_nir, write_nir
from jaxbio.tasks.stdp.reading import read_network

nir = pytest.importorskip("nir", reason="the optional package nir is not installed")

SMALL = {"filters": 3, "kernel": 8, "crop": 12, "steps": 60, "refractory": 0}
NETWORKS = {
    "lc": Network(kind="lc", **SMALL),
    "c": Network(kind="c", **SMALL),
    "fc": Network(kind="fc", **{**SMALL, "kernel": 12}),
    "trained": Network(kind="lc", trained_competition=True, **SMALL),
}
_present = jax.jit(present, static_argnums=0, static_argnames="record")
NUMBERS = Parameters(c_w=-7.5, intensity=80.0)


def made(kind):
    net = NETWORKS[kind]
    weights = initial_weights(net, NUMBERS, jax.random.key(0))
    theta = 4 * jax.random.uniform(jax.random.key(1), weights.theta.shape)
    x = jax.random.bernoulli(jax.random.key(2), 0.05, (net.steps, net.pixels))
    return net, weights._replace(theta=theta), x


def spikes_of(net, parameters, weights, x):
    _, recording, _ = _present(net, parameters, weights, x, record=True)
    return np.asarray(recording.spikes)


def euler(graph, x, dt):
    """Another program: the equations of NIR's nodes, step by step, in float64."""
    node = graph.nodes["neurons"]
    windows, competition = graph.nodes["windows"], graph.nodes["competition"]

    def drive(image):
        if isinstance(windows, nir.Linear):
            return windows.weight @ image
        side, k = int(np.sqrt(len(image))), windows.weight.shape[-1]
        stride = int(np.unique(windows.stride)[0])
        picture, places = image.reshape(side, side), range(0, side - k + 1, stride)
        seen = [[picture[r : r + k, c : c + k] for c in places] for r in places]
        return np.einsum("ijab,fab->fij", np.array(seen), windows.weight[:, 0]).ravel()

    v, spikes, out = np.array(node.v_leak), np.zeros(len(node.tau)), []
    for image in np.asarray(x, np.float64):
        current = drive(image) + competition.weight @ spikes
        v = v + dt / node.tau * (node.v_leak - v + node.r * current)
        spikes = (v > node.v_threshold).astype(np.float64)
        v = np.where(spikes > 0, node.v_reset, v)
        out.append(spikes > 0)
    return np.array(out)


@pytest.mark.slow
@pytest.mark.parametrize("kind", NETWORKS)
def test_same_spikes_after_a_round_trip_and_by_the_equations(tmp_path, kind):
    net, weights, x = made(kind)
    path = tmp_path / "network.nir"
    write_nir(path, net, NUMBERS, weights)
    ours = spikes_of(net, NUMBERS, weights, x)
    assert ours.sum() > 10
    back = read_nir(path)
    again, parameters = read_network(config_of(back))
    assert again == net
    assert parameters.tau_v == NUMBERS.tau_v
    yy = None if back.yy is None else jnp.asarray(back.yy)
    restored = weights._replace(xy=jnp.asarray(back.xy), theta=jnp.asarray(back.theta), yy=yy)
    np.testing.assert_array_equal(spikes_of(net, parameters, restored, x), ours)
    theirs = euler(nir.read(path), x, net.dt / 1000)
    np.testing.assert_array_equal(theirs[:-1], ours[1:])  # a step earlier


def test_graphs_of_others_need_no_metadata(tmp_path):
    net, weights, x = made("fc")
    path = tmp_path / "network.nir"
    write_nir(path, net, NUMBERS, weights)
    graph = nir.read(path)
    graph.metadata.clear()
    nir.write(path, graph)
    back = read_nir(path)
    assert (back.shape.kind, back.shape.crop) == ("fc", 12)
    _, parameters = read_network(config_of(back))
    restored = weights._replace(xy=jnp.asarray(back.xy), theta=jnp.asarray(back.theta))
    ours = spikes_of(net, NUMBERS, weights, x)
    np.testing.assert_array_equal(spikes_of(net, parameters, restored, x), ours)


def test_a_refractory_period_is_refused_by_name(tmp_path):
    net, weights, _ = made("lc")
    published = Network(kind="lc", **{**SMALL, "refractory": 5})
    with pytest.raises(InputError, match=r"spiking\.refractory=5"):
        write_nir(tmp_path / "a.nir", published, NUMBERS, weights)
    write_nir(tmp_path / "a.nir", published, NUMBERS, weights, ["refractory"])
    assert read_nir(tmp_path / "a.nir").shape == net
    with pytest.raises(InputError, match="--leave_out=theta"):
        write_nir(tmp_path / "b.nir", published, NUMBERS, weights, ["theta"])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda g: g.nodes.update(more=nir.Threshold(np.ones(12))), "'more' is Threshold"),
        (lambda g: setattr(g.nodes["neurons"], "v_reset", np.ones(12)), "reset to rest"),
        (lambda g: setattr(g.nodes["windows"], "weight", np.full((12, 144), 0.1)), "outside"),
        (lambda g: setattr(g.nodes["windows"], "weight", np.full((12, 144), np.nan)), "NaN"),
    ],
)
def test_what_networks_cannot_do_is_refused_by_name(tmp_path, spoil, words):
    net, weights, _ = made("lc")
    path = tmp_path / "network.nir"
    write_nir(path, net, NUMBERS, weights)
    graph = nir.read(path)
    spoil(graph)
    nir.write(path, graph)
    with pytest.raises(InputError, match=words) as caught:
        read_nir(path)
    assert "\n" not in str(caught.value)


def test_other_files(tmp_path):
    path = tmp_path / "network.nir"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="no NIR file"):
        read_nir(path)
