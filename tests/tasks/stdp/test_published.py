"""Saved networks of the published program: read as plain data, imported as runs."""

import math

import numpy as np
import pytest

from jaxbio.commands.main import main
from jaxbio.errors import InputError
from jaxbio.spiking.network import Network, Weights
from jaxbio.tasks.stdp.imported import import_network
from jaxbio.tasks.stdp.published import find_published, read_published
from jaxbio.tasks.stdp.registry import find_network
from jaxbio.tasks.stdp.start import find_start
from tests.tasks.stdp.published_files import Call, Obj, tree, write_network

KINDS = {
    "lc": Network(kind="lc", filters=3, kernel=8, crop=12, steps=40, refractory=5),
    "c": Network(kind="c", filters=3, kernel=8, crop=12, steps=40, refractory=5),
    "fc": Network(kind="fc", filters=3, kernel=12, crop=12, steps=40, refractory=4),
}


def parts(root):
    return root.state["_modules"]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_thresholds_and_refractory_period_come_from_the_tree(tmp_path, kind):
    net = KINDS[kind]
    root = tree(net, c_w=-42.0)
    write_network(tmp_path / "one", net, root, c_w=-1.0)
    saved = read_published(tmp_path / "one")
    assert saved.shape == net
    assert saved.numbers["c_w"] == -42.0
    assert saved.yy is None
    assert not saved.lost_thresholds
    w = parts(root)["X_to_Y"].state["_parameters"]["w"]
    theta = parts(root)["Y"].state["_buffers"]["theta"]
    for place in range(net.positions):
        for number in range(net.filters):
            pixels = net.window_pixels()[place]
            column = w.reshape(net.filters, -1)[number] if net.shared else None
            if column is None:
                column = w[pixels, number * net.positions + place]
            np.testing.assert_array_equal(saved.xy[0 if net.shared else place, :, number], column)
            assert saved.theta[place, number] == theta.reshape(net.filters, -1)[number, place]


def test_trained_competition_is_a_matrix(tmp_path):
    net = KINDS["lc"]
    yy = np.where(net.same_position(), -np.arange(net.neurons, dtype=np.float32) - 1, 0)
    write_network(tmp_path / "one", net, tree(net, yy=yy.astype(np.float32)))
    np.testing.assert_array_equal(read_published(tmp_path / "one").yy, yy)


def test_lost_thresholds_are_named(tmp_path):
    net = KINDS["lc"]
    write_network(tmp_path / "one", net, tree(net, theta=0.0))
    saved = read_published(tmp_path / "one")
    assert saved.lost_thresholds
    assert any("thresholds lost" in note for note in saved.notes)


@pytest.mark.parametrize(
    ("told", "draws"), [(math.sqrt(0.24 / 10_000), 10_000), (0.24 / math.sqrt(1000), 1000)]
)
def test_variances_in_place_of_errors_are_mended(tmp_path, told, draws):
    write_network(tmp_path / "one", KINDS["lc"], score=(0.6, told))
    score = read_published(tmp_path / "one").scores["patch_voting"]
    assert score.draws == draws
    assert math.isclose(score.error, math.sqrt(0.24 / draws))
    assert score.error_in_file == told


def _evil(root):
    parts(root)["X"].state["extra"] = Call("os.system", ("true",))


def _other_class(root):
    parts(root)["X"].state["extra"] = Obj("somewhere.Thing", {})


def _no_y(root):
    del parts(root)["Y"]


def _outside(root):
    parts(root)["X_to_Y"].state["_parameters"]["w"][:] = 0.5


def _endless(root):
    parts(root)["Y"].state["_buffers"]["theta"][:] = np.nan


def _small(root):
    parts(root)["X_to_Y"].state["_parameters"]["w"] = np.zeros((4, 4), np.float32)


def _bound(root):
    parts(root)["Y"].state["lbound"] = -70.0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_evil, r"class '(os|posix).system'"),
        (_other_class, "class 'somewhere.Thing'"),
        (_no_y, "no Y"),
        (_outside, "outside of the windows"),
        (_endless, "theta has NaN"),
        (_small, r"w is \[4, 4\]"),
        (_bound, "lbound"),
    ],
)
def test_what_it_cannot_be_is_one_line(tmp_path, spoil, words):
    net = KINDS["lc"]
    root = tree(net)
    spoil(root)
    write_network(tmp_path / "one", net, root)
    with pytest.raises(InputError, match=words) as caught:
        read_published(tmp_path / "one")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "one") in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"n_iter": "many"}, "n_iter"), ({"time_max": 0}, "time_max"), ({"intensity": None}, "inten")],
)
def test_wrong_parameters(tmp_path, parameters, words):
    write_network(tmp_path / "one", KINDS["lc"], **parameters)
    with pytest.raises(InputError, match=words):
        read_published(tmp_path / "one")


def test_another_layout(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match="another layout"):
        find_published(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        find_published(tmp_path / "nothing.zip")


def test_import_makes_runs_and_leaves_out_what_is_damaged(tmp_path, capsys):
    net = KINDS["lc"]
    votes = np.random.default_rng(0).random((10, 3, 2, 2)).astype(np.float32)
    write_network(tmp_path / "saved" / "good", net, votes=votes, score=(0.6, 0.005))
    evil = tree(net)
    _evil(evil)
    write_network(tmp_path / "saved" / "evil", net, evil)
    (tmp_path / "saved" / "empty").mkdir()
    runs = tmp_path / "runs"
    command = ["spiking", "import", str(tmp_path / "saved"), f"--output={runs}"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.count("left out: ") == 2
    assert sorted(path.name for path in runs.iterdir()) == ["good"]
    assert main(command) == 0  # again: it is there
    assert main(["spiking", f"--runs={runs}", "show", "good"]) == 0
    assert "60.00 +- 0.49 %" in capsys.readouterr().out
    entry = find_network(runs, "good")
    assert entry.settings["refractory"] == 5
    assert entry.results["images"] == 80


def test_an_imported_run_has_weights_and_votes_and_can_go_on(tmp_path):
    from jaxbio.runs.checkpoints import load_variables
    from jaxbio.runs.directory import RunDirectory
    from jaxbio.tasks.stdp.imported import config_of, state_of

    net = KINDS["lc"]
    votes = np.random.default_rng(0).random((10, 3, 2, 2)).astype(np.float32)
    write_network(tmp_path / "one", net, votes=votes)
    saved = read_published(tmp_path / "one")
    path = import_network(saved, tmp_path / "runs")
    like = state_of(saved).items()["variables"]
    variables, step = load_variables(RunDirectory(path), like)
    assert step == 2  # of 40 images
    np.testing.assert_array_equal(variables["readout"]["votes"], votes)
    weights = Weights(variables["params"]["xy"], variables["neurons"]["theta"])
    np.testing.assert_array_equal(weights.xy, saved.xy)
    np.testing.assert_array_equal(weights.theta, saved.theta)
    config = config_of(saved)
    config.spiking.start_from, config.spiking.train_images = str(path), 120
    start = find_start(config, net, 1)
    assert start is not None
    assert start.images == 80
