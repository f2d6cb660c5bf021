"""Saunders et al. 2019: the n-gram readout, and accuracy after deletions, for LC, C and FC.

What is compared of a network with parts deleted is the share of its accuracy that is left: the
paper's networks are larger, and learn from 60,000 presentations. The values are those of the
authors' program for its figure; in the paper they have no numbers.
"""

import dataclasses
import math
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbio.ops.encoding import unpack
from jaxbio.reproduce.spiking import MNIST, NETWORKS, train_row
from jaxbio.reproduce.statistics import mean_of
from jaxbio.reproduce.table import Context, Measured, OutOfTimeError, Published, Row, Table
from jaxbio.spiking import active_pixels
from jaxbio.spiking.accuracy import Accuracy, measure_accuracy
from jaxbio.spiking.lesions import delete_neurons, delete_synapses
from jaxbio.spiking.ngrams import firing_order, fit_ngrams
from jaxbio.spiking.presentation import present
from jaxbio.spiking.readouts import predicted_labels, votes_from_counts, voting_scores
from jaxbio.tasks.stdp.data import part_key
from jaxbio.tasks.stdp.registry import find_network
from jaxbio.tasks.stdp.saved import SavedNetwork, open_network

_NETWORKS = ("lc_100_12", "c_25_12", "fc_100")
_SHARES = (0.3, 0.5, 0.7, 0.9)
_DELETE = {"synapses": delete_synapses, "neurons": delete_neurons}
# Accuracy with 0, 30, 50, 70 and 90 % deleted, per cent: means, and standard deviations.
_PUBLISHED = {
    ("lc_100_12", "synapses"): ((93.38, 89.96, 86.51, 77.57, 56.09), (0.12, 0.46, 0.41, 0.67, 2.1)),
    ("lc_100_12", "neurons"): ((93.42, 92.66, 91.59, 88.69, 77.04), (0.14, 0.08, 0.17, 0.66, 2.94)),
    ("fc_100", "synapses"): ((93.46, 87.62, 82.49, 72.21, 48.77), (1.07, 1.73, 2.42, 5.51, 5.91)),
    ("fc_100", "neurons"): ((93.44, 91.94, 89.79, 84.74, 66.77), (1.1, 1.3, 1.65, 2.16, 5.03)),
}
_IMAGES = {"calibration": 5000, "test": 2000}  # of the n-gram readout, which keeps every spike
_TEST = 2000  # images that a network with parts deleted sees
_TOGETHER = 50
_N = 2
_NONE = "not in the paper"


def _rows(context: Context) -> Sequence[Row]:
    rows = []
    for name in _NETWORKS:
        title = NETWORKS[name].title
        known = "values wanted" if (name, "synapses") in _PUBLISHED else _NONE
        text = f"all_voting, {_TEST} test images, nothing deleted"
        rows.append(
            Row(f"{title}, intact", text, _intact(name), detail=(name, "", 0.0), unpublished=known)
        )
        for what in _DELETE:
            scaled = " and the others scaled to the same sum" if what == "synapses" else ""
            for share in _SHARES:
                text = (
                    f"share left of the accuracy by all_voting with the intact network's votes, "
                    f"{share:.0%} of {what} deleted{scaled}, {_TEST} test images"
                )
                rows.append(
                    Row(
                        f"{title}, {share:.0%} of {what} deleted",
                        text,
                        _left(name, what, share),
                        detail=(name, what, share),
                        unpublished=known,
                    )
                )
        text = f"{_N}-grams of {_IMAGES['calibration']} calibration images, {_IMAGES['test']} test"
        rows.append(
            Row(f"{title}, {_N}-gram readout", text, detail=(name, None, 0.0), unpublished=known)
        )
    return rows


def _intact(name: str) -> tuple[Published, ...]:
    if (name, "synapses") not in _PUBLISHED:
        return ()
    means, spreads = _PUBLISHED[name, "synapses"]
    return (Published(round(means[0] / 100, 4), round(spreads[0] / 100, 4), "a larger network"),)


def _left(name: str, what: str, share: float) -> tuple[Published, ...]:
    if (name, what) not in _PUBLISHED:
        return ()
    means, spreads = _PUBLISHED[name, what]
    place = 1 + _SHARES.index(share)
    left = means[place] / means[0]
    spread = left * math.hypot(spreads[place] / means[place], spreads[0] / means[0])
    return (Published(round(left, 4), round(spread, 4)),)


def _measure(row: Row, context: Context) -> Measured:
    name, what, share = row.detail
    _, run = train_row(name, context)
    scores, accuracies = [], []
    for member in range(context.seeds):
        if context.left() <= 0:
            raise OutOfTimeError
        saved = dataclasses.replace(_opened(run), member=member)
        score = _ngrams(saved) if what is None else _lesioned(saved, what, share)
        whole = _lesioned(saved, "", 0.0).accuracy if share else 1.0
        accuracies.append(score.accuracy)
        scores.append((score.accuracy / whole, score.error / whole))
    values = np.array([value for value, _ in scores])
    more = {"seeds": values.tolist(), "accuracy": accuracies}
    return mean_of(values, scores[-1][1], more=more)


@lru_cache(maxsize=1)
def _opened(run: Path) -> SavedNetwork:
    """Once for all rows, so that they share what is compiled."""
    entry = find_network(run.parent, run.name)
    return open_network(entry, changes={"spiking.test_images": _TEST})


def _lesioned(saved: SavedNetwork, what: str, share: float) -> Accuracy:
    """With the votes of the intact network: nothing is calibrated again."""
    calibration = saved.activity("calibration")
    if share:
        member, state = saved.member, saved.state
        key = jax.random.fold_in(jax.random.key(saved.task.members[member].seed), 7)
        weights = _DELETE[what](saved.weights, key, share)
        if len(saved.task.members) > 1:
            weights = jax.tree.map(lambda all, one: all.at[member].set(one), state.weights, weights)
        counts, labels = saved.task.activity(state.replace(weights=weights), "test", member)
    else:
        counts, labels = saved.activity("test")
    votes = votes_from_counts(calibration[0], calibration[1], len(saved.class_names))
    return measure_accuracy(predicted_labels(voting_scores(counts, votes, "all_voting")), labels)


def _ngrams(saved: SavedNetwork) -> Accuracy:
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
    source="arXiv 1904.06269; deletions: the program of figures/lcsnn_robustness.png in "
    "github.com/BINDS-LAB-UMASS/bindsnet_experiments (the paper's figure has no numbers)",
    needs=(MNIST,),
    took="about 10 min of a CPU for one seed",
    rows=_rows,
    measure=_measure,
    about=(
        "their LC networks have the same windows (12 x 12 pixels, stride 4, 20 x 20 pixels) and "
        "learn from 60,000 presentations; FC is their baseline of one layer; the program does not "
        "say how many neurons they had",
        "2-grams: values wanted, no text of the paper with its tables was found; every two "
        "neighbours in the order of firing count, BindsNET's program leaves out the last",
    ),
)
