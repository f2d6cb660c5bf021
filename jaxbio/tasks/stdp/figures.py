"""The figures of a network and of one presentation: from its objects to the arrays of the plots."""

import jax
import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting import spiking as plots
from jaxbio.plotting.spiking_scores import plot_scores, plot_votes
from jaxbio.spiking.accuracy import votes_distribution
from jaxbio.spiking.classify import Outcome
from jaxbio.spiking.network import Network, Parameters, Weights, published_order

_SHOWN_VOTERS = 5


def weight_planes(network: Network, weights: Weights) -> np.ndarray:
    """The weights from X to Y as pictures, ``[filters, rows, columns, kernel, kernel]``.

    Rows and columns are those of the positions; 1 by 1 where positions share weights.
    """
    side = 1 if network.shared else network.side
    planes = np.asarray(weights.xy).reshape(side, side, network.kernel, network.kernel, -1)
    return np.moveaxis(planes, -1, 0)


def filter_competition(network: Network, weights: Weights) -> np.ndarray | None:
    """Trained lateral weights between filters, ``[filters, filters]``: their mean over positions.

    None where competition is fixed.
    """
    if weights.yy is None:
        return None
    shape = (network.filters, network.positions) * 2
    return np.einsum("fpgp->fg", np.asarray(weights.yy).reshape(shape)) / network.positions


def network_figures(
    network: Network, parameters: Parameters, weights: Weights, votes: np.ndarray | None
) -> dict[str, Figure]:
    """What can be drawn of a network that is at rest, by name.

    ``weights`` and ``stdp`` (from X to Y); with trained competition ``competition_histogram``,
    ``competition`` (drawn over the weights) and ``competition_stdp``; with ``votes`` ``[classes,
    filters, rows, columns]``, which are None where it is not calibrated, ``votes``.
    """
    planes = weight_planes(network, weights)
    numbers = jax.tree.map(float, parameters)
    figures = {
        "weights": plots.plot_weights(planes, title="weights from X to Y"),
        "stdp": plots.plot_stdp_curve(
            numbers.depression, numbers.potentiation, numbers.tau_x, numbers.tau_neg, unit=""
        ),
    }
    if weights.yy is not None:
        figures["competition_histogram"] = plots.plot_competition_histogram(
            np.asarray(weights.yy), network.same_position()
        )
        figures["competition"] = plots.plot_weights(
            planes,
            competition=filter_competition(network, weights),
            title="the stronger half of trained competition",
        )
        figures["competition_stdp"] = plots.plot_stdp_curve(
            numbers.a_pos, numbers.a_neg, numbers.tau_pos, numbers.tau_neg
        )
    if votes is not None and np.any(votes):
        figures["votes"] = plot_votes(*votes_distribution(votes))
    return figures


def presentation_figures(
    network: Network,
    parameters: Parameters,
    weights: Weights,
    outcome: Outcome,
    key: jax.Array,
) -> dict[str, Figure]:
    """What a network did while it was shown an image, by name.

    ``scores``, ``spikes``, ``best_voters_spikes``, ``best_voters_weights``,
    ``best_voters_voltages``, ``random_neuron_voltage``, which ``key`` draws, and ``activity``
    (counts over the weights). The best voters of the outcome's label are the neurons that added
    most to its score (without a label those that spiked most).
    """
    counts, spikes, v = (np.asarray(values) for values in outcome.recording)
    label, votes = outcome.label, outcome.votes
    share = counts if label < 0 else counts * votes[label].reshape(-1)
    best = np.argsort(-share, kind="stable")[:_SHOWN_VOTERS]
    names = [_neuron_name(network, neuron) for neuron in best]
    theta = np.asarray(published_order(weights.theta))
    threshold = float(parameters.threshold) + theta
    chosen = np.array([int(jax.random.randint(key, (), 0, network.neurons))])
    planes = weight_planes(network, weights)
    fields = np.broadcast_to(
        planes, (network.filters, network.side, network.side, *planes.shape[3:])
    ).reshape(network.neurons, *planes.shape[3:])
    per_filter = counts.reshape(network.filters, -1).sum(1)
    classes = [str(number) for number in range(len(votes))]
    return {
        "scores": plot_scores(outcome.scores, classes, label),
        "spikes": plots.plot_spikes(spikes, network.dt, title=f"{int(counts.sum())} spikes of Y"),
        "best_voters_spikes": plots.plot_spikes(
            spikes[:, best], network.dt, names, title="spikes of the best voters"
        ),
        "best_voters_weights": plots.plot_voter_weights(fields[best], names),
        "best_voters_voltages": plots.plot_voltages(
            v[:, best], spikes[:, best], threshold[best], names, network.dt
        ),
        "random_neuron_voltage": plots.plot_voltages(
            v[:, chosen],
            spikes[:, chosen],
            threshold[chosen],
            [_neuron_name(network, chosen[0])],
            network.dt,
        ),
        "activity": plots.plot_weights(planes, counts=per_filter, title="spikes per filter"),
    }


def _neuron_name(network: Network, neuron: int) -> str:
    number, position = divmod(int(neuron), network.positions)
    row, column = divmod(position, network.side)
    return f"filter {number} at ({row}, {column})"
