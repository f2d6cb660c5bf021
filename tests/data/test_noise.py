"""A picture that cannot be decoded is one line of ours, and none of tensorflow's."""

import subprocess
import sys

_CODE = """
import jax  # sets tensorflow's level of noise, if nobody has
from jaxbio.data.tensorflow_cpu import tf

def refuse(_):
    raise ValueError("no picture")

read = lambda data: tf.numpy_function(refuse, [data], tf.uint8)
assert list(tf.data.Dataset.from_tensors(b"x").map(read).ignore_errors()) == []
"""


def test_tensorflow_is_silent():
    outcome = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, timeout=120, check=True
    )
    assert outcome.stderr == ""
    assert outcome.stdout == ""
