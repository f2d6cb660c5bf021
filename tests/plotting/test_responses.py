import json

import numpy as np
import pytest

from jaxbio.commands.main import main
from jaxbio.plotting.responses import (
    plot_activation_curves,
    plot_response_distributions,
    plot_shifts,
)


def test_activation_curves_have_a_line_per_shift():
    x = np.linspace(-1, 1, 5)
    figure = plot_activation_curves(x, {"raa": {0.5: x, -0.5: 2 * x}, "raa2": {0.0: x}})
    lines = [axes.get_lines() for axes in figure.axes]
    assert [len(of_panel) for of_panel in lines] == [2, 1]
    np.testing.assert_array_equal(lines[0][0].get_ydata(), 2 * x)  # the lowest shift first


def test_shifts_have_a_box_per_layer():
    rng = np.random.default_rng(0)
    layers = {f"blocks_{i}": rng.normal(size=(4, 5, 1)) for i in range(3)}
    figure = plot_shifts({"run": layers})
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == list(layers)
    with pytest.raises(ValueError, match="a run without shifts"):
        plot_shifts({"run": {}})


def test_distributions_tell_how_much_variance_is_within_classes():
    labels = np.repeat(np.arange(4), 30)
    rng = np.random.default_rng(0)
    tight = np.eye(4)[labels] + 1e-3 * rng.normal(size=(120, 4))
    loose = rng.normal(size=(120, 4))
    figure = plot_response_distributions(
        {"with": (tight, labels), "without": (loose, labels)}, ["a", "b", "c", "d"]
    )
    titles = [axes.get_title() for axes in figure.axes[::2]]
    shares = [float(title.split()[1]) for title in titles]
    assert shares[0] < 0.1
    assert shares[1] > 90
    assert len(figure.axes[1].collections[0].get_offsets()) == 120


@pytest.mark.parametrize(
    "call",
    [
        lambda: plot_response_distributions({}, []),
        lambda: plot_shifts({}),
        lambda: plot_activation_curves(np.zeros(1), {}),
    ],
)
def test_nothing_to_plot(call):
    with pytest.raises(ValueError, match="pass at least one"):
        call()


def write_run(path, lines):
    path.mkdir(parents=True)
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def lines(loss):
    return [
        {"step": step, "split": split, "loss": loss / step, "top1": 0.5}
        for step in (1, 2)
        for split in ("train", "test")
    ]


def test_curves_of_several_runs(tmp_path, capsys):
    runs = [write_run(tmp_path / name, lines(loss)) for name, loss in (("a", 1.0), ("b", 2.0))]
    output = tmp_path / "new" / "curves.png"
    assert main(["curves", *runs, "--output", str(output)]) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    assert str(output) in capsys.readouterr().out
    assert len(list(output.parent.iterdir())) == 1  # no temporary file stays


@pytest.mark.parametrize(
    ("content", "output", "message"),
    [
        (None, "a.png", "metrics.jsonl"),
        ("{", "a.png", "metrics.jsonl"),
        ('{"step": 1, "split": "test"}', "a.png", "has no loss and top1"),
        (
            '{"step": 1, "split": "test", "loss": 1.0, "top1": 0.1}',
            "a.nonsense",
            "a.nonsense",
        ),
    ],
)
def test_wrong_runs_are_one_line(tmp_path, capsys, content, output, message):
    run = tmp_path / "run"
    run.mkdir()
    if content is not None:
        (run / "metrics.jsonl").write_text(content)
    assert main(["curves", str(run), "--output", str(tmp_path / output)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
