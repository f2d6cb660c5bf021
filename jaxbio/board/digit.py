"""Digits that are drawn on the page, shown to a spiking network of a run."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxbio.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from jaxbio.tasks.stdp.saved import SavedNetwork

_SIDES = (8, 128)  # of a drawing, pixels
_FILLED = 0.75  # of the picture's side by the digit, as in the data sets
_MOST_SPIKES = 20_000


class Networks:
    """The networks of a folder of runs, opened when they are first asked for."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock = threading.Lock()
        self._opened: tuple[Any, SavedNetwork] | None = None

    def classify(self, run: str, picture: Sequence[Sequence[int]]) -> dict[str, Any]:
        """What a network says of a drawing, and the spikes with which it does.

        Args:
            run: its name.
            picture: rows of grey levels 0 to 255, as many as columns; light on black.

        Raises:
            InputError: no such network, one that cannot vote yet, or no picture.
        """
        drawing = _checked(picture)
        with self._lock:
            saved = self._open(run)
            shown = saved.fitted(_centred(drawing, saved.picture_size))
            outcome = saved.classify(shown, seed=0)
        import numpy as np

        spikes = np.asarray(outcome.recording.spikes)
        when, who = np.nonzero(spikes)
        return {
            "label": None if outcome.label < 0 else saved.class_names[outcome.label],
            "classes": saved.class_names,
            "scores": outcome.scores.tolist(),
            "steps": len(spikes),
            "neurons": spikes.shape[1],
            "dt": saved.network.dt,
            "count": len(when),
            "spikes": np.stack([when, who], 1)[:_MOST_SPIKES].tolist(),
            "seen": shown.tolist(),
        }

    def _open(self, run: str) -> "SavedNetwork":
        from jaxbio.tasks.stdp.registry import find_network
        from jaxbio.tasks.stdp.saved import open_network

        entry = find_network(self._folder, run)
        steps = sorted(path.name for path in entry.run.checkpoints.glob("step_*"))
        if self._opened is None or self._opened[0] != (run, steps):
            self._opened = (run, steps), open_network(entry, "last")
        return self._opened[1]


def _checked(picture: Any) -> "np.ndarray":
    import numpy as np

    side = len(picture) if isinstance(picture, list) else 0
    square = _SIDES[0] <= side <= _SIDES[1] and all(
        isinstance(row, list) and len(row) == side for row in picture
    )
    if not square or not all(type(v) is int and 0 <= v <= 255 for row in picture for v in row):
        raise InputError(f"a drawing is {_SIDES[0]} to {_SIDES[1]} rows of as many grey levels")
    drawing = np.array(picture, np.uint8)
    if not drawing.any():
        raise InputError("nothing is drawn yet")
    return drawing


def _centred(drawing: "np.ndarray", size: int) -> "np.ndarray":
    """The drawing in the middle of a picture of the data set's size, as large as its digits are."""
    import numpy as np
    from PIL import Image

    box = Image.fromarray(drawing).getbbox()
    assert box is not None
    digit = Image.fromarray(drawing).crop(box)
    scale = _FILLED * size / max(digit.size)
    width, height = (max(1, round(scale * length)) for length in digit.size)
    picture = Image.new("L", (size, size))
    digit = digit.resize((width, height), Image.Resampling.LANCZOS)
    picture.paste(digit, ((size - width) // 2, (size - height) // 2))
    return np.asarray(picture)
