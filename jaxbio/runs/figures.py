"""The figures of a run."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from jaxbio.plotting.saving import save_figure
from jaxbio.runs.directory import RunDirectory


def save_figures(run: RunDirectory, figures: Mapping[str, Figure]) -> list[Path]:
    """Saves figures as ``report/<name>.png``, each as a whole or not at all."""
    files = []
    for name, figure in figures.items():
        files.append(run.path / "report" / f"{name}.png")
        save_figure(figure, files[-1])
    return files
