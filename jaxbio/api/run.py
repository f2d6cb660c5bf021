"""A run in a program: trained or opened, then asked (see :mod:`jaxbio.api.network`)."""

import logging
import warnings
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxbio.api.configuration import changed, make_config
from jaxbio.api.labelled import Data
from jaxbio.api.network import Network, Prediction
from jaxbio.api.pictures import Images
from jaxbio.commands.experiments import find_run
from jaxbio.data import open_source
from jaxbio.data.settings import OF_SQUARES
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.measures.measure import chosen_measure
from jaxbio.runs.directory import RunDirectory
from jaxbio.tasks.classification.opened import Session, open_session, recorded_names
from jaxbio.tasks.config import own_config, restored_config

# Orbax warns of its own defaults whenever it opens a checkpoint.
logging.getLogger("absl").addFilter(
    lambda record: record.levelno >= logging.ERROR or "orbax" not in record.pathname
)


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
        >>> changes = {"train.total_steps": 2, "log.tensorboard": False}
        >>> run = jaxbio.train("svp_resnet", changes, "runs/two_steps")  # real digits, offline
        >>> run.results["step"], 0 <= run.results["top1"] <= 1
        (2, True)
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
        >>> run.config.model.name
        'resnet18'
    """
    workdir = find_run(str(path))
    recorded = read_json(workdir / "config.json")
    made = own_config(recorded, workdir) if config is None else make_config(config)
    has_data = config is not None or "config" in recorded
    run = Run(workdir, str(checkpoint), changed(made, overrides), has_data=has_data)
    if run.task != "stdp":
        _ = run.session  # a checkpoint that is not there is an error now
    return run


class Run(Network):
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
    def session(self) -> Session:  # type: ignore[override]
        """The network with its variables, without data.

        Raises:
            InputError: a spiking network, which is none of layers, or no such checkpoint.
        """
        self._refuse_spiking("this")
        return open_session(self.config, str(self.path), self.checkpoint, with_data=False)

    def predict(self, images: Images, top: int = 5) -> list[Prediction]:
        """See :meth:`jaxbio.api.network.Network.predict`; the class names are those of the run.

        Raises:
            InputError: not a classifier's run, or something that is no picture.

        Example:
            >>> cat, black = run.predict(["cat.jpg", np.zeros((64, 64, 3), np.uint8)])
            >>> cat.name in map(str, range(10)), cat.probabilities[0] >= cat.probabilities[1]
            (True, True)
        """
        if self.task != "classification":
            remedy = "jaxbio spiking classify" if self.task == "stdp" else "a classifier's run"
            raise InputError(f"{self.path} is a run of task {self.task}: use {remedy}")
        return super().predict(images, top)

    def evaluate(
        self, measure: str = "accuracy", *, data: Data | None = None, **options: Any
    ) -> Any:
        """See :meth:`jaxbio.api.network.Network.evaluate`.

        Example:
            >>> result = run.evaluate("robustness", corruptions="contrast", severities=(3, 5))
            >>> sorted(result["cells"])
            ['contrast/3', 'contrast/5']
        """
        if self.task != "stdp":
            return super().evaluate(measure, data=data, **options)
        _, complete = chosen_measure(measure, **options)
        if measure != "accuracy":
            self._refuse_spiking(measure)
        if data is not None:
            raise InputError(f"{self.path} is a spiking network: leave out data")
        from jaxbio.tasks.stdp.evaluate import report_spiking

        return report_spiking(self.config, str(self.path), self.checkpoint, complete.member)

    def _with_own_data(self, measure: str) -> Session:
        if not self._has_data or "source" not in self.config.data:
            raise InputError(
                f"{self.path} brings no labelled images for {measure}: give data=FOLDER, or choose "
                "a classifier's data, open_run(path, config='NAME:VARIANT')"
            )
        return self._session_with_data

    @cached_property
    def _session_with_data(self) -> Session:
        return open_session(self.config, str(self.path), self.checkpoint)

    @cached_property
    def _one_size(self) -> bool:  # type: ignore[override]
        """Whether the network learned from small squares, which are resized without a crop."""
        name = self.config.data.get("source", "folder") if self._has_data else "folder"
        if name != "shards" and not name.startswith("tfds:"):
            return name in OF_SQUARES
        try:
            return bool(open_source(self.config.data).one_size)
        except InputError as error:
            warnings.warn(
                f"{self.path}: its data cannot be opened ({error}); pictures are resized and "
                "cropped like photographs",
                stacklevel=4,
            )
            return False

    def _class_names(self, count: int) -> list[str] | None:
        names = recorded_names(self._recorded)
        if names is None and self._has_data and "config" not in self._recorded:
            names = open_source(self.config.data).class_names  # chosen for converted weights
        return None if names is None or len(names) != count else list(names)

    def _refuse_spiking(self, what: str) -> None:
        if self.task == "stdp":
            raise InputError(
                f"{self.path} is a spiking network of task stdp, {what} needs a network with "
                "layers: use evaluate('accuracy') or jaxbio spiking"
            )
