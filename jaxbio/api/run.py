"""A run in a program: trained or opened, then asked."""

import dataclasses
import logging
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jaxbio.api import pictures
from jaxbio.api.configuration import changed, make_config
from jaxbio.commands.experiments import find_run
from jaxbio.data.class_names import readable
from jaxbio.data.settings import OF_SQUARES, read_settings
from jaxbio.errors import InputError
from jaxbio.features import FeatureRequest
from jaxbio.files import read_json
from jaxbio.measures.measure import chosen_measure, take
from jaxbio.measures.predictions import make_step, predict
from jaxbio.runs.directory import RunDirectory
from jaxbio.tasks.classification.build import data_source
from jaxbio.tasks.classification.opened import (
    Session,
    open_session,
    recorded_images,
    recorded_names,
)
from jaxbio.tasks.config import new_config, restored_config

# Orbax warns of its own defaults whenever it opens a checkpoint.
logging.getLogger("absl").addFilter(
    lambda record: record.levelno >= logging.ERROR or "orbax" not in record.pathname
)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a classifier sees in a picture.

    Attributes:
        classes: names of the likeliest classes, the likeliest first.
        probabilities: theirs.
    """

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def name(self) -> str:
        """The likeliest class."""
        return self.classes[0]


def train(
    config: str | Path | ConfigDict,
    overrides: Mapping[str, Any] | None = None,
    workdir: str | Path | None = None,
) -> "Run":
    """Trains an experiment, or goes on where it stopped, as ``jaxbio train`` does.

    Args:
        config: ``NAME[:VARIANT]`` of an experiment, a file, or a configuration.
        overrides: changed keys with their values.
        workdir: the run directory; default: ``runs/NAME``.

    Returns:
        The run; its ``results`` are None if it was asked to stop before its end.

    Raises:
        InputError: an unknown key or a wrong value, data or directory; nothing was computed.
        NonFiniteError: the loss or a gradient became NaN or infinite.

    Example:
        >>> run = jaxbio.train("svp_resnet", {"train.total_steps": 2}, "runs/two_steps")
        >>> run.results["top1"]
    """
    made = make_config(config, overrides)
    if made.get("teachers"):
        raise InputError(
            f"teachers={made.teachers!r} makes a run for each: use jaxbio train, and open_run"
        )
    path = Path(workdir) if workdir is not None else Path("runs") / made.name
    from jaxbio.tasks.loop import train as train_in

    results = train_in(made, str(path))
    return Run(path, "best" if results is not None else "last", None)


def open_run(
    path: str | Path,
    checkpoint: str | int = "best",
    *,
    config: str | Path | ConfigDict | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> "Run":
    """Opens a trained run, or weights that ``jaxbio weights`` has converted.

    Args:
        path: the run directory, or the experiment whose run is in ``runs/``.
        checkpoint: ``best``, ``last`` or a step.
        config: other data to evaluate on; for converted weights the only ones.
        overrides: changed keys of the configuration: ``{"data.data_dir": "/data"}``.

    Raises:
        InputError: no such run or checkpoint, or a configuration of another model.

    Example:
        >>> run = jaxbio.open_run("runs/svp_resnet_digits")
        >>> run.evaluate("accuracy")["top1"]
    """
    workdir = find_run(str(path))
    made = None if config is None else make_config(config)
    recorded = read_json(workdir / "config.json")
    if made is None and "config" not in recorded:
        made = _configuration_of_weights(recorded, workdir)
        has_data = False
    else:
        made = made if made is not None else restored_config(recorded)
        has_data = True
    run = Run(workdir, str(checkpoint), changed(made, overrides), has_data=has_data)
    if run.task != "stdp":
        _ = run.session  # a checkpoint that is not there is an error now
    return run


class Run:
    """A run; made by :func:`jaxbio.train` and :func:`jaxbio.open_run`.

    Attributes:
        path: the run directory.
        checkpoint: which one is used: ``best``, ``last`` or a step.
        config: the configuration.
    """

    def __init__(
        self,
        path: Path,
        checkpoint: str,
        config: ConfigDict | None,
        *,
        has_data: bool = True,
    ):
        self.path = Path(path)
        self.checkpoint = checkpoint
        self._recorded = read_json(self.path / "config.json")
        self.config = restored_config(self._recorded) if config is None else config
        self._has_data = has_data

    def __repr__(self) -> str:
        return f"<Run {self.path}, checkpoint {self.checkpoint}>"

    @property
    def task(self) -> str:
        """``classification``, ``rdm`` or ``stdp``."""
        return str(self._recorded.get("config", {}).get("task", "classification"))

    @property
    def results(self) -> dict[str, Any] | None:
        """The final results (of a classifier ``top1``, ``loss``, ...); None before the end."""
        return RunDirectory(self.path).results()

    @cached_property
    def session(self) -> Session:
        """The network with its variables, without data.

        Raises:
            InputError: a spiking network, which is none of layers, or no such checkpoint.
        """
        self._refuse_spiking("this")
        return open_session(self.config, str(self.path), self.checkpoint, with_data=False)

    def predict(self, images: pictures.Images, top: int = 5) -> list[Prediction]:
        """What is in pictures, one :class:`Prediction` each.

        Files are turned as their camera says, resized and cropped as in the evaluation. So are
        arrays, unless they have the network's size already.

        Args:
            images: a file, a folder, an array uint8 ``[N, H, W, 3]`` or ``[H, W, 3]``, or a list of
                these, also mixed.
            top: how many classes to name, at most all.

        Raises:
            InputError: not a classifier's run, or something that is no picture.

        Example:
            >>> cat, noise = run.predict(["cat.jpg", np.zeros((64, 64, 3), np.uint8)])
            >>> cat.name, cat.probabilities[0]
        """
        if self.task != "classification":
            remedy = "jaxbio spiking classify" if self.task == "stdp" else "a classifier's run"
            raise InputError(f"{self.path} is a run of task {self.task}: use {remedy}")
        if isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise InputError(f"top={top!r}: use 1 or more")
        groups = pictures.read_images(images, self._one_size)
        session = self.session
        settings = dataclasses.replace(
            read_settings(self.config.data), max_bad_files=0, exif_rotation=True
        )
        count, devices = sum(map(len, groups)), session.mesh.size
        size = pictures.fitting_batch(count, devices, self.config.eval.batch_size)
        batches = pictures.batches(groups, settings, size, self._one_size)
        found = predict(session, batches, self._step).probabilities
        names = self._class_names(found.shape[1])
        order = np.argsort(-found, axis=1, kind="stable")[:, :top]
        return [
            Prediction(tuple(names[i] for i in best), tuple(float(row[i]) for i in best))
            for row, best in zip(found, order, strict=True)
        ]

    def evaluate(self, measure: str = "accuracy", **options: Any) -> Any:
        """Takes a measure, prints and writes it as ``jaxbio evaluate --mode=MEASURE`` does.

        Args:
            measure: accuracy, robustness, attacks, behaviour, features, similarity, time or
                physiology.
            options: of the measure, as ``jaxbio evaluate --mode=MEASURE --help`` lists them; lists
                may be lists. Others keep their defaults.

        Returns:
            The results, as the measure's JSON file has them; of ``features`` the file.

        Raises:
            InputError: an unknown measure or option, or what the measure refuses.

        Example:
            >>> run.evaluate("robustness", corruptions=["fog"], severities=[1, 3])
        """
        chosen, complete = chosen_measure(measure, **options)
        if self.task == "stdp":
            if measure != "accuracy":
                self._refuse_spiking(measure)
            from jaxbio.tasks.stdp.evaluate import report_spiking

            return report_spiking(self.config, str(self.path), self.checkpoint, complete.member)
        needs_data = chosen.needs_data(complete)
        if needs_data and (not self._has_data or "source" not in self.config.data):
            raise InputError(
                f"{self.path} brings no labelled images for {measure}: choose a classifier's data, "
                "open_run(path, config='NAME:VARIANT')"
            )
        return take(self._session_with_data if needs_data else self.session, chosen, complete)

    def features(
        self,
        images: pictures.Images,
        layers: Sequence[str] | str = "penultimate",
        *,
        times: Sequence[int] | str = "all",
        pool: str = "none",
        projection: int = 0,
        seed: int = 0,
    ) -> dict[str, np.ndarray]:
        """The activity of layers, in memory; for much of it ``evaluate("features")`` writes a file.

        Args:
            images: as in :meth:`predict`; files are not turned, as in the evaluation.
            layers: endpoints of the network, or ``"all"``.
            times: ``"all"``, ``"last"`` or steps, of layers that have time.
            pool: over space: ``"none"``, ``"mean"`` or ``"max"``.
            projection: components of a random projection; 0: none.
            seed: of the projection.

        Returns:
            Layer to float32 ``[N, H, W, C]`` or ``[N, C]``, with ``[N, T, ...]`` where it has time.

        Raises:
            InputError: an unknown layer or step, or something that is no picture.

        Example:
            >>> run.features("photographs/", ["layer4", "penultimate"])["penultimate"].shape
        """
        session = self.session
        request = FeatureRequest(layers, times, pool, projection, seed)
        return pictures.layer_features(
            session.model,
            session.variables,
            session.preprocessing,
            request,
            pictures.read_images(images, self._one_size),
            read_settings(self.config.data),
            one_size=self._one_size,
            most=self.config.eval.batch_size,
            mesh=session.mesh,
            noise_seed=self.config.seed,
        )

    @cached_property
    def _session_with_data(self) -> Session:
        return open_session(self.config, str(self.path), self.checkpoint)

    @cached_property
    def _step(self) -> Any:
        return make_step(self.session)

    @cached_property
    def _one_size(self) -> bool:
        """Whether the network learned from small squares, which are resized without a crop."""
        name = self.config.data.get("source", "folder") if self._has_data else "folder"
        if not name.startswith("tfds:"):
            return name in OF_SQUARES
        try:
            return bool(data_source(self.config).one_size)
        except InputError as error:
            warnings.warn(
                f"{self.path}: its data cannot be opened ({error}); pictures are resized and "
                "cropped like photographs",
                stacklevel=4,
            )
            return False

    def _class_names(self, count: int) -> list[str]:
        names = recorded_names(self._recorded)
        if names is None and self._has_data and "config" not in self._recorded:
            names = data_source(self.config).class_names  # the data chosen for converted weights
        if names is None or len(names) != count:
            return [str(number) for number in range(count)]
        return [readable(name) for name in names]

    def _refuse_spiking(self, what: str) -> None:
        if self.task == "stdp":
            raise InputError(
                f"{self.path} is a spiking network of task stdp, {what} needs a network with "
                "layers: use evaluate('accuracy') or jaxbio spiking"
            )


def _configuration_of_weights(recorded: Mapping[str, Any], workdir: Path) -> ConfigDict:
    """What converted weights expect of their images; the data are not chosen."""
    known = recorded_images(dict(recorded))
    if len(known) < 3:
        raise InputError(
            f"{workdir} does not tell mean and std of its images: choose data, "
            "open_run(path, config='NAME:VARIANT')"
        )
    made = new_config("classification")
    unused = {"train.total_steps": 1}  # a configuration has to have a length
    return changed(made, {**unused, **{f"data.{key}": value for key, value in known.items()}})
