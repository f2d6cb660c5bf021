"""Charts as text."""

import math
import xml.etree.ElementTree as ET

import pytest

from jaxbio.runs.svg import line_chart


def elements(chart, tag):
    return [e for e in ET.fromstring(chart).iter() if e.tag.endswith(tag)]


def places(line):
    return [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]


def test_points_are_at_their_places():
    chart = line_chart({"a": ([0, 5, 10], [1.0, 3.0, math.nan]), "b": ([10], [2])}, "t", "x", True)
    frame, a, b = elements(chart, "polyline")
    (left, top), (_, bottom), (right, _) = places(frame)
    assert places(a) == [(left, bottom), ((left + right) / 2, top)]
    assert places(b) == [(right, (top + bottom) / 2)]
    assert len(elements(chart, "circle")) == 3
    texts = [e.text for e in elements(chart, "text")]
    assert texts == ["t", "0", "10", "1", "3", "x", "a", "b"]


def test_text_is_escaped_and_nothing_is_said_to_be_nothing():
    chart = line_chart({"<a>": ([], [])}, "<b> & c", "x")
    assert [e.text for e in elements(chart, "text")] == ["<b> & c", "nothing yet"]
    with pytest.raises(ValueError, match="shorter"):
        line_chart({"a": ([1, 2], [1])}, "t", "x")


def test_long_series_keep_their_newest_point():
    (_, line) = elements(line_chart({"a": (range(5001), range(5001))}, "t", "x"), "polyline")
    assert len(places(line)) < 500
    assert places(line)[-1] == (410.0, 24.0)
