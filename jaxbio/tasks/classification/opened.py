"""A classifier with its data and devices: opened to be trained, or of a run to be measured."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh
from ml_collections import ConfigDict

from jaxbio.data import eval_batches, open_source
from jaxbio.data.class_names import imagenet_ids, with_classes_of
from jaxbio.data.types import Batch, Source, Transform
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.checkpoints import load_variables
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.mesh import make_mesh, replicated
from jaxbio.tasks.classification.accuracy import EvalStep, evaluate
from jaxbio.tasks.classification.arr import COLLECTION, ResponseRegulariser, make_regulariser
from jaxbio.tasks.classification.build import build_model, model_arguments, variable_shapes
from jaxbio.tasks.classification.step import make_eval_step
from jaxbio.tasks.config import own_config, recorded_images

# These change how a model is computed, not what it is.
_FREE_ARGUMENTS = ("remat", "dtype", "image_size")


@dataclass(frozen=True)
class Classifier:
    """A network, the data that it is tested on, and the devices.

    Attributes:
        config: data and evaluation settings.
        source: the data; None where it was opened without.
        classes: the only ones that are answered, numbers; None: all.
    """

    config: ConfigDict
    source: Source  # or None, as said above: who opens it without data does not ask for them
    arguments: dict[str, Any]
    model: nn.Module
    preprocessing: Preprocessing
    mesh: Mesh
    regulariser: ResponseRegulariser | None
    classes: tuple[int, ...] | None

    @cached_property
    def eval_step(self) -> EvalStep:
        """The jitted evaluation step."""
        step = make_eval_step(
            self.model,
            self.preprocessing,
            seed=self.config.seed,
            regulariser=self.regulariser,
            classes=self.classes,
        )
        return jax.jit(step)

    def batches(self, transform: Transform | None = None) -> Iterable[Batch]:
        """One pass over this process's part of the test set, padded and masked."""
        return eval_batches(
            self.source,
            self.config.data,
            global_batch_size=self.config.eval.batch_size,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            transform=transform,
        )

    def test(self, variables: dict[str, Any], batches: Iterable[Batch]) -> dict[str, float]:
        """Loss, top-1 and top-5 over ``batches``."""
        return evaluate(self.eval_step, variables, batches, self.mesh)


def open_model(
    config: ConfigDict,
    source: Source | None,
    arguments: dict[str, Any],
    arr: Any,
    classes: Sequence[int] | None = None,
) -> Classifier:
    """Builds a network and what it is tested with; computes nothing yet.

    Args:
        config: the whole configuration.
        source: the data, or None.
        arguments: of :func:`jaxbio.create_model`.
        arr: the section ``arr`` of the configuration; empty: none.
        classes: the only ones that are answered; None: all.

    Raises:
        InputError: wrong configuration.
    """
    model = build_model(arguments)
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
    if config.eval.batch_size < 1 or config.eval.batch_size % mesh.size:
        raise InputError(
            f"eval.batch_size={config.eval.batch_size} must be a multiple of {mesh.size} devices"
        )
    data = config.data
    return Classifier(
        config=config,
        source=cast(Source, source),
        arguments=arguments,
        model=model,
        preprocessing=Preprocessing(data.image_size, data.mean, data.std),
        mesh=mesh,
        regulariser=make_regulariser(arr, cast(Any, model), data.image_size) if arr else None,
        classes=None if classes is None else tuple(classes),
    )


@dataclass(frozen=True)
class Session(Classifier):
    """A classifier of a run: what every evaluation needs.

    Attributes:
        variables: restored ones, on the mesh.
        class_names: of the network's answers, by number; None if they are not known. The labels of
            the source are these numbers.
        present: the classes that the data have, numbers; None without data.
    """

    run: RunDirectory
    step: int
    variables: dict[str, Any]
    class_names: list[str] | None
    present: tuple[int, ...] | None

    def measure(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Loss, top-1 and top-5 over ``batches``."""
        return self.test(self.variables, batches)


def open_session(
    config: ConfigDict | None, workdir: str, checkpoint: str = "best", *, with_data: bool = True
) -> Session:
    """Opens a training run or converted weights.

    Args:
        config: None takes the run's own. Its model must be the run's; its data may be other data
            whose classes the network knows, by name. Converted weights bring their model, and need
            a configuration for the data.
        workdir: the run directory.
        checkpoint: ``best``, ``last`` or a step.
        with_data: open the configuration's data. Without, for a mode that brings its own images,
            the data need not be there, and their classes need not be the model's.

    Raises:
        InputError: no such run, a checkpoint of another model, data that does not fit.
    """
    run = RunDirectory(workdir)
    recorded = read_json(run.config_file)
    converted = "config" not in recorded
    if config is None:
        if converted and with_data:
            raise InputError(
                f"{run.path} holds converted weights, which have no data: choose some, as in "
                "--data=DIR of pictures by class, or data.source=mnist"
            )
        config = own_config(recorded, run.path)
    if "model" not in config or (with_data and "source" not in config.data):
        raise InputError(
            f"task {config.task} has no labelled images to test {run.path} on: choose a "
            "classifier's data with --config=configs/NAME.py"
        )
    if config.eval.get("preprocessing", "model") == "model":
        _check_same_images(config.data, recorded, run)
    learned = recorded["model"] if converted else recorded["resolved"]["model"]
    count, names = learned["num_classes"], recorded_names(recorded)
    source, present = None, None
    if with_data:
        source, present = with_classes_of(open_source(config.data), names, count)
    if converted:
        arguments = {**learned, "dtype": config.model.dtype}
    else:
        arguments = model_arguments(config, count)
        _check_same_model(arguments, learned, run)
    # The run's own: its memory is among the variables, whatever the configuration of the data.
    arr = {} if converted else recorded["config"].get("arr", {})
    only = present if config.eval.get("classes") == "data" else None
    opened = open_model(config, source, arguments, arr, only)
    variables, step = load_variables(run, _abstract_variables(opened), checkpoint)
    return Session(
        **vars(opened),
        run=run,
        step=step,
        variables=variables,
        class_names=names,
        present=present,
    )


def recorded_names(recorded: Mapping[str, Any]) -> list[str] | None:
    """The class names of a network, as its config.json tells; None if they are not known.

    Converted weights of 1,000 classes are taken for ImageNet's: WordNet ids.
    """
    if "config" in recorded:
        return recorded.get("resolved", {}).get("class_names")
    return list(imagenet_ids()) if recorded["model"].get("num_classes") == 1000 else None


def _check_same_images(data: ConfigDict, recorded: dict[str, Any], run: RunDirectory) -> None:
    """A network sees what it learned from: other sizes and means are other responses, silently."""
    changed, remedy = [], []
    for key, theirs in recorded_images(recorded).items():
        value = data.get(key, theirs)
        if np.allclose(value, theirs, atol=1e-6):
            continue
        changed.append(f"data.{key}={value} (there {theirs})")
        remedy.append(f"--config.data.{key}='{theirs}'")
    if changed:
        raise InputError(
            f"{run.path} takes other images than the configuration gives: {', '.join(changed)}; "
            f"set {' '.join(remedy)}, or --config.eval.preprocessing=config to keep the "
            "configuration's"
        )


def _abstract_variables(opened: Classifier) -> dict[str, Any]:
    shapes = variable_shapes(opened.model, opened.preprocessing.image_size)
    if opened.regulariser is not None:
        shapes[COLLECTION] = jax.eval_shape(opened.regulariser.new_memory)
    return jax.tree.map(
        lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=replicated(opened.mesh)),
        {"constants": {}, **shapes},
    )


def _check_same_model(
    arguments: dict[str, Any], recorded: dict[str, Any], run: RunDirectory
) -> None:
    here, there = _what_matters(arguments), _what_matters(recorded)
    changed = [
        f"{key}={here.get(key)!r} (there {there.get(key)!r})"
        for key in sorted(here.keys() | there.keys())
        if here.get(key) != there.get(key)
    ]
    if changed:
        raise InputError(
            f"{run.path} is a run of another model: {', '.join(changed)}; "
            "use its configuration or another --workdir"
        )


def _what_matters(arguments: dict[str, Any]) -> dict[str, Any]:
    """A model without what may differ when it is tested: noise can be on or off then."""
    kept = {key: value for key, value in arguments.items() if key not in _FREE_ARGUMENTS}
    options = dict(kept.get("front_end_options") or {})
    retina = dict(options.pop("retina", None) or {})
    for part in (options, retina):
        part.pop("noise_at_eval", None)
    if "front_end_options" in kept:
        kept["front_end_options"] = {**options, **({"retina": retina} if retina else {})}
    return kept
