"""The command: list, wrong input, missing data."""

import json
import time

import pytest

from jaxbio.commands.main import main
from jaxbio.errors import InputError
from jaxbio.reproduce.run import PENDING, measure_table
from jaxbio.reproduce.table import (
    AT_LEAST,
    EQUAL,
    Context,
    Measured,
    Need,
    Published,
    Row,
    Table,
    verdict,
)
from jaxbio.reproduce.tables import TABLES, open_table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["spiking_netwroks"], "did you mean 'spiking_networks'?"),
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
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        measure_table("cornet", open_table("cornet"), Context(None, tmp_path))


class Halves:
    """A table whose first row has no data, and whose second a budget may not reach."""

    def __init__(self, published: float, tolerance: float = 0.1):
        self.measured: list[str] = []
        need = Need("a file", "nowhere", "1 GB", lambda data: None)
        rows = (
            Row("absent", "text", (Published(0.5),), needs=(need,)),
            Row("present", "text", (Published(published),), tolerance),
        )
        self.table = Table("t", "s", lambda context: rows, self._measure)

    def _measure(self, row: Row, context: Context) -> Measured:
        self.measured.append(row.name)
        return Measured(0.6)


def verdicts(path) -> dict[str, str]:
    rows = json.loads((path / "results.json").read_text())
    page = (path / "report.html").read_text()
    assert all(row["verdict"] in page for row in rows)
    return {row["name"]: row["verdict"] for row in rows}


def test_a_spent_budget_leaves_a_verdict_in_every_row_and_goes_on(tmp_path):
    spent = Context(tmp_path, tmp_path, deadline=time.monotonic() - 1)
    halves = Halves(0.55)
    entries = measure_table("cornet", halves.table, spent)
    assert not halves.measured
    assert verdicts(tmp_path) == {"absent": "data missing", "present": PENDING}
    assert "jaxbio reproduce cornet" in entries[1]["note"]
    measure_table("cornet", halves.table, Context(tmp_path, tmp_path))
    measure_table("cornet", halves.table, Context(tmp_path, tmp_path))
    assert halves.measured == ["present"]
    assert verdicts(tmp_path) == {"absent": "data missing", "present": "reached"}


def test_what_was_measured_is_judged_by_the_published_values_of_today(tmp_path):
    context = Context(tmp_path, tmp_path)
    measure_table("cornet", Halves(0.55).table, context)
    corrected = Halves(0.9)
    measure_table("cornet", corrected.table, context)
    assert not corrected.measured
    assert verdicts(tmp_path)["present"] == "short by 0.3"


def test_published_deletions_leave_less_the_more_is_deleted(tmp_path):
    rows = {row.name: row for row in open_table("saunders2019").rows(Context(None, tmp_path))}
    for kind in ("LC 100/12", "FC 100"):
        for what in ("synapses", "neurons"):
            left = [
                rows[f"{kind}, {share}% of {what} deleted"].published[0].value
                for share in (30, 50, 70, 90)
            ]
            assert left == sorted(left, reverse=True)
            assert all(0.5 < value < 1 for value in left)
    assert rows["C 25/12, 50% of neurons deleted"].published_text() == "not in the paper"
