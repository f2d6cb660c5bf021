"""Task "classification": everything that its run is made of, before its first step."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import flax
import jax
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

from jaxbio.data import open_source, resident, steps_per_epoch, train_batches
from jaxbio.data.batches import rows_of_process
from jaxbio.data.settings import read_settings
from jaxbio.errors import InputError
from jaxbio.ops.once import jit_once
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.mesh import abstract_state, batch_sharding, put_batches, replicated
from jaxbio.runs.schedules import (
    duration_in_steps,
    make_schedule,
    read_periods,
    update_plateau,
)
from jaxbio.runs.state import TrainState
from jaxbio.tasks.classification.accuracy import accuracy_rows
from jaxbio.tasks.classification.adversarial import read_adversary
from jaxbio.tasks.classification.augmentation import read_augmentation
from jaxbio.tasks.classification.build import (
    build_model,
    create_state,
    model_arguments,
    read_v2_filters,
    v2_provenance,
    variable_shapes,
)
from jaxbio.tasks.classification.corruption_augmentation import (
    corrupted,
    read_corruption_augmentation,
)
from jaxbio.tasks.classification.frozen import Frozen, classifier_paths, read_frozen
from jaxbio.tasks.classification.mixing import read_mixing
from jaxbio.tasks.classification.opened import open_model
from jaxbio.tasks.classification.optimizers import make_optimizer
from jaxbio.tasks.classification.pretrained import open_pretrained
from jaxbio.tasks.classification.step import Batch, Metrics, Step, make_train_step
from jaxbio.tasks.task import Results, made_with


class Classification:
    """The objects of a run; see :class:`jaxbio.tasks.task.Task`.

    Attributes:
        classifier: the network, its data, the devices.
        schedule: step -> share of the learning rate.
        v2_filters: those that replace the model's stand-in, or None.
        pretrained: what the network begins with, or None: random weights.
        head: paths of the classifier's parameters; known where that is needed.
        frozen: what does not learn, or None.
        augmentation: of training images, as part of the step, or None.
        mixing: of training images in pairs, as part of the step, or None.
        adversary: attacks training images, as part of the step, or None.
        corruptions: corruptions of training images, or None.

    Raises:
        InputError: wrong configuration or data.
    """

    best_by: ClassVar[str] = "top1"

    def __init__(self, config: ConfigDict):
        self.config = config
        self.pretrained = open_pretrained(config)
        source = open_source(config.data)
        arguments = model_arguments(config, source.num_classes)
        self.classifier = open_model(config, source, arguments, config.arr)
        mesh, model = self.classifier.mesh, self.classifier.model
        _check_batch_size(config, mesh.size)
        self.images_per_step = config.train.batch_size
        steps_in_epoch = steps_per_epoch(source, config.train.batch_size)
        total = duration_in_steps(config.train, "total", steps_in_epoch)
        self.periods = read_periods(config, total, steps_in_epoch)
        self.schedule = make_schedule(config.schedule, 1.0, total, steps_in_epoch)
        size = self.classifier.preprocessing.image_size
        self.head: Sequence[tuple[str, ...]] = ()
        self.frozen: Frozen | None = None
        if self.pretrained is not None or config.model.freeze:
            self.head, self.frozen = learning_parts(arguments, model, size, config.model.freeze)
        self.optimizer = make_optimizer(config.optimizer, self.frozen)
        self._new_state = partial(
            create_state,
            model,
            self.optimizer,
            image_shape=(size, size, 3),
            ema=config.train.ema_decay > 0,
            regulariser=self.classifier.regulariser,
        )
        self.like = abstract_state(self._new_state, mesh, jax.random.key(config.seed))
        self.v2_filters: dict[str, Any] | None = None
        if self.pretrained is None:
            self.v2_filters = read_v2_filters(arguments["front_end"], config.model.v2_weights)
        self.augmentation = read_augmentation(config.data)
        self.mixing = read_mixing(config.data)
        self.adversary = read_adversary(config.train, config.data.image_size)
        self.corruptions = read_corruption_augmentation(config.data)

    def initial_state(self) -> TrainState:
        """The state at step 0, created where it belongs, with the V2 filters asked for."""
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.like)
        new_state = jit_once(self._new_state, out_shardings=shardings)
        state = new_state(jax.random.key(self.config.seed))
        if self.pretrained is not None:
            fresh = () if self._keeps_classifier else self.head
            return self.pretrained.put_into(state, self.classifier.mesh, fresh)
        if self.v2_filters is None:
            return state
        constants = {**state.constants, "v2": self.v2_filters}
        return state.replace(constants=jax.device_put(constants, shardings.constants))

    def train_step(self) -> Step:
        """The jitted step; it takes the memory of the state that it is given."""
        train, classifier = self.config.train, self.classifier

        def step(
            state: TrainState, batch: Batch, *, seed: jax.Array, rate: jax.Array
        ) -> tuple[TrainState, Metrics]:
            return make_train_step(
                classifier.model,
                classifier.preprocessing,
                self.optimizer,
                lambda now: rate * self.schedule(now),
                seed=seed,
                label_smoothing=train.label_smoothing,
                accumulate=train.accumulate,
                ema_decay=train.ema_decay,
                ema_warmup=train.ema_warmup,
                regulariser=classifier.regulariser,
                augmentation=self.augmentation,
                adversary=self.adversary,
                frozen=self.frozen,
                mixing=self.mixing,
            )(state, batch)

        # Arguments, not constants: runs of a sweep that differ in these alone share the program.
        return partial(
            jax.jit(step, donate_argnums=0),
            seed=np.uint32(self.config.seed),
            rate=np.float32(self.config.optimizer.learning_rate),
        )

    def warm_up(self, state: TrainState) -> None:
        """Compiles the evaluation step; see :class:`jaxbio.tasks.task.Task`."""
        size, classifier = self.config.eval.batch_size, self.classifier
        side, split = classifier.preprocessing.image_size, batch_sharding(classifier.mesh)
        shapes = {"image": ((side, side, 3), "uint8"), "label": ((), "int32")}
        shapes |= {"index": ((), "int32"), "mask": ((), "bool")}
        batch = {
            name: jax.ShapeDtypeStruct((size, *shape), dtype, sharding=split)
            for name, (shape, dtype) in shapes.items()
        }
        step: Any = classifier.eval_step
        step.lower(state.variables(averaged=True), batch).compile()

    def batches(self, start_step: int) -> Iterable[Batch]:
        """The batches from ``start_step`` to the end of the run, on the devices."""
        mesh = self.classifier.mesh
        source, data = self.classifier.source, read_settings(self.config.data)
        common: Any = {
            "global_batch_size": self.config.train.batch_size,
            "seed": self.config.seed,
            "start_step": start_step,
            "num_steps": self.periods.total - start_step,
        }
        process = {"process_index": jax.process_index(), "process_count": jax.process_count()}
        batches: Any
        if resident.is_resident(source, data):
            rows = rows_of_process(self.config.train.batch_size, *process.values())
            shardings: Any = {"whole": replicated(mesh), "split": batch_sharding(mesh)}
            batches = resident.train_batches(source, data, rows=rows, **common, **shardings)
        else:
            batches = train_batches(source, self.config.data, **common, **process)
            batches = put_batches(batches, mesh)
        if self.corruptions is None:
            return batches
        return corrupted(batches, self.corruptions, mesh, self.config.seed, start_step)

    def test(self, state: TrainState) -> tuple[TrainState, Results]:
        """Accuracy and loss over the test set; tells them to a plateau schedule."""
        variables = state.variables(averaged=True)
        tested = self.classifier.test(variables, self.classifier.batches())
        if self.config.schedule.name == "plateau":
            state = self._update_plateau(state, tested["loss"])
        return state, tested

    def describe(self, state: TrainState) -> str:
        """The network and the data."""
        arguments, source = self.classifier.arguments, self.classifier.source
        network = arguments["name"]
        if arguments["front_end"] != "none":
            network = f"{arguments['front_end']} front-end + {network}"
        began = ""
        if self.pretrained is not None:
            kept = "its own" if self._keeps_classifier else "a new"
            began = f"from {self.pretrained.path}, with {kept} classifier\n"
        return (
            f"{network}: {self._count(state)}\n{began}"
            f"{source.num_train} training and {source.num_eval} test images"
        )

    def progress_line(self, metrics: Mapping[str, float]) -> str:
        """Training loss and accuracy; of mixed pictures that of the class that prevails."""
        of = " (of the larger label)" if self.mixing is not None else ""
        return f"loss {metrics['loss']:.4f}  top-1 {100 * metrics['top1']:5.1f} %{of}"

    def headline(self, results: Results) -> str:
        """Test loss and accuracy."""
        return f"test loss {results['loss']:.4f}, top-1 {100 * results['top1']:.2f} %"

    def result_rows(self, results: Results) -> list[tuple[str, str]]:
        """Accuracies, loss, number of images."""
        return accuracy_rows(results)

    def watch(self, run: RunDirectory, state: TrainState) -> None:
        """Nothing: the curves are in TensorBoard."""

    def write_report(self, run: RunDirectory, state: TrainState) -> None:
        """Curves, and the V1 where there is one."""
        from jaxbio.tasks.classification.report import write_report  # matplotlib: not before

        write_report(run, self.classifier, state)

    def _update_plateau(self, state: TrainState, loss: float) -> TrainState:
        schedule, batch_size = self.config.schedule, self.config.train.batch_size
        epoch = steps_per_epoch(self.classifier.source, batch_size)
        plateau = update_plateau(
            jax.device_get(state.plateau),
            np.int32(state.step),
            np.float32(loss),
            factor=schedule.factor,
            patience_steps=duration_in_steps(schedule, "patience", epoch),
            threshold=schedule.threshold,
        )
        placed = jax.tree.map(
            lambda new, old: jax.device_put(new, old.sharding), plateau, state.plateau
        )
        return state.replace(plateau=placed)

    @property
    def _keeps_classifier(self) -> bool:
        source = self.classifier.source
        pretrained = self.pretrained
        return pretrained is None or pretrained.keeps_classifier(
            source.num_classes, source.class_names
        )

    def _count(self, state: TrainState) -> str:
        count = f"{state.count_parameters():,} parameters"
        if self.frozen is None:
            return count
        learning = jax.tree.leaves(self.frozen.learning(state.params))
        sizes = [leaf.size for leaf in jax.tree.leaves(state.params)]
        learned = sum(n for n, learns in zip(sizes, learning, strict=True) if learns)
        return f"{count}, {learned:,} of them learn"

    def record(self, new: bool) -> Results:
        """What the configuration was resolved to, for ``config.json``."""
        arguments, pretrained = self.classifier.arguments, self.pretrained
        v2_filters = v2_provenance(arguments["front_end"], self.config.model.v2_weights)
        begun: Results = {}
        if pretrained is not None:
            v2_filters = pretrained.v2_filters
            if new:
                begun = {"init_from": pretrained.describe(self._keeps_classifier)}
        return {
            "model": arguments,
            **begun,
            "v2_filters": v2_filters,
            "class_names": self.classifier.source.class_names,
            "data": self.classifier.source.describe(),
            "steps": self.periods.total,
            **made_with(flax=flax.__version__),
        }


def learning_parts(
    arguments: dict[str, Any],
    model: nn.Module,
    image_size: int,
    setting: str,
    key: str = "model.freeze",
) -> tuple[Sequence[tuple[str, ...]], Frozen | None]:
    """Paths of the classifier's parameters, and what the ``setting`` of ``key`` says is frozen.

    Raises:
        InputError: a part that the network does not have, or nothing is left to learn.
    """
    more = build_model({**arguments, "num_classes": arguments["num_classes"] + 1})
    shapes, of_more = (variable_shapes(one, image_size)["params"] for one in (model, more))
    head = classifier_paths(shapes, of_more)
    return head, read_frozen(setting, shapes, head, key)


def _check_batch_size(config: ConfigDict, devices: int) -> None:
    train_size, parts = config.train.batch_size, devices * config.train.accumulate
    if config.train.accumulate < 1 or train_size < 1 or train_size % parts:
        raise InputError(
            f"train.batch_size={train_size} must be a multiple of {devices} devices x "
            f"train.accumulate={config.train.accumulate}"
        )
