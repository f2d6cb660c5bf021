"""The report of a run of spiking networks: figures of what it learned, and of a search."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting.spiking_scores import plot_search
from jaxbio.spiking.figures import network_figures
from jaxbio.spiking.network import Network, Parameters, Weights


def stdp_figures(
    network: Network, parameters: Parameters, weights: Weights, votes: np.ndarray
) -> dict[str, Figure]:
    """Figures of one network at rest, by file name."""
    figures = network_figures(network, parameters, weights, votes)
    return {name.replace(" ", "_"): figure for name, figure in figures.items()}


def search_figures(population: list[dict[str, Any]], readout: str) -> dict[str, Figure]:
    """Heat maps of a population's accuracy over every pair of the parameters that vary.

    Args:
      population: of ``results.json``: parameters and ``readouts`` of every member.
      readout: whose accuracy.
    """
    names = [name for name in population[0] if name not in ("seed", "readouts")]
    accuracies = [member["readouts"][readout]["accuracy"] for member in population]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return {
        f"search_{a}_{b}": plot_search(
            [member[a] for member in population],
            [member[b] for member in population],
            accuracies,
            a,
            b,
        )
        for a, b in pairs
    }
