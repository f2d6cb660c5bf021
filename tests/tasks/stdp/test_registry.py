"""Saved networks by name: found, listed, renamed, deleted."""

import json
from pathlib import Path

import pytest

from jaxbio.commands.main import main
from jaxbio.errors import InputError
from jaxbio.tasks.stdp.registry import (
    delete_network,
    find_network,
    find_networks,
    only_network,
    rename_network,
    table,
)

SETTINGS = {"kind": "lc", "filters": 25, "kernel": 12, "stride": 4, "mean_weight": 0.46}


def make_run(path: Path, task: str = "stdp", results: dict | None = None) -> None:
    (path / "checkpoints" / "step_3").mkdir(parents=True)
    config = {"config": {"task": task, "spiking": SETTINGS}, "resolved": {}}
    (path / "config.json").write_text(json.dumps(config))
    (path / "checkpoints" / "config.json").write_text("not a run")
    if results is not None:
        (path / "results.json").write_text(json.dumps(results))


@pytest.fixture
def root(tmp_path):
    votes = {"patch_voting": {"accuracy": 0.875, "error": 0.0033, "count": 10000}}
    make_run(tmp_path / "b", results={"images": 5000, "readouts": votes, "run": "old"})
    make_run(tmp_path / "group" / "a")
    make_run(tmp_path / "classifier", task="classification")
    return tmp_path


def test_networks_are_found_at_any_depth(root):
    assert [entry.name for entry in find_networks(root)] == ["b", "group/a"]


def test_table(root):
    head, b, a = table(find_networks(root))
    assert head[0] == "name"
    assert head[-1] == "patch_voting %"
    assert b == ("b", "lc", "25", "12", "4", "0.46", "-100", "False", "1", "5000", "87.5 +- 0.3")
    assert a[-2:] == ("-", "-")


def test_a_population_says_what_varies(root, capsys):
    file = root / "b" / "config.json"
    recorded = json.loads(file.read_text())
    grid = "mean_weight=0.4,0.5;c_w=-80"
    recorded["config"] |= {"seed": 7, "population": {"seeds": 3, "grid": grid}}
    file.write_text(json.dumps(recorded))
    members = [
        {"seed": m.seed, **m.changes, "readouts": {"linear": {"accuracy": 0.5, "error": 0.1}}}
        for m in find_network(root, "b").members
    ]
    (root / "b" / "results.json").write_text(json.dumps({"population": members}))
    b = table(find_networks(root))[1]
    assert b == ("b", "lc", "25", "12", "4", "varies", "-80", "False", "6", "-")
    _, out, _ = run_command(capsys, root, "show", "b")
    assert ["mean_weight", "varies"] in [line.split() for line in out.splitlines()]
    assert "0.4          -80  3      50.00 +- 0.00" in out


def test_rename_moves_and_keeps_the_results_true(root):
    rename_network(root, "b", "kept/best")
    assert [entry.name for entry in find_networks(root)] == ["group/a", "kept/best"]
    results = json.loads((root / "kept" / "best" / "results.json").read_text())
    assert results["run"] == str(root / "kept" / "best")
    assert results["images"] == 5000


def test_delete(root):
    delete_network(root, "group/a")
    assert [entry.name for entry in find_networks(root)] == ["b"]
    assert (root / "classifier").exists()


@pytest.mark.parametrize("name", ["c", "classifier", "..", "../b", ".", "", "group"])
def test_other_names_are_refused(root, name):
    for call in (find_network, delete_network):
        with pytest.raises(InputError, match=f"no network '{name}' in .*; there are: b, group/a"):
            call(root, name)
    assert len(find_networks(root)) == 2


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("group", "exists"),
        ("../x", "not a name below"),
        ("", "not a name"),
        ("b/c", "inside of 'b'"),
    ],
)
def test_new_names_are_checked(root, new, message):
    with pytest.raises(InputError, match=message):
        rename_network(root, "b", new)
    assert find_network(root, "b").results["images"] == 5000


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        find_networks(tmp_path / "runs")


def test_only_network(root):
    with pytest.raises(InputError, match=r"which network of .* b, group/a"):
        only_network(root)
    assert only_network(root / "group").name == "a"


def run_command(capsys, root, *arguments):
    status = main(["spiking", f"--runs={root}", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_commands(root, capsys):
    status, out, _ = run_command(capsys, root, "list")
    assert (status, len(out.splitlines())) == (0, 4)  # head, rule, two networks
    status, out, _ = run_command(capsys, root, "show", "b")
    assert "patch_voting accuracy  87.50 +- 0.33 %" in out
    assert run_command(capsys, root, "rename", "b", "c")[0] == 0
    status, _, err = run_command(capsys, root, "delete", "c")
    assert (status, err.count("\n")) == (2, 1)
    assert "say --yes" in err
    assert run_command(capsys, root, "delete", "c", "--yes")[0] == 0
    assert [entry.name for entry in find_networks(root)] == ["group/a"]
    assert "no spiking networks" in run_command(capsys, root / "classifier", "list")[1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b'{"config'),
        ("config.json", b"\xff"),
        ("config.json", b"[1]"),
        ("config.json", b'{"config": 3}'),
        ("config.json", b'{"config": {"task": "stdp", "spiking": 3}}'),
        (
            "config.json",
            b'{"config": {"task": "stdp", "population": {"seeds": 1' + 30 * b"0" + b"}}}",
        ),
        ("results.json", b"[1]"),
        ("results.json", b'{"readouts": 3}'),
        ("results.json", b'{"readouts": {"linear": {"accuracy": "much", "error": 0}}}'),
        ("results.json", b'{"population": [{"readouts": {"linear": {}}}]}'),
    ],
)
def test_one_damaged_run_hides_no_other(root, name, content):
    (root / "b" / name).write_bytes(content)
    with pytest.warns(UserWarning, match=r"left out: .*"):
        assert [entry.name for entry in find_networks(root)] == ["group/a"]
    with pytest.raises(InputError):
        find_network(root, "b")
