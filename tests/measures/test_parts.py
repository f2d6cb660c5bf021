"""Parts of a long measure, kept until its result is written."""

import numpy as np
import pytest

from jaxbio.measures.parts import Parts

SETTINGS = {"step": 20, "radii": (0.1, 0.2)}
PART = {"fooled": np.array([True, False]), "margin": np.array([0.25, -1.5], np.float32)}


def _never():
    raise AssertionError("was known")


@pytest.fixture
def folder(tmp_path):
    parts = Parts(tmp_path / "partial", SETTINGS)
    for name in ("0_0", "0_1"):
        parts.get(name, lambda: PART)
    return parts.folder


def test_goes_on_with_the_same_settings(folder):
    again = Parts(folder, dict(SETTINGS))
    for name, values in again.get("0_1", _never).items():
        np.testing.assert_array_equal(values, PART[name], strict=True)
    other = {"margin": np.zeros(1)}
    assert again.get("1_0", lambda: other) is other
    again.remove()
    assert not folder.exists()


def test_settings_do_not_mix(folder, capsys):
    other = Parts(folder, {**SETTINGS, "step": 21})
    assert not other.known
    assert "2 parts" in capsys.readouterr().out
    other.get("0_0", lambda: {"margin": np.ones(1)})
    assert Parts(folder, SETTINGS).known.keys() == {"0_1"}


def _cut(raw):
    return raw[:-30]


def _flipped(raw):
    place = raw.index(PART["margin"].tobytes())
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


def _pickled(raw):
    return b"\x80\x04cos\nsystem\n."


@pytest.mark.parametrize("damage", [_cut, _flipped, _pickled, lambda raw: b""])
def test_damaged_parts_are_measured_again(folder, damage, capsys):
    file = folder / "0_0.npz"
    file.write_bytes(damage(file.read_bytes()))
    parts = Parts(folder, SETTINGS)
    assert parts.known.keys() == {"0_1"}
    assert str(file) in capsys.readouterr().out
    parts.get("0_0", lambda: PART)
    assert Parts(folder, SETTINGS).known.keys() == {"0_0", "0_1"}
