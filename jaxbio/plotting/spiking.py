"""Spiking networks: their weights, and what they do while an image is shown."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbio.plotting.cells import GAP, tile
from jaxbio.plotting.style import panel


def plot_weights(
    weights: np.ndarray,
    counts: np.ndarray | None = None,
    competition: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """The weights from X to Y as a map: one tile per filter, one square in it per position.

    Args:
        weights: ``[filters, rows, columns, K, K]``; 1 by 1 positions where they share weights.
        counts: ``[filters]`` spikes that are written onto the tiles; None writes nothing.
        competition: ``[filters, filters]`` lateral weights (source, target), mV; the stronger half
            is drawn as lines between tiles. None draws nothing.
        title: of the figure.

    Returns:
        A figure of one panel with a colour bar.

    Raises:
        ValueError: an array of another shape.
    """
    weights = np.asarray(weights)
    if weights.ndim != 5 or weights.shape[3] != weights.shape[4]:
        raise ValueError(f"weights of shape {weights.shape}: give [filters, rows, columns, K, K]")
    sheet, centres = _weight_sheet(weights)
    figure, axes = panel(7, 6.4)
    picture = axes.imshow(sheet, cmap="magma", vmin=0, vmax=max(np.nanmax(sheet), 1e-12))
    figure.colorbar(picture, ax=axes, label="weight", shrink=0.8)
    axes.set_title(title)
    axes.set_axis_off()
    if competition is not None:
        _draw_competition(axes, centres, np.abs(competition))
    if counts is not None:
        for (x, y), count in zip(centres, counts, strict=True):
            axes.text(
                x, y, f"{count:.0f}", color="white", ha="center", va="center", fontsize=8,
                bbox={"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 1},
            )  # fmt: skip
    return figure


def plot_spikes(
    spikes: np.ndarray, dt: float = 1.0, names: list[str] | None = None, title: str = ""
) -> Figure:
    """Which neuron spikes when: a dot per spike.

    Args:
        spikes: bool ``[steps, neurons]``.
        dt: length of a step, ms.
        names: of the neurons, for the vertical axis; None numbers them.
        title: of the panel.

    Returns:
        A figure: the raster, and below it the number of spikes per step.
    """
    spikes = np.asarray(spikes)
    step, neuron = np.nonzero(spikes)
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    raster, rate = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    raster.scatter(step * dt, neuron, s=24, marker="|", color="black", linewidths=0.8)
    raster.set(
        ylim=(-0.5, spikes.shape[1] - 0.5), ylabel="neuron", title=title or f"{len(step)} spikes"
    )
    if names is not None:
        raster.set_yticks(range(spikes.shape[1]), names, fontsize="small")
    rate.step(np.arange(len(spikes)) * dt, spikes.sum(1), where="mid", color="black", linewidth=0.8)
    rate.set(xlim=(0, len(spikes) * dt), xlabel="time (ms)", ylabel="spikes\nper step")
    return figure


def plot_voltages(
    voltages: np.ndarray,
    spikes: np.ndarray,
    threshold: np.ndarray,
    names: list[str],
    dt: float = 1.0,
) -> Figure:
    """Membrane potentials, one panel per neuron: the best voters, or any one.

    Args:
        voltages: ``[steps, N]``, mV, after the reset of neurons that spike.
        spikes: bool ``[steps, N]``; drawn as lines up from the threshold.
        threshold: ``[N]``, mV, adaptive part included.
        names: ``[N]``, titles.
        dt: length of a step, ms.

    Returns:
        A figure of N panels.
    """
    steps, neurons = np.shape(voltages)
    time = np.arange(steps) * dt
    figure = Figure(figsize=(8, 1.5 + 1.3 * neurons), layout="constrained")
    panels = figure.subplots(neurons, 1, sharex=True, squeeze=False)[:, 0]
    for axes, v, fired, level, name in zip(
        panels, np.transpose(voltages), np.transpose(spikes), threshold, names, strict=True
    ):
        axes.plot(time, v, color="C0", linewidth=0.9, label="potential")
        axes.axhline(level, color="C3", linewidth=0.8, linestyle="--", label="threshold")
        top = level + 0.25 * max(level - v.min(), 1.0)
        axes.vlines(
            time[np.asarray(fired, bool)], level, top, color="C3", linewidth=1.5, label="spike"
        )
        axes.set_title(name, fontsize="small", loc="left")
        axes.set_ylabel("mV")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, fontsize="small")
    panels[-1].set(xlim=(0, steps * dt), xlabel="time (ms)")
    return figure


def plot_voter_weights(weights: np.ndarray, names: list[str]) -> Figure:
    """The receptive fields of a few neurons, side by side.

    Args:
        weights: ``[N, K, K]``.
        names: ``[N]``, titles.

    Returns:
        A figure of N panels with one scale.
    """
    columns = min(5, len(weights))
    rows = -(-len(weights) // columns)
    figure = Figure(figsize=(2.1 * columns + 0.8, 2.3 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axes in panels:
        axes.set_axis_off()
    for axes, plane, name in zip(panels, weights, names, strict=False):
        shown = axes.imshow(plane, cmap="magma", vmin=0, vmax=max(np.max(weights), 1e-12))
        axes.set_title(name, fontsize="small")
    figure.colorbar(shown, ax=panels.tolist(), label="weight", shrink=0.8)
    return figure


def plot_competition_histogram(competition: np.ndarray, mask: np.ndarray | None = None) -> Figure:
    """How strong inhibition is.

    Args:
        competition: ``[neurons, neurons]``, mV.
        mask: bool, the same shape: the pairs that count; None counts all.

    Returns:
        A figure of one panel.
    """
    values = np.asarray(competition)[np.ones_like(competition, bool) if mask is None else mask]
    figure, axes = panel(5, 3.2)
    axes.hist(values, bins=50, color="C0")
    axes.set(xlabel="lateral weight (mV)", ylabel="pairs of neurons")
    if values.size:
        axes.set_title(f"mean {values.mean():.1f} mV, {np.mean(values == 0):.0%} are 0")
    return figure


def plot_stdp_curve(
    a_pos: float, a_neg: float, tau_pos: float, tau_neg: float, unit: str = "mV"
) -> Figure:
    """Change of a weight by one pair of spikes, against the time between them.

    A target's spike after the source's changes it by ``a_neg exp(-t / tau_pos)`` (the presynaptic
    trace decays with ``tau_pos``), a source's spike after the target's by
    ``-a_pos exp(-t / tau_neg)``.

    Args:
        a_pos: of lateral weights in mV, negative in published networks, where it weakens
            inhibition; of weights from X to Y the rate of depression.
        a_neg: of lateral weights in mV, negative in published networks, where it strengthens
            inhibition; of weights from X to Y the rate of potentiation.
        tau_pos: of the presynaptic trace, ms.
        tau_neg: of the postsynaptic trace, ms.
        unit: of the weights; "" for none.

    Returns:
        A figure of one panel.
    """
    time = np.linspace(0, 4 * max(tau_pos, tau_neg), 200)
    figure, axes = panel(5, 3.2)
    axes.plot(time, a_neg * np.exp(-time / tau_pos), label="target after source")
    axes.plot(-time, -a_pos * np.exp(-time / tau_neg), label="source after target")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set(
        xlabel="spike of target - spike of source (ms)",
        ylabel=f"change of weight ({unit})" if unit else "change of weight",
    )
    axes.legend(fontsize="small")
    return figure


def _weight_sheet(weights: np.ndarray) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """The map, and the centre (x, y) of each filter's tile."""
    filters, rows, columns, size, _ = weights.shape
    height, width = rows * size, columns * size
    across = int(np.ceil(np.sqrt(filters)))
    planes = weights.transpose(0, 1, 3, 2, 4).reshape(filters, height, width)
    places = [(number % across, number // across) for number in range(filters)]
    return tile(planes, across), [
        (x * (width + GAP) + (width - 1) / 2, y * (height + GAP) + (height - 1) / 2)
        for x, y in places
    ]


def _draw_competition(axes: Axes, centres: list[tuple[float, float]], strength: np.ndarray) -> None:
    largest = max(strength.max(), 1e-12)
    pairs = np.argwhere(strength > 0.5 * largest)  # all of them would hide the weights
    for source, target in pairs:
        (x0, y0), (x1, y1) = centres[source], centres[target]
        opacity = 0.6 * (2 * strength[source, target] / largest - 1)
        axes.plot([x0, x1], [y0, y1], color="cyan", alpha=float(opacity), linewidth=0.8)
