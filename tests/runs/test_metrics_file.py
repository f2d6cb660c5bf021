"""Reading of metrics while they are written."""

import json

from jaxbio.runs.metrics_file import MetricsReader


def test_a_folder_in_place_of_the_file_holds_nothing(tmp_path):
    (tmp_path / "metrics.jsonl" / "inside").mkdir(parents=True)
    reader = MetricsReader(tmp_path / "metrics.jsonl")
    assert reader.waiting == 0  # who reads until nothing waits, ends
    assert reader.more() == ([], False)


def test_lines_are_read_as_they_come(tmp_path):
    file = tmp_path / "metrics.jsonl"
    line = {"step": 1, "split": "train", "loss": 2.0}
    file.write_text(json.dumps(line) + "\n" + '{"step": 2')
    reader = MetricsReader(file)
    assert reader.more() == ([line], True)
    assert reader.waiting == 0
    with file.open("a") as more:
        more.write(', "split": "test"}\n')
    assert reader.waiting
    assert reader.more() == ([{"step": 2, "split": "test"}], False)
