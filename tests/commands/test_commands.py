"""The commands as a user runs them: processes of their own, killed, resumed, side by side."""

import csv
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from PIL import Image

from jaxbio.commands.main import main
from jaxbio.measures.predictions import predict
from jaxbio.tasks.classification.opened import open_session
from tests.environment import of_one_device

_ROOT = Path(__file__).parents[2]
_SMALL = [
    "--config=configs/svp_resnet.py",
    "--config.model.v1.simple_channels=8",
    "--config.model.v1.complex_channels=8",
    "--config.train.batch_size=16",
    "--config.train.total_steps=12",
    "--config.optimizer.learning_rate=0.01",
    "--config.eval.every_steps=6",
    "--config.eval.batch_size=64",
    "--config.checkpoint.every_steps=3",
    "--config.checkpoint.keep_last=4",
    "--config.log.every_steps=1",
    "--config.log.tensorboard=False",
]


def _start(*arguments, script="train.py"):
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        cwd=_ROOT,
        env=of_one_device(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(*arguments, script="train.py", code=0):
    process = _start(*arguments, script=script)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == code, output
    return output


def _arrays(workdir: Path, step=12):
    """Every array of a checkpoint, read without jaxbio."""
    reader = ocp.Checkpointer(ocp.PyTreeCheckpointHandler())
    trees = []
    for item in ("variables", "training"):
        folder = workdir / "checkpoints" / f"step_{step}" / item
        as_numpy = jax.tree.map(
            lambda _: ocp.RestoreArgs(restore_type=np.ndarray),
            reader.metadata(folder).item_metadata.tree,
        )
        trees.append(reader.restore(folder, args=ocp.args.PyTreeRestore(restore_args=as_numpy)))
    leaves = jax.tree_util.tree_flatten_with_path(trees)[0]
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def _train_lines(workdir: Path):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["split"] == "train"]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A run that nothing interrupts."""
    workdir = tmp_path_factory.mktemp("whole")
    _run(*_SMALL, f"--workdir={workdir}")
    return workdir


def _wait_for_step(workdir: Path, step: int, process, seconds=300):
    deadline = time.monotonic() + seconds
    log = workdir / "metrics.jsonl"
    while time.monotonic() < deadline:
        if log.exists() and f'{{"step": {step},' in log.read_text():
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    pytest.fail(f"no step {step} within {seconds} s")


@pytest.mark.slow
def test_a_killed_run_resumes_bit_for_bit(whole_run, tmp_path):
    process = _start(*_SMALL, f"--workdir={tmp_path}")
    _wait_for_step(tmp_path, 8, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    output = _run(*_SMALL, f"--workdir={tmp_path}")
    assert "resuming" in output
    expected, ours = _arrays(whole_run), _arrays(tmp_path)
    assert expected.keys() == ours.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
    assert [line["step"] for line in _train_lines(tmp_path)] == list(range(1, 13))


@pytest.mark.slow
def test_sigterm_saves_at_once_and_exits_cleanly(tmp_path):
    process = _start(*_SMALL, "--config.checkpoint.every_steps=1000", f"--workdir={tmp_path}")
    _wait_for_step(tmp_path, 4, process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    if "stopped: saved at step" in output:
        saved = [path.name for path in (tmp_path / "checkpoints").glob("step_*")]
        assert len(saved) == 1
        assert int(saved[0].removeprefix("step_")) >= 4
    else:  # the last step came before the signal did
        assert (tmp_path / "results.json").exists()


@pytest.mark.slow
def test_two_processes_equal_one(whole_run, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cluster = [f"--coordinator=127.0.0.1:{port}", "--num_processes=2", f"--workdir={tmp_path}"]
    processes = [_start(*_SMALL, *cluster, f"--process_id={i}") for i in range(2)]
    outputs = [process.communicate(timeout=500)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    assert "2 x cpu" in outputs[0]
    assert "test set" not in outputs[1]  # the first process speaks for all
    # Rounding differs, and training at this rate multiplies differences from step to step: the
    # first steps show that data, BatchNorm statistics and gradients are those of one process.
    expected, ours = _arrays(whole_run, step=3), _arrays(tmp_path, step=3)
    for name, value in expected.items():
        finite = np.isfinite(value)
        np.testing.assert_array_equal(np.isfinite(ours[name]), finite, err_msg=name)
        # Of the array as a whole: one unit at its threshold may fall to the other side.
        ours_finite, expected_finite = (a[finite].astype(np.float64) for a in (ours[name], value))
        apart = np.linalg.norm(ours_finite - expected_finite)
        assert apart <= 2e-2 * max(np.linalg.norm(expected_finite), 1e-2), name
    for one, two in zip(_train_lines(whole_run)[:4], _train_lines(tmp_path)[:4], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
    results = [json.loads((d / "results.json").read_text()) for d in (whole_run, tmp_path)]
    assert results[0]["count"] == results[1]["count"]


@pytest.mark.slow
def test_evaluate_prints_and_writes(whole_run):
    output = _run(f"--workdir={whole_run}", "--checkpoint=last", script="evaluate.py")
    results = json.loads((whole_run / "results.json").read_text())
    written = json.loads((whole_run / "evaluation" / "accuracy.json").read_text())
    assert written["top1"] == results["top1"]
    assert f"{100 * results['top1']:.2f} %" in output


def test_the_help_of_every_command_is_immediate():
    """No JAX, Flax or TensorFlow for a text; both flags; exit code 0."""
    code = (
        "import sys; from jaxbio.commands.main import COMMANDS, main; "
        "words = [[name, flag] for name in COMMANDS for flag in ('-h', '--help')]; "
        "assert all(main(one) == 0 for one in [[], ['--help'], ['-h'], *words]); "
        "assert main(['evaluate', '--mode=similarity', '-h']) == 0; "
        "assert not {'jax', 'flax', 'tensorflow'} & set(sys.modules), 'slow imports'"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, timeout=60
    )
    assert outcome.returncode == 0, outcome.stderr
    for flag in ("--config", "--workdir", "--coordinator", "--severity", "--projection_seed"):
        assert flag in outcome.stdout


@pytest.mark.slow
def test_runs_are_compared_on_the_same_pictures(whole_run, capsys):
    assert main(["runs", "compare", str(whole_run), str(whole_run), "--checkpoint=last"]) == 0
    output = capsys.readouterr().out
    results = json.loads((whole_run / "results.json").read_text())
    assert "no key differs" in output
    assert output.count(f"{100 * results['top1']:.2f} %") == 2
    assert "p = 1" in output


@pytest.mark.slow
def test_pictures_are_predicted_as_in_the_evaluation(whole_run, tmp_path, capsys):
    session = open_session(None, str(whole_run))
    expected = predict(session, session.batches())[:3]
    for number, picture in enumerate(session.source.eval.images[:3]):
        Image.fromarray(np.squeeze(picture)).save(tmp_path / f"{number}.png")
    words = [str(tmp_path), str(tmp_path / "0.png"), f"--output={tmp_path / 'out.csv'}", "--top=2"]
    assert main(["predict", str(whole_run), *words]) == 0
    with open(tmp_path / "out.csv") as file:
        head, *rows = list(csv.reader(file))
    assert head == ["picture", "class", "probability", *"0123456789"]
    assert [Path(row[0]).name for row in rows] == ["0.png", "1.png", "2.png", "0.png"]
    found = np.array([row[3:] for row in rows], float)
    np.testing.assert_allclose(found[:3], expected, atol=1e-5)
    np.testing.assert_allclose(found[3], found[0], atol=1e-6)
    assert [row[1] for row in rows[:3]] == [str(i) for i in expected.argmax(1)]
    assert f"{100 * expected[0].max():.1f} %" in capsys.readouterr().out


@pytest.mark.slow
def test_what_cannot_be_predicted(whole_run, tmp_path, capsys, monkeypatch):
    (tmp_path / "text.png").write_text("no picture")
    for words, message in (
        ([str(whole_run), str(tmp_path / "text.png")], "text.png"),
        ([str(whole_run), str(tmp_path / "none.png")], "none.png"),
        ([str(tmp_path / "none"), "a.png"], "not trained yet"),
    ):
        assert main(["predict", *words]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    monkeypatch.chdir(tmp_path)
    for words in (["predict", "svp_resnet", "a.png"], ["evaluate", "svp_resnet"]):
        assert main(words) == 2
        assert "jaxbio train svp_resnet" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_scripts_are_the_commands(script):
    assert "--config" in _run("--help", script=script)
    output = _run("--config=configs/svp_resnet.py", "--bogus", script=script, code=2)
    assert output.startswith(f"{script}: error: unknown option --bogus")
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ev"], ["evaluate"]),
        (["train", "svp_r"], ["svp_resnet"]),
        (["train", "--wor"], ["--workdir"]),
        (["evaluate", "--seve"], ["--severities", "--severity"]),
        (["spiking", "re"], ["rename", "report"]),
        (["spiking", "report", "--mem"], ["--member"]),
        (["board", "--po"], ["--port"]),
    ],
)
def test_bash_completes_commands_flags_and_experiments(words, expected, capsys):
    assert main(["completion"]) == 0
    typed = " ".join(["jaxbio", *words])
    code = f"{capsys.readouterr().out}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words)}; _jaxbio; "
    code += 'printf "%s\\n" "${COMPREPLY[@]}"'
    outcome = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert sorted(outcome.stdout.split()) == expected
