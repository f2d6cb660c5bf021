"""A saved network, opened: shown pictures, and reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from matplotlib.figure import Figure

from jaxbio.data.types import ArraySplit
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.options import set_key
from jaxbio.runs.checkpoints import load_variables
from jaxbio.runs.html import write_page
from jaxbio.spiking.accuracy import Accuracy
from jaxbio.spiking.classify import Outcome, classify
from jaxbio.spiking.network import Network, Parameters, Weights
from jaxbio.spiking.readouts import votes_from_counts
from jaxbio.tasks.config import check_config, restored_config
from jaxbio.tasks.stdp.activity import Counts, content_digest, recorded_counts
from jaxbio.tasks.stdp.data import fit_pictures
from jaxbio.tasks.stdp.figures import network_figures, presentation_figures
from jaxbio.tasks.stdp.registry import Entry
from jaxbio.tasks.stdp.report import (
    accuracy_rows,
    measure_readouts,
    score_figures,
    training_figure,
)
from jaxbio.tasks.stdp.state import SpikingState
from jaxbio.tasks.stdp.task import Stdp

# What is made of the counts does not change them; what came before is in the weights.
_NOT_OF_ACTIVITY = (
    "readout",
    "top_n",
    "train_images",
    "images_per_step",
    "start_from",
    "start_member",
)


@dataclass(frozen=True)
class SavedNetwork:
    """One network of a run.

    Attributes:
        entry: its name and run directory.
        task: of the run's configuration.
        state: as saved.
        member: which one of a population.
    """

    entry: Entry
    task: Stdp
    state: SpikingState
    member: int

    @property
    def network(self) -> Network:
        """The shape."""
        return self.task.network

    @property
    def parameters(self) -> Parameters:
        """The numbers of this member."""
        return jax.tree.map(lambda value: value[self.member], self.task.parameters)

    @property
    def weights(self) -> Weights:
        """The weights of this member."""
        return self.task.weights(self.state, self.member)

    @property
    def votes(self) -> np.ndarray | None:
        """``[classes, filters, rows, columns]``; None before the first test."""
        if not int(self.state.calibrated):
            return None
        votes = np.asarray(self.state.votes)
        return votes if len(self.task.members) == 1 else votes[self.member]

    @property
    def class_names(self) -> list[str]:
        """Of the data."""
        return self.task.source.class_names

    @property
    def picture_size(self) -> int:
        """Side of the data's pictures, before they are fitted to the network's input."""
        return cast(ArraySplit, self.task.source.eval).images.shape[1]

    def fitted(self, picture: np.ndarray) -> np.ndarray:
        """A picture of the data's size, ``[H, H]`` uint8, as the network sees it."""
        crop = self.network.crop
        return fit_pictures(picture[None, :, :, None], crop).reshape(crop, crop)

    def random_picture(self, label: int, seed: int) -> tuple[int, np.ndarray]:
        """A test image of a label: its number and uint8 ``[crop, crop]``.

        Raises:
            InputError: no test image has this label.
        """
        pictures, labels = self.task.pictures.test
        candidates = np.flatnonzero(labels == label)
        if len(candidates) == 0:
            known = ", ".join(map(str, np.unique(labels)))
            raise InputError(f"--label={label}: the test images have labels {known}")
        number = int(np.random.default_rng(seed).choice(candidates))
        return number, pictures[number].reshape(self.network.crop, self.network.crop)

    def classify(
        self,
        picture: np.ndarray,
        seed: int,
        readout: str = "patch_voting",
        top_n: int = 1,
        votes: np.ndarray | None = None,
    ) -> Outcome:
        """Classifies a fitted picture.

        Args:
            picture: uint8 ``[crop, crop]``.
            seed: of the encoding.
            readout: one of ``jaxbio.spiking.readouts.VOTING``.
            top_n: of the readout ``top_n``.
            votes: None takes the saved ones.

        Raises:
            InputError: a network without votes, an unknown readout.
        """
        votes = self.votes if votes is None else votes
        if votes is None:
            raise InputError(
                f"{self.entry.name} at step {int(self.state.step)} is not calibrated and cannot "
                "vote: repeat the train.py command, which tests at its end, or choose another "
                "--checkpoint"
            )
        encoding, _ = jax.random.split(jax.random.key(seed))
        return classify(
            self.network,
            self.parameters,
            self.weights,
            votes,
            picture,
            encoding,
            readout=readout,
            top_n=top_n,
            encoder=self.task.config.spiking.encoder,
        )

    def figures(self, outcome: Outcome, seed: int) -> dict[str, Figure]:
        """The figures of a presentation; ``seed`` chooses a random neuron."""
        _, choice = jax.random.split(jax.random.key(seed))
        return presentation_figures(self.network, self.parameters, self.weights, outcome, choice)

    def activity(self, part: str) -> Counts:
        """Counts of the ``calibration`` or ``test`` presentations, recorded once per weights."""
        config = self.task.config
        settings = {
            "part": part,
            "spiking": {k: v for k, v in config.spiking.items() if k not in _NOT_OF_ACTIVITY},
            "member": vars(self.task.members[self.member]),
            "data": self.task.source.describe(),
        }
        digest = content_digest(self.weights._asdict(), settings)
        return recorded_counts(
            self.entry.run.path / "activity" / f"{part}_{self.member}.npz",
            digest,
            lambda: self.task.activity(self.state, part, self.member),
        )

    def measure(self, top_n: int) -> dict[str, Accuracy]:
        """Every readout on this activity."""
        calibration, test = self.activity("calibration"), self.activity("test")
        seed = self.task.members[self.member].seed
        return measure_readouts(calibration, test, len(self.class_names), top_n=top_n, seed=seed)


def open_network(
    entry: Entry,
    checkpoint: str = "best",
    member: int = 0,
    changes: Mapping[str, Any] | None = None,
) -> SavedNetwork:
    """Opens a network of the registry.

    Args:
        entry: from :func:`jaxbio.tasks.stdp.registry.find_network`.
        checkpoint: ``best``, ``last`` or a step.
        member: which one of a population, from 0.
        changes: of the recorded configuration, by dotted key; they must not change the network.

    Raises:
        InputError: no such checkpoint or member, or the data is missing.
    """
    config = restored_config(read_json(entry.run.config_file))
    for key, value in (changes or {}).items():
        set_key(config, key, value)
    check_config(config)
    task = Stdp(config)
    if not 0 <= member < len(task.members):
        raise InputError(
            f"--member={member}: {entry.name} has {len(task.members)} networks, from 0"
        )
    variables, step = load_variables(entry.run, task.like.items()["variables"], checkpoint)
    state = task.like.with_items(step, {"variables": variables})
    return SavedNetwork(entry, task, state, member)


def report_network(saved: SavedNetwork, top_n: int = 1) -> Path:
    """Measures every readout and writes ``<run>/report/network.html``.

    Args:
        saved: the network.
        top_n: of the readout ``top_n``.

    Returns:
        The file.
    """
    measured = saved.measure(top_n)
    calibration, test = saved.activity("calibration"), saved.activity("test")
    # Its own where training was stopped before a test; the same numbers otherwise.
    votes = votes_from_counts(*calibration, len(saved.class_names))
    figures = network_figures(saved.network, saved.parameters, saved.weights, votes)
    figures |= score_figures(calibration, test, measured, saved.class_names, top_n)
    training = training_figure(saved.entry.run.metrics_file, 1 / len(saved.class_names))
    if training is not None:
        figures["accuracy by training images"] = training
    label = int(saved.task.pictures.test[1][0])
    seed = saved.task.members[saved.member].seed
    _, picture = saved.random_picture(label, seed)
    shown = saved.figures(saved.classify(picture, seed, votes=votes), seed)
    figures |= {f"a test image of label {label}: {name}": one for name, one in shown.items()}
    settings: dict[str, Any] = {**saved.entry.settings, "step": int(saved.state.step)}
    if len(saved.task.members) > 1:
        settings |= {"member": saved.member, **vars(saved.task.members[saved.member])}
    parameters = [("parameter", "value"), *((key, str(value)) for key, value in settings.items())]
    tables: dict[str, Any] = {"Accuracies": accuracy_rows(measured), "Parameters": parameters}
    path = saved.entry.run.path / "report" / "network.html"
    write_page(path, f"Spiking network {saved.entry.name}", tables, figures)
    return path
