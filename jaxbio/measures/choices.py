"""two-choice behaviour beside people's: i2 and i2n (docs/behaviour.md)

The pictures lie in folders by object. People's trials are a CSV: the picture that was shown, the
object that was offered beside its own, and the choice. Where the network's classes are not the
objects, a logistic readout of a layer learns them from the pictures that no trial has.
"""

import argparse
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.measures.measure import a_list, network_identity, never, publish, told
from jaxbio.runs.progress import format_table

if TYPE_CHECKING:
    import numpy as np

    from jaxbio.data import Source
    from jaxbio.tasks.classification.opened import Session

NAME = "choices"
_MOST_HALVES = 10_000


def options(add: Any) -> None:
    """The measure's flags."""
    add("--stimuli", metavar="FOLDER", help="pictures, in folders by object")
    add("--trials", **a_list(), help="CSV files: image, distractor, choice")
    add(
        "--layer",
        default="penultimate",
        metavar="NAME",
        help="of the readout; default: %(default)s",
    )
    add("--halves", type=int, default=100, metavar="N", help="of the trials; default: %(default)s")


needs_data = never


def run(session: "Session", options: argparse.Namespace) -> dict[str, Any]:
    """Shows the network the pictures, and compares; prints the table, writes JSON.

    Raises:
        InputError: no pictures or trials, trials of other pictures or objects, or no picture left
            to fit the readout to.
    """
    import numpy as np

    from jaxbio.behaviour.choices import read_choices
    from jaxbio.data import open_source
    from jaxbio.data.splits import labels_of
    from jaxbio.similarity import Trials, human_confusions

    if options.stimuli is None or not options.trials:
        missing = "--stimuli" if options.stimuli is None else "--trials"
        raise InputError(f"{missing} is missing: give the pictures by object, and people's trials")
    if not 2 <= options.halves <= _MOST_HALVES:
        raise InputError(f"--halves={options.halves}: use 2 to {_MOST_HALVES}")
    source = open_source(SimpleNamespace(source="folder", data_dir=options.stimuli))
    objects = source.class_names
    names = [source.eval.example_name(i) for i in range(source.num_eval)]
    image, distractor, choice = read_choices(options.trials).numbered(names, objects)
    shown, image = np.unique(image, return_inverse=True)
    truth = labels_of(source.eval)[shown]
    trials = Trials(image, distractor, choice)
    human_confusions(trials, truth, len(objects))  # finds out before the network runs
    probabilities, how = _probabilities(session, source, shown, options.layer)
    orders = [
        np.random.default_rng((0, half)).permutation(len(image)) for half in range(options.halves)
    ]
    result = {
        **network_identity(session),
        "stimuli": str(options.stimuli),
        "images": len(shown),
        "objects": len(objects),
        "trials": len(image),
        "readout": how,
        "scores": {
            name: _consistency(probabilities, trials, truth, orders, normalise)
            for name, normalise in (("i2", False), ("i2n", True))
        },
    }
    publish(session, NAME, result, _table(result))
    return result


def _table(result: dict[str, Any]) -> str:
    rows = [("", "consistency", "of half with half", "share of the ceiling", "95 %")]
    for name, score in result["scores"].items():
        ends = f"{score['low']:.3f} - {score['high']:.3f}"
        rows.append((name, *(f"{score[key]:.3f}" for key in ("raw", "halves", "score")), ends))
    counts = f"{result['trials']} trials, {result['images']} pictures, {result['objects']} objects"
    return f"{format_table(rows)}\n{counts}; answers: {result['readout']}"


def _consistency(
    probabilities: "np.ndarray", trials: Any, truth: "np.ndarray", orders: Any, normalise: bool
) -> dict[str, float]:
    """Mean over random halves of the trials, and the middle 95 % of them."""
    import numpy as np

    from jaxbio.similarity import ceiled, i2n_consistency

    raw, halves = i2n_consistency(probabilities, trials, truth, orders, normalise=normalise)
    if not (np.asarray(halves) > 0).all():
        raise InputError(
            f"one half of the {len(trials.image)} trials does not predict the other (r "
            f"{float(np.mean(halves)):.3f} on average): more trials are needed"
        )
    shares = np.asarray(ceiled(raw, halves, "root"))
    low, high = np.percentile(shares, (2.5, 97.5))
    return {
        "score": float(shares.mean()),
        "low": float(low),
        "high": float(high),
        "raw": float(np.mean(raw)),
        "halves": float(np.mean(halves)),
    }


def _probabilities(
    session: "Session", source: "Source", shown: "np.ndarray", layer: str
) -> tuple["np.ndarray", str]:
    """Of every object for the pictures ``shown``, and where they are from, in words."""
    import dataclasses

    import numpy as np

    from jaxbio.data.settings import read_settings
    from jaxbio.data.splits import labels_of, taken
    from jaxbio.features.pictures import test_pictures
    from jaxbio.measures.predictions import predict
    from jaxbio.similarity import fit_readout

    settings = dataclasses.replace(read_settings(session.config.data), max_bad_files=0)
    size = session.config.eval.batch_size

    def pictures(index: "np.ndarray") -> Any:
        part = dataclasses.replace(source, eval=taken(source.eval, index))
        return told(test_pictures(part).batches(settings, size), len(index))

    known = read_json(session.run.config_file).get("resolved", {}).get("class_names") or []
    if set(source.class_names) <= set(known):
        found = predict(session, pictures(shown))
        return found[:, [known.index(name) for name in source.class_names]], "the network's classes"
    labels = labels_of(source.eval)
    others = np.setdiff1d(np.arange(source.num_eval), shown)
    missing = set(range(source.num_classes)) - set(labels[others].tolist())
    if missing:
        name = source.class_names[min(missing)]
        raise InputError(
            f"{session.run.path} does not know the objects, and the readout that would learn them "
            f"has no picture of {name!r}: --stimuli needs pictures without trials, too"
        )
    features = {
        part: _features(session, pictures(index), layer)
        for part, index in (("others", others), ("shown", shown))
    }
    readout = fit_readout(features["others"], labels[others], source.num_classes, name=layer)
    how = f"logistic readout of {layer}, learned from {len(others)} other pictures"
    return np.asarray(readout(features["shown"])), how


def _features(session: "Session", batches: Any, layer: str) -> "np.ndarray":
    """``[pictures, units]``, of recurrent layers the last step."""
    import numpy as np

    from jaxbio.features import Extractor, FeatureRequest

    extractor = Extractor(
        session.model, session.variables, FeatureRequest(layer, times="last"),
        session.preprocessing, mesh=session.mesh, noise_seed=session.config.seed,
    )  # fmt: skip
    found = [
        features[layer].reshape(len(features[layer]), -1)[batch["mask"]]
        for batch, features in extractor.stream(batches)
    ]
    return np.concatenate(found)
