"""Nobody looks at a silent terminal: what is waited for is said, and how long it took last."""

import json
import time

import pytest

from jaxbio.runs import progress, waiting
from jaxbio.runs.waiting import program_key


@pytest.fixture
def said(monkeypatch, tmp_path):
    """Lines; waiting is quick, and remembers in a folder of its own."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    for name in ("_SILENCE", "_BETWEEN"):
        monkeypatch.setattr(waiting, name, 0.05)
    return []


def test_a_program_is_said_at_once_and_its_length_the_next_time(said, monkeypatch):
    monkeypatch.setattr(waiting, "_WORTH_SAYING", 0.05)
    for _ in range(2):
        with waiting.waiting("compiling", "key", tell=said.append):
            time.sleep(0.12)
    assert said[0] == "compiling"
    assert any("so far" in line for line in said)
    second = said[said.index("compiling") + 1 :]
    assert any(line.startswith("compiling (the last time") for line in second)
    with waiting.waiting("compiling", "another", tell=said.append):
        pass
    assert said[-1] == "compiling"


def test_what_is_quick_is_not_said(said):
    with waiting.waiting("opening", tell=said.append):
        pass
    assert said == []
    with waiting.waiting("opening", tell=said.append):
        time.sleep(0.08)
    assert said
    with waiting.waiting("opening", "key", tell=None):
        time.sleep(0.08)
    assert len(said) == 1


def test_it_ends_with_an_error(said):
    with pytest.raises(ValueError, match="x"), waiting.waiting("opening", tell=said.append):
        raise ValueError("x")
    time.sleep(0.1)
    assert said == []


@pytest.mark.parametrize("content", ["", "[1]", '{"a": "b"}', '{"opening: key": "x"}'])
def test_a_damaged_memory_is_none(said, tmp_path, content):
    file = tmp_path / "seconds.json"
    file.write_text(content)
    with waiting.waiting("opening", "key", tell=said.append):
        pass
    assert said[0] == "opening"
    assert json.loads(file.read_text())["opening: key"] >= 0


def test_programs_are_equal_where_the_configuration_is():
    one = {"seed": 1, "model": {"name": "a"}, "train": {"total_steps": 3, "batch_size": 4}}
    same = {**one, "seed": 2, "train": {"total_steps": 9, "batch_size": 4}}
    other = {**one, "train": {"total_steps": 3, "batch_size": 8}}
    assert program_key(one, "cpu", 1) == program_key(same, "cpu", 1)
    assert len({program_key(one, "cpu", n) for n in (1, 2)} | {program_key(other, "cpu", 1)}) == 3


def test_time_that_is_left_leaves_out_compilation(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    shown = progress.Progress(11, 0)
    clock[0] = 1000.0  # the first step and its compilation
    shown.advance_first()
    assert capsys.readouterr().out == ""
    for _ in range(5):
        clock[0] += 10.0
        shown.advance()  # and no log line
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "step 6/11  ETA 00:00:50"
    assert len(lines) == 5


def test_time_that_is_left_may_be_more_than_a_day(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    shown = progress.Progress(10_801, 0)
    shown.advance_first()
    clock[0] = 10.0
    shown.advance()
    assert capsys.readouterr().out == "step 2/10801  ETA 29:59:50\n"
