"""The experiments of ``configs/``: installed they lie here, in a checkout at its top."""

from pathlib import Path

# Wheels hold configs/ in place of this folder (pyproject.toml), so this line is a checkout's.
__path__ = [str(Path(__file__).parents[2] / "configs")]
