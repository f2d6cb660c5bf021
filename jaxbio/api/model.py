"""A network by its name, with weights of a file: what others call a model zoo's entry."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxbio.api.network import Network
from jaxbio.data.types import Source
from jaxbio.errors import InputError
from jaxbio.features.content_key import digest_variables
from jaxbio.files import read_json, write_json
from jaxbio.models.bodies import find_body
from jaxbio.models.body import Body
from jaxbio.models.create import create_model
from jaxbio.ops.images import Preprocessing
from jaxbio.ops.once import jit_once
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.mesh import make_mesh, replicated
from jaxbio.tasks.classification.opened import Session
from jaxbio.tasks.config import new_config
from jaxbio.weights.convert import WeightMismatchError
from jaxbio.weights.infer import convert, published_normalisation
from jaxbio.weights.reader import read_torch

_NAMES_IN_FILES = ("class_names", "classes", "class_to_idx", "idx_to_class", "labels")


class Model(Network):
    """A network that can be applied and asked; from :func:`load_model` and :func:`jaxbio.wrap`.

    Attributes:
        module: maps normalised images float32 ``[N, S, S, 3]`` to ``(logits, endpoints)``:
            ``module.apply(variables, preprocessing.normalise(images), train=False)``.
        variables: of the module.
        preprocessing: S, and the normalisation.
        num_classes: number of logits; 0: it returns none.
        class_names: in the order of the logits; None: unknown.
        name: what tables call it.

    Args:
        arguments: what is recorded of the network: ``name`` and ``num_classes`` at least.
        workdir: where results are written; default: ``runs/NAME_DIGEST``.
        digest: of the weights; default: of ``variables``.
        batch_size: images at once.
        mesh: devices that share a batch; default: all.

    Raises:
        InputError: as many names as there are not classes.
    """

    def __init__(
        self,
        module: Any,
        variables: Mapping[str, Any],
        preprocessing: Preprocessing,
        arguments: Mapping[str, Any],
        *,
        class_names: Sequence[str] | None = None,
        workdir: str | Path | None = None,
        digest: Callable[[], str] | None = None,
        batch_size: int = 64,
        mesh: Mesh | None = None,
    ):
        self.module = module
        self.variables = dict(variables)
        self.preprocessing = preprocessing
        self.num_classes = int(arguments["num_classes"])
        self.name = str(arguments["name"])
        self.class_names = None if class_names is None else [str(name) for name in class_names]
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise InputError(
                f"class_names has {len(self.class_names)} names, the network {self.num_classes} "
                "classes: give one for each"
            )
        self._arguments = json.loads(json.dumps(dict(arguments), default=str))
        self._workdir, self._digest = workdir, digest or (lambda: digest_variables(variables))
        self._batch_size, self._mesh = batch_size, mesh

    def __repr__(self) -> str:
        size = self.preprocessing.image_size
        return f"<Model {self.name}, {size} px, {self.num_classes} classes>"

    @cached_property
    def session(self) -> Session:  # type: ignore[override]
        """The network as measures take it, without data."""
        mesh = make_mesh() if self._mesh is None else self._mesh
        images = self.preprocessing
        config = new_config("classification")
        config.data.image_size = images.image_size
        config.data.mean, config.data.std = images.mean, images.std
        config.eval.batch_size = -(-self._batch_size // mesh.size) * mesh.size
        return Session(
            config=config,
            source=cast(Source, None),
            arguments=self._arguments,
            model=self.module,
            preprocessing=images,
            mesh=mesh,
            regulariser=None,
            classes=None,
            class_names=self.class_names,
            present=None,
            run=self._directory(),
            step=0,
            variables=jax.device_put(self.variables, replicated(mesh)),
        )

    def _directory(self) -> RunDirectory:
        run = RunDirectory(self._workdir or Path("runs") / f"{self.name}_{self._weights[:8]}")
        run.config_file = run.path / "model.json"
        return run

    @cached_property
    def _weights(self) -> str:
        return self._digest()

    def _begin(self) -> None:
        file = self.session.run.config_file
        known = {
            "model": self._arguments,
            "weights": self._weights,
            "preprocessing": dataclasses.asdict(self.preprocessing),
            "resolved": {"class_names": self.class_names},
        }
        if not file.exists():
            write_json(file, known)
        elif read_json(file) != json.loads(json.dumps(known)):
            raise InputError(
                f"workdir={file.parent} holds results of another network or of other weights: "
                "choose another"
            )

    def _class_names(self, count: int) -> list[str] | None:
        return self.class_names


def load_model(
    name: str,
    weights: str | Path | None = None,
    *,
    image_size: int | None = None,
    num_classes: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    **arguments: Any,
) -> Model:
    """A network with the weights of a PyTorch file, or untrained.

    What is not given is taken from the file, and otherwise that of the published network, as
    ``jaxbio weights`` does. No code of the file is run; PyTorch is not needed.

    Args:
        name: one of ``jaxbio.list_models()``.
        weights: a ``.pth``, ``.pt`` or ``.safetensors`` file; None: random weights.
        image_size: side in pixels; default: the file's, or 224.
        num_classes: default: the file's; 1000 without a file.
        mean: of images in [0, 1], per channel; default: the published network's.
        std: likewise.
        class_names: in the order of the logits; default: those recorded in the file, if any.
        seed: of random weights.
        arguments: others of :func:`jaxbio.create_model`: ``front_end``, ``activation``, ...

    Raises:
        InputError: an unknown network or argument, no such file, or weights of another network.

    Example:
        >>> model = jaxbio.load_model("cornet_z", image_size=32, num_classes=5)
        >>> images = np.zeros((2, 32, 32, 3), np.uint8)
        >>> logits, endpoints = model.module.apply(
        ...     model.variables, model.preprocessing.normalise(images), train=False
        ... )
        >>> logits.shape, model.features(images, "V4")["V4"].shape  # of 1 time step
        ((2, 5), (2, 1, 2, 2, 256))
    """
    if weights is None:
        size = 224 if image_size is None else image_size
        classes = 1000 if num_classes is None else num_classes
        recorded = {"name": name, "num_classes": classes, "image_size": size, **arguments}
        return _untrained(recorded, mean, std, class_names, seed)
    if os.path.isdir(weights):
        raise InputError(f"weights={weights} is a directory: use jaxbio.open_run for runs")
    find_body(name)  # a wrong name is an error before the file is read
    try:
        content = read_torch(weights)
        found = convert(
            name,
            content,
            mean=mean,
            std=std,
            image_size=image_size,
            num_classes=num_classes,
            **arguments,
        )
    except WeightMismatchError as error:
        remedy = "give the network and num_classes that it was saved with"
        raise InputError(
            f"{weights} does not fit {name}: {error.report.brief()}; {remedy}"
        ) from error
    except InputError as error:
        raise InputError(f"{weights}: {error}") from error
    except (ValueError, KeyError, OSError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"weights={weights} cannot be read ({why}): give a PyTorch file") from None
    names = _recorded_names(content) if class_names is None else class_names
    if class_names is None and names and len(names) != found.arguments["num_classes"]:
        names = None
    made = create_model(**found.arguments)
    return Model(made, found.variables, found.preprocessing, found.arguments, class_names=names)


def _recorded_names(content: Any) -> list[str] | None:
    """The class names in a checkpoint, as people record them; None: there are none."""
    for key in _NAMES_IN_FILES:
        found = content.get(key) if isinstance(content, Mapping) else None
        if isinstance(found, Mapping):  # numbers to names, or names to numbers
            numbered: dict[Any, Any] = {k: v for k, v in found.items() if isinstance(k, Integral)}
            numbered = numbered or {v: k for k, v in found.items() if isinstance(v, Integral)}
            found = [numbered.get(number) for number in range(len(found))]
        if isinstance(found, list | tuple) and found and all(isinstance(n, str) for n in found):
            return list(found)
    return None


def _untrained(
    arguments: dict[str, Any],
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    class_names: Sequence[str] | None,
    seed: int,
) -> Model:
    size, module = arguments["image_size"], create_model(**arguments)
    body = module if isinstance(module, Body) else cast(Any, module).body
    own_mean, own_std = published_normalisation(body, arguments.get("front_end", "none"))
    preprocessing = Preprocessing(
        size, own_mean if mean is None else tuple(mean), own_std if std is None else tuple(std)
    )
    keys = {"params": jax.random.key(seed), "noise": jax.random.key(seed)}
    init = jit_once(lambda keys: module.init(keys, jnp.zeros((1, size, size, 3)), train=False))
    return Model(module, init(keys), preprocessing, arguments, class_names=class_names)
