"""A trained network, from its run directory: activity, commands, report."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from configs import lc_snn
from jaxbio.commands.main import main
from jaxbio.errors import InputError
from jaxbio.tasks.loop import train
from jaxbio.tasks.stdp import saved as saved_module
from jaxbio.tasks.stdp.registry import find_network
from jaxbio.tasks.stdp.saved import open_network


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A population of tiny networks, a device for each, trained for a moment."""
    root = tmp_path_factory.mktemp("runs")
    config = lc_snn.get_config()
    config.spiking.update(
        {"filters": 4, "crop": 12, "kernel": 8, "stride": 4, "steps": 60, "c_w": -20.0}
    )
    config.spiking.update(
        {"train_images": 20, "calibration_images": 60, "test_images": 30, "theta_plus": 0.01}
    )
    config.spiking.images_per_step = 10
    config.eval.batch_size = 30
    config.population.seeds = 2
    config.log.tensorboard = False
    train(config, str(root / "tiny"))
    return root


@pytest.fixture
def root(runs, tmp_path):
    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    return tmp_path


def run_command(capsys, root, *arguments):
    status = main(["spiking", f"--runs={root}", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.slow
def test_activity_is_recorded_once_and_per_member(root, monkeypatch):
    entry = find_network(root, "tiny")
    networks = [open_network(entry, member=number) for number in (0, 1)]
    counts, labels = networks[0].activity("test")
    assert counts.shape == (30, 4, 2, 2)
    assert labels.shape == (30,)
    other, _ = networks[1].activity("test")
    assert (counts != other).any()
    monkeypatch.setattr(saved_module.Stdp, "activity", None)  # not called again
    again, _ = open_network(entry).activity("test")
    np.testing.assert_array_equal(again, counts)


@pytest.mark.slow
def test_votes_are_those_of_the_recorded_calibration(root):
    network = open_network(find_network(root, "tiny"), member=1)
    counts, labels = network.activity("calibration")
    for label in np.unique(labels):
        np.testing.assert_allclose(
            network.votes[label], counts[labels == label].mean(0), rtol=1e-5, atol=1e-6
        )


@pytest.mark.slow
def test_random_and_classify(root, capsys):
    folder = root / "plots"
    arguments = ("random", "--label=3", "--seed=1", f"--output={folder}")
    status, out, _ = run_command(capsys, root, *arguments)
    assert status == 0
    assert "of label 3: " in out
    names = {path.stem for path in folder.iterdir()}
    assert names > {"scores", "spikes", "best_voters_voltages", "random_neuron_voltage"}

    number = int(out.split()[2])
    network = open_network(find_network(root, "tiny"))
    assert network.task.pictures.test[1][number] == 3
    picture = network.task.source.eval.images[number, :, :, 0]
    Image.fromarray(picture).save(root / "three.png")
    arguments = ("classify", str(root / "three.png"), "--seed=1", "--network=tiny")
    _, same, _ = run_command(capsys, root, *arguments)
    assert same.split(": ")[1].split(";")[0] == out.split(": ")[1].split(";")[0]
    assert (root / "tiny" / "report" / "presentation" / "scores.png").is_file()


@pytest.mark.slow
def test_report_holds_every_readout_and_figure(root, capsys):
    status, out, _ = run_command(capsys, root, "report", "tiny", "--top_n=2", "--member=1")
    assert status == 0
    page = (root / "tiny" / "report" / "network.html").read_text()
    assert str(root / "tiny" / "report" / "network.html") in out
    for text in ("linear", "top_n", "confusion", "mean_weight", "accuracy by training images"):
        assert text in page
    assert page.count("data:image/png") >= 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("random", "--label=11"), "--label=11: the test images have labels 0, 1"),
        (("random", "--label=1", "--network=x"), "no network 'x'"),
        (("random", "--label=1", "--readout=linear"), "does not vote"),
        (("random", "--label=1", "--readout=mean"), "unknown readout 'mean'"),
        (("random", "--label=1", "--member=99"), "member=99"),
        (("random", "--label=1", "--checkpoint=77"), "77"),
        (("classify", "none.png"), "none.png does not exist"),
    ],
)
def test_command_errors_are_one_line(root, capsys, arguments, message):
    status, _, err = run_command(capsys, root, *arguments)
    assert status == 2
    assert err.startswith("jaxbio spiking: error: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.slow
def test_before_its_first_test_a_network_cannot_vote(root):
    network = open_network(find_network(root, "tiny"))
    state = network.state.replace(calibrated=np.int32(0))
    fresh = saved_module.SavedNetwork(network.entry, network.task, state, 0)
    _, picture = fresh.random_picture(3, 0)
    with pytest.raises(InputError, match=r"tiny at step 2 is not calibrated .* train.py"):
        fresh.classify(picture, 0)
    page = saved_module.report_network(fresh).read_text()  # it calibrates by itself
    assert "a test image of label" in page


def test_predict_takes_a_spiking_network(root, tmp_path, capsys):
    rng = np.random.default_rng(0)
    files = []
    for name in ("one.png", "two.png"):
        files.append(str(tmp_path / name))
        Image.fromarray(rng.integers(0, 256, (30, 40), dtype=np.uint8)).save(files[-1])
    table = tmp_path / "out.csv"
    assert main(["predict", str(root / "tiny"), *files, f"--output={table}", "--top=2"]) == 0
    lines = list(csv.DictReader(table.open()))
    assert [line["picture"] for line in lines] == files
    for line in lines:
        shares = [float(line[str(digit)]) for digit in range(10)]
        assert sum(shares) == pytest.approx(1, abs=1e-4)
        assert float(line["probability"]) == max(shares)
    assert main(["predict", str(root / "tiny"), str(tmp_path / "none.png")]) == 2
    assert "none.png" in capsys.readouterr().err
