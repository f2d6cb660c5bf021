"""What response-adaptive activations and ARR do to a network's responses."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting.style import COLOURS, slanted

_MAX_POINTS = 2000  # more would only blacken the scatter


def plot_activation_curves(
    x: np.ndarray, curves: Mapping[str, Mapping[float, np.ndarray]]
) -> Figure:
    """An activation's output against its input, one line per shift.

    Args:
        x: inputs, ``[N]``.
        curves: per activation its name and, per shift, its outputs ``[N]``.

    Returns:
        A figure with a panel per activation.

    Raises:
        ValueError: nothing to plot.
    """
    figure, panels = _panels(len(curves), 3.4)
    for axes, (name, lines) in zip(panels, curves.items(), strict=True):
        for number, (shift, y) in enumerate(sorted(lines.items())):
            colour = _shade(number, len(lines))
            axes.plot(x, y, color=colour, label=f"shift {shift:+.2g}")
        axes.set(title=name, xlabel="input", ylabel="response")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    return figure


def plot_shifts(shifts: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """The learned shifts of every layer: median, quartiles, and 1 % to 99 %.

    Args:
        shifts: per run, its name and, per layer in order, all shifts that test images caused.

    Returns:
        A figure with one panel per run, layers from left to right.

    Raises:
        ValueError: nothing to plot, or a run without layers.
    """
    if not all(shifts.values()):
        raise ValueError("a run without shifts: leave it out")
    figure, panels = _panels(len(shifts), 5.0, 4.4)
    for axes, (name, layers) in zip(panels, shifts.items(), strict=True):
        values = [np.ravel(of_layer) for of_layer in layers.values()]
        axes.boxplot(values, whis=(1, 99), showfliers=False)
        axes.axhline(0.0, color="gray", linewidth=0.8)
        axes.set_xticks(range(1, len(values) + 1), list(layers), rotation=90, fontsize="small")
        axes.set(xlabel="layer", ylabel="shift of the input", title=name)
    figure.suptitle("Boxes: median and quartiles; whiskers: 1 % to 99 %", fontsize="medium")
    return figure


def plot_response_distributions(
    responses: Mapping[str, tuple[np.ndarray, np.ndarray]], class_names: Sequence[str]
) -> Figure:
    """Aggregated responses by class, a row per run.

    On the left the distribution of each class along the feature that tells classes apart best (the
    largest ratio of variance between classes to variance within); on the right all responses in
    the plane of their first two principal components. Of many classes ten are drawn, evenly chosen;
    the other classes' responses are grey on the right. The title gives the share of the variance of
    all features that is within classes: what ARR reduces.

    Args:
        responses: per run, its name, responses ``[N, C]`` and labels ``[N]``.
        class_names: by label.

    Returns:
        The figure.

    Raises:
        ValueError: nothing to plot.
    """
    if not responses:
        raise ValueError("no run to plot: pass at least one")
    figure = Figure(figsize=(10, 4.2 * len(responses)), layout="constrained")
    rows = figure.subplots(len(responses), 2, squeeze=False)
    for (left, right), (name, (values, labels)) in zip(rows, responses.items(), strict=True):
        values = np.asarray(values, np.float64)
        classes = np.unique(labels)
        within, between = _variances(values, labels)
        feature = int(np.argmax(between / np.maximum(within, 1e-12)))
        drawn = classes[np.linspace(0, len(classes) - 1, min(10, len(classes))).astype(int)]
        places = range(len(drawn))
        violins = left.violinplot(
            [values[labels == c, feature] for c in drawn], places, showmedians=True, widths=0.9
        )
        for body, colour in zip(violins["bodies"], COLOURS, strict=False):
            body.set(facecolor=colour, alpha=0.6)
        for key in ("cmedians", "cbars", "cmins", "cmaxes"):
            violins[key].set(color="0.3", linewidth=1)
        names = [class_names[c] for c in drawn]
        left.set_xticks(places, names, **slanted(names))
        left.set(
            xlabel="class" if len(drawn) == len(classes) else f"10 of {len(classes)} classes",
            ylabel=f"response, feature {feature}",
        )
        share = within.sum() / max((within + between).sum(), 1e-12)
        left.set_title(f"{name}: {100 * share:.1f} % of the variance within classes", fontsize=10)
        plane, explained = _principal_plane(values)
        shown = np.linspace(0, len(plane) - 1, min(_MAX_POINTS, len(plane))).astype(int)
        colours = dict(zip(drawn.tolist(), COLOURS, strict=False))
        right.scatter(*plane[shown].T, c=[colours.get(int(c), "0.85") for c in labels[shown]], s=5)
        for axis, number, part in zip("xy", ("first", "second"), explained, strict=True):
            text = f"{number} component ({100 * part:.0f} % of variance)"
            right.set(**{f"{axis}label": text})
        right.set_title(
            f"{len(shown):,} of {len(plane):,} images, colours of the left", fontsize=10
        )
    return figure


def _panels(count: int, width: float, height: float = 3.6):
    if not count:
        raise ValueError("nothing to plot: pass at least one entry")
    figure = Figure(figsize=(width * count, height), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]


def _shade(number: int, count: int) -> tuple[float, float, float]:
    share = number / max(count - 1, 1)
    return (0.1 + 0.8 * share, 0.3, 0.9 - 0.8 * share)


def _variances(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance of each feature within classes and between them; they add up to the total."""
    means = np.empty_like(values)
    for label in np.unique(labels):
        means[labels == label] = values[labels == label].mean(0)
    return ((values - means) ** 2).mean(0), ((means - values.mean(0)) ** 2).mean(0)


def _principal_plane(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places ``[N, 2]``, and the two components' shares of the variance."""
    centred = values - values.mean(0)
    _, scales, directions = np.linalg.svd(centred, full_matrices=False)
    plane = centred @ directions[:2].T
    shares = np.square(scales) / max(np.square(scales).sum(), 1e-12)
    missing = 2 - plane.shape[1]
    return np.pad(plane, ((0, 0), (0, missing))), np.pad(shares, (0, missing))[:2]
