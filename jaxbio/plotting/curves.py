"""Loss and accuracy over the steps of a training run."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbio.plotting.style import draw_chance, line_style

_PANELS = (("loss", "loss (nats)", 1.0), ("top1", "top-1 accuracy (%)", 100.0))


def plot_curves(
    lines: Mapping[str, Sequence[Mapping[str, Any]]], chance: float | None = None
) -> Figure:
    """Draws loss and top-1 accuracy, training thin and test thick, one colour per run.

    Args:
        lines: per run, its name and the objects of its ``metrics.jsonl``: ``step``, ``split``
            (``train`` or ``test``), ``loss`` (nats), ``top1`` in [0, 1].
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
    keys.append(Line2D([], [], color="black", linewidth=2, marker=".", label="test"))
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
        axes.set_xlabel("step")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    loss, accuracy = figure.axes
    loss.set_yscale("log")
    loss.legend(handles=keys, fontsize="small")
    if chance is not None:
        draw_chance(accuracy, chance)
        accuracy.legend(handles=accuracy.lines[-1:], fontsize="small")
    figure.legend(handles=names, loc="outside lower center", ncols=columns, fontsize="small")
    return figure
