"""The environment of the processes that tests start."""

import os
from pathlib import Path

_ROOT = Path(__file__).parents[1]


def of_one_device() -> dict[str, str]:
    """The test's own, with its way of compiling and its cache, but one CPU device a process."""
    flags = [x for x in os.environ.get("XLA_FLAGS", "").split() if "device_count" not in x]
    return {**os.environ, "XLA_FLAGS": " ".join(flags), "PYTHONPATH": str(_ROOT)}
