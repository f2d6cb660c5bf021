"""The classification experiment: everything that its run is made of, before its first step."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

import flax
import jax
import numpy as np
import optax
from flax import linen as nn
from jax.sharding import Mesh
from ml_collections import ConfigDict

import jaxbio
from jaxbio.data import eval_batches, steps_per_epoch, train_batches
from jaxbio.errors import InputError
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.mesh import make_mesh, put_batches, state_shardings
from jaxbio.runs.periods import Periods, read_periods
from jaxbio.runs.schedules import make_schedule, update_plateau
from jaxbio.runs.state import TrainState, count_parameters
from jaxbio.tasks.classification.accuracy import accuracy_rows, evaluate
from jaxbio.tasks.classification.arr import ResponseRegulariser, make_regulariser
from jaxbio.tasks.classification.augmentation import read_augmentation
from jaxbio.tasks.classification.build import (
    build_model,
    create_state,
    data_source,
    model_arguments,
    read_v2_filters,
    v2_provenance,
)
from jaxbio.tasks.classification.corruption_augmentation import (
    CorruptionAugmentation,
    corrupted,
    read_corruption_augmentation,
)
from jaxbio.tasks.classification.optimizers import make_optimizer
from jaxbio.tasks.classification.report import write_report
from jaxbio.tasks.classification.step import make_eval_step, make_train_step


@dataclass(frozen=True)
class Setup:
    """The objects of a run.

    Attributes:
      config: see ``configs/base.py``.
      source: the data.
      arguments: of :func:`jaxbio.create_model`.
      model: the module.
      mesh: the devices.
      periods: when things happen.
      schedule: step -> learning rate.
      optimizer: the update's direction.
      like: the state's shapes, dtypes and shardings.
      v2_filters: those that replace the model's stand-in, or None.
      corruptions: augmentation of training images, or None.
      regulariser: ARR, or None.
    """

    config: ConfigDict
    source: Any
    arguments: dict[str, Any]
    model: nn.Module
    mesh: Mesh
    periods: Periods
    schedule: Callable[[jax.Array], jax.Array]
    optimizer: optax.GradientTransformation
    like: TrainState
    v2_filters: dict[str, Any] | None
    corruptions: CorruptionAugmentation | None
    regulariser: ResponseRegulariser | None

    best_by: ClassVar[str] = "top1"

    @property
    def images_per_step(self) -> int:
        """Over all devices."""
        return self.config.train.batch_size

    def initial_state(self) -> TrainState:
        """The state at step 0, created where it belongs, with the V2 filters asked for."""
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.like)
        new_state = _state_maker(self.config, self.model, self.optimizer, self.regulariser)
        state = jax.jit(new_state, out_shardings=shardings)(jax.random.key(self.config.seed))
        if self.v2_filters is None:
            return state
        constants = {**state.constants, "v2": self.v2_filters}
        return state.replace(constants=jax.device_put(constants, shardings.constants))

    def train_step(self) -> Any:
        """The jitted step; it takes the memory of the state that it is given."""
        config = self.config
        step = make_train_step(
            self.model,
            self.optimizer,
            self.schedule,
            seed=config.seed,
            mean=config.data.mean,
            std=config.data.std,
            label_smoothing=config.train.label_smoothing,
            accumulate=config.train.accumulate,
            ema_decay=config.train.ema_decay,
            regulariser=self.regulariser,
            augmentation=read_augmentation(config.data),
        )
        return jax.jit(step, donate_argnums=0)

    @cached_property
    def eval_step(self) -> Any:
        """The jitted evaluation step."""
        data = self.config.data
        step = make_eval_step(
            self.model,
            seed=self.config.seed,
            mean=data.mean,
            std=data.std,
            regulariser=self.regulariser,
        )
        return jax.jit(step)

    def train_batches(self, start_step: int) -> Any:
        """The batches from ``start_step`` to the end of the run, on the devices."""
        batches = train_batches(
            self.source,
            self.config.data,
            global_batch_size=self.config.train.batch_size,
            seed=self.config.seed,
            start_step=start_step,
            num_steps=self.periods.total - start_step,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        batches = put_batches(batches, self.mesh)
        if self.corruptions is None:
            return batches
        return corrupted(batches, self.corruptions, self.mesh, self.config.seed, start_step)

    def test_batches(self) -> Any:
        """This process's part of the test set."""
        return eval_batches(
            self.source,
            self.config.data,
            global_batch_size=self.config.eval.batch_size,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )

    def test(self, state: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Accuracy and loss over the test set; tells them to a plateau schedule."""
        variables = state.variables(averaged=True)
        tested = evaluate(self.eval_step, variables, self.test_batches(), self.mesh)
        if self.config.schedule.name == "plateau":
            state = self._update_plateau(state, tested["loss"])
        return state, tested

    def describe(self, state: TrainState) -> str:
        """The network and the data."""
        network = self.arguments["name"]
        if self.arguments["front_end"] != "none":
            network = f"{self.arguments['front_end']} front-end + {network}"
        return (
            f"{network}: {count_parameters(state.params):,} parameters\n"
            f"{self.source.num_train} training and {self.source.num_eval} test images"
        )

    def progress_line(self, metrics: dict[str, float]) -> str:
        """Training loss and accuracy."""
        return f"loss {metrics['loss']:.4f}  top-1 {100 * metrics['top1']:5.1f} %"

    def headline(self, results: dict[str, Any]) -> str:
        """Test loss and accuracy."""
        return f"test loss {results['loss']:.4f}, top-1 {100 * results['top1']:.2f} %"

    def result_rows(self, results: dict[str, Any]) -> list[tuple[str, str]]:
        """Accuracies, loss, number of images."""
        return accuracy_rows(results)

    def watch(self, run: RunDirectory, state: TrainState) -> None:
        """Nothing: the curves are in TensorBoard."""

    def write_report(self, run: RunDirectory, state: TrainState) -> None:
        """Curves, and the V1 where there is one."""
        image = next(iter(self.test_batches()))["image"][0]
        write_report(run, self.model, state, image, self.config.data.mean, self.config.data.std)

    def _update_plateau(self, state: TrainState, loss: float) -> TrainState:
        schedule = self.config.schedule
        plateau = update_plateau(
            jax.device_get(state.plateau),
            np.int32(state.step),
            np.float32(loss),
            factor=schedule.factor,
            patience_steps=self.periods.patience,
            threshold=schedule.threshold,
        )
        placed = jax.tree.map(
            lambda new, old: jax.device_put(new, old.sharding), plateau, state.plateau
        )
        return state.replace(plateau=placed)

    def record(self, new: bool) -> dict[str, Any]:
        """What the configuration was resolved to, for ``config.json``."""
        return {
            "model": self.arguments,
            "v2_filters": v2_provenance(self.arguments["front_end"], self.config.model.v2_weights),
            "class_names": self.source.class_names,
            "data": self.source.describe(),
            "steps": self.periods.total,
            "versions": {
                "jaxbio": jaxbio.__version__,
                "jax": jax.__version__,
                "flax": flax.__version__,
            },
            "devices": [str(device.device_kind) for device in jax.devices()],
        }


def prepare(config: ConfigDict) -> Setup:
    """Builds and checks everything; computes nothing yet.

    Raises:
      InputError: wrong configuration or data.
    """
    source = data_source(config)
    arguments = model_arguments(config, source.num_classes)
    model = build_model(arguments)
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
    _check_batch_sizes(config, mesh.size)
    steps_in_epoch = steps_per_epoch(source, config.train.batch_size)
    periods = read_periods(config, steps_in_epoch)
    optimizer = make_optimizer(config.optimizer)
    schedule = make_schedule(
        config.schedule, config.optimizer.learning_rate, periods.total, steps_in_epoch
    )
    read_augmentation(config.data)  # refuses what is wrong before anything is made
    regulariser = make_regulariser(config.arr, model, config.data.image_size)
    new_state = _state_maker(config, model, optimizer, regulariser)
    shapes = jax.eval_shape(new_state, jax.random.key(config.seed))
    like = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        state_shardings(shapes, mesh),
    )
    return Setup(
        config=config,
        source=source,
        arguments=arguments,
        model=model,
        mesh=mesh,
        periods=periods,
        schedule=schedule,
        optimizer=optimizer,
        like=like,
        v2_filters=read_v2_filters(config.model.front_end, config.model.v2_weights),
        corruptions=read_corruption_augmentation(config.data),
        regulariser=regulariser,
    )


def _state_maker(
    config: ConfigDict,
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    regulariser: ResponseRegulariser | None,
) -> Callable[[jax.Array], TrainState]:
    return partial(
        create_state,
        model,
        optimizer,
        image_shape=(config.data.image_size, config.data.image_size, 3),
        ema=config.train.ema_decay > 0,
        regulariser=regulariser,
    )


def _check_batch_sizes(config: ConfigDict, devices: int) -> None:
    train_size, parts = config.train.batch_size, devices * config.train.accumulate
    if config.train.accumulate < 1 or train_size < 1 or train_size % parts:
        raise InputError(
            f"train.batch_size={train_size} must be a multiple of {devices} devices x "
            f"train.accumulate={config.train.accumulate}"
        )
    if config.eval.batch_size < 1 or config.eval.batch_size % devices:
        raise InputError(
            f"eval.batch_size={config.eval.batch_size} must be a multiple of {devices} devices"
        )
