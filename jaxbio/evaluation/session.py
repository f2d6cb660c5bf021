"""Opening of a run for evaluation: configuration, model, variables, data."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import Mesh
from ml_collections import ConfigDict

from jaxbio.data import eval_batches
from jaxbio.errors import InputError
from jaxbio.evaluation.accuracy import EvalStep, evaluate
from jaxbio.experiment import build_model, data_source, model_arguments
from jaxbio.training.checkpointing import load_variables
from jaxbio.training.run_directory import RunDirectory, read_json
from jaxbio.training.sharding import make_mesh, replicated
from jaxbio.training.steps import make_eval_step

# These change how a model is computed, not what it is.
_FREE_ARGUMENTS = ("remat", "dtype", "image_size")


@dataclass(frozen=True)
class Session:
    """What every evaluation needs.

    Attributes:
      config: data and evaluation settings.
      run: the run directory.
      step: of the checkpoint.
      arguments: of :func:`jaxbio.create_model`.
      model: the module.
      variables: restored ones, on the mesh.
      source: the data.
      mesh: the devices.
      eval_step: jitted.
    """

    config: ConfigDict
    run: RunDirectory
    step: int
    arguments: dict[str, Any]
    model: nn.Module
    variables: dict[str, Any]
    source: Any
    mesh: Mesh
    eval_step: EvalStep

    def batches(self, transform: Any = None) -> Any:
        """One pass over this process's part of the test set, padded and masked."""
        return eval_batches(
            self.source,
            self.config.data,
            global_batch_size=self.config.eval.batch_size,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            transform=transform,
        )

    def measure(self, batches: Any) -> dict[str, float]:
        """Loss, top-1 and top-5 over ``batches``."""
        return evaluate(self.eval_step, self.variables, batches, self.mesh)


def open_session(config: ConfigDict | None, workdir: str, checkpoint: str = "best") -> Session:
    """Opens a training run or converted weights.

    Args:
      config: None takes the run's own. Its model must be the run's; its data may be other data with
        as many classes. Converted weights bring their model, and need a configuration for the data.
      workdir: the run directory.
      checkpoint: ``best``, ``last`` or a step.

    Raises:
      InputError: no such run, a checkpoint of another model, data that does not fit.
    """
    run = RunDirectory(workdir)
    recorded = read_json(run.config_file)
    converted = "config" not in recorded
    if config is None:
        if converted:
            raise InputError(
                f"{run.path} holds converted weights: choose data with --config=configs/NAME.py"
            )
        config = ConfigDict(recorded["config"])
    source = data_source(config)
    if converted:
        arguments = {**recorded["model"], "dtype": config.model.dtype}
        if arguments["num_classes"] != source.num_classes:
            raise InputError(
                f"{run.path} has {arguments['num_classes']} classes, {config.data.source} has "
                f"{source.num_classes}: use the data that the weights were trained on"
            )
    else:
        arguments = model_arguments(config, source.num_classes)
        _check_same_model(arguments, recorded["resolved"]["model"], run)
    model = build_model(arguments)
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
    if config.eval.batch_size % mesh.size:
        raise InputError(
            f"eval.batch_size={config.eval.batch_size} must be a multiple of {mesh.size} devices"
        )
    variables, step = load_variables(
        run, _abstract_variables(model, config.data.image_size, mesh), checkpoint
    )
    eval_step = jax.jit(
        make_eval_step(model, seed=config.seed, mean=config.data.mean, std=config.data.std)
    )
    return Session(config, run, step, arguments, model, variables, source, mesh, eval_step)


def _abstract_variables(model: nn.Module, image_size: int, mesh: Mesh) -> dict[str, Any]:
    images = jnp.zeros((1, image_size, image_size, 3))
    keys = {"params": jax.random.key(0), "noise": jax.random.key(0)}
    shapes = jax.eval_shape(lambda: model.init(keys, images, train=False))
    return jax.tree.map(
        lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=replicated(mesh)),
        {"constants": {}, **shapes},
    )


def _check_same_model(
    arguments: dict[str, Any], recorded: dict[str, Any], run: RunDirectory
) -> None:
    changed = [
        f"{key}={arguments.get(key)!r} (there {recorded.get(key)!r})"
        for key in sorted(arguments.keys() | recorded.keys())
        if key not in _FREE_ARGUMENTS and arguments.get(key) != recorded.get(key)
    ]
    if changed:
        raise InputError(
            f"{run.path} is a run of another model: {', '.join(changed)}; "
            "use its configuration or another --workdir"
        )
