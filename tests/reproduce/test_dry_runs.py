"""Tables whose data a user has to bring: the path is proven on synthetic data of the format."""

import json

import pytest

from jaxbio.commands.main import main


def run(tmp_path, name, *more):
    output = tmp_path / name
    assert main(["reproduce", name, "--dry_run", "--seeds=1", f"--output={output}", *more]) == 0
    return output, json.loads((output / "results.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sit", "svm", "rdm_finetuning"])
@pytest.mark.usefixtures("one_device")
def test_dry_runs_measure_every_row_and_say_that_they_are_synthetic(tmp_path, name):
    output, rows = run(tmp_path, name)
    assert all(row["measured"] is not None for row in rows)
    assert {row["verdict"] for row in rows} == {"synthetic data: no verdict"}
    assert "synthetic" in (output / "report.html").read_text().lower()


def test_others_have_none(capsys):
    assert main(["reproduce", "spiking", "--dry_run"]) == 2
    assert "needs its data" in capsys.readouterr().err
