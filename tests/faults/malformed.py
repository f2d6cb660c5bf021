"""The campaign of malformed files: each reader, in a process of its own, on each damaged file.

``python -m tests.faults.malformed --work FOLDER`` damages sound files of every kind (truncation,
flipped bits, wrong numbers, extreme declared sizes, swapped parts, inside of archives too) and adds
the hand-made ones of ``hostile.py``. A reader has to read a file or to say one line. Counted as
failures: a traceback, more than one line, a crash, more than 20 s, more than 2 GiB, a file that got
its own program executed. The random numbers depend on seed, kind and number alone; with ``--log``
what was tried before is not tried again.
"""

import argparse
import collections
import gzip
import itertools
import json
import os
import random
import re
import resource
import shutil
import sys
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

_SECONDS = 20
_BYTES = 2 * 2**30
_SPACE = 6 * 2**30  # of addresses: what asks for more gets a MemoryError
_NUMBERS = (0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**40, -(2**31), 65535, 10**9)
_VALUES = (
    *(
        b"null",
        b"[]",
        b"{}",
        b'"x"',
        b"-1",
        b"1e999",
        b"NaN",
        b"true",
        b"0",
        b"1" * 400,
        b"9" * 5000,
    ),
    *(b"[" * 5000, b'"\\ud800"', b"\xff\xfe", b"1e99", b"\0", b"", b'{"a": [1]}'),
)
CANARY = "EXECUTED"


class Case(NamedTuple):
    """A file, or folder, and who reads it."""

    reader: str
    name: str
    path: Path


def mutate(raw: bytes, chance: random.Random) -> bytes:
    """The bytes, damaged in one of twelve ways."""
    data, size = bytearray(raw), max(1, len(raw))
    at, length = chance.randrange(size), chance.randrange(1, 300)
    how = chance.choice(
        [
            "cut",
            "flip",
            "flips",
            "zero",
            "ones",
            "insert",
            "repeat",
            "head",
            "number",
            "count",
            "drop",
            "swap",
        ]
    )
    if how == "cut":
        del data[at:]
    elif how in ("flip", "flips"):
        for _ in range(1 if how == "flip" else chance.choice((8, 64))):
            place = chance.randrange(size)
            data[place : place + 1] = bytes(b ^ 1 << chance.randrange(8) for b in data[place:][:1])
    elif how in ("zero", "ones"):
        data[at : at + length] = (b"\0" if how == "zero" else b"\xff") * len(data[at : at + length])
    elif how == "insert":
        data[at:at] = chance.randbytes(length % 64 + 1)
    elif how == "repeat":
        data[at:at] = data[at : at + length]
    elif how == "head":
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(min(size, 256))
            data[place : place + 1] = chance.randbytes(1)
    elif how in ("number", "count"):
        width = 8 if how == "number" else chance.choice((1, 2, 4))
        number = chance.choice(_NUMBERS) % 2 ** (8 * width)
        data[at : at + width] = number.to_bytes(width, chance.choice(("little", "big")))
    elif how == "drop":
        del data[at : at + chance.randrange(1, max(2, size // 4))]
    else:
        other = chance.randrange(size)
        one, two = data[at : at + length], data[other : other + length]
        data[at : at + length], data[other : other + length] = two, one
    return bytes(data)


def mutate_text(raw: bytes, chance: random.Random) -> bytes:
    """JSON and CSV: a value becomes another one of another type."""
    values = list(re.finditer(rb"(?<=[:,\n\[ ])[^:,\n\[\]{}]+(?=[,\n}\]])", raw))
    match = chance.choice(values)
    return raw[: match.start()] + chance.choice(_VALUES) + raw[match.end() :]


def damaged(reader: str, sound: Path, number: int, seed: int, work: Path) -> Case:
    """The ``number``-th damaged version of a sound file, beside what it needs."""
    chance = random.Random(f"{seed} {reader} {sound.name} {number}")
    raw = sound.read_bytes()
    if zipfile.is_zipfile(sound) and number % 2:  # inside of the archive, with right checksums
        content = _mutated_zip(sound, work / "inner.zip", chance)
    elif raw[:2] == b"\x1f\x8b" and number % 2:
        content = gzip.compress(mutate(gzip.decompress(raw), chance), mtime=0)
    elif sound.suffix in (".json", ".jsonl", ".csv") and number % 4:
        content = mutate_text(raw, chance)
    else:
        content = mutate(raw, chance)
    inside = work / "case"
    shutil.rmtree(inside, ignore_errors=True)
    if reader in ("idx", "run", "shards"):  # the files beside it belong to it
        folder = sound.parent
        target = inside / ("mnist" if reader == "idx" else folder.name)
        shutil.copytree(folder, target)
    else:
        target = inside
        target.mkdir(parents=True)
        if sound.name == "table.npy":
            shutil.copy(sound.with_name("stimuli.csv"), target)
    path = target / sound.name
    path.write_bytes(content)
    return Case(reader, f"{sound.name}:{number}", path)


def _mutated_zip(sound: Path, scratch: Path, chance: random.Random) -> bytes:
    with zipfile.ZipFile(sound) as archive:
        infos = archive.infolist()
        members = {info.filename: archive.read(info) for info in infos}
    # Those that say what the others are, most of the time.
    known = [name for name in members if name.endswith(("data.pkl", "description.npy"))]
    chosen = known[0] if known and chance.random() < 0.7 else chance.choice(list(members))
    members[chosen] = mutate(members[chosen], chance)
    with zipfile.ZipFile(scratch, "w", infos[0].compress_type) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return scratch.read_bytes()


def cases(work: Path, seed: int, per_file: int, kinds: set[str]) -> Iterator[Callable[[], Case]]:
    """What makes each of them."""
    from tests.faults.hostile import hostile
    from tests.faults.sound import write_sound

    sound = write_sound(work / "sound")
    sound["describe"] = sound["neural"][:3]
    for reader, files in sound.items():
        if kinds and reader not in kinds:
            continue
        for file in files:
            yield partial(Case, reader, f"{file.name}:sound", file)
            for number in range(per_file):
                yield partial(damaged, reader, file, number, seed, work)
    if not kinds or "decoding" in kinds:
        for picture in sound["picture"]:
            yield partial(_folder, picture, per_file, seed, work)
    for case in hostile(work / "hostile", sound):
        if not kinds or case.reader in kinds:
            yield partial(Case, *case)


def _folder(picture: Path, count: int, seed: int, work: Path) -> Case:
    """For the pipeline, whose start takes seconds: all damaged versions of a picture at once."""
    folder = work / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(count):
        case = damaged("decoding", picture, number, seed, work)
        shutil.move(case.path, folder / f"{number}_{picture.name}")
    return Case("decoding", f"{count} of {picture.name}", folder)


def attempt(case: Case, work: Path) -> tuple[str, float, int, str]:
    """Reads one file in a fork: the outcome, seconds, bytes of memory, and what was said."""
    from tests.faults.readers import READERS

    said, canary = work / "said.txt", work / CANARY
    canary.unlink(missing_ok=True)
    began, child = time.monotonic(), os.fork()
    if child == 0:
        code = 1
        try:
            with said.open("wb") as file, open(os.devnull, "wb") as nowhere:
                os.dup2(file.fileno(), 2)
                os.dup2(nowhere.fileno(), 1)
            os.chdir(work)
            addresses = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
            resource.setrlimit(resource.RLIMIT_AS, (addresses + _SPACE,) * 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            code = _read(READERS[case.reader], case.path)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    ended = 0
    while not ended and time.monotonic() - began < _SECONDS:
        ended, status, used = os.wait4(child, os.WNOHANG)
        time.sleep(0.002)
    if not ended:
        os.kill(child, 9)
        _, status, used = os.wait4(child, 0)
    text = said.read_text(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    lines = [line for line in text.splitlines() if line.strip() and "WARNING" not in line]
    if case.reader in (
        "picture",
        "decoding",
        "folder",
    ):  # libtiff and libjpeg say things themselves
        lines = lines[-1:]
    outcome = {0: "read", 2: "refused"}.get(code, "crash" if code < 0 else "traceback")
    if canary.exists():
        outcome = "executed"
    elif not ended:
        outcome = "hang"
    elif used.ru_maxrss * 1024 > _BYTES:
        outcome = "memory"
    elif outcome == "refused" and len(lines) > 1:
        outcome = "lines"
    elif re.search("MemoryError|Unable to allocate|annot allocate", text):
        outcome = "allocation"
    return outcome, time.monotonic() - began, used.ru_maxrss * 1024, text


def _read(reader, path: Path) -> int:
    from jaxbio.errors import InputError

    try:
        reader(path)
    except InputError as error:
        if str(error):  # a command has said it itself
            print(error, file=sys.stderr)
        return 2
    return 0


def _tried(case: Case, work: Path) -> list:
    """Reader, name, outcome, seconds and bytes of a case; of a failure the file is kept."""
    outcome, seconds, used, text = attempt(case, work)
    if case.name.endswith(":sound") and outcome == "refused":
        outcome = "sound file refused"
    if outcome not in ("read", "refused"):
        kept = work / "failures" / re.sub(r"\W+", "_", f"{case.reader} {case.name}")
        kept.parent.mkdir(exist_ok=True)
        if case.path.is_file() and case.path.stat().st_size < 2**25:
            shutil.copy(case.path, f"{kept}_{case.path.name}")
        Path(f"{kept}.txt").write_text(text)
        last = (text.splitlines() or [""])[-1]
        print(f"{outcome} {case.reader} {case.name}: {last[:160]}", flush=True)
    return [case.reader, case.name, outcome, round(seconds, 2), used]


def main() -> int:
    """Runs the campaign; the exit code is 0 without failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="empty folder for the files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--per_file", type=int, default=25, help="damaged versions of a file")
    parser.add_argument("--kinds", default="", help="readers, between commas; default: all")
    parser.add_argument("--every", type=int, default=1, help="try each N-th file only")
    parser.add_argument("--log", type=Path, help="goes on where this file ends")
    options = parser.parse_args()
    work = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    from tests.faults import readers

    readers.warm()
    found: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    done, failures, slowest, largest = {}, 0, 0.0, 0
    if options.log and options.log.exists():
        done = {tuple(row[:2]): row for row in map(json.loads, options.log.open())}
    kinds = set(filter(None, options.kinds.split(",")))
    every = itertools.islice(
        cases(work, options.seed, options.per_file, kinds), 0, None, options.every
    )
    for make in every:
        case = make()
        row = done.get((case.reader, case.name)) or _tried(case, work)
        if options.log and (case.reader, case.name) not in done:
            with options.log.open("a") as file:
                file.write(json.dumps(row) + "\n")
        found[row[0]][row[2]] += 1
        failures += row[2] not in ("read", "refused")
        slowest, largest = max(slowest, row[3]), max(largest, row[4])
    for reader, counts in found.items():
        print(f"{reader:14}{sum(counts.values()):6}  {dict(counts)}")
    tried = sum(sum(counts.values()) for counts in found.values())
    print(
        f"{tried} files, {failures} failures; at most {slowest:.1f} s and {largest / 2**20:.0f} MiB"
    )
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
