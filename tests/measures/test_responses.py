"""Figures of responses from runs: what is collected, and the command."""

import numpy as np
import pytest

from configs import dnrt_vit
from jaxbio.commands.main import main
from jaxbio.measures import responses
from jaxbio.models import activations
from jaxbio.models.vit import VisionTransformer
from jaxbio.ops.response import raa
from jaxbio.tasks import loop
from jaxbio.tasks.classification import opened as session


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run directory of a transformer small enough to compile quickly."""
    path = tmp_path_factory.mktemp("runs") / "dnrt"
    config = dnrt_vit.get_config()
    config.train.total_steps = 2
    config.train.batch_size = 16
    config.eval.batch_size = 184
    config.log.tensorboard = False
    model = VisionTransformer(
        patch=8, width=8, depth=2, heads=1, act=activations.make("raa"), num_classes=10
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "build_model", lambda arguments: model)
        loop.train(config, str(path))
        yield path


@pytest.mark.slow
def test_what_is_collected(run):
    opened = session.open_session(None, str(run), "last")
    values, labels = responses.collect_responses(opened)
    assert values.shape == (opened.source.num_eval, 8)
    assert labels.shape == (opened.source.num_eval,)
    assert set(labels) == set(range(10))
    first, _ = responses.collect_responses(opened, "block0")
    assert not np.allclose(first, values)
    shifts = responses.collect_shifts(opened)
    assert list(shifts) == [f"blocks_{i}/mlp/act" for i in range(2)]
    assert all(layer.shape == (184, 17, 1) for layer in shifts.values())


def test_layers_sort_by_number():
    names = ["blocks_10/act", "blocks_9/act", "norm"]
    assert sorted(names, key=responses._natural) == ["blocks_9/act", "blocks_10/act", "norm"]


def test_curves_are_the_activation_at_learned_shifts():
    x, curves = responses.activation_curves({"a": np.linspace(-1, 1, 101)}, "raa")
    assert list(curves) == pytest.approx([-0.98, -0.5, 0, 0.5, 0.98])
    shift, y = max(curves.items())
    np.testing.assert_allclose(y, raa(x, np.float32([shift])), atol=1e-6)


@pytest.mark.slow
def test_the_command(run, tmp_path, capsys):
    assert main(["responses", str(run), "--output", str(tmp_path)]) == 0
    files = {file.name for file in tmp_path.iterdir()}
    assert files == {"responses.png", "shifts.png", "activations.png"}
    capsys.readouterr()
    assert main(["responses", str(run), "--endpoint", "block9"]) == 2
    assert "has 'block9'" in capsys.readouterr().err
    assert main(["responses", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert "does not exist" in error
    assert error.count("\n") == 1
