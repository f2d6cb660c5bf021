"""The figures of a run."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from jaxbio.plotting.saving import save_figure
from jaxbio.runs.directory import RunDirectory


def save_figures(
    run: RunDirectory, figures: Mapping[str, Figure], folder: str = "report"
) -> list[Path]:
    """Saves figures as ``<folder>/<name>.png``, each as a whole or not at all.

    Pages and the board show the PNG; :func:`save_for_paper` writes another format beside it.

    Returns:
        The PNG files.
    """
    files = []
    for name, figure in figures.items():
        files.append(run.path / folder / f"{name}.png")
        save_figure(figure, files[-1])
        save_for_paper(figure, files[-1])
    return files


def save_for_paper(figure: Figure, png: Path) -> None:
    """Saves a figure beside its PNG in the format that ``jaxbio evaluate --format`` asks for.

    That is matplotlib's own setting ``savefig.format``; nothing is written where it is png.
    """
    suffix = matplotlib.rcParams["savefig.format"]
    if suffix != "png":
        save_figure(figure, png.with_suffix(f".{suffix}"))
