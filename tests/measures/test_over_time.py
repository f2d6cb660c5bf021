"""Accuracy over time and object-solution times."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from jaxbio import create_model
from jaxbio.errors import InputError
from jaxbio.measures.measure import measure
from jaxbio.measures.solution_times import correct_over_time, solution_steps
from jaxbio.ops.images import Preprocessing
from jaxbio.plotting import recurrence
from jaxbio.runs.mesh import make_mesh


def test_correct_over_time_counts_ties_and_nan_as_wrong():
    logits = jnp.array([[[0.0, 1.0], [2.0, 1.0]], [[1.0, 1.0], [jnp.nan, 0.0]]])
    correct = correct_over_time(logits, jnp.array([1, 0]))
    np.testing.assert_array_equal(correct, [[True, True], [False, False]])


def test_solution_steps():
    correct = jnp.array(
        [
            [True, False, True, True],
            [False, False, True, True],
            [True, False, True, True],
            [True, False, True, False],
        ]
    )
    np.testing.assert_array_equal(solution_steps(correct), [2, -1, 0, -1])
    np.testing.assert_array_equal(solution_steps(correct, arrival=1), [2, -1, 1, -1])


def session(tmp_path, name):
    config = base.get_config()
    arguments = {"name": name, "num_classes": 3, "image_size": 32}
    arguments |= {"times": 4} if name == "cornet_rt" else {}
    model = create_model(**arguments)
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (8, 32, 32, 3), np.uint8),
        "label": np.arange(8, dtype=np.int32) % 3,
        "index": np.arange(8, dtype=np.int32),
        "mask": np.arange(8) < 6,
    }
    return SimpleNamespace(
        config=config,
        run=SimpleNamespace(path=tmp_path),
        step=7,
        classes=None,
        arguments=arguments,
        variables=jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3))),
        preprocessing=Preprocessing(32, config.data.mean, config.data.std),
        source=SimpleNamespace(describe=lambda: {"source": "random"}, num_eval=12),
        mesh=make_mesh(),
        batches=lambda: iter([batch, batch]),
    )


@pytest.mark.slow
def test_report(tmp_path, capsys, monkeypatch):
    drawn, plot = [], recurrence.plot_rdms_over_time
    monkeypatch.setattr(
        recurrence,
        "plot_rdms_over_time",
        lambda rdms, *a: drawn.append(list(rdms)) or plot(rdms, *a),
    )
    result = measure(session(tmp_path, "cornet_rt"), "time")
    assert result["count"] == 12
    assert result["arrival_steps"] == {"V1": 0, "V2": 1, "V4": 2, "IT": 3}
    assert len(result["top1"]) == 4
    # Before the image arrives the answer is the same for all: one of the three classes.
    assert result["top1"][:3] in ([1 / 3] * 3, [0.0] * 3)
    assert result["solution_steps"][:3] == [0, 0, 0]
    assert result["solution_steps"][3] == round(12 * result["top1"][3])
    assert result["never_solved"] == 12 - result["solution_steps"][3]
    written = json.loads((tmp_path / "evaluation" / "time.json").read_text())
    assert written["top1"] == result["top1"]
    figures = {path.name for path in (tmp_path / "report").iterdir()}
    assert figures == {
        "accuracy_over_time.png",
        "activation_over_time.png",
        "rdms_over_time.png",
    }
    assert drawn == [["V1", "V2", "V4", "IT"]]
    assert "top-1 %" in capsys.readouterr().out


def test_a_network_without_time_is_refused(tmp_path):
    arguments = {"name": "resnet18", "num_classes": 3, "image_size": 32}
    without = SimpleNamespace(arguments=arguments, classes=None)
    with pytest.raises(InputError, match=r"mode=time needs .*unknown option of resnet18"):
        measure(without, "time")
