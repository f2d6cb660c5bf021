"""The figures of a finished run."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.ops.once import jit_once
from jaxbio.ops.v1 import constants_to_bank
from jaxbio.plotting.curves import plot_curves
from jaxbio.plotting.front_end import plot_v1
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.figures import save_figures
from jaxbio.runs.metrics_file import read_metrics
from jaxbio.runs.state import TrainState
from jaxbio.tasks.classification.opened import Classifier

_SHOWN = 64  # cells in the V1 figure


def write_report(run: RunDirectory, classifier: Classifier, state: TrainState) -> None:
    """Saves ``report/curves.png`` and, of models with a V1, ``report/v1.png``.

    The V1 is shown the first test image. With several processes there is no such figure: its arrays
    are spread over them.
    """
    model, lines = classifier.model, read_metrics(run.metrics_file, "loss", "top1")
    chance = 1 / classifier.arguments["num_classes"]
    figures = {"curves": plot_curves({run.path.name: lines}, chance)}
    if "v1" in state.constants and jax.process_count() == 1:
        v1 = {"params": state.params["v1"], "constants": state.constants["v1"]}
        image = next(iter(classifier.batches()))["image"][0]

        def respond(image: jax.Array) -> jax.Array:
            seen = classifier.preprocessing.normalise(image[None])
            if model.retina is not None:
                seen, _ = model.retina.apply({}, seen)
            return jnp.moveaxis(model.v1.apply(v1, seen)[1]["v1"][0], -1, 0)

        q0, _, _ = constants_to_bank(state.constants["v1"])
        cells = np.linspace(0, len(q0) - 1, min(_SHOWN, len(q0))).astype(int)
        maps = np.asarray(jit_once(respond)(jnp.asarray(image)))
        figures["v1"] = plot_v1(image / 255.0, q0[cells].sum(1), maps[cells])
    save_figures(run, figures)
