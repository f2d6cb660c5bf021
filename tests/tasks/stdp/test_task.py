"""Spiking networks through the common loop, on real digits."""

import json

import jax
import numpy as np
import pytest

from configs import c_snn, fc_snn, lc_snn, lc_snn_competition, lc_snn_two_step
from jaxbio.errors import InputError
from jaxbio.runs.checkpoints import Checkpointer
from jaxbio.tasks import loop
from jaxbio.tasks.config import check_config
from jaxbio.tasks.stdp import task as stdp
from jaxbio.tasks.stdp.data import draw, read_pictures


def _config(base=lc_snn, **changes):
    config = base.get_config()
    small = {
        "spiking.filters": 4,
        "spiking.steps": 80,
        "spiking.train_images": 8,
        "spiking.calibration_images": 60,
        "spiking.test_images": 30,
        "spiking.images_per_step": 2,
        "eval.batch_size": 20,
        "checkpoint.every_steps": 2,
        "log.every_steps": 1,
        "log.tensorboard": False,
    }
    config.update_from_flattened_dict({**small, **changes})
    return config


def _saved(config, workdir):
    like = stdp.Stdp(config).like
    checkpointer = Checkpointer(workdir / "checkpoints", best_by="accuracy")
    state = checkpointer.restore_latest(like)
    checkpointer.close()
    return state


def _learned(state):
    xy, _, yy = state.weights
    return {"xy": np.array(xy)} | ({} if yy is None else {"yy": np.array(yy)})


def test_learns_calibrates_and_tests(tmp_path):
    config = _config()
    results = loop.train(config, str(tmp_path))
    assert set(results["readouts"]) >= {"patch_voting", "all_voting", "spikes_first", "linear"}
    assert results["accuracy"] == results["readouts"]["patch_voting"]["accuracy"]
    assert results["readouts"]["linear"]["count"] == 30
    assert results["images"] == 8
    state = _saved(config, tmp_path)
    assert state.votes.shape == (10, 4, 3, 3)
    assert int(state.calibrated) == 1
    assert np.any(state.votes)
    assert (tmp_path / "report" / "weights.png").exists()


def test_resumes_exactly(tmp_path, monkeypatch):
    config = _config()
    loop.train(config, str(tmp_path / "whole"))

    real = stdp.Stdp.batches

    def interrupted(self, start):
        for number, batch in enumerate(real(self, start)):
            if start + number == 3:
                raise KeyboardInterrupt
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(stdp.Stdp, "batches", interrupted)
        with pytest.raises(KeyboardInterrupt):
            loop.train(config, str(tmp_path / "parts"))
    loop.train(config, str(tmp_path / "parts"))
    whole, parts = (_saved(config, tmp_path / name) for name in ("whole", "parts"))
    jax.tree.map(np.testing.assert_array_equal, whole, parts)


@pytest.mark.slow
@pytest.mark.parametrize("base", [c_snn, fc_snn, lc_snn_competition])
def test_every_kind_learns(base):
    task = stdp.Stdp(_config(base))
    state = task.initial_state()
    before = _learned(state)
    batch = next(iter(task.batches(0)))
    state, metrics = task.train_step()(state, batch)
    assert int(state.step) == 1
    assert metrics["spikes"] > 0
    for name, value in before.items():
        assert not np.allclose(_learned(state)[name], value), name


@pytest.mark.slow
def test_two_steps_freeze_one_connection_each():
    task = stdp.Stdp(_config(lc_snn_two_step))
    state = task.initial_state()
    np.testing.assert_array_equal(state.weights.yy, task.config.spiking.c_w)
    step = task.train_step()
    history = []
    for batch in task.batches(0):
        state, _ = step(state, batch)
        history.append(_learned(state))
    assert len(history) == 4
    np.testing.assert_array_equal(history[1]["yy"], task.config.spiking.c_w)
    assert not np.allclose(history[0]["xy"], history[1]["xy"])
    np.testing.assert_allclose(history[1]["xy"], history[3]["xy"], atol=1e-6)
    assert history[2]["yy"].max() <= 0
    assert not np.allclose(history[2]["yy"], history[3]["yy"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "frozen"),
    [(lc_snn, {"xy"}), (lc_snn_competition, {"xy"}), (lc_snn_competition, {"yy"})],
)
def test_a_connection_can_be_frozen(base, frozen):
    changes = {f"spiking.learn_{name}": False for name in frozen}
    task = stdp.Stdp(_config(base, **changes))
    state = task.initial_state()
    before = _learned(state)
    state, _ = task.train_step()(state, next(iter(task.batches(0))))
    assert np.any(state.weights.theta)
    for name, value in before.items():
        same = np.allclose(_learned(state)[name], value, atol=1e-6)  # normalised, learning or not
        assert same == (name in frozen), name


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A run of four images."""
    root = tmp_path_factory.mktemp("short")
    loop.train(_config(**{"spiking.train_images": 4}), str(root / "short"))
    return root


@pytest.mark.slow
def test_going_on_equals_one_long_run(short, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "named").symlink_to(short / "short")
    config = _config(**{"spiking.start_from": "named"})
    results = loop.train(config, str(tmp_path / "longer"))
    assert results["images"] == 8
    loop.train(_config(), str(tmp_path / "whole"))
    whole, longer = _saved(_config(), tmp_path / "whole"), _saved(config, tmp_path / "longer")
    jax.tree.map(np.testing.assert_array_equal, whole, longer)
    resolved = json.loads((tmp_path / "longer" / "config.json").read_text())["resolved"]
    path = str(tmp_path / "runs" / "named")
    assert resolved["start_from"] == {"path": path, "step": 2, "images": 4, "member": None}
    (tmp_path / "runs" / "named").unlink()
    assert loop.train(config, str(tmp_path / "longer")) == results  # its start is needed no more


@pytest.mark.slow
def test_competition_learns_above_a_saved_network(short):
    changes = {"spiking.start_from": str(short / "short"), "spiking.learn_xy": False}
    task = stdp.Stdp(_config(lc_snn_competition, **changes))
    state, saved = task.initial_state(), _saved(_config(), short / "short")
    np.testing.assert_array_equal(state.weights.xy, saved.weights.xy)
    np.testing.assert_array_equal(state.weights.theta, saved.weights.theta)
    assert int(state.step) == 2
    before = np.asarray(state.weights.yy)
    assert before.min() < 0
    state, _ = task.train_step()(state, next(iter(task.batches(2))))
    np.testing.assert_allclose(state.weights.xy, saved.weights.xy, atol=1e-6)
    assert not np.allclose(state.weights.yy, before)


def test_a_population_starts_from_one_network(short):
    task = stdp.Stdp(_config(**{"spiking.start_from": str(short / "short"), "population.seeds": 2}))
    saved, state = _saved(_config(), short / "short"), task.initial_state()
    for number in range(2):
        np.testing.assert_array_equal(task.weights(state, number).xy, saved.weights.xy)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spiking.start_from": "none"}, "spiking.start_from=none: no such run directory"),
        ({"spiking.filters": 5}, r"spiking.filters=5 \(there 4\); use its settings"),
        ({"spiking.train_images": 4}, "has learned from 4 already"),
        ({"spiking.images_per_step": 8}, "spiking.images_per_step=8 does not divide the 4"),
        ({"spiking.start_member": 1}, "spiking.start_member=1: .* has 1 networks"),
    ],
)
def test_a_wrong_start_leaves_nothing_behind(short, tmp_path, changes, words):
    config = _config(**{"spiking.start_from": str(short / "short"), **changes})
    with pytest.raises(InputError, match=words):
        loop.train(config, str(tmp_path))
    assert not (tmp_path / "config.json").exists()


def test_a_start_needs_a_checkpoint(short, tmp_path):
    (tmp_path / "config.json").write_bytes((short / "short" / "config.json").read_bytes())
    task = stdp.Stdp(_config(**{"spiking.start_from": str(tmp_path)}))
    with pytest.raises(InputError, match="has no checkpoint: train it first"):
        task.record(new=True)


@pytest.mark.slow
def test_population_writes_a_table(tmp_path, capsys):
    grid = {"population.grid": "mean_weight=0.4,0.5;c_w=-60,-100"}
    results = loop.train(_config(**grid), str(tmp_path))
    table = json.loads((tmp_path / "results.json").read_text())["population"]
    assert [(m["mean_weight"], m["c_w"]) for m in table] == [
        (0.4, -60.0),
        (0.4, -100.0),
        (0.5, -60.0),
        (0.5, -100.0),
    ]
    mean = np.mean([m["readouts"]["linear"]["accuracy"] for m in table])
    assert results["readouts"]["linear"]["accuracy"] == pytest.approx(mean)
    for name in ("search_mean_weight_c_w.png", "surface_mean_weight_c_w.png", "population.csv"):
        assert (tmp_path / "report" / name).exists()
    assert "mean_weight  c_w   seeds  patch_voting %" in capsys.readouterr().out
    tests = (tmp_path / "metrics.jsonl").read_text().splitlines()[-1]
    assert json.loads(tests)["linear_accuracy"] == results["readouts"]["linear"]["accuracy"]
    assert json.loads(tests)["error"] == results["readouts"]["patch_voting"]["error"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("programs", [1, 2])
def test_member_equals_its_own_run(programs, monkeypatch):
    """In one program, or in shares of one and two networks."""
    monkeypatch.setattr("jaxbio.tasks.stdp.step.programs_at_once", lambda: programs)
    together = stdp.Stdp(_config(**{"population.seeds": 3}))
    alone = stdp.Stdp(_config(seed=2))
    states = []
    for task in (together, alone):
        state, step = task.initial_state(), task.train_step()
        for batch in task.batches(0):
            state, _ = step(state, batch)
        states.append(state)
    member, single = together.weights(states[0], 2), alone.weights(states[1])
    np.testing.assert_allclose(member.xy, single.xy, atol=1e-6)
    np.testing.assert_allclose(member.theta, single.theta, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spiking.kernel": 11}, "spiking.kernel=11"),
        ({"spiking.top_n": 5}, "spiking.top_n=5: use 1 to 4"),
        ({"population.grid": "c_w=-5,5"}, "population.grid: c_w=5.0"),
        ({"population.grid": "intensity=-5"}, "population.grid: intensity=-5.0"),
        ({"spiking.train_images": 7}, "spiking.train_images=7"),
        ({"spiking.images_per_update": 3}, "images_per_update=3"),
        ({"spiking.two_step": True}, "trained_competition=True"),
        (
            {
                "spiking.two_step": True,
                "spiking.trained_competition": True,
                "spiking.learn_yy": False,
            },
            "remove spiking.learn_xy=True, spiking.learn_yy=False",
        ),
        ({"population.grid": "rest"}, "population.grid"),
    ],
)
def test_wrong_configurations_are_named(changes, words):
    with pytest.raises(InputError, match=words):
        check_config(_config(**changes))


@pytest.mark.slow
def test_a_network_that_never_fires_says_so(tmp_path, caplog):
    config = _config(**{"spiking.intensity": 0.0, "spiking.train_images": 2})
    loop.train(config, str(tmp_path))
    assert any("spiking.intensity" in line.message for line in caplog.records)


@pytest.mark.slow
def test_members_of_several_intensities():
    """Brighter pictures drive more spikes, in learning and in tests; the others stay the same."""
    bright = stdp.Stdp(_config(**{"population.grid": "intensity=40,127.5,127.5"}))
    state, step = bright.initial_state(), bright.train_step()
    before = [bright.activity(state, "test", number)[0].sum() for number in range(3)]
    assert before[0] < 0.7 * before[1]
    assert before[1] == before[2]
    state, _ = step(state, next(iter(bright.batches(0))))
    learned = [np.asarray(bright.weights(state, number).theta).sum() for number in range(3)]
    assert learned[0] < learned[1] == learned[2]
    usual = stdp.Stdp(_config())
    assert usual.activity(usual.initial_state(), "test")[0].sum() == before[1]


def test_validation_leaves_the_test_set_alone():
    test, validation = (
        stdp.Stdp(_config(**{"spiking.test_on": name})).pictures for name in ("test", "validation")
    )
    images = np.concatenate([validation.calibration[0], validation.test[0]])
    np.testing.assert_array_equal(images, test.calibration[0])
    np.testing.assert_array_equal(validation.train[0], test.train[0])


def test_pictures_of_digits_and_draws():
    task = stdp.Stdp(_config())
    pictures = read_pictures(task.source, 20, 1 / 6)
    assert pictures.train[0].shape == (1194, 400)
    assert len(pictures.calibration[0]) == 239
    assert pictures.train[0].max() > 200
    assert pictures.train[0].min() == 0
    long = draw("train", 1194, 100, seed=1)
    np.testing.assert_array_equal(long[:20], draw("train", 1194, 20, seed=1))
    assert not np.array_equal(long, draw("test", 1194, 100, seed=1))
