import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import base
from jaxbio.errors import InputError
from jaxbio.runs.schedules import Plateau, duration_in_steps, make_schedule, update_plateau


def _config(**changes):
    config = base.get_config().schedule
    config.update(changes)
    return config


def _rates(schedule, steps):
    return np.array([float(schedule(jnp.int32(s))) for s in steps])


def test_steps_win_over_epochs():
    section = ConfigDict({"total_epochs": 2.0, "total_steps": 7})
    assert duration_in_steps(section, "total", 100) == 7


@pytest.mark.parametrize(
    ("epochs", "steps"), [(0.5, 50), (2.0, 200), (0.0, 0), (0.001, 1), (None, 0)]
)
def test_epochs_become_steps(epochs, steps):
    section = ConfigDict({"total_epochs": epochs, "total_steps": None})
    assert duration_in_steps(section, "total", 100) == steps


def test_negative_duration_is_refused():
    with pytest.raises(InputError, match="total_epochs=-1"):
        duration_in_steps(ConfigDict({"total_epochs": -1, "total_steps": None}), "total", 10)


def test_step_schedule_drops_by_the_factor():
    schedule = make_schedule(_config(name="step", drop_every_epochs=2.0), 0.1, 100, 10)
    np.testing.assert_allclose(_rates(schedule, [0, 19, 20, 39, 40]), [0.1, 0.1, 0.01, 0.01, 0.001])


@pytest.mark.parametrize("milestones", [{"epochs": "2,(3.5)"}, {"steps": "20, 35"}])
def test_multistep_schedule_drops_at_its_milestones(milestones):
    config = _config(name="multistep", factor=0.5)
    config.update({f"milestones_{unit}": text for unit, text in milestones.items()})
    schedule = make_schedule(config, 0.4, 100, 10)
    expected = [0.4, 0.4, 0.2, 0.2, 0.1, 0.1]
    np.testing.assert_allclose(_rates(schedule, [0, 19, 20, 34, 35, 99]), expected)


def test_cosine_schedule_reaches_its_ends():
    schedule = make_schedule(_config(name="cosine", final=0.1), 2.0, 100, 10)
    np.testing.assert_allclose(_rates(schedule, [0, 50, 100]), [2.0, 1.1, 0.2], rtol=1e-6)


def test_warmup_is_linear_and_then_hands_over():
    config = _config(name="cosine", warmup_steps=10, warmup_from=0.5)
    schedule = make_schedule(config, 1.0, 110, 10)
    np.testing.assert_allclose(_rates(schedule, [0, 5, 10, 60]), [0.5, 0.75, 1.0, 0.5], rtol=1e-6)


def test_unknown_schedule_and_missing_period_are_refused():
    with pytest.raises(InputError, match="'linear'"):
        make_schedule(_config(name="linear"), 0.1, 10, 10)
    with pytest.raises(InputError, match="drop_every_epochs"):
        make_schedule(_config(name="step", drop_every_epochs=0.0), 0.1, 10, 10)


def test_plateau_drops_after_patience_as_pytorch_does():
    """Evaluating every step, patience 2 steps: the third bad evaluation in a row drops."""
    losses = [1.0, 0.9, 0.895, 0.9, 0.91, 0.92, 0.93, 0.5, 0.5, 0.5, 0.5]
    scale, best, bad, expected = 1.0, np.inf, 0, []
    for loss in losses:
        if loss < best * 0.99:
            best, bad = loss, 0
        else:
            bad += 1
        if bad > 2:
            scale, bad = scale * 0.1, 0
        expected.append(scale)
    plateau, ours = Plateau.create(), []
    for step, loss in enumerate(losses):
        plateau = update_plateau(
            plateau,
            jnp.int32(step),
            jnp.float32(loss),
            factor=0.1,
            patience_steps=2,
            threshold=0.01,
        )
        ours.append(float(plateau.scale))
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
