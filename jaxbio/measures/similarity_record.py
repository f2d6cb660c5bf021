"""The result file of the mode ``similarity``: grows score by score, and forgets none."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from jaxbio.files import read_json, write_json
from jaxbio.runs.progress import say

# Time bin, measure, layer, step: of one score.
Cell = tuple[str, str, str, int | None]
Row = dict[str, Any]


class Record:
    """Scores of one network on some recordings, measured in one way; what the file has of them.

    A file of another network, checkpoint or setting is kept under another name.

    Args:
        file: of the results; need not exist.
        identity: what was measured and how, as plain JSON.
        bins: names of the time bins, in order.
        layers: of the network, in order.

    Attributes:
        cells: the entries of ``scores``.
        ceilings: by time bin and measure.
        more: settings that only some measures have.
        remarks: of the last evaluation.
    """

    def __init__(
        self, file: Path, identity: dict[str, Any], bins: Sequence[str], layers: Sequence[str]
    ):
        self._file, self._identity = file, identity
        self._bins, self._layers = list(bins), list(layers)
        self.cells: dict[Cell, Row] = {}
        self.ceilings: dict[tuple[str, str], Row] = {}
        self.more: dict[str, Any] = {}
        self.remarks: list[str] = []
        if file.exists():
            self._read(read_json(file))

    def add(self, cells: dict[Cell, Row]) -> None:
        """More scores, which are in the file when this returns."""
        self.cells |= cells
        write_json(self._file, self.result())

    def result(self, wanted: Collection[Cell] | None = None) -> dict[str, Any]:
        """What the file holds, of ``wanted`` scores and their measures' ceilings; None: of all."""
        cells = [cell for cell in self.cells if wanted is None or cell in wanted]
        measured = {cell[:2] for cell in cells}
        ceilings = [row for key, row in self.ceilings.items() if wanted is None or key in measured]
        remarks = list(self.remarks)
        if all(row["low"] is None for row in ceilings):
            remarks.append("no noise ceilings: single presentations or subjects are not known")
        return {
            **self._identity,
            "settings": {**self._identity["settings"], **self.more},
            "remarks": remarks,
            "ceilings": ceilings,
            "scores": [self.cells[cell] for cell in sorted(cells, key=self._place)],
        }

    def _place(self, cell: Cell) -> tuple[int, ...]:
        bin_name, measure, layer, step = cell
        measures = list(dict.fromkeys(name for _, name in self.ceilings))
        return (
            self._bins.index(bin_name),
            measures.index(measure),
            self._layers.index(layer),
            -1 if step is None else step,
        )

    def _read(self, recorded: dict[str, Any]) -> None:
        settings = recorded.get("settings", {})
        known = self._identity["settings"]
        there = {**recorded, "settings": {k: v for k, v in settings.items() if k in known}}
        asked = json.loads(json.dumps(self._identity))
        different = [key for key in asked if there.get(key) != asked[key]]
        if different:
            self._set_aside(different)
            return
        for row in recorded["scores"]:
            self.cells[row["bin"], row["measure"], row["layer"], row["step"]] = row
        self.ceilings = {(row["bin"], row["measure"]): row for row in recorded["ceilings"]}
        self.more = {key: value for key, value in settings.items() if key not in known}

    def _set_aside(self, different: list[str]) -> None:
        number = 1
        while (kept := self._file.with_suffix(f".{number}.json")).exists():
            number += 1
        self._file.rename(kept)
        page = self._file.with_suffix(".html")
        if page.exists():
            page.rename(kept.with_suffix(".html"))
        say(f"{self._file} is of other {', '.join(different)}: kept as {kept.name}")
