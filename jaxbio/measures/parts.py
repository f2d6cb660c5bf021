"""What the parts of a long measure gave, a file each, until its result is written.

An interrupted measure goes on: it reads what is there of the same settings, and measures the rest.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbio.errors import InputError
from jaxbio.files import atomic
from jaxbio.files.npz import read_npz

Part = dict[str, np.ndarray]

_DIGEST = "settings"  # the field that says what a part belongs to


class Parts:
    """Arrays by the name of their part, in a folder.

    All processes read what is there before any of them measures, and the first one writes: they
    agree on what is missing.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        """Reads the parts that were measured with these settings.

        Args:
            folder: what it holds of other settings, or damaged, is named in one line, measured
                again and replaced.
            settings: JSON-able; all that changes what the parts give.
        """
        self.folder = folder
        text = json.dumps(settings, sort_keys=True, default=str)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self.known: dict[str, Part] = {}
        others = 0
        for path in sorted(folder.glob("[!.]*.npz")):
            try:
                part = read_npz(path, [_DIGEST], None)
            except InputError as error:
                _say(f"{error}: measuring that part again")
                continue
            if str(part.pop(_DIGEST)) == self.digest:
                self.known[path.stem] = part
            else:
                others += 1
        if others:
            _say(f"{folder}: {others} parts are of another checkpoint, data or settings, not used")
        if self.known:
            _say(f"{folder}: going on after {len(self.known)} parts")

    def get(self, name: str, measure: Callable[[], Part]) -> Part:
        """A part as it was kept, or measured now and kept at once."""
        if name not in self.known:
            self.known[name] = measure()
            if jax.process_index() == 0:
                fields: dict[str, Any] = {_DIGEST: np.array(self.digest), **self.known[name]}
                with atomic(self.folder / f"{name}.npz") as temporary:
                    np.savez(temporary, **fields)
        return self.known[name]

    def remove(self) -> None:
        """Removes the folder: the result is written."""
        if jax.process_index() == 0:
            shutil.rmtree(self.folder, ignore_errors=True)


def _say(line: str) -> None:
    if jax.process_index() == 0:
        print(line, flush=True)
