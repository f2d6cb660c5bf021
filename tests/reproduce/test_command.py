"""The command: list, wrong input, missing data."""

import json

import pytest

from jaxbio.commands.main import main
from jaxbio.errors import InputError
from jaxbio.reproduce.table import AT_LEAST, EQUAL, Context, Published, Row, verdict
from jaxbio.reproduce.tables import TABLES, open_table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["spiking_netwroks"], "did you mean spiking_networks?"),
        ([], "--list"),
        (["spiking", "--budget=soon"], "'soon' is no time"),
        (["spiking", "--seeds=0"], "at least one"),
        (["spiking", "--data=/nowhere/at/all"], "is no folder"),
    ],
)
def test_wrong_input_is_one_line(capsys, arguments, words):
    assert main(["reproduce", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_list_names_every_table_and_what_is_missing(tmp_path, capsys):
    assert main(["reproduce", "--list", f"--data={tmp_path}"]) == 0
    out = capsys.readouterr().out
    for name in TABLES:
        assert f"{name}: " in out
    assert "MISSING" in out


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_complete(tmp_path, name):
    table = open_table(name)
    rows = table.rows(Context(None, tmp_path))
    assert rows
    assert len({row.name for row in rows}) == len(rows)
    assert table.source
    for row in rows:
        assert row.configuration
        assert row.rule in (AT_LEAST, EQUAL)


def test_missing_data_is_said_row_by_row_and_in_the_end(tmp_path, capsys):
    command = ["reproduce", "cornet", f"--data={tmp_path}", f"--output={tmp_path / 'out'}"]
    assert main(command) == 2
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {row["verdict"] for row in rows} == {"data missing"}
    assert "GB" in capsys.readouterr().err
    assert "data missing" in (tmp_path / "out" / "report.html").read_text()


def test_verdicts():
    both = Row("", "", (Published(0.875, 0.009), Published(0.896, None, "README")))
    assert verdict(both, 0.9) == "reached"
    assert verdict(both, 0.88).startswith("reached (0.875); short by 0.016")
    assert verdict(Row("", "", (Published(0.5),), 0.01, EQUAL), 0.52) == "off by 0.02"
    assert verdict(Row("", ""), 0.5) == "values wanted"


def test_a_damaged_results_file(tmp_path):
    from jaxbio.reproduce.run import measure_table

    (tmp_path / "results.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        measure_table("cornet", open_table("cornet"), Context(None, tmp_path))
