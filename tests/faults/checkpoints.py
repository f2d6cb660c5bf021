"""The campaign of damaged checkpoints: every file of one flipped, cut, removed.

``python -m tests.faults.checkpoints --work FOLDER`` damages the newest checkpoint of a short run,
a place at a time, and reads it as training and as evaluation do. What comes back has to be what was
saved, at that step or at the one before, or an error of one line: never other bits, never none.
"""

import argparse
import collections
import logging
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbio.errors import InputError
from jaxbio.runs.checkpoints import Checkpointer, load_variables
from jaxbio.runs.directory import RunDirectory
from jaxbio.tasks import loop
from tests.tasks.counting import Counting, config

_SECONDS = 20


class _Hang(Exception):
    pass


def _bits(tree: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def damages(
    newest: Path, times: int, chance: random.Random
) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """What is done to the copy of a checkpoint, with a name."""
    files = sorted(p.relative_to(newest) for p in newest.rglob("*") if p.is_file())

    def flipped(file: Path, place: int, bit: int) -> Callable[[Path], None]:
        def damage(folder: Path) -> None:
            content = bytearray((folder / file).read_bytes())
            content[place] ^= 1 << bit
            (folder / file).write_bytes(content)

        return damage

    def cut(file: Path, length: int) -> Callable[[Path], None]:
        return lambda folder: os.truncate(folder / file, length)

    for file in files:
        size = (newest / file).stat().st_size
        for _ in range(times if size else 0):
            place = chance.randrange(size)
            yield f"flip {file} {place}", flipped(file, place, chance.randrange(8))
        for length in {0, size // 2, size * 9 // 10} - {size}:
            yield f"cut {file} {length}", cut(file, length)
        yield f"remove {file}", lambda folder, file=file: (folder / file).unlink()
    for inner in sorted(p.relative_to(newest) for p in newest.rglob("*") if p.is_dir()):
        yield f"remove {inner}", lambda folder, inner=inner: shutil.rmtree(folder / inner)
    yield "empty", lambda folder: [shutil.rmtree(folder), folder.mkdir()]
    yield "a file in its place", lambda folder: [shutil.rmtree(folder), folder.write_text("x")]
    yield "strange names", lambda folder: (folder.parent / "step_abc").mkdir()
    yield "an empty newer one", lambda folder: (folder.parent / "step_99").mkdir()
    yield "a file as newer one", lambda folder: (folder.parent / "step_99").write_text("x")


def campaign(work: Path, times: int = 3, seed: int = 0) -> tuple[collections.Counter, list[str]]:
    """How the tries ended, and those that ended wrongly."""
    for name in ("jaxbio", "absl"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    whole, copy = work / "whole", work / "copy"
    real, loop.prepare = loop.prepare, Counting
    try:
        loop.train(config(), str(whole))
    finally:
        loop.prepare = real
    like = Counting(config()).like
    saved = {}
    for step in sorted((whole / "checkpoints").iterdir(), reverse=True):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        for newer in list((copy / "checkpoints").iterdir()):
            if newer.name > step.name:
                shutil.rmtree(newer)
        saved[int(step.name.removeprefix("step_"))] = _bits(_restored(copy, like))
    newest = max(saved)
    ended: collections.Counter = collections.Counter()
    wrong = []
    chance = random.Random(seed)
    for name, damage in damages(whole / "checkpoints" / f"step_{newest}", times, chance):
        for reader in (_restored, _loaded):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(whole, copy)
            damage(copy / "checkpoints" / f"step_{newest}")
            outcome = _outcome(reader, copy, like, saved)
            ended[f"{reader.__name__.strip('_')}: {outcome}"] += 1
            if outcome not in ("intact", "went back", "one line"):
                wrong.append(f"{name}, {reader.__name__}: {outcome}")
    return ended, wrong


def _restored(run: Path, like: Any) -> Any:
    """As training goes on."""
    checkpointer = Checkpointer(run / "checkpoints", best_by="accuracy")
    try:
        return checkpointer.restore_latest(like)
    finally:
        checkpointer.close()


def _loaded(run: Path, like: Any) -> Any:
    """As evaluation reads; the state's step beside it, so that both are compared alike."""
    variables, step = load_variables(RunDirectory(run), like.items()["variables"], "last")
    return like.with_items(step, {"variables": variables})


def _outcome(reader: Callable, run: Path, like: Any, saved: dict[int, list[bytes]]) -> str:
    def alarm(*_: object) -> None:
        raise _Hang

    before = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(_SECONDS)
    try:
        state = reader(run, like)
        if state is None:
            return "begins anew"
        if _bits(state) != saved.get(int(state.step)):
            return f"other bits at step {int(state.step)}"
        return "intact" if int(state.step) == max(saved) else "went back"
    except InputError as error:
        return "one line" if "\n" not in str(error) else "several lines"
    except _Hang:
        return "hang"
    except BaseException as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main() -> int:
    """Runs the campaign; the exit code is 0 without failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="empty folder")
    parser.add_argument("--times", type=int, default=3, help="flipped bits of every file")
    options = parser.parse_args()
    ended, wrong = campaign(options.work.absolute(), options.times)
    print("\n".join(wrong))
    print(f"{sum(ended.values())} damaged checkpoints, {len(wrong)} failures: {dict(ended)}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
