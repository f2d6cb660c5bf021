"""Tables of others: CSV files as columns of text."""

import csv
from pathlib import Path

import numpy as np

from jaxbio.errors import InputError
from jaxbio.files.reading import check_regular, reading
from jaxbio.files.sizes import text_array


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of a UTF-8 file by their names in the first line; empty lines are passed over.

    Returns:
        By name the cells, str ``[lines]``.

    Raises:
        InputError: it cannot be read, or a line has not as many cells as the first.
    """
    check_regular(path)
    with reading(path, "a CSV file"), path.open(newline="", encoding="utf-8-sig") as file:
        header, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise InputError(
                f"{path}: line {number} has {len(row)} cells, the header has {len(header)}"
            )
    size = path.stat().st_size
    cells = zip(*rows, strict=True) if rows else [()] * len(header)
    return {
        name: text_array(path, f"column {name[:40]}", column, size)
        for name, column in zip(header, cells, strict=True)
    }
