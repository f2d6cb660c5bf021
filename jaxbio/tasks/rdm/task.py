"""Task "rdm": a network learns the representational geometry of recordings, or of a teacher.

The task behind the common loop, as ``tasks.classification.task`` is for classifiers: balanced
batches, the RDM loss, and similarity scores on held-out images before and after.

Reference:
    Singh et al., "neural-finetuning": squared differences of RDMs of object means, batches of 196
    images of 49 objects, Adam at 1e-6 for 1,000 steps.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from jaxbio.errors import InputError
from jaxbio.features import FeatureRequest, layer_shapes
from jaxbio.features.layers import Layer, select_layers
from jaxbio.neural import Recordings, StimulusSet, open_recordings
from jaxbio.plotting.similarity import plot_fine_tuning
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.figures import save_figures
from jaxbio.runs.mesh import abstract_state, make_mesh
from jaxbio.runs.metrics_file import read_metrics
from jaxbio.runs.schedules import duration_in_steps, make_schedule, read_periods
from jaxbio.runs.state import TrainState, make_state
from jaxbio.tasks.classification.frozen import Frozen
from jaxbio.tasks.classification.optimizers import make_optimizer
from jaxbio.tasks.classification.step import Batch, Metrics, Step
from jaxbio.tasks.classification.task import learning_parts
from jaxbio.tasks.rdm.data import (
    BalancedBatches,
    Target,
    neural_target,
    split_images,
    split_people,
)
from jaxbio.tasks.rdm.networks import (
    Backbone,
    initial_variables,
    layer_features,
    open_student,
    open_teacher,
)
from jaxbio.tasks.rdm.pictures import draw_stimuli, is_data_set
from jaxbio.tasks.rdm.scores import StudentMeasures, before_after_gain, measure_student
from jaxbio.tasks.rdm.step import make_rdm_step
from jaxbio.tasks.task import Results, made_with


class RdmFineTuning:
    """The objects of a run; see :class:`jaxbio.tasks.task.Task`.

    With ``rdm.student`` set, ``model`` and ``data`` become those of the student.

    Attributes:
        learnt: the recordings to learn from.
        recordings: what is compared with: the same, or those of other people.
        partition: images to learn from, and those held out.
        teacher: the network it learns from; None: the recordings themselves.
        images_per_step: what the recordings make of ``rdm.images_per_object``.
        schedule: step -> share of the learning rate.
        frozen: parts of the student that do not learn, or None.

    Raises:
        InputError: wrong configuration or recordings.
    """

    def __init__(self, config: ConfigDict):
        self.config, rdm = config, config.rdm
        self.mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
        self.teacher = open_teacher(config) if rdm.teacher else None
        read = _recordings(config, self.teacher, self.mesh)
        self.learnt, self.recordings = split_people(read, rdm.held_out_people, rdm.split_seed)
        part = split_images(read.stimuli, rdm.held_out, rdm.split_seed, rdm.validation)
        self.partition = part
        # Validation images choose the best checkpoint where there are some.
        self.best_by = "similarity_validation" if len(part.validation) else "similarity"
        conditions = len(np.unique(read.stimuli.objects[part.train]))
        self.images_per_step = conditions * rdm.images_per_object
        student = self.student = open_student(config, len(np.unique(read.stimuli.labels)))
        steps_in_epoch = max(1, len(part.train) // self.images_per_step)
        total = duration_in_steps(config.train, "total", steps_in_epoch)
        self.periods = read_periods(config, total, steps_in_epoch)
        self.schedule = make_schedule(config.schedule, 1.0, total, steps_in_epoch)
        self.frozen: Frozen | None = None
        if rdm.freeze:
            size = student.preprocessing.image_size
            _, self.frozen = learning_parts(
                student.arguments, student.model, size, rdm.freeze, "rdm.freeze"
            )
        self.optimizer = make_optimizer(config.optimizer, self.frozen)
        new_state = partial(_new_state, student, self.optimizer, config)
        self.like: TrainState = abstract_state(new_state, self.mesh)
        self._student_layer  # noqa: B018 - an unknown layer is an error now, not after minutes

    def initial_state(self) -> TrainState:
        """The student as it is before fine-tuning."""
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.like)
        state = _new_state(self.student, self.optimizer, self.config)
        return jax.device_put(state, shardings)

    def train_step(self) -> Step:
        """The jitted step; it takes the memory of the state that it is given."""
        config = self.config

        def step(
            state: TrainState, batch: Batch, *, seed: jax.Array, rate: jax.Array, start: Any
        ) -> tuple[TrainState, Metrics]:
            return make_rdm_step(
                self.student.model,
                self.student.preprocessing,
                self.optimizer,
                lambda now: rate * self.schedule(now),
                layer=config.rdm.layer,
                timed=self._student_layer.steps is not None,
                seed=seed,
                class_weight=config.rdm.class_weight,
                frozen=self.frozen,
                l2_sp=config.rdm.l2_sp,
                start=start,
            )(state, batch)

        # Arguments, not constants: runs that differ in these alone share the program.
        return partial(
            jax.jit(step, donate_argnums=0),
            seed=np.uint32(config.seed),
            rate=np.float32(config.optimizer.learning_rate),
            start=self.initial_state().params if config.rdm.l2_sp else None,
        )

    def warm_up(self, state: TrainState) -> None:
        """Measures the student before its training, as every test needs it."""
        self._before  # noqa: B018

    def batches(self, start_step: int) -> Iterator[Batch]:
        """Balanced batches from ``start_step`` to the end of the run."""
        return self._balanced.stream(start_step, self.periods.total, self.mesh)

    def test(self, state: TrainState) -> tuple[TrainState, Results]:
        """Similarity to the recordings on both parts, and the same before fine-tuning."""
        after, before = self._measure(state), self._before
        results: Results = {}
        for name, now, then in (
            ("similarity", after.held_out, before.held_out),
            ("similarity_train", after.train, before.train),
            ("similarity_validation", after.validation, before.validation),
            ("rdm_loss", after.loss, before.loss),
            ("svm", after.svm, before.svm),
        ):
            if now is not None:
                results |= {name: now, f"{name}_before": then}
        return state, results | {"similarity_std": after.held_out_std}

    def describe(self, state: TrainState) -> str:
        """Student, target, images."""
        recordings = self.recordings
        note = " (SYNTHETIC: simulated, not measured)" if recordings.synthetic else ""
        return (
            f"{self.student.arguments['name']} ({self.student.origin}): "
            f"{state.count_parameters():,} parameters, layer {self.config.rdm.layer}\n"
            f"target: {self._target_name}; scored against {recordings.name}{note}\n"
            f"{len(self.partition.train)} training and {len(self.partition.test)} held-out images, "
            f"{self._balanced.size} in a batch"
        )

    def progress_line(self, metrics: Mapping[str, float]) -> str:
        """The training loss."""
        line = f"RDM loss {metrics['rdm_loss']:.5f}"
        return f"{line}  top-1 {100 * metrics['top1']:5.1f} %" if "top1" in metrics else line

    def headline(self, results: Results) -> str:
        """Held-out similarity, before and now."""
        return (
            f"held-out {self._score_name} {results['similarity']:.3f} "
            f"(before: {results['similarity_before']:.3f})"
        )

    def result_rows(self, results: Results) -> list[tuple[str, str]]:
        """Each measure before and after."""
        name = self._score_name

        def change(key: str, digits: int = 3) -> str:
            before, after, gain = before_after_gain(results, key, digits)
            return f"{before} -> {after} ({gain})"

        rows = [
            (f"{name}, held-out images", change("similarity")),
            (f"{name}, training images", change("similarity_train")),
            ("RDM loss to the target, held-out", change("rdm_loss", 5)),
        ]
        if "svm" in results:
            rows.append(("SVM accuracy (%), held-out", change("svm", 1)))
        rows += [("target", self._target_name), ("recordings", self._recordings_name)]
        return rows

    def watch(self, run: RunDirectory, state: TrainState) -> None:
        """Nothing: the curves are in TensorBoard."""

    def write_report(self, run: RunDirectory, state: TrainState) -> None:
        """Curves, and the RDMs of recordings and student before and after."""
        lines = read_metrics(run.metrics_file, "rdm_loss")
        rdms = {
            f"target: {self._target_name}": self._target_rdm,
            "student before": self._before.rdm,
            "student after": self._measure(state).rdm,
        }
        figure = plot_fine_tuning(lines, rdms, self._score_name, self._recordings_name)
        save_figures(run, {"fine_tuning": figure})

    def record(self, new: bool) -> Results:
        """What the configuration was resolved to, for ``config.json``."""
        part = self.partition
        return {
            "model": self.student.arguments,
            "student": self.student.origin,
            "teacher": None if self.teacher is None else self.teacher.origin,
            "data": {
                **self.recordings.describe(),
                "target_checksum": self._checksum,
                "training_images": len(part.train),
                "held_out_images": len(part.test),
                **({"validation_images": len(part.validation)} if len(part.validation) else {}),
            },
            "steps": self.periods.total,
            **made_with(),
        }

    @property
    def _checksum(self) -> int:
        """Of what is given: of a data set the pictures, since a teacher's answers round anew."""
        if is_data_set(self.config.rdm.neural):
            return zlib.crc32(np.ascontiguousarray(self.recordings.stimuli.images).tobytes())
        target = neural_target(self.learnt)
        values = target.patterns if target.patterns is not None else target.dissimilarities
        return zlib.crc32(np.ascontiguousarray(values).tobytes())

    @property
    def _target_name(self) -> str:
        if self.teacher is None:
            return self._recordings_name
        layer = self.config.rdm.teacher_layer
        origin = f"{self.teacher.origin}, {layer}" if layer else self.teacher.origin
        return f"{self.teacher.arguments['name']} ({origin})"

    @property
    def _recordings_name(self) -> str:
        name = self.recordings.name
        return f"{name} (synthetic)" if self.recordings.synthetic else name

    @property
    def _score_name(self) -> str:
        return "SIT" if self.recordings.responses is not None else "Spearman of RDMs"

    @cached_property
    def _images(self) -> np.ndarray:
        return self.recordings.stimuli.read_images(self.student.preprocessing.image_size)

    @cached_property
    def _neural_target(self) -> Target:
        return neural_target(self.recordings)

    @cached_property
    def _target(self) -> Target:
        if self.teacher is None or is_data_set(self.config.rdm.neural):
            return neural_target(self.learnt)
        stimuli = self.recordings.stimuli
        return Target(_seen_by(self.teacher, stimuli, self.config, self.mesh))

    @cached_property
    def _balanced(self) -> BalancedBatches:
        config, stimuli = self.config, self.recordings.stimuli
        rdm = config.rdm
        images = self._images
        if rdm.flip:
            turned = np.random.default_rng((config.seed, 1)).random(len(images)) < 0.5
            images = np.where(turned[:, None, None, None], images[:, :, ::-1], images)
        _, labels = np.unique(stimuli.labels, return_inverse=True)
        return BalancedBatches(
            images=images,
            labels=labels,
            objects=stimuli.objects,
            index=self.partition.train,
            target=replace(self._target, shuffled=rdm.split_seed if rdm.shuffled else None),
            per_object=rdm.images_per_object,
            seed=config.seed,
        )

    @cached_property
    def _student_layer(self) -> Layer:
        variables = self.like.variables()
        layers = layer_shapes(self.student.model, variables, self.student.preprocessing.image_size)
        return select_layers(layers, FeatureRequest(self.config.rdm.layer))[self.config.rdm.layer]

    @cached_property
    def _target_rdm(self) -> np.ndarray:
        test = self.partition.test
        return self._target.matrix(test, self.recordings.stimuli.objects[test])

    @cached_property
    def _before(self) -> StudentMeasures:
        return self._measure(self.initial_state())

    def _measure(self, state: TrainState) -> StudentMeasures:
        activity = layer_features(
            self.student, state.variables(), self._images, self.config.rdm.layer, self.mesh
        )
        return measure_student(
            activity,
            self.recordings,
            self._neural_target,
            self._target_rdm,
            self.partition,
            sit_splits=self.config.rdm.sit_splits,
            name=self.config.rdm.layer,
        )


def _recordings(config: ConfigDict, teacher: Backbone | None, mesh: Mesh) -> Recordings:
    rdm = config.rdm
    if is_data_set(rdm.neural):
        if teacher is None:
            raise InputError(
                f"rdm.neural={rdm.neural} has pictures and no recordings: name the network whose "
                "RDM is to be learnt, rdm.teacher=RUN"
            )
        stimuli = draw_stimuli(rdm.neural, rdm.pictures, rdm.split_seed)
        seen = _seen_by(teacher, stimuli, config, mesh)
        name = f"{teacher.arguments['name']} on {rdm.neural}"
        return Recordings(name, stimuli, responses=seen[..., None], source=teacher.origin)
    return open_recordings(rdm.neural, region=rdm.region, stimuli=rdm.stimuli, seed=rdm.split_seed)


def _seen_by(teacher: Backbone, stimuli: StimulusSet, config: ConfigDict, mesh: Mesh) -> np.ndarray:
    """A teacher's features ``[S, units]``."""
    images = stimuli.read_images(teacher.preprocessing.image_size)
    variables = initial_variables(teacher, config.seed)
    layer = config.rdm.teacher_layer or config.rdm.layer
    return layer_features(teacher, variables, images, layer, mesh)


def _new_state(
    student: Backbone, optimizer: optax.GradientTransformation, config: ConfigDict
) -> TrainState:
    variables = dict(initial_variables(student, config.seed, config.model.v2_weights))
    params, constants = variables.pop("params"), variables.pop("constants")
    return make_state(params, variables, constants, optimizer)
