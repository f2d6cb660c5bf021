"""What is read of a folder of runs: rows, curves, scorecards, damage."""

import json
import shutil
import subprocess
import sys
import time

import pytest

from jaxbio.board.columns import Columns
from jaxbio.board.course import Course
from jaxbio.board.details import run_details
from jaxbio.board.index import Index
from jaxbio.board.scorecard import SECTIONS
from jaxbio.board.table import Table
from jaxbio.board.text import to_json
from jaxbio.errors import InputError
from tests.board.runs import (
    attacks,
    physiology,
    robustness,
    similarity,
    training,
    write_evaluation,
    write_everything,
    write_lines,
    write_run,
)


def table(index, seconds=10.0):
    return json.loads(Table(index).json({}, seconds))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_everything(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def rows(folder):
    return {row["name"]: row for row in table(Index(folder))["runs"]}


def test_states(rows):
    states = {name: row["state"] for name, row in rows.items()}
    assert states["live"] == "running"
    assert states["stopped"] == "stopped"
    assert states["fast"] == "finished"
    assert states["weights"] == "weights"
    assert states["broken"] == "damaged"
    assert len(rows["broken"]["damage"]) == 1
    assert "\n" not in rows["broken"]["damage"][0]


def test_steps_and_speed(rows):
    assert (rows["live"]["step"], rows["live"]["total"]) == (40, 100)
    assert rows["live"]["speed"] == 100.0
    assert rows["stopped"]["step"] == 30


def test_seeds_are_one_group(rows):
    groups = {rows[f"sweep/seed={seed}"]["group"] for seed in range(3)}
    assert len(groups) == 1
    assert rows["fast"]["group"] not in groups


def test_only_differing_keys_are_columns(folder, rows):
    keys = table(Index(folder))["keys"]
    assert keys == ["optimizer.learning_rate", "seed"]
    assert rows["fast"]["keys"]["optimizer.learning_rate"] == 0.2


def test_sparklines_show_tests_where_there_are(rows):
    assert rows["fast"]["spark"]["of"] == "test/top1"
    assert rows["stopped"]["spark"]["of"] == "train/loss"  # one test is no course


def test_intervals_chance_and_ceilings(folder):
    card = {e["id"]: e for e in run_details(Index(folder), "sweep/seed=0")["scorecard"]}
    accuracy = card["accuracy/digits"]
    assert accuracy["low"] < accuracy["value"] == 0.85 < accuracy["high"]
    assert accuracy["chance"] == 0.1
    assert accuracy["date"] > 0
    assert card["robustness/digits/10"]["value"] == pytest.approx(0.75 - 0.06)
    best = card["similarity_synthetic/rsa"]
    assert (best["value"], best["ceiling"]) == (pytest.approx(0.3), (0.5, 0.6))
    assert best["synthetic"]
    assert "layer4" in best["note"]
    assert card["similarity_synthetic/pls"]["ceiling"] is None
    consistency = card["behaviour_sketch/error_consistency"]
    assert consistency["ceiling"] == (0.37, 0.37)
    assert (consistency["low"], consistency["high"]) == (0.05, 0.35)
    assert {e["section"] for e in card.values()} == set(SECTIONS)


def test_blanks_say_the_command(folder):
    details = run_details(Index(folder), "fast")
    commands = dict(details["blanks"])
    assert set(commands) == set(SECTIONS) - {"accuracy", "corruptions"}
    assert commands["attacks"] == f"jaxbio evaluate {folder / 'fast'} --mode=attacks"
    assert dict(run_details(Index(folder), "spiking")["blanks"])["attacks"] == ""


def test_a_newer_measurement_replaces_the_older(tmp_path):
    results = {"step": 100, "top1": 0.5, "count": 10}
    run = write_run(tmp_path / "a", results=results)
    later = {"step": 50, "data": {"name": "digits", "num_classes": 10}, "top1": 0.75, "count": 100}
    write_evaluation(run, "accuracy", later)
    (entry,) = run_details(Index(tmp_path), "a")["scorecard"]
    assert (entry["value"], entry["step"]) == (0.75, 50)


def test_configuration_beside_its_defaults(folder):
    rows = run_details(Index(folder), "fast")["config"]
    changed = {row["key"]: row for row in rows if row["value"] != row["base"]}
    assert set(changed) == {"name", "optimizer.learning_rate", "train.total_steps"}
    assert changed["optimizer.learning_rate"]["value"] == "0.2"
    assert all(row["meaning"] for row in rows)


def test_a_population_by_grid_point(folder):
    grid = run_details(Index(folder), "grid")["population"]
    assert grid["keys"] == ["filters", "theta_plus"]
    assert len(grid["points"]) == 9
    assert grid["points"][0] == {"at": [4, 0.01], "values": [pytest.approx(0.53)] * 2}


def test_what_is_infinite_is_a_word_for_browsers():
    assert json.loads(to_json({"a": [float("-inf"), 1.0]})) == {"a": ["-inf", 1.0]}


def test_runs_come_and_go(tmp_path):
    write_run(tmp_path / "a")
    index = Index(tmp_path)
    assert list(index.look()[0]) == ["a"]
    write_run(tmp_path / "b")
    assert list(index.look()[0]) == ["a", "b"]
    shutil.rmtree(tmp_path / "a")
    assert list(index.look()[0]) == ["b"]
    with pytest.raises(InputError, match="no run 'a'"):
        index.open("a")


def test_a_changed_result_is_read_again(tmp_path):
    run = write_run(tmp_path / "a", results={"step": 1, "top1": 0.25, "count": 4})
    index = Index(tmp_path)
    assert index.open("a")[0].run.score == ("top1", 0.25)
    (run / "results.json").write_text('{"step": 1, "top1": 0.125, "count": 8}')
    assert index.open("a")[0].run.score == ("top1", 0.125)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", b"\xff\xfe\x00garbage\n"),
        ("metrics.jsonl", b"[" * 100_000 + b"\n"),
        ("metrics.jsonl", b'{"step": "<b>x", "split": "train"}\n'),
        ("metrics.jsonl", b'{"step": 1' + b"0" * 400 + b', "split": "train"}\n'),
        ("results.json", b'{"top1"'),
        ("results.json", b"[1]"),
        ("results.json", b'{"top1": 0.5}'),
        ("config.json", b'{"config'),
        ("config.json", b"\xff"),
        ("config.json", b'{"config": {"task": "stdp", "data": 3}}'),
        ("evaluation/robustness.json", b"{}"),
        ("evaluation/robustness.json", b'{"cells": {"fog/1": {}}, "data": {"name": "x"}}'),
        ("evaluation/similarity_x.json", b'{"ceilings": [{"measure": 1}], "scores": 7}'),
        ("evaluation/attacks_x.json", b"\x00"),
    ],
)
def test_damage_is_said_in_a_line_and_hides_nothing_else(tmp_path, name, content):
    run = write_run(tmp_path / "bad", results={"step": 1, "top1": 0.5, "count": 4})
    write_lines(run, *training(5))
    (run / "evaluation").mkdir()
    (run / name).write_bytes(content)
    write_run(tmp_path / "good")
    index = Index(tmp_path)
    rows = {row["name"]: row for row in table(index)["runs"]}
    assert rows["bad"]["damage"]
    assert all("\n" not in text for text in rows["bad"]["damage"])
    assert rows["good"]["damage"] == []
    assert run_details(index, "bad")["damage"]
    to_json(run_details(index, "bad"))


@pytest.mark.parametrize(
    "numbers",
    [
        {},
        {"loss": "<script>", "top1": [], "spikes": {}},
        {"loss": float("inf"), "top1": 10**400, "spikes": float("nan")},
        {"loss": None, "top1": True},
    ],
)
def test_numbers_that_are_missing_are_not_drawn(tmp_path, numbers):
    write_lines(tmp_path, {"step": 1, "split": "train", **numbers})
    columns = Columns(tmp_path / "metrics.jsonl")
    columns.read()
    assert columns.series == {}


def test_a_resumed_run_writes_a_new_file(tmp_path):
    write_lines(tmp_path, *training(9))
    file = tmp_path / "metrics.jsonl"
    columns, course = Columns(file), Course(file)
    columns.read(), course.read()
    assert course.step == 9
    file.unlink()
    write_lines(tmp_path, *training(4))
    columns.read(), course.read()
    assert course.step == 4
    assert list(columns.series["train/loss"].steps) == [1, 2, 3, 4]


def test_a_course_has_all_tests_and_the_newest_step_of_a_long_run(tmp_path):
    write_lines(tmp_path, *training(2000))
    course = Course(tmp_path / "metrics.jsonl")
    while course.read():
        pass
    assert course.step == 2000
    spark = course.sparkline()
    assert spark["of"] == "test/top1"
    assert 20 <= len(spark["values"]) <= 40
    assert spark["values"][-1] == pytest.approx(0.9, abs=1e-3)


def test_thinning_keeps_the_newest(tmp_path):
    write_lines(tmp_path, *training(99))
    columns = Columns(tmp_path / "metrics.jsonl")
    columns.read()
    steps, values = columns.series["train/loss"].between(11, 99, 10)
    assert len(steps) == len(values) == 10
    assert steps[-1] == 99
    assert min(steps) >= 11


def test_many_lines_are_read_once(tmp_path):
    run = write_run(tmp_path / "long")
    line = b'{"step": %d, "split": "train", "loss": 0.5, "top1": 0.25, "images_per_s": 100.0}\n'
    (run / "metrics.jsonl").write_bytes(b"".join(line % step for step in range(200_000)))
    index = Index(tmp_path)
    rows = Table(index)
    while json.loads(rows.json({}))["reading"]:  # a look takes a tenth of a second
        pass
    write_lines(run, {"step": 200_000, "split": "train", "loss": 0.5})
    began = time.perf_counter()
    (row,) = json.loads(rows.json({}))["runs"]
    assert time.perf_counter() - began < 0.3
    assert row["step"] == 200_000


def test_looking_imports_neither_jax_nor_pictures(folder):
    code = """
import sys
from pathlib import Path
from jaxbio.board.answers import Answers
from jaxbio.board.index import Index
answers = Answers(Index(Path(sys.argv[1])))
assert answers.get("/api/table", "").status == answers.get("/api/run", "run=grid").status == 200
assert not {"jax", "matplotlib"} & set(sys.modules), "slow to start"
"""
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, timeout=60)


def test_attacks_and_robustness_of_a_run_are_entries(tmp_path):
    run = write_run(tmp_path / "a")  # of a run that goes on, too
    write_evaluation(run, "robustness_imagenet_c", robustness(0.8))
    write_evaluation(run, "attacks_apgd", attacks(0.4))
    ids = {e["id"] for e in run_details(Index(tmp_path), "a")["scorecard"]}
    assert "robustness_imagenet_c/digits/10" in ids
    assert "attacks_apgd/linf/0.0156863/digits" in ids


def test_a_measurement_under_way_is_no_damage(tmp_path):
    run = write_run(tmp_path / "a")
    clean = {"top1": 0.5, "count": 4}
    write_evaluation(run, "robustness", {"step": 1, "clean": clean, "cells": {}})
    whole = similarity(0.3)
    whole["scores"] = [row for row in whole["scores"] if row["measure"] == "rsa"]
    write_evaluation(run, "similarity_x", whole)
    write_evaluation(run, "similarity_x.1", whole)  # of another checkpoint, set aside
    details = run_details(Index(tmp_path), "a")
    assert details["damage"] == []
    assert [entry["id"] for entry in details["scorecard"]] == ["similarity_x/rsa"]


def test_numbers_have_intervals_units_and_steps(tmp_path):
    run = write_run(tmp_path / "a")
    write_evaluation(run, "robustness", robustness(0.6))
    found = similarity(0.3)
    found["scores"] += [{**row, "layer": "IT", "step": 4} for row in found["scores"]]
    write_evaluation(run, "similarity_x", found)
    measured = physiology()
    one = measured["times"][0]["properties"]
    one["peak_spatial_frequency"] = one["modulation_ratio"] = one["x"]
    write_evaluation(run, "physiology_v1", measured)
    details = run_details(Index(tmp_path), "a")
    assert details["damage"] == []
    # Wilson's interval is widest at a half: 1.96 * sqrt(0.25 / 364) = 0.0514, and a little less.
    assert details["robustness"][0]["within"] == pytest.approx(0.051, abs=5e-4)
    rsa = details["similarity"][0]
    assert rsa["columns"] == ["no steps", "step 4"]
    assert rsa["intervals"][0][0] == pytest.approx([0.25, 0.35])
    assert rsa["intervals"][0][1] is None
    units = {row["name"]: row["unit"] for row in details["physiology"][0]["rows"]}
    assert units["bandwidth"] == "degrees"
    assert units["peak spatial frequency"] == "cycles/degree"
    assert units["modulation ratio"] == ""
