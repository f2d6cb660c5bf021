"""Saunders et al. 2019: the n-gram readout, and accuracy after deletions, for LC, C and FC.

The networks are those of the table ``spiking`` (the paper's are larger, on 28 x 28 pixels): the
paper's accuracies under deletion are figures without numbers, so that none stands here to be
reached; what can be seen is whether degradation is graceful, and in which of the three.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxbio.ops.encoding import unpack
from jaxbio.reproduce.spiking import MNIST, NETWORKS, trained
from jaxbio.reproduce.statistics import mean_of
from jaxbio.reproduce.table import Context, Measured, OutOfTimeError, Row, Table
from jaxbio.spiking import active_pixels
from jaxbio.spiking.accuracy import measure_accuracy
from jaxbio.spiking.lesions import delete_neurons, delete_synapses
from jaxbio.spiking.ngrams import firing_order, fit_ngrams
from jaxbio.spiking.presentation import present
from jaxbio.spiking.readouts import predicted_labels, votes_from_counts, voting_scores
from jaxbio.tasks.stdp.data import part_key

_NETWORKS = ("lc_25_12", "c_25_12", "fc_100")
_SHARES = (0.25, 0.5, 0.75, 0.9)
_DELETE = {"synapses": delete_synapses, "neurons": delete_neurons}
_IMAGES = {"calibration": 5000, "test": 2000}  # of the n-gram readout, which keeps every spike
_TOGETHER = 50
_N = 2


def _rows(context: Context) -> Sequence[Row]:
    rows = []
    for name in _NETWORKS:
        title = NETWORKS[name].title
        text = f"{_N}-grams of {_IMAGES['calibration']} calibration images, {_IMAGES['test']} test"
        rows.append(Row(f"{title}, {_N}-gram readout", text, detail=(name, None, 0.0)))
        rows.append(
            Row(f"{title}, intact", "all_voting, nothing deleted", detail=(name, "synapses", 0.0))
        )
        for what in _DELETE:
            for share in _SHARES:
                text = f"all_voting with the intact network's votes, {share:.0%} of {what} deleted"
                rows.append(
                    Row(f"{title}, {share:.0%} of {what} deleted", text, detail=(name, what, share))
                )
    return rows


def _measure(row: Row, context: Context) -> Measured:
    from pathlib import Path

    from jaxbio.tasks.stdp.registry import find_network
    from jaxbio.tasks.stdp.saved import open_network

    name, what, share = row.detail
    _, run = trained(name, context)
    entry = find_network(Path(run).parent, Path(run).name)
    values, error = [], 0.0
    for member in range(context.seeds):
        if context.left() <= 0:
            raise OutOfTimeError
        saved = open_network(entry, member=member)
        score = _ngrams(saved) if what is None else _lesioned(saved, what, share)
        values.append(score.accuracy)
        error = score.error
    return mean_of(np.array(values), error, more={"seeds": values})


def _lesioned(saved: Any, what: str, share: float) -> Any:
    """With the votes of the intact network: nothing is calibrated again."""
    calibration = saved.activity("calibration")
    if share:
        key = jax.random.fold_in(jax.random.key(saved.task.members[saved.member].seed), 7)
        weights = _DELETE[what](saved.weights, key, share)
        task = dataclasses.replace(saved.task, members=[saved.task.members[saved.member]])
        parameters = jax.tree.map(lambda v: v[saved.member : saved.member + 1], task.parameters)
        task = dataclasses.replace(task, parameters=parameters)
        counts, labels = task.activity(saved.state.replace(weights=weights), "test")
    else:
        counts, labels = saved.activity("test")
    votes = votes_from_counts(calibration[0], calibration[1], len(saved.class_names))
    return measure_accuracy(predicted_labels(voting_scores(counts, votes, "all_voting")), labels)


def _ngrams(saved: Any) -> Any:
    orders, labels = {}, {}
    for part, count in _IMAGES.items():
        images, all_labels = getattr(saved.task.pictures, part)
        rng = np.random.default_rng([saved.task.members[saved.member].seed, len(part)])
        chosen = rng.choice(len(images), min(count, len(images)), replace=False)
        orders[part], labels[part] = _orders(saved, part, images[chosen]), all_labels[chosen]
    readout = fit_ngrams(orders["calibration"], labels["calibration"], saved.network.neurons, _N)
    return measure_accuracy(readout.predict(orders["test"]), labels["test"])


def _orders(saved: Any, part: str, levels: np.ndarray) -> list[np.ndarray]:
    network, key = saved.network, part_key(part, saved.task.members[saved.member].seed)
    encoder = saved.task.encoder

    @jax.jit
    def spikes(levels: jax.Array, numbers: jax.Array) -> jax.Array:
        keys = jax.vmap(partial(jax.random.fold_in, key))(numbers)
        words = active_pixels.encode(encoder, keys, levels)

        def one(words: jax.Array) -> jax.Array:
            x = unpack(words, network.steps)
            _, recording, _ = present(network, saved.parameters, saved.weights, x, record=True)
            assert recording.spikes is not None  # recorded
            return recording.spikes

        return jax.vmap(one)(words)

    orders = []
    for start in range(0, len(levels), _TOGETHER):
        some = levels[start : start + _TOGETHER]
        padded = np.zeros((_TOGETHER, levels.shape[1]), levels.dtype)
        padded[: len(some)] = some
        numbers = np.arange(start, start + _TOGETHER, dtype=np.int32)
        orders += [firing_order(one) for one in np.asarray(spikes(padded, numbers))[: len(some)]]
    return orders


TABLE = Table(
    title="n-gram readout and graceful degradation (Saunders et al. 2019)",
    source="arXiv 1904.06269; its accuracies under deletion are figures without numbers",
    needs=(MNIST,),
    took="",
    rows=_rows,
    measure=_measure,
    about=(
        "every n neighbours in the order of firing count; BindsNET's program leaves out the last",
    ),
)
