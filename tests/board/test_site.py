"""The board as static files, and the command."""

import json
import socket

import pytest

from jaxbio.board.index import Index
from jaxbio.board.site import export_site
from jaxbio.commands.main import main
from jaxbio.errors import InputError
from tests.board.runs import write_everything, write_run


def delivered(file):
    text = file.read_text()
    assert text.startswith("deliver(")
    return json.loads("[" + text.removeprefix("deliver(").removesuffix(");\n") + "]")


def test_an_export_holds_everything_and_no_path_of_this_machine(tmp_path):
    root = write_everything(tmp_path / "runs")
    site = tmp_path / "site"
    report = root / "sweep" / "seed=0" / "evaluation" / "similarity_synthetic.html"
    report.write_text(f"<td>{report.parent.parent}, step 100</td>")
    assert export_site(Index(root), site) == 12
    what, table = delivered(site / "data" / "table.js")
    assert what == "table"
    number = table["numbers"]["sweep/seed=0"]
    what, details = delivered(site / "data" / f"{number}.js")
    assert what == "run:sweep/seed=0"
    for file in details["files"]:
        assert (site / "files" / str(number) / file["name"]).is_file()
    _, curves = delivered(site / "data" / f"{number}_curves.js")
    assert len(curves["train/loss"][0]) == 100
    assert "data/table.js" in (site / "index.html").read_text()
    written = [*site.rglob("*.js"), *site.rglob("*.html")]
    assert any("sweep/seed=0, step 100" in file.read_text() for file in written)
    for file in written:
        assert str(tmp_path) not in file.read_text()
    assert export_site(Index(root), site) == 12  # again over itself


def test_where_an_export_may_not_go(tmp_path):
    root = write_everything(tmp_path / "runs")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    for site in (tmp_path / "mine", root / "site", tmp_path / "mine" / "thesis.tex"):
        with pytest.raises(InputError, match="--export"):
            export_site(Index(root), site)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"


def test_the_command_exports(tmp_path, capsys):
    write_run(tmp_path / "runs" / "a")
    assert main(["board", str(tmp_path / "runs"), f"--export={tmp_path / 'site'}"]) == 0
    assert "index.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none"], "none"),
        (["."], "no runs below"),
        ([".", "--export=site"], "no runs below"),
        (["runs", "--port=99999"], "--port=99999"),
        (["runs", "--host=no.such.host.invalid"], "--host=no.such.host.invalid"),
        (["runs", "--allow-actions", "--host=0.0.0.0"], "--allow-actions"),
    ],
)
def test_errors_are_one_line(tmp_path, monkeypatch, capsys, words, said):
    write_run(tmp_path / "there" / "runs" / "a")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / ("there" if words[0] == "runs" else "empty"))
    assert main(["board", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("jaxbio board: error: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_port_that_is_taken(tmp_path, capsys):
    write_run(tmp_path / "a")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["board", str(tmp_path), f"--port={port}"]) == 2
    err = capsys.readouterr().err
    assert f"--port={port}" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("flags", [[], ["--allow-actions"]])
def test_without_a_browser_the_address_is_printed(tmp_path, capsys, monkeypatch, flags):
    def interrupted(self):
        raise KeyboardInterrupt

    write_run(tmp_path / "a")
    monkeypatch.setattr("http.server.ThreadingHTTPServer.serve_forever", interrupted)
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setenv("BROWSER", "no-such-browser")
    assert main(["board", str(tmp_path), "--port=0", *flags]) == 0
    said = capsys.readouterr().out
    assert " at http://127.0.0.1:" in said
    assert ("#token=" in said) == bool(flags)
