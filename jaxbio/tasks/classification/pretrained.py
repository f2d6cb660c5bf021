"""Where a classifier begins: ``model.init_from``, a run, converted weights or a PyTorch file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.options import keys, set_key
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.mesh import state_shardings
from jaxbio.runs.state import TrainState
from jaxbio.tasks.classification import frozen
from jaxbio.tasks.classification.arr import COLLECTION
from jaxbio.tasks.classification.build import model_arguments
from jaxbio.tasks.classification.config import PRETRAINED, Config, Spiking, StartingModel
from jaxbio.tasks.classification.opened import Session, open_session
from jaxbio.tasks.config import recorded_images, restored_config
from jaxbio.weights import WeightMismatchError

# What a new training may choose, whatever the old one did.
_FREE = ("num_classes", "dtype", "remat", "drop_path", "v2_weights", "init_from", "freeze")


@dataclass(frozen=True)
class Pretrained:
    """A trained network to begin with.

    Attributes:
        images: ``image_size``, ``mean`` and ``std`` as far as they are known.
        v2_filters: where its V2 filters come from.
        converted: variables of a PyTorch file; None: a run directory has them.
    """

    path: str
    arguments: dict[str, Any]
    images: dict[str, Any]
    class_names: Sequence[str] | None
    v2_filters: str
    converted: dict[str, Any] | None
    config: ConfigDict

    @cached_property
    def session(self) -> Session | None:
        """The opened run; None for a PyTorch file."""
        return None if self.converted is not None else open_network(self.config, self.path)

    def keeps_classifier(self, num_classes: int, class_names: Sequence[str] | None) -> bool:
        """Whether the classes are those that it has learned, as far as is known."""
        if self.arguments["num_classes"] != num_classes:
            return False
        unknown = self.class_names is None or class_names is None
        return unknown or list(self.class_names or ()) == list(class_names or ())

    def describe(self, keeps_classifier: bool) -> dict[str, Any]:
        """For ``config.json``: what the run began with."""
        return {
            "from": Path(self.path).name,
            "step": None if self.session is None else self.session.step,
            "classifier": "kept" if keeps_classifier else "new",
        }

    def put_into(
        self, state: TrainState, mesh: jax.sharding.Mesh, fresh: Collection[frozen.Path]
    ) -> TrainState:
        """A new state with what has been learned, as copies on its devices.

        Args:
            state: at step 0.
            mesh: the devices.
            fresh: paths of parameters that stay as they are in ``state``: of a new classifier.

        Raises:
            InputError: another network.
        """
        found = self.converted if self.session is None else self.session.variables
        learned = {"constants": {}, **(found or {})}
        learned.pop(COLLECTION, None)
        learned["params"] = _overlay(state.params, learned["params"], fresh, self.path)
        copies = jax.tree.map(lambda a: jnp.array(a, copy=True), learned)
        learned = jax.device_put(copies, state_shardings(learned, mesh))
        params, constants = learned.pop("params"), learned.pop("constants")
        model_state = {**state.model_state, **learned}
        averages = {"params": params, "model_state": model_state}
        return state.replace(
            params=params,
            model_state=model_state,
            constants={**state.constants, **constants},
            ema=None if state.ema is None else jax.tree.map(jnp.copy, averages),
        )


def open_pretrained(config: ConfigDict) -> Pretrained | None:
    """What ``model.init_from`` names; the configuration takes from it what it leaves open.

    With ``model.name=pretrained`` these are all keys that have their defaults, otherwise those that
    are not set. Network and images must then agree.

    Args:
        config: the whole configuration; changed in place.

    Returns:
        The network; None to begin with random weights. No array of a run has been read yet.

    Raises:
        InputError: no network is there, or the configuration is of another.
    """
    path = config.model.init_from
    if not path:
        return None
    found = _of_file(config, path) if Path(path).is_file() else _of_directory(config, path)
    _adopt(config, found)
    return found


def open_network(config: ConfigDict, path: str) -> Session:
    """A run's or converted weights' network with its own images, on our devices, without data.

    Args:
        config: says which devices there are.
        path: the run directory.

    Raises:
        InputError: no network is there.
    """
    recorded = read_json(RunDirectory(path).config_file)
    if "config" in recorded:
        own = restored_config(recorded)
    else:  # converted weights: all but their images is the configuration's
        own = ConfigDict(config.to_dict())
        own.data.update(recorded_images(recorded))
    own.mesh = config.mesh
    own.eval.batch_size = config.eval.batch_size
    return open_session(own, path, with_data=False)


def _of_directory(config: ConfigDict, path: str) -> Pretrained:
    recorded = read_json(RunDirectory(path).config_file)
    task = recorded.get("config", {}).get("task", "classification")
    if task == "stdp":
        raise InputError(
            f"model.init_from={path} is a spiking network of task stdp: use spiking.start_from"
        )
    resolved = recorded.get("resolved", {})
    arguments = resolved.get("model") or recorded.get("model")
    if not isinstance(arguments, dict) or "name" not in arguments:
        raise InputError(f"model.init_from={path}: its config.json names no network: restore it")
    return Pretrained(
        path=path,
        arguments=arguments,
        images=recorded_images(recorded),
        class_names=resolved.get("class_names"),
        v2_filters=resolved.get("v2_filters", "converted"),
        converted=None,
        config=config,
    )


def _of_file(config: ConfigDict, path: str) -> Pretrained:
    from jaxbio.weights.infer import convert
    from jaxbio.weights.reader import read_torch

    if config.model.name == PRETRAINED:
        raise InputError(
            f"model.init_from={path} does not say which network it is of: set model.name, or "
            "convert it (jaxbio weights)"
        )
    arguments = model_arguments(config, num_classes=1)
    name = arguments.pop("name")
    for key in ("num_classes", "dtype", "remat", "front_end", "drop_path"):
        arguments.pop(key, None)  # the file says these, or they are no part of it
    try:
        found = convert(name, read_torch(path), **arguments)
    except WeightMismatchError as error:
        what = f"model.init_from={path} does not fit {name}"
        raise InputError(f"{what}: {error.report.brief()}") from error
    except InputError as error:
        raise InputError(f"model.init_from={path}: {error}") from error
    except (ValueError, KeyError, OSError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"model.init_from={path} cannot be read ({why})") from None
    images = vars(found.preprocessing)
    return Pretrained(path, found.arguments, images, None, "converted", found.variables, config)


def _adopt(config: ConfigDict, found: Pretrained) -> None:
    """Fills what the configuration leaves open, and refuses what it says differently."""
    declared = keys(Config)
    theirs = {f"model.{path}": key.default for path, key in keys(StartingModel).items()}
    theirs |= network_keys(found.arguments, f"model.init_from={found.path}")
    theirs = {path: v for path, v in theirs.items() if path.removeprefix("model.") not in _FREE}
    theirs |= {f"data.{key}": value for key, value in found.images.items()}
    changed = []
    takes_all = config.model.name == PRETRAINED
    for path, value in theirs.items():
        mine = attrgetter(path)(config)
        if _same(mine, value):
            continue
        is_open = takes_all and mine in (PRETRAINED, declared[path].default)
        if mine is None or is_open:
            set_key(config, path, value)
        elif not path.startswith("data.") or config.eval.preprocessing == "model":
            changed.append((path, mine, value))
    if changed:
        there = ", ".join(f"{path}={mine!r} (there {value!r})" for path, mine, value in changed)
        remedy = " ".join(f"{path}='{value}'" for path, _, value in changed)
        only_images = all(path.startswith("data.") for path, _, _ in changed)
        way_out = ", or eval.preprocessing=config to keep the configuration's" * only_images
        raise InputError(
            f"model.init_from={found.path} is another network or takes other images: {there}; set "
            f"{remedy}{way_out}"
        )


def network_keys(arguments: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The arguments of a network, but for the size of its images, as keys of a configuration.

    Raises:
        InputError: one has no key; ``where`` is what the message calls the network.
    """
    kept = {key: value for key, value in arguments.items() if key != "image_size"}
    options = dict(kept.pop("front_end_options", None) or {})
    retina = {k: v for k, v in options.pop("retina", {}).items() if k not in ("mean", "std")}
    of_spiking = {field.name for field in fields(Spiking)}
    values = {f"{'spiking.' if key in of_spiking else ''}{key}": v for key, v in kept.items()}
    values |= {f"v1.{key}": value for key, value in options.items()}
    values |= {f"retina.{key}": value for key, value in retina.items()}
    for path in values:
        if path not in keys(StartingModel):
            raise InputError(
                f"{where}: its option model.{path} has no key in a configuration: it cannot be "
                "trained on"
            )
    return {f"model.{path}": value for path, value in values.items()}


def _same(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, tuple | list) and isinstance(theirs, tuple | list):
        return len(mine) == len(theirs) and bool(np.allclose(mine, theirs, atol=1e-6))
    return bool(mine == theirs)


def _overlay(
    ours: Any, theirs: Mapping[str, Any], fresh: Collection[frozen.Path], path: str
) -> Any:
    """``theirs``, and ``ours`` where the classifier is new."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(ours)
    found = {frozen.path_names(w): leaf for w, leaf in jax.tree_util.tree_leaves_with_path(theirs)}
    merged = []
    for where, leaf in leaves:
        name = frozen.path_names(where)
        if name in fresh:
            merged.append(leaf)
            continue
        value = found.get(name)
        if value is not None and name[-1] == "pos_embed" and value.shape != leaf.shape:
            from jaxbio.weights.convert import interpolate_positions

            value = jnp.asarray(interpolate_positions(np.asarray(value), leaf.shape))
        if value is None or value.shape != leaf.shape:
            raise InputError(
                f"model.init_from={path} is of another network: {'/'.join(name)} is "
                f"{'missing' if value is None else value.shape}, the model needs {leaf.shape}"
            )
        merged.append(value)
    return jax.tree_util.tree_unflatten(structure, merged)
