"""The attacks mode on real digits with a tiny model."""

import csv
import dataclasses
import json

import flax.linen as nn
import jax
import pytest

from configs import svp_resnet
from jaxbio.attacks import PRESETS
from jaxbio.commands.main import main
from jaxbio.errors import InputError
from jaxbio.measures import attacked, attacks
from jaxbio.measures.measure import measure
from jaxbio.ops.intervals import wilson
from jaxbio.tasks import loop
from jaxbio.tasks.classification import opened as session
from tests.tasks.tiny import Tiny


class Noisy(nn.Module):
    """The tiny network behind a noisy front-end."""

    num_classes: int = 10
    noise_mode: str = "neuronal"

    @nn.compact
    def __call__(self, x, train: bool = False):
        if self.noise_mode != "none":
            x = x + 0.3 * jax.random.normal(self.make_rng("noise"), x.shape)
        return Tiny(self.num_classes, name="tiny")(x, train)


class Flat(nn.Module):
    """The tiny network on pixels that are rounded: no gradient."""

    num_classes: int = 10

    @nn.compact
    def __call__(self, x, train: bool = False):
        return Tiny(self.num_classes, name="tiny")(jax.numpy.round(x), train)


def _config(**changes):
    config = svp_resnet.get_config()
    flat = {
        "train.batch_size": 64,
        "train.total_steps": 20,
        "optimizer.learning_rate": 0.02,
        "eval.batch_size": 64,
        "log.tensorboard": False,
        **changes,
    }
    config.update_from_flattened_dict(flat)
    return config


def _trained(kind, tmp_path_factory, patch):
    patch.setattr(session, "build_model", lambda arguments: kind(arguments["num_classes"]))
    workdir = tmp_path_factory.mktemp(kind.__name__)
    loop.train(_config(), str(workdir))
    return workdir


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield _trained(Tiny, tmp_path_factory, patch)


def _measure(run, **options):
    opened = session.open_session(_config(), str(run))
    return measure(opened, "attacks", **{"count": 100, "steps": 4, **options})


@pytest.mark.slow
def test_accuracy_falls_with_epsilon(plain, capsys):
    result = _measure(plain, epsilon=["1/255", "0.2"], transfer=str(plain))
    under = result["accuracy_under_attack"]["linf"]
    assert list(under) == ["0.00392157", "0.2"]
    clean, small, large = (c["accuracy"] for c in (result["clean"], *under.values()))
    assert clean >= small > large
    assert result["images"] == 100
    for cell in (result["clean"], *under.values()):
        low, high = cell["interval"]
        assert low <= cell["accuracy"] <= high
    assert result["controls"]["unbounded"] <= large
    assert result["controls"]["transferred"] < clean  # onto itself
    assert json.loads((plain / "evaluation" / "attacks_pgd20.json").read_text()) == json.loads(
        json.dumps(result)
    )
    with (plain / "evaluation" / "attacks_pgd20.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 200
    robust = [r for r in rows if r["epsilon"] == "0.2" and r["clean_correct"] == "1"]
    assert sum(r["fooled"] == "0" for r in robust) / 100 == pytest.approx(large)
    assert all((float(r["margin"]) > 0) == (r["fooled"] == "1") for r in rows)
    for name in ("attacks_pgd20", "attacks_pgd20_images"):
        assert (plain / "report" / f"{name}.png").stat().st_size > 5000
    assert "0.2" in capsys.readouterr().out


class _Stopped(Exception):
    pass


@pytest.mark.slow
def test_an_interrupted_measure_goes_on(plain, monkeypatch, capsys):
    attack, calls = attacked.Target.attack, []

    def counted(self, *arguments, **changes):
        calls.append(arguments)
        if len(calls) == last:
            raise _Stopped
        return attack(self, *arguments, **changes)

    def files():
        names = ("evaluation/attacks_pgd20.json", "evaluation/attacks_pgd20.csv")
        return [(plain / name).read_bytes() for name in (*names, "report/attacks_pgd20_images.png")]

    options = {"epsilon": ["0.02", "0.1"], "no_controls": True}
    last = 0
    monkeypatch.setattr(attacked.Target, "attack", counted)
    _measure(plain, **options)
    assert len(calls) == 4  # two radii, two batches
    whole, partial = files(), plain / "evaluation" / "attacks_pgd20.partial"
    assert not partial.exists()
    for name in ("json", "csv"):
        (plain / "evaluation" / f"attacks_pgd20.{name}").unlink()

    calls, last = [], 4
    with pytest.raises(_Stopped):
        _measure(plain, **options)
    assert len(list(partial.iterdir())) == 3
    calls, last = [], 1
    for changes in ({"count": 99}, {"steps": 3}, {"restarts": 2}, {"epsilon": ["0.02", "0.2"]}):
        calls = []
        with pytest.raises(_Stopped):  # nothing of other settings is taken
            _measure(plain, **{**options, **changes})
    calls, last = [], 0
    capsys.readouterr()
    _measure(plain, **options)
    assert len(calls) == 1
    assert "after 3 parts" in capsys.readouterr().out
    assert files() == whole
    assert not partial.exists()


@pytest.mark.slow
def test_several_attacks_count_together(plain):
    result = _measure(plain, preset="autoattack_lite", epsilon=["0.03"], no_controls=True)
    (cell,) = result["accuracy_under_attack"]["linf"].values()
    assert set(cell["attacks"]) == {"apgd_ce_linf", "apgd_dlr_linf"}
    assert cell["accuracy"] <= min(cell["attacks"].values())
    assert "controls" not in result


@pytest.mark.slow
def test_noise_is_averaged_and_reported(tmp_path_factory, monkeypatch):
    run = _trained(Noisy, tmp_path_factory, monkeypatch)
    monkeypatch.setattr(attacked, "_quiet", lambda opened: Noisy(10, "none"))
    result = _measure(run, epsilon=["0.05"], samples=2)
    assert result["noise_at_evaluation"]
    assert result["attacks"]["pgd_ce_linf"]["samples"] == 2
    assert {"noise_off", "more_samples"} <= result["controls"].keys()


@pytest.mark.slow
def test_models_without_a_gradient(tmp_path_factory, monkeypatch):
    run = _trained(Flat, tmp_path_factory, monkeypatch)
    with pytest.raises(InputError, match="gradient"):
        _measure(run, epsilon=["0.05"])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"epsilon": ["8"]}, "8"),
        ({"epsilon": ["eight"]}, "eight"),
        ({"epsilon": ["1/0"]}, "1/0"),
        ({"epsilon": ["-0.1"]}, "-0.1"),
        ({"epsilon": ["nan"]}, "nan"),
        ({"epsilon": []}, "radii"),
        ({"count": -1}, "count"),
        ({"transfer": "no_such_run"}, "no_such_run"),
        ({"norm": "l1"}, "norm"),
        ({"preset": "vonenet", "epsilon": ["0.1"]}, "norm"),
        ({"restarts": 0}, "restarts"),
    ],
)
def test_bad_options(plain, options, word):
    with pytest.raises(InputError, match=word):
        _measure(plain, **options)


def test_fewer_steps_walk_as_far():
    walk = PRESETS["evnet"][0].options["step"] * PRESETS["evnet"][0].options["steps"]
    for steps, length in ((32, walk / 32), (1, 1.0), (None, walk / 64)):
        found = attacks._with_steps(PRESETS["evnet"][0], steps)
        assert found["step"] == pytest.approx(length)
        assert found["steps"] == (steps or 64)
    assert "step" not in attacks._with_steps(PRESETS["autoattack_lite"][0], 5)


def test_a_network_of_task_stdp(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"config": {"task": "stdp"}}')
    assert main(["evaluate", str(tmp_path), "--mode=attacks"]) == 2
    assert "gradients" in capsys.readouterr().err


def test_transfer_from_a_network_without_gradients(plain, tmp_path):
    (tmp_path / "config.json").write_text('{"config": {"task": "stdp"}}')
    with pytest.raises(InputError, match="gradients"):
        _measure(plain, transfer=str(tmp_path))


def test_transfer_between_other_classes(plain):
    opened = session.open_session(_config(), str(plain))
    others = dataclasses.replace(opened, class_names=[f"class {n}" for n in range(10)])
    with pytest.raises(InputError, match="class 0"):
        measure(others, "attacks", transfer=str(plain))


def test_intervals_of_shares():
    low, high = wilson(0.4, 100)
    assert (low, high) == (pytest.approx(0.3094, abs=1e-4), pytest.approx(0.4980, abs=1e-4))
    assert wilson(1.0, 10)[1] == pytest.approx(1)
    assert wilson(0.0, 10)[0] == pytest.approx(0)
