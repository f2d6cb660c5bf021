"""Recorded activity is used again for the same weights only; pages hold everything."""

import base64
import re

import numpy as np
from matplotlib.figure import Figure

from jaxbio.runs.html import write_page
from jaxbio.tasks.stdp.activity import content_digest, recorded_counts

WEIGHTS = {"xy": np.arange(6.0, dtype=np.float32).reshape(2, 3), "theta": np.zeros(3, np.float32)}


def test_digest_sees_every_change():
    changed = {**WEIGHTS, "xy": np.nextafter(WEIGHTS["xy"], np.float32(9))}
    reshaped = {**WEIGHTS, "xy": WEIGHTS["xy"].reshape(3, 2)}
    renamed = {"xz": WEIGHTS["xy"], "theta": WEIGHTS["theta"]}
    digests = [content_digest(w) for w in (WEIGHTS, changed, reshaped, renamed)]
    digests += [content_digest(WEIGHTS, {"seed": seed}) for seed in (0, 1)]
    assert len(set(digests)) == len(digests)
    assert content_digest(WEIGHTS) == content_digest({k: v.copy() for k, v in WEIGHTS.items()})


def test_counts_are_recorded_once_per_digest(tmp_path):
    path = tmp_path / "activity" / "test.npz"
    calls = []

    def record(value):
        def counts():
            calls.append(value)
            return np.full((2, 3), value), np.array([0, 1])

        return counts

    first, _ = recorded_counts(path, "a", record(1))
    again, labels = recorded_counts(path, "a", record(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(labels, [0, 1])
    other, _ = recorded_counts(path, "b", record(3))
    assert (other == 3).all()
    path.write_bytes(path.read_bytes()[:50])
    recorded_counts(path, "b", record(4))
    assert calls == [1, 3, 4]
    assert [p.name for p in path.parent.iterdir()] == ["test.npz"]


def test_a_page_is_one_file(tmp_path):
    figure = Figure(figsize=(1, 1))
    path = tmp_path / "report" / "network.html"
    rows = [("key", "value"), ("name", "<lc> & co")]
    write_page(path, "A network", {"Parameters": rows}, {"weights": figure})
    page = path.read_text()
    assert "&lt;lc&gt; &amp; co" in page
    (image,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert base64.b64decode(image)[:4] == b"\x89PNG"
    assert "http" not in page
    assert [p.name for p in path.parent.iterdir()] == ["network.html"]
