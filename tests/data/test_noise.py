"""A picture that cannot be decoded is one line of ours, and none of tensorflow's."""

import subprocess
import sys

import pytest

_CODE = """
import jax  # sets tensorflow's level of noise, if nobody has
from jaxbio.data.tensorflow_cpu import tf

def refuse(_):
    raise ValueError("no picture")

read = lambda data: tf.numpy_function(refuse, [data], tf.uint8)
assert list(tf.data.Dataset.from_tensors(b"x").map(read).ignore_errors()) == []
"""


def _refuse(_):
    raise ValueError("no picture")


def test_a_picture_that_fails_is_silent(capfd):
    from jaxbio.data.tensorflow_cpu import tf

    data = tf.data.Dataset.from_tensors(b"x")
    data = data.map(lambda data: tf.numpy_function(_refuse, [data], tf.uint8))
    assert list(data.ignore_errors()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_tensorflow_is_silent_from_its_start():
    outcome = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, timeout=120, check=True
    )
    assert outcome.stderr == ""
    assert outcome.stdout == ""
