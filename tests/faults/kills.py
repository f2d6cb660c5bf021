"""The campaign of kills: runs of every kind, killed at random moments, end as uninterrupted ones.

``python -m tests.faults.kills --kind rdm --kills 15 --work FOLDER`` trains once without
interruption, then again and again with SIGKILL at a random moment after the start, each time going
on with what the kill left. Each run that reaches its end has to have the checkpoints, metrics and
results of the uninterrupted one, bit for bit, and no other files. Repeated with the same folder it
goes on: kills are counted there.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

from jaxbio.files import read_json

_COMMON = ("log.every_steps=1", "log.tensorboard=false", "checkpoint.keep_last=100")
_STDP = (
    "lc_snn",
    "spiking.filters=4",
    "spiking.steps=20",
    "spiking.train_images=24",
    "spiking.calibration_images=20",
    "spiking.test_images=20",
    "spiking.images_per_step=4",
    "checkpoint.every_steps=1",
    "eval.every_steps=3",
)
KINDS = {
    "classification": (
        "svp_resnet",
        "model.name=spiking_cnn",
        "model.front_end=none",
        "train.total_steps=8",
        "train.batch_size=16",
        "checkpoint.every_steps=1",
        "eval.every_steps=4",
        "eval.batch_size=128",
    ),
    "rdm": (
        "rdm_finetune:synthetic",
        "data.image_size=32",
        "train.total_steps=4",
        "eval.every_steps=2",
        "checkpoint.every_steps=1",
        "rdm.sit_splits=2",
    ),
    "stdp": _STDP,
    "population": (*_STDP, "population.seeds=2"),
}
_LIMIT = 200.0  # seconds of one process


def _start(kind: str, run: Path) -> int:
    """Trains in a fork, which has imported everything."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with run.with_suffix(".log").open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        from jaxbio.commands.main import main

        code = main(["train", *KINDS[kind], *_COMMON, f"--workdir={run}"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(child: int, seconds: float) -> int | None:
    """The exit code within that time, or None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _whole(kind: str, run: Path) -> None:
    """Trains to the end.

    Raises:
        AssertionError: it failed, or took too long.
    """
    child = _start(kind, run)
    code = _ended(child, _LIMIT)
    if code is None:
        _kill(child)
    assert code == 0, f"{kind}: ended with {code}\n{run.with_suffix('.log').read_text()[-3000:]}"


def content(run: Path) -> dict[str, object]:
    """All that has to be alike: the bits of every checkpoint, metrics, results, names of files."""
    digests = {
        folder.name: read_json(folder / "digests" / "metadata")
        for folder in sorted((run / "checkpoints").iterdir())
    }
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "checkpoints": digests,
        "metrics": [{k: v for k, v in line.items() if k != "images_per_s"} for line in lines],
        "results": {k: v for k, v in read_json(run / "results.json").items() if k != "run"},
        "files": sorted(
            str(path.relative_to(run))
            for path in run.rglob("*")
            if "checkpoints" not in path.parts or path.name.startswith(".") or "tmp" in path.name
        ),
    }


def kill_and_compare(kind: str, kills: int, work: Path, seed: int = 0) -> tuple[int, int]:
    """Kills until there are that many, then lets the run end.

    Returns:
        Kills, and runs that ended; all of them as the uninterrupted one.

    Raises:
        AssertionError: a run failed, or ended otherwise.
    """
    work.mkdir(parents=True, exist_ok=True)
    whole, run, count = work / f"{kind}_whole", work / kind, work / f"{kind}.json"
    if not (whole / "results.json").exists():
        _whole(kind, whole)  # compiles
    state = read_json(count) if count.exists() else {"kills": 0, "ends": 0, "seconds": 0.0}
    if not state["seconds"]:
        again = work / f"{kind}_again"
        began = time.monotonic()
        _whole(kind, again)
        state["seconds"] = time.monotonic() - began
        _compare(kind, again, whole)
        shutil.rmtree(again)
    while True:
        chance = random.Random(f"{seed} {kind} {state['kills']} {state['ends']}")
        last = state["kills"] >= kills
        child = _start(kind, run)
        code = _ended(child, _LIMIT if last else chance.uniform(0, state["seconds"]))
        if code is None:
            _kill(child)
            assert not last, f"{kind}: takes more than {_LIMIT} s"
            state["kills"] += 1
        else:
            assert code == 0, f"{kind}: {code}\n{run.with_suffix('.log').read_text()[-3000:]}"
            _compare(kind, run, whole)
            shutil.rmtree(run)
            state["ends"] += 1
        count.write_text(json.dumps(state))
        if last and code is not None:
            return state["kills"], state["ends"]


def _compare(kind: str, run: Path, whole: Path) -> None:
    found, expected = content(run), content(whole)
    for part, value in expected.items():
        assert found[part] == value, f"{kind}: other {part}:\n{found[part]}\n{value}"


def warm() -> None:
    """Imports what training imports late, so that each fork need not."""
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    import jaxbio.commands.train
    import jaxbio.data.encoded
    import jaxbio.data.tensorflow_cpu
    import jaxbio.plotting.saving
    import jaxbio.tasks.classification.task
    import jaxbio.tasks.loop
    import jaxbio.tasks.rdm.task
    import jaxbio.tasks.stdp.task  # noqa: F401


def main() -> None:
    """Runs the campaign for one kind of run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warm()
    kills, ends = kill_and_compare(options.kind, options.kills, options.work, options.seed)
    print(f"{options.kind}: {kills} kills, {ends} runs ended bit-identical, no stray file")


if __name__ == "__main__":
    main()
