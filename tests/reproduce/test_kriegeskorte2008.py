"""The IT table, on RDMs of the tests' own."""

import json

import numpy as np
import pytest

from jaxbio.commands.main import main


@pytest.mark.slow
def test_every_row_is_measured(tmp_path):
    rng = np.random.default_rng(0)
    shared = rng.random((8, 8))
    human = np.stack([[shared + rng.random((8, 8)) for _ in range(2)] for _ in range(4)])
    human = human + human.swapaxes(-1, -2)
    human[..., np.arange(8), np.arange(8)] = 0
    row, column = np.triu_indices(8, 1)
    np.savez(
        tmp_path / "kriegeskorte2008_92.npz",
        images=np.zeros((8, 4, 4, 3), np.uint8),
        category=np.array(["a"] * 8),
        monkey_it_rdm_vec=(shared + shared.T)[row, column],
        human_it_rdms=human,
    )
    output = tmp_path / "out"
    command = ["reproduce", "kriegeskorte2008", f"--data={tmp_path}", f"--output={output}"]
    assert main(command) == 0
    rows = {row["name"]: row for row in json.loads((output / "results.json").read_text())}
    assert all(row["measured"] is not None for row in rows.values())
    spearman = rows["human IT and monkey IT, spearman"]
    low, high = spearman["interval"]
    assert low < spearman["measured"] < high < 1.001
    assert spearman["verdict"].startswith("off by")
    assert len(rows["human IT and monkey IT, pearson"]["published_all"]) == 2
