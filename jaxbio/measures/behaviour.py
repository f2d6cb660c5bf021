"""answers in 16 categories beside people's (docs/behaviour.md)

The stimuli are a folder in model-vs-human's layout, people's answers its CSV files. Besides
``evaluation/behaviour_EXPERIMENT.json`` there are the network's own answers as such a CSV, and a
figure in ``report/``.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxbio.errors import InputError
from jaxbio.measures.measure import a_list, network_identity, never, publish, result_file, told
from jaxbio.runs.progress import format_table

if TYPE_CHECKING:
    import numpy as np

    from jaxbio.behaviour.trials import Stimulus
    from jaxbio.tasks.classification.opened import Session

NAME = "behaviour"


def options(add: Any) -> None:
    """The measure's flags."""
    add("--stimuli", metavar="FOLDER", help="images, in folders of the 16 categories or published")
    add("--humans", **a_list(), help="CSV files or folders of them")
    add("--experiment", metavar="NAME", help="published name; default: the folder's")


needs_data = never


def run(session: "Session", options: argparse.Namespace) -> dict[str, Any]:
    """Shows the network every stimulus, and compares; writes JSON, CSV and the figure.

    Raises:
        InputError: no stimuli, files of answers that do not fit them, a network that has neither
            ImageNet's 1,000 classes nor the 16 categories.
    """
    import jax
    import numpy as np

    from jaxbio import behaviour
    from jaxbio.behaviour.categories import CATEGORIES
    from jaxbio.behaviour.trials import image_id
    from jaxbio.plotting.behaviour import plot_behaviour
    from jaxbio.runs.figures import save_figures

    if options.stimuli is None:
        raise InputError("--stimuli is missing: give the folder of images that people saw")
    experiment = options.experiment or Path(options.stimuli).resolve().name
    _check_classes(session)
    stimuli = behaviour.read_stimuli(options.stimuli)
    people = behaviour.read_trials(options.humans) if options.humans else None
    observer = session.run.path.name
    if people is not None:
        there = {image_id(s.path.name) for s in stimuli}
        seen = {image_id(image) for image in people.image.tolist()}
        if seen - there:
            raise InputError(
                f"--humans: {sorted(seen - there)[0]} and {len(seen - there) - 1} more images are "
                f"not in {options.stimuli}"
            )
        stimuli = [s for s in stimuli if image_id(s.path.name) in seen]
        guess = np.zeros((len(stimuli), len(CATEGORIES)))  # finds out before the network runs
        behaviour.benchmark(behaviour.model_trials(observer, stimuli, guess), people, experiment)
    trials = behaviour.model_trials(observer, stimuli, _probabilities(session, stimuli))
    result = {
        **network_identity(session),
        "experiment": experiment,
        "stimuli": str(options.stimuli),
        "images": len(stimuli),
        "accuracy": behaviour.accuracy(trials),
        "conditions": {
            c: {"accuracy": behaviour.accuracy(trials.of(condition=c))} for c in trials.conditions
        },
        "confusion": {
            "answers": [*CATEGORIES, "na"],
            "shares": [
                [None if np.isnan(v) else v for v in r] for r in behaviour.confusion(trials)
            ],
        },
    }
    if experiment == "cue-conflict":
        result["shape_bias"] = behaviour.shape_bias(trials)
    if people is not None:
        result |= {"people": people.subjects, **behaviour.benchmark(trials, people, experiment)}
        if experiment == "cue-conflict":
            result["human_shape_bias"] = behaviour.shape_bias(people)
    for condition, cell in result["conditions"].items():
        cell["images"] = len(trials.of(condition=condition))
    name = f"{NAME}_{experiment}"
    if jax.process_index() == 0:
        behaviour.write_trials(result_file(session, name).with_suffix(".csv"), trials)
        save_figures(session.run, {name: plot_behaviour(result)})
    publish(session, name, result, _table(result))
    return result


def _table(result: dict[str, Any]) -> str:
    heads = {
        "accuracy": "accuracy",
        "human_accuracy": "people's",
        "error_consistency": "error consistency",
        "human_error_consistency": "among people",
        "observed_consistency": "observed consistency",
        "accuracy_difference": "accuracy difference",
    }
    shown = [key for key in heads if result.get(key) is not None]
    rows = [("condition", *(heads[key] for key in shown))]
    for condition, cell in result["conditions"].items():
        left_out = " (left out)" if condition in result.get("excluded", ()) else ""
        rows.append((f"{condition}{left_out}", *(_number(cell.get(key)) for key in shown)))
    rows.append(("together", *(_number(result[key]) for key in shown)))
    if ends := result.get("intervals"):
        rows.append(("95 % interval", *(_ends(ends.get(key)) for key in shown)))
    text = format_table(rows)
    for key, of in (("shape_bias", "shape bias"), ("human_shape_bias", "shape bias of people")):
        if key in result:
            text += f"\n{of}: {_number(result[key]['shape_bias'])}"
    return text


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _ends(interval: "tuple[float, float] | None") -> str:
    return "" if interval is None else f"{interval[0]:.3f} - {interval[1]:.3f}"


def _check_classes(session: "Session") -> None:
    from jaxbio.behaviour import CATEGORIES

    classes = session.arguments["num_classes"]
    if classes != 1000 and tuple(session.class_names or ()) != CATEGORIES:
        raise InputError(
            f"{session.run.path} has {classes} classes: --mode=behaviour needs ImageNet's 1,000, "
            f"or the 16 categories {', '.join(CATEGORIES)}"
        )


def _probabilities(session: "Session", stimuli: "list[Stimulus]") -> "np.ndarray":
    """Of the 16 categories, ``[stimuli, 16]``."""
    import dataclasses

    import numpy as np

    from jaxbio.behaviour import category_probabilities
    from jaxbio.data.settings import read_settings
    from jaxbio.features.pictures import given_pictures
    from jaxbio.measures.predictions import predict

    pictures = given_pictures([s.path for s in stimuli])
    settings = dataclasses.replace(read_settings(session.config.data), max_bad_files=0)
    batches = pictures.batches(settings, session.config.eval.batch_size)
    found = predict(session, told(batches, len(stimuli)))
    return found if found.shape[1] != 1000 else np.asarray(category_probabilities(found))
