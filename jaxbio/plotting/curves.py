"""Loss and accuracy over the steps of a training run."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter

from jaxbio.plotting.style import draw_chance, line_style, whiskers

_PANELS = (("loss", "loss (nats)", 1.0), ("top1", "top-1 accuracy (%)", 100.0))


def plot_curves(
    lines: Mapping[str, Sequence[Mapping[str, Any]]], chance: float | None = None
) -> Figure:
    """Draws loss and top-1 accuracy, training thin and test thick, one colour per run.

    Args:
        lines: per run, its name and the objects of its ``metrics.jsonl``: ``step``, ``split``
            (``train`` or ``test``), ``loss`` (nats), ``top1`` in [0, 1], and of tests ``count``,
            the images: they give the 95 % intervals.
        chance: accuracy of guessing; None draws none.

    Returns:
        A figure of two panels.

    Raises:
        ValueError: no run is given.
    """
    if not lines:
        raise ValueError("no run to plot: pass at least one")
    columns = min(3, len(lines))
    rows = -(-len(lines) // columns)
    figure = Figure(figsize=(9, 3.6 + 0.2 * rows), layout="constrained")
    keys = [Line2D([], [], color="black", linewidth=0.8, label="training")]
    counts = sorted({count for entries in lines.values() for _, _, count in _tests(entries)})
    tested = f"test, {' or '.join(f'{n:,}' for n in counts)} images" if counts else "test"
    keys.append(Line2D([], [], color="black", linewidth=2, marker=".", label=tested))
    for axes, (key, label, scale) in zip(figure.subplots(1, 2), _PANELS, strict=True):
        names = []
        for number, (name, entries) in enumerate(lines.items()):
            for split, width in (("train", 0.8), ("test", 2.0)):
                chosen = [entry for entry in entries if entry["split"] == split]
                (line,) = axes.plot(
                    [entry["step"] for entry in chosen],
                    [scale * entry[key] for entry in chosen],
                    color=line_style(number)["color"],
                    linewidth=width,
                    marker="." if split == "test" else None,
                    label=name,
                )
            names.append(line)
            if key == "top1":
                for step, share, count in _tests(entries):
                    ends, colour = whiskers([share], count), line_style(number)["color"]
                    axes.errorbar(step, 100 * share, ends, color=colour, capsize=2)
        axes.set(xlabel="step", ylabel=label)
        axes.grid(alpha=0.3)
    loss, accuracy = figure.axes
    loss.set_yscale("log")
    loss.yaxis.set_major_formatter(LogFormatter())
    loss.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
    loss.legend(handles=keys, fontsize="small")
    bar = Line2D([], [], color="black", marker="|", linestyle="", label="95 % interval")
    shown = [bar] if counts else []
    if chance is not None:
        draw_chance(accuracy, chance)
        shown += accuracy.lines[-1:]
    if shown:
        accuracy.legend(handles=shown, fontsize="small")
    figure.legend(handles=names, loc="outside lower center", ncols=columns, fontsize="small")
    return figure


def _tests(entries: Sequence[Mapping[str, Any]]) -> list[tuple[int, float, int]]:
    """Step, accuracy and number of images of the tests that say the last."""
    return [
        (entry["step"], entry["top1"], entry["count"])
        for entry in entries
        if entry["split"] == "test" and isinstance(entry.get("count"), int) and entry["count"] > 0
    ]
