"""Loss and accuracy over the steps of a training run."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

_PANELS = (("loss", "loss (nats)", 1.0), ("top1", "top-1 accuracy (%)", 100.0))


def plot_curves(lines: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Draws loss and top-1 accuracy, training thin and test thick, one colour per run.

    Args:
        lines: per run, its name and the objects of its ``metrics.jsonl``: ``step``, ``split``
            (``train`` or ``test``), ``loss`` (nats), ``top1`` in [0, 1].

    Returns:
        A figure of two panels.

    Raises:
        ValueError: no run is given.
    """
    if not lines:
        raise ValueError("no run to plot: pass at least one")
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, (key, label, scale) in zip(figure.subplots(1, 2), _PANELS, strict=True):
        for number, (name, entries) in enumerate(lines.items()):
            for split, width in (("train", 0.8), ("test", 2.0)):
                chosen = [entry for entry in entries if entry["split"] == split]
                axes.plot(
                    [entry["step"] for entry in chosen],
                    [scale * entry[key] for entry in chosen],
                    color=f"C{number}",
                    linewidth=width,
                    marker="." if split == "test" else None,
                    label=f"{name}, {split}",
                )
        axes.set_xlabel("step")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    figure.axes[0].set_yscale("log")
    figure.axes[1].legend(fontsize="small")
    return figure
