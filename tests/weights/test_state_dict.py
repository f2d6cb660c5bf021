"""Which tensors of a file are the network's: entries, prefixes, wrappers, averages."""

import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.weights.state_dict import find_state_dict

NAMES = ("conv1.weight", "layer1.0.bn1.running_mean", "fc.weight", "fc.bias")
STATE = {name: np.full((2, 2), i, np.float32) for i, name in enumerate(NAMES)}


def named(prefix="", state=STATE):
    return {prefix + name: value for name, value in state.items()}


def found(content, **options):
    result = find_state_dict(content, NAMES, **options)
    for name in NAMES:
        np.testing.assert_array_equal(result.tensors[name], STATE[name])
    return result


@pytest.mark.parametrize(
    ("content", "entry", "prefix"),
    [
        (STATE, "", ""),
        ({"state_dict": named("module."), "epoch": 3}, "state_dict", ""),
        ({"model": named("module._orig_mod.")}, "model", ""),
        (
            {"model_state_dict": STATE, "optimizer_state_dict": {"state": {}}},
            "model_state_dict",
            "",
        ),
        ({"net": named("module."), "acc": 95.0}, "net", ""),
        ({"state_dict": named("model."), "hyper_parameters": {}}, "state_dict", "model."),
        ({"state_dict": named("net.backbone.")}, "state_dict", "net.backbone."),
        ({"state_dict_ema": named("module.")}, "state_dict_ema", ""),
        ({"n_averaged": np.array(5), **named("module.")}, "", ""),
        ({"a": {"b": {"weights": STATE}}}, "a/b/weights", ""),
        (
            {"optimizer": {"fc.weight": np.ones(1)}, "state_dict": named("encoder.")},
            "state_dict",
            "encoder.",
        ),
    ],
)
def test_entry_and_prefix_are_found(content, entry, prefix):
    result = found(content)
    assert (result.entry, result.prefix, result.choice) == (entry, prefix, "")
    assert set(result.tensors) == set(NAMES)


def test_wrappers_anywhere_in_a_name():
    state = {key.replace("layer1.", "layer1.module."): value for key, value in STATE.items()}
    state = {key.replace("fc.", "fc._orig_mod."): value for key, value in state.items()}
    assert set(found(state).tensors) == set(NAMES)


def test_network_beside_its_attacker_and_normaliser():
    content = {
        "model": {
            "module.normalizer.new_mean": np.zeros((3, 1, 1)),
            **named("module.model."),
            "module.attacker.normalize.new_mean": np.zeros((3, 1, 1)),
            **named("module.attacker.model."),
        }
    }
    result = found(content)
    assert (result.prefix, result.others) == ("model.", 6)
    assert "attacker.model." in result.choice


def test_the_network_goes_before_its_running_average_and_the_choice_is_said():
    average = {key: value + 1 for key, value in STATE.items()}
    for ema in ("state_dict_ema", "model_ema", "teacher"):
        content = {ema: named("module.", average), "model": STATE}
        result = found(content)
        assert result.entry == "model"
        assert ema in result.choice
        chosen = find_state_dict(content, NAMES, entry=ema)
        np.testing.assert_array_equal(chosen.tensors["fc.bias"], average["fc.bias"])
        assert chosen.choice == ""


def test_prefix_on_request():
    other = {key: value + 1 for key, value in STATE.items()}
    content = named("module.student.") | named("module.teacher.", other)
    assert found(content).prefix == "student."
    for prefix in ("module.teacher.", "teacher."):
        chosen = find_state_dict(content, NAMES, prefix=prefix)
        np.testing.assert_array_equal(chosen.tensors["fc.bias"], other["fc.bias"])
        assert chosen.others == 0


def test_counters_are_left_out():
    extra = {
        "bn.num_batches_tracked": np.array(3),
        "vone_block.div_u.weight": np.ones(1),
        "vone_block.div_t.weight": np.ones(1),
    }
    assert set(found(STATE | extra).tensors) == set(NAMES)


def test_renames():
    state = {"model.head.weight": STATE["fc.weight"], "model.head.bias": STATE["fc.bias"]}
    result = find_state_dict(state, NAMES, [(r"(?<![^.])head\.", "fc.")])
    assert set(result.tensors) == {"fc.weight", "fc.bias"}
    assert result.prefix == "model."


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ([1], {}, "no tensors by name"),
        ({"epoch": 3}, {}, "no tensors by name"),
        ({"model": STATE}, {"entry": "ema"}, "'ema'.*'model'"),
        ({"model": STATE}, {"prefix": "net."}, r"'net\.'"),
    ],
)
def test_errors(content, options, message):
    with pytest.raises(InputError, match=message):
        find_state_dict(content, NAMES, **options)
