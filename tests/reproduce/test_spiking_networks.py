"""The author's networks, measured: verdicts, resumption, damaged ones."""

import json

import numpy as np
import pytest

from jaxbio.commands.main import main
from jaxbio.reproduce import spiking_networks
from jaxbio.reproduce.spiking_networks import compare_votes
from jaxbio.spiking.network import Network
from tests.tasks.stdp.published_files import Call, tree, write_network

NET = Network(kind="lc", filters=3, kernel=8, crop=12, steps=40, refractory=5)


def write_mnist(root):
    rng = np.random.default_rng(0)
    folder = root / "mnist"
    folder.mkdir(parents=True)
    for split, count in (("train", 120), ("t10k", 40)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
            head = bytes([0, 0, 8, array.ndim]) + sizes
            (folder / f"{split}-{name}-ubyte").write_bytes(head + array.tobytes())


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_mnist(root)
    networks = root / "published_snn"
    votes = np.random.default_rng(0).random((10, 3, 2, 2)).astype(np.float32)
    write_network(networks / "elsewhere", NET, votes=votes, score=(0.9, 0.003))
    silent = tree(NET, theta=1e6)
    write_network(networks / "silent", NET, silent, votes=0 * votes, score=(0.1, 0.003))
    lost = tree(NET, theta=0.0)
    write_network(networks / "lost", NET, lost, votes=votes, score=(0.9, 0.003))
    evil = tree(NET)
    evil.state["_modules"]["X"].state["extra"] = Call("os.system", ("true",))
    write_network(networks / "evil", NET, evil, votes=votes)
    output = root / "output"
    command = ["reproduce", "spiking_networks", f"--data={networks}", f"--output={output}"]
    assert main(command) == 0
    return command, output


def rows(output):
    return {row["name"]: row for row in json.loads((output / "results.json").read_text())}


@pytest.mark.slow
def test_every_network_has_its_verdict(measured):
    _, output = measured
    found = rows(output)
    assert set(found) == {"elsewhere", "silent", "lost", "evil"}
    for row in found.values():
        wanted = ("readout", "published_error", "error", "votes_slope", "votes_correlation")
        assert row["name"] == "evil" or row.keys() >= {*wanted}
    assert found["elsewhere"]["verdict"].startswith("score of another state")
    assert found["lost"]["verdict"].startswith("thresholds lost")
    assert "os.system" in found["evil"]["note"].replace("posix", "os")
    assert found["evil"]["measured"] is None
    assert found["silent"]["measured"] == 0.0
    assert found["silent"]["votes_slope"] is None
    assert (output / "report.html").is_file()


def test_it_goes_on_where_it_stopped(measured, monkeypatch):
    command, output = measured
    before = rows(output)
    monkeypatch.setattr(spiking_networks.Stdp, "activity", None)  # not called again
    assert main(command) == 0
    assert rows(output) == before


def test_a_short_budget_measures_what_it_can(measured, tmp_path, capsys):
    command, _ = measured
    output = tmp_path / "short"
    assert main([*command[:3], f"--output={output}", "--budget=0.000001s"]) == 0
    assert "repeat the command" in capsys.readouterr().out
    assert {row["verdict"] for row in rows(output).values()} == {"not measured yet"}


def test_slopes_are_not_flattened_by_noise_of_the_file():
    rng = np.random.default_rng(0)
    ours = rng.random((10, 3, 2, 2))
    slope, correlation = compare_votes(2 * ours + 0.05 * rng.standard_normal(ours.shape), ours)
    assert abs(slope - 0.5) < 0.02
    assert 0.9 < correlation < 1


def test_a_folder_of_another_layout(tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    output = tmp_path / "out"
    command = ["reproduce", "spiking_networks", f"--data={tmp_path}", f"--output={output}"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "parameters.json" in error
    assert error.count("\n") == 1
