"""What can be asked of any network: of a run, of one by its name, of one of the user's own."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxbio.api import pictures
from jaxbio.api.labelled import Data, open_labelled
from jaxbio.api.plots import draw
from jaxbio.data.class_names import readable
from jaxbio.data.settings import read_settings
from jaxbio.data.splits import labels_of
from jaxbio.errors import InputError
from jaxbio.features import Extractor, FeatureRequest
from jaxbio.measures.measure import chosen_measure
from jaxbio.measures.predictions import make_step, predict
from jaxbio.neural import Recordings
from jaxbio.runs.directory import RunDirectory
from jaxbio.tasks.classification.opened import Session

# Measures of what a network says; the others are of what is in it.
_OF_LOGITS = ("accuracy", "robustness", "attacks", "behaviour", "time")


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


class Network(ABC):
    """The questions. A subclass says which network it is, by ``session``."""

    _one_size = False  # whether it learned from small squares, which are resized without a crop
    _step: Any = None

    @property
    @abstractmethod
    def session(self) -> Session:
        """The network with its variables, without data."""

    def predict(self, images: pictures.Images, top: int = 5) -> list[Prediction]:
        """What is in pictures, one :class:`Prediction` each.

        Files are turned as their camera says, resized and cropped as in the evaluation. So are
        arrays, unless they have the network's size already.

        Args:
            images: a file, a folder, an array uint8 ``[N, H, W, 3]`` or ``[H, W, 3]``, or a list of
                these, also mixed.
            top: how many classes to name, at most all.

        Raises:
            InputError: not a classifier, or something that is no picture.

        Example:
            >>> model = jaxbio.wrap(lambda x: x.mean((1, 2)), image_size=32, class_names="rgb")
            >>> red = np.zeros((32, 32, 3), np.uint8)
            >>> red[..., 0] = 255
            >>> model.predict(red)[0].classes
            ('r', 'b', 'g')
        """
        self._check_logits("predict")
        if isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise InputError(f"top={top!r}: use 1 or more")
        batches = self._batches(images, max_bad_files=0, exif_rotation=True)
        self._step = make_step(self.session) if self._step is None else self._step
        found = predict(self.session, batches, self._step)
        count = found.shape[1]
        names = [readable(n) for n in self._class_names(count) or map(str, range(count))]
        order = np.argsort(-found, axis=1, kind="stable")[:, :top]
        return [
            Prediction(tuple(names[i] for i in best), tuple(float(row[i]) for i in best))
            for row, best in zip(found, order, strict=True)
        ]

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
            >>> model = jaxbio.wrap(lambda x: {"half": x[:, ::2, ::2]}, image_size=32)
            >>> model.features(np.zeros((5, 32, 32, 3), np.uint8), "half")["half"].shape
            (5, 16, 16, 3)
        """
        session, batches = self.session, self._batches(images)
        extractor = Extractor(
            session.model,
            session.variables,
            FeatureRequest(layers, times, pool, projection, seed),
            session.preprocessing,
            mesh=session.mesh,
            noise_seed=session.config.seed,
        )
        found: dict[str, list[np.ndarray]] = {name: [] for name in extractor.layers}
        for batch, activity in extractor.stream(batches):
            for name, values in activity.items():
                found[name].append(values[np.asarray(batch["mask"])])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def evaluate(
        self, measure: str = "accuracy", *, data: Data | None = None, **options: Any
    ) -> Any:
        """Takes a measure, prints and writes it as ``jaxbio evaluate --mode=MEASURE`` does.

        Args:
            measure: accuracy, robustness, attacks, behaviour, choices, features, similarity, time
                or physiology.
            data: labelled pictures, where the measure needs them: a folder ``DIR/CLASS/*`` (or
                ``DIR/val/CLASS/*``), or (images, labels): uint8 ``[N, H, W, 3]`` or paths, and
                numbers or names of classes. Default: a run's own test set. Results on other data
                are written into a folder ``on/NAME`` of their own.
            options: of the measure, as ``jaxbio evaluate --mode=MEASURE --help`` lists them; lists
                may be lists. Others keep their defaults.

        Returns:
            The results, as the measure's JSON file has them; of ``features`` the file.

        Raises:
            InputError: an unknown measure or option, or what the measure refuses.

        Example:
            >>> model = jaxbio.wrap(lambda x: x.mean((1, 2)), image_size=32, workdir=folder)
            >>> images = np.zeros((2, 32, 32, 3), np.uint8)
            >>> images[0, ..., 2] = images[1, ..., 0] = 255
            >>> result = model.evaluate("accuracy", data=(images, [2, 1]))
            >>> result["top1"]
            0.5
        """
        chosen, complete = chosen_measure(measure, **options)
        if measure in _OF_LOGITS:
            self._check_logits(measure)
        session = self.session
        if measure == "attacks" and not getattr(session.model, "differentiable", True):
            raise InputError("attacks follow gradients, a function on the host has none: see wrap")
        self._begin()
        if chosen.needs_data(complete):
            session = self._with_own_data(measure) if data is None else self._on(data)
        elif data is not None:
            raise InputError(f"{measure} takes no labelled images here: leave out data")
        return chosen.run(session, complete)

    def similarity(
        self,
        recordings: str | Path | Recordings = "synthetic",
        layers: Sequence[str] | str = "all",
        measures: Sequence[str] | str = (),
        **options: Any,
    ) -> dict[str, Any]:
        """Layers against neural recordings, as ``jaxbio evaluate --mode=similarity`` does it.

        Args:
            recordings: a file of any format that ``jaxbio.neural.open_recordings`` knows, what that
                returns, or ``"synthetic"``: simulated ones.
            layers: endpoints of the network, or ``"all"``.
            measures: some of rsa, sit, svm, pls, ridge, cka, ...; default: all that fit.
            options: others of the measure: ``region``, ``stimuli``, ``times``, ``bins``, ...

        Returns:
            The results; ``["scores"]`` has one entry per layer, step and measure.

        Raises:
            InputError: no such recordings, an unknown layer, measure or option.

        Example:
            >>> model = jaxbio.wrap(lambda x: {"map": x[:, ::4, ::4]}, image_size=32)
            >>> recordings = jaxbio.neural.synthetic_recordings(views=5, image_size=32, sites=10)
            >>> result = model.similarity(recordings, measures="cka")
            >>> [(row["layer"], row["measure"]) for row in result["scores"]]
            [('map', 'cka')]
        """
        words: dict[str, Any] = {"layers": layers, **({"measures": measures} if measures else {})}
        if not isinstance(recordings, Recordings):
            return self.evaluate("similarity", neural=recordings, **words, **options)
        from jaxbio.measures.similarity import compare_with

        _, complete = chosen_measure("similarity", **words, **options)
        self._begin()
        return compare_with(self.session, recordings, complete)

    def plot(self, what: str | Mapping[str, Any] = "curves", measure: str | None = None) -> Figure:
        """Draws the training curves, or results.

        Args:
            what: ``"curves"`` (loss and top-1 accuracy of a run), ``"robustness"`` or
                ``"similarity"`` (the results that are recorded), or what ``evaluate`` or
                ``similarity`` returned.
            measure: of similarity: rsa, ridge, ...; default: the first.

        Returns:
            A matplotlib figure: ``figure.savefig("curves.pdf")``.

        Raises:
            InputError: there is no such result yet, or nothing to draw in it.

        Example:
            >>> cells = {"fog/1": {"top1": 0.6}, "fog/3": {"top1": 0.4}}
            >>> model = jaxbio.wrap(lambda x: x.mean((1, 2)), image_size=32)
            >>> figure = model.plot({"cells": cells, "clean": {"top1": 0.9}})
            >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
            ['1', '3']
        """
        return draw(self.session.run, what, measure)

    def _batches(self, images: pictures.Images, **changes: Any) -> Iterator[dict[str, np.ndarray]]:
        """Pictures, prepared; ``changes`` are of the settings of the data."""
        session = self.session
        groups = pictures.read_images(images, self._one_size)
        settings = dataclasses.replace(read_settings(session.config.data), **changes)
        count, most = sum(map(len, groups)), session.config.eval.batch_size
        size = pictures.fitting_batch(count, session.mesh.size, most)
        return pictures.batches(groups, settings, size, self._one_size)

    def _on(self, data: Data) -> Session:
        """The session with other labelled pictures, whose results have a place of their own."""
        session = self.session
        classes = int(session.arguments["num_classes"])
        names = self._class_names(classes)
        source = open_labelled(data, names, classes, session.preprocessing.image_size)
        folder = session.run.path / "on" / f"{source.name}_{source.fingerprint()}"
        present = tuple(np.unique(labels_of(source.eval)).tolist())
        run = RunDirectory(folder)
        return dataclasses.replace(session, source=source, run=run, present=present)

    def _begin(self) -> None:  # noqa: B027 - a run has its directory already
        """Makes sure that results can be written beside what is known of the network."""

    def _with_own_data(self, measure: str) -> Session:
        raise InputError(f"{measure} needs labelled images: give data=FOLDER or (images, labels)")

    @abstractmethod
    def _class_names(self, count: int) -> list[str] | None:
        """Of ``count`` classes, in the order of the logits; None: unknown."""

    def _check_logits(self, what: str) -> None:
        if not self.session.arguments["num_classes"]:
            raise InputError(
                f"{what} needs logits [N, classes], this network returns none: use features, "
                "similarity or physiology"
            )
