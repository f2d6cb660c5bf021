"""Figures of brain similarity: RDMs, scores over layers and time, ceilings, geometry, learning."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any, cast

import numpy as np
from jax.typing import ArrayLike
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from jaxbio.plotting.cells import label_cells
from jaxbio.plotting.style import line_style, panel

_COLUMNS = 4
_BARS_PER_INCH = 3.0
_MOST_NAMED = 20  # categories beside an RDM
_TITLE_WIDTH = 28  # characters
_THUMBNAIL_INCHES = 0.2


def plot_rdms(rdms: Mapping[str, np.ndarray], labels: ArrayLike | None = None) -> Figure:
    """Draws dissimilarity matrices, each in ranks so that one colour scale serves them all.

    Args:
        rdms: per title ``[n, n]``.
        labels: ``[n]`` category of each condition; its borders are drawn, and named in
            the first column. None draws none.

    Returns:
        A figure with one panel per matrix.

    Raises:
        ValueError: there is none.
    """
    if not rdms:
        raise ValueError("no RDM to plot: pass at least one")
    rows = -(-len(rdms) // _COLUMNS)
    columns = min(_COLUMNS, len(rdms))
    figure = Figure(figsize=(2.9 * columns + 1.4, 3.1 * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(rdms) :]:
        axes.set_axis_off()
    for number, (axes, (title, rdm)) in enumerate(zip(panels, rdms.items(), strict=False)):
        image = _draw_rdm(axes, title, rdm)
        if labels is not None:
            _mark_categories(axes, labels, named=number % columns == 0)
    count = len(next(iter(rdms.values())))
    figure.supxlabel(f"{count} images, across as down", fontsize="medium")
    figure.supylabel("image", fontsize="medium")
    bar = figure.colorbar(image, ax=panels.tolist(), shrink=0.6)
    bar.set_label("dissimilarity (percentile)")
    return figure


def plot_heat_map(
    scores: np.ndarray,
    halves: np.ndarray,
    layers: Sequence[str],
    steps: Sequence[str],
    title: str,
) -> Figure:
    """Draws a score per layer and time step, and how sure it is.

    Args:
        scores: ``[layers, steps]``, NaN where there is none.
        halves: of the same shape, of the 95 % intervals; NaN where unknown.
        layers: names of the rows.
        steps: names of the columns.
        title: what the score is.

    Returns:
        A figure of one panel.
    """
    figure, axes = panel(2.8 + 0.75 * len(steps), 1.7 + 0.42 * len(layers))
    image = axes.imshow(np.ma.masked_invalid(scores), aspect="auto", cmap="magma")
    axes.set_xticks(range(len(steps)), steps)
    axes.set_yticks(range(len(layers)), layers, fontsize="small")
    axes.set(xlabel="time step", ylabel="layer")
    label_cells(image, ".2f", halves)
    figure.colorbar(image, ax=axes, label=title)
    if np.isfinite(halves).any():
        axes.set_title("±: half of the 95 % interval", fontsize="medium")
    return figure


def plot_score_bars(
    names: Sequence[str],
    scores: np.ndarray,
    intervals: np.ndarray,
    ceiling: tuple[float, float] | None,
    label: str,
) -> Figure:
    """Draws scores with confidence intervals below a noise ceiling.

    Args:
        names: of the bars.
        scores: ``[n]``.
        intervals: ``[n, 2]`` lower and upper ends; NaN where unknown.
        ceiling: lower and upper bound of the best possible score, or None if unknown.
        label: what the score is.

    Returns:
        A figure of one panel.
    """
    figure, axes = panel(max(5.0, 1.5 + len(names) / _BARS_PER_INCH), 3.6)
    place = np.arange(len(names))
    whiskers = np.abs(np.asarray(intervals).T - scores)
    axes.bar(place, scores, color="C0", yerr=whiskers, capsize=2)
    if ceiling is not None:
        axes.axhspan(*ceiling, color="0.6", alpha=0.5, linewidth=0, label="noise ceiling")
        axes.axhline(ceiling[0], color="0.4", linewidth=0.8)
        axes.legend(fontsize="small")
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set_xticks(place, names, rotation=60, ha="right", fontsize="small")
    axes.set(xlabel="layer", ylabel=label)
    axes.set_title("whiskers are 95 % intervals", fontsize="medium")
    return figure


def plot_regions(
    names: Sequence[str],
    scores: Mapping[str, np.ndarray],
    intervals: Mapping[str, np.ndarray],
    ceilings: Mapping[str, tuple[float, float] | None],
    label: str,
) -> Figure:
    """Draws layers against several regions: a line each, its noise ceiling in the same colour.

    Args:
        names: of the layers, in the model's order.
        scores: per region ``[n]``.
        intervals: per region ``[n, 2]`` lower and upper ends.
        ceilings: per region the bounds of the best possible score, or None if unknown.
        label: what the score is.

    Returns:
        A figure of a panel for every four regions; ceilings stand beside the lines, on the right.
    """
    regions = list(scores)
    parts = [regions[i : i + 4] for i in range(0, len(regions), 4)]
    width = max(3.6, 1.6 + 0.55 * len(names))
    figure = Figure(figsize=(width * len(parts) + 0.5, 4.2), layout="constrained")
    panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    limited = any(bounds is not None for bounds in ceilings.values())
    place = np.arange(len(names))
    for axes, part in zip(panels, parts, strict=True):
        for number, region in enumerate(part):
            offset = (number + 0.5) / len(part) - 0.5  # or the whiskers would hide each other
            style = line_style(number)
            whiskers = np.abs(np.asarray(intervals[region]).T - scores[region])
            axes.errorbar(
                place + 0.4 * offset, scores[region], whiskers, **style,
                markersize=4, linewidth=1.2, elinewidth=0.8, label=region,
            )  # fmt: skip
            if (bounds := ceilings[region]) is not None:
                x = len(names) + 0.25 + 0.7 * offset
                axes.plot([x, x], bounds, color=style["color"], linewidth=5, alpha=0.6)
        axes.axhline(0.0, color="black", linewidth=0.8)
        ticks, labels = [*place], [*names]
        if limited:
            axes.axvline(len(names) - 0.35, color="0.7", linewidth=0.8)
            ticks, labels = [*ticks, len(names) + 0.25], [*labels, "noise ceiling"]
        axes.set_xticks(ticks, labels, rotation=40, ha="right", fontsize="small")
        axes.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        axes.set_xlabel("layer")
    panels[0].set_ylabel(label)
    figure.suptitle("whiskers are 95 % intervals", fontsize="medium")
    return figure


def plot_mds(
    places: Mapping[str, np.ndarray], labels: ArrayLike, pictures: np.ndarray | None = None
) -> Figure:
    """Draws conditions as points, or small pictures, whose distances are their dissimilarities.

    Args:
        places: per title ``[n, 2]``, from multidimensional scaling.
        labels: ``[n]`` category of each condition: one colour each.
        pictures: ``[n, H, W, 3]`` uint8, one of each condition, framed in its category's colour.

    Returns:
        A figure with one panel per title.

    Raises:
        ValueError: there is none.
    """
    if not places:
        raise ValueError("nothing to plot: pass at least one embedding")
    rows, columns = -(-len(places) // _COLUMNS), min(_COLUMNS, len(places))
    figure = Figure(figsize=(max(5.0, 3.0 * columns), 3.2 * rows + 1.2), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    labels = np.asarray(labels)
    for axes, (title, points) in zip(panels, places.items(), strict=False):
        for number, label in enumerate(np.unique(labels)):
            chosen, style = points[labels == label], line_style(number)
            axes.scatter(*chosen.T, s=16, **style, linewidths=0, label=str(label))
            if pictures is None:
                continue
            for place, picture in zip(chosen, pictures[labels == label], strict=True):
                axes.add_artist(_thumbnail(picture, place, style["color"]))
        axes.set_title(fill(title, _TITLE_WIDTH), fontsize="medium")
        axes.set_aspect("equal", adjustable="datalim")
    for axes in panels:
        axes.set_axis_off()
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=max(2, columns), fontsize="small"
    )
    figure.suptitle("Distances approximate dissimilarities, without a unit", fontsize="medium")
    return figure


def _thumbnail(picture: np.ndarray, place: np.ndarray, colour: str) -> AnnotationBbox:
    edge = {"edgecolor": colour, "linewidth": 1.0}
    image = OffsetImage(picture, zoom=_THUMBNAIL_INCHES * 72 / len(picture))
    box = AnnotationBbox(image, tuple(place), pad=0.05, bboxprops=edge)
    box.set_in_layout(False)  # hundreds of them would be measured to place a few panels
    return box


def plot_fine_tuning(
    lines: Sequence[Mapping[str, Any]],
    rdms: Mapping[str, np.ndarray],
    score: str,
    recordings: str,
) -> Figure:
    """Draws the RDM loss and the similarity over steps, and RDMs of held-out conditions.

    Args:
        lines: of ``metrics.jsonl``: ``step``, ``split``, and of training ``rdm_loss``, of tests
            ``similarity`` and ``similarity_train`` with what they were before.
        rdms: per title ``[n, n]``.
        score: what the similarity is.
        recordings: what it is measured against.

    Returns:
        A figure of two curves and the matrices.
    """
    figure = Figure(figsize=(10, 6.8), layout="constrained")
    above, below = cast(Any, figure.subfigures(2, 1))
    loss, similarity = above.subplots(1, 2)
    train = [line for line in lines if line["split"] == "train"]
    tests = [line for line in lines if line["split"] == "test"]
    loss.plot([line["step"] for line in train], [line["rdm_loss"] for line in train])
    loss.set_ylabel("RDM loss")
    for key, label in (("similarity", "held-out images"), ("similarity_train", "training images")):
        if tests:
            steps = [0] + [line["step"] for line in tests]
            values = [tests[0][f"{key}_before"]] + [line[key] for line in tests]
            similarity.plot(steps, values, marker=".", label=label)
    similarity.set_ylabel(fill(f"{score}, {recordings}", 36))
    similarity.legend(fontsize="small")
    for axes in (loss, similarity):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
    panels = np.atleast_1d(below.subplots(1, len(rdms)))
    for axes, (title, rdm) in zip(panels, rdms.items(), strict=True):
        image = _draw_rdm(axes, title, rdm)
        axes.set(xlabel=f"{len(rdm)} images", ylabel="image")
    below.colorbar(image, ax=panels.tolist(), label="dissimilarity (percentile)", shrink=0.8)
    return figure


def _draw_rdm(axes: Axes, title: str, rdm: np.ndarray) -> AxesImage:
    axes.set_title(fill(title, _TITLE_WIDTH), fontsize="medium")
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(_in_percentiles(rdm), cmap="viridis", vmin=0, vmax=100)


def _in_percentiles(rdm: np.ndarray) -> np.ndarray:
    """Ranks of the entries off the diagonal, 0 to 100; the diagonal is 0."""
    rdm = np.asarray(rdm, np.float64)
    off = ~np.eye(len(rdm), dtype=bool)
    values = np.unique(rdm[off])
    shown = np.zeros_like(rdm)
    shown[off] = 100.0 * np.searchsorted(values, rdm[off]) / max(1, len(values) - 1)
    return shown


def _mark_categories(axes: Axes, labels: ArrayLike, named: bool) -> None:
    labels = np.asarray(labels)
    borders = np.flatnonzero(labels[1:] != labels[:-1]) + 0.5
    if named and len(borders) < _MOST_NAMED:
        ends = np.array([-0.5, *borders, len(labels) - 0.5])
        names = [str(labels[int(end + 0.5)]) for end in ends[:-1]]
        axes.set_yticks((ends[:-1] + ends[1:]) / 2, names, fontsize="small")
    for border in borders:
        axes.axhline(border, color="white", linewidth=0.5)
        axes.axvline(border, color="white", linewidth=0.5)
