"""A bridge to Brain-Score: jaxbio's models as its activations models and brain models.

Brain-Score needs NumPy 1 and lives in an environment of its own (docs/brainscore.md says how to
make it). This module imports nothing of it until a model is built, so that it can be tested
anywhere::

    from brainscore_vision import load_benchmark  # in Brain-Score's environment
    from jaxbio.brainscore import open_brain_model

    brain = open_brain_model("runs/cornet_s")
    score = load_benchmark("MajajHong2015public.IT-pls")(brain)

Reference:
    Schrimpf et al. 2018, "Brain-Score: Which Artificial Neural Network for Object Recognition is
    most Brain-Like?", doi:10.1101/407007; the committed time bins are those of CORnet-S (Kubilius
    et al. 2019, arXiv:1909.06161).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from flax import linen as nn
from PIL import Image

from jaxbio.errors import InputError
from jaxbio.features import Extractor, FeatureRequest, layer_shapes
from jaxbio.files.pictures import open_picture
from jaxbio.ops.images import Preprocessing
from jaxbio.tasks.classification.opened import open_session

Bin = tuple[float, float]
Bins = Mapping[str, Sequence[Bin]]


def open_brain_model(
    workdir: str,
    *,
    checkpoint: str = "best",
    config: Any = None,
    regions: Mapping[str, str] | None = None,
    time_bins: Bins | None = None,
    visual_degrees: float = 8,
) -> Any:
    """Opens a run or converted weights as a brain model for Brain-Score's benchmarks.

    Args:
        workdir: the run directory.
        checkpoint: ``best``, ``last`` or a step.
        config: of converted weights: image size, mean and standard deviation.
        regions: region -> layer of a feedforward network: ``{"V4": "layer3", "IT": "layer4"}``.
            None lets Brain-Score choose among all layers.
        time_bins: of a recurrent network whose areas are called like the regions; default: the
            published ones where there are some (CORnet-S). Not together with ``regions``.
        visual_degrees: size of the images in the visual field.

    Raises:
        InputError: no such run, layer or time step.
        ModuleNotFoundError: Brain-Score is not installed here.
    """
    session = open_session(config, workdir, checkpoint, with_data=False)
    data = session.config.data
    activations = ActivationsModel(
        session.model,
        session.variables,
        identifier=f"jaxbio-{session.run.path.name}-{session.step}",
        preprocessing=Preprocessing(data.image_size, data.mean, data.std),
    )
    if time_bins is None and regions is None:
        time_bins = session.model.time_bins or None
    if time_bins is not None:
        if regions is not None:
            raise InputError("regions and time_bins are both given: use one")
        return TemporalCommitment(activations, time_bins, visual_degrees=visual_degrees)
    from brainscore_vision.model_helpers.brain_transformation import ModelCommitment

    return ModelCommitment(
        identifier=activations.identifier,
        activations_model=activations,
        layers=activations.layer_names,
        behavioral_readout_layer="penultimate",
        region_layer_map=None if regions is None else dict(regions),
        visual_degrees=visual_degrees,
    )


class ActivationsModel:
    """What Brain-Score calls an activations model: stimuli and layer names in, an assembly out.

    A layer with a time axis appears once per step, as ``IT@0``, ``IT@1``; the bare name is its last
    step.

    Args:
        model: from :func:`jaxbio.create_model`.
        variables: the model's.
        identifier: names the model in Brain-Score's caches: another model, another name.
        preprocessing: what the model was trained with; images are resized to a square of its side.
        batch_size: images in a forward pass.
        make_extractor: Brain-Score's ``ActivationsExtractorHelper`` or what takes its place in
            tests; None imports it.
    """

    def __init__(
        self,
        model: nn.Module,
        variables: Mapping[str, Any],
        *,
        identifier: str,
        preprocessing: Preprocessing,
        batch_size: int = 64,
        make_extractor: Callable[..., Any] | None = None,
    ):
        if make_extractor is None:
            from brainscore_vision.model_helpers.activations.core import (  # type: ignore[no-redef]
                ActivationsExtractorHelper as make_extractor,
            )
        self.identifier = identifier
        self._preprocessing = preprocessing
        self._model, self._variables = model, variables
        self._layers = layer_shapes(model, variables, preprocessing.image_size)
        self._compiled: dict[tuple[str, ...], Extractor] = {}
        self._extractor = make_extractor(  # type: ignore[misc]
            get_activations=self.get_activations,
            preprocessing=self.read_images,
            identifier=identifier,
            batch_size=batch_size,
        )
        self._extractor.insert_attrs(self)

    @property
    def layer_names(self) -> list[str]:
        """Every layer, and every step of those that have time."""
        names = []
        for name, layer in self._layers.items():
            steps = [] if layer.steps is None else [step_name(name, t) for t in layer.steps]
            names += steps or [name]
        return names

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Activations of stimuli: arguments and assembly are Brain-Score's."""
        return self._extractor(*args, **kwargs)

    def read_images(self, paths: Iterable[Any]) -> np.ndarray:
        """Image files as ``[n, size, size, 3]`` uint8."""
        images, side = [], self._preprocessing.image_size
        for path in paths:
            image = open_picture(path, upright=False).convert("RGB")
            images.append(np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)))
        return np.stack(images)

    def get_activations(
        self, images: np.ndarray, layer_names: Sequence[str]
    ) -> "OrderedDict[str, np.ndarray]":
        """Activations ``[n, C, H, W]`` or ``[n, C]`` per name, of images from :meth:`read_images`.

        Raises:
            InputError: an unknown layer or step.
        """
        wanted = [self._split(name) for name in layer_names]
        layers = tuple(dict.fromkeys(layer for layer, _ in wanted))
        if layers not in self._compiled:
            self._compiled[layers] = Extractor(
                self._model,
                self._variables,
                FeatureRequest(layers),
                self._preprocessing,
            )
        images = np.asarray(images, np.uint8)
        batch = {"image": images, "index": np.arange(len(images))}
        ((_, features),) = self._compiled[layers].stream([batch])
        activations = OrderedDict()
        for name, (layer, step) in zip(layer_names, wanted, strict=True):
            values = features[layer] if step is None else features[layer][:, step]
            activations[name] = np.moveaxis(values, -1, 1)
        return activations

    def _split(self, name: str) -> tuple[str, int | None]:
        layer, _, step = name.partition("@")
        if layer not in self._layers:
            raise InputError(f"unknown layer '{name}': use some of {', '.join(self.layer_names)}")
        steps = self._layers[layer].steps
        if steps is None and not step:
            return layer, None
        if steps is not None and (not step or (step.isdecimal() and int(step) in steps)):
            return layer, int(step) if step else steps[-1]
        raise InputError(f"unknown step '{name}': use some of {', '.join(self.layer_names)}")


class TemporalCommitment:
    """A recurrent network as a brain model: each step of an area stands for a time after onset.

    Implements Brain-Score's ``BrainModel``: a requested time bin is answered by the committed bin
    with the largest overlap, of equal ones the earlier, and by the nearest one where none overlaps.

    Args:
        activations: the network.
        time_bins: region -> (start, end) in ms of each of its steps, the area's name being the
            region's.
        behavioral_layer: that tasks are read out from.
        visual_degrees: size of the images in the visual field.
        make_assembly: Brain-Score's ``NeuroidAssembly`` or what takes its place in tests; None
            imports it.

    Raises:
        InputError: a region that the network does not have, or not as many bins as steps.
    """

    def __init__(
        self,
        activations: ActivationsModel,
        time_bins: Bins,
        *,
        behavioral_layer: str = "penultimate",
        visual_degrees: float = 8,
        make_assembly: Callable[..., Any] | None = None,
    ):
        self._activations = activations
        self._time_bins = {region: list(bins) for region, bins in time_bins.items()}
        for region, bins in self._time_bins.items():
            steps = [n for n in activations.layer_names if n.partition("@")[0] == region]
            if len(steps) != len(bins):
                raise InputError(
                    f"time_bins['{region}'] has {len(bins)} bins, the network's area {region} has "
                    f"{len(steps)} steps: give as many"
                )
        self._behavioral_layer = behavioral_layer
        self._visual_degrees = visual_degrees
        self._make_assembly = make_assembly
        self._behaviour: Any = None
        self._recording: tuple[str, list[Bin]] | None = None

    @property
    def identifier(self) -> str:
        """Names the model."""
        return self._activations.identifier

    def visual_degrees(self) -> float:
        """Size of the images in the visual field."""
        return self._visual_degrees

    def start_recording(self, recording_target: Any, time_bins: Sequence[Bin]) -> None:
        """Chooses a region and the time bins in which to record it, in ms.

        Raises:
            InputError: a region without committed bins.
        """
        region = str(getattr(recording_target, "value", recording_target))
        if region not in self._time_bins:
            known = ", ".join(self._time_bins)
            raise InputError(f"no time bins for the region {region}: committed are {known}")
        self._behaviour = None
        self._recording = region, [(float(start), float(end)) for start, end in time_bins]

    def start_task(self, task: Any, *args: Any, **kwargs: Any) -> None:
        """Chooses a behavioural task, which Brain-Score reads out from the behavioural layer."""
        from brainscore_vision.model_helpers.brain_transformation import ModelCommitment

        self._recording = None
        self._behaviour = ModelCommitment(
            identifier=self.identifier,
            activations_model=self._activations,
            layers=[self._behavioral_layer],
            behavioral_readout_layer=self._behavioral_layer,
            visual_degrees=self._visual_degrees,
        )
        self._behaviour.start_task(task, *args, **kwargs)

    def look_at(self, stimuli: Any, number_of_trials: int = 1, **kwargs: Any) -> Any:
        """Shows stimuli: an assembly of presentation x neuroid x time_bin, or the task's answers.

        Raises:
            InputError: neither a recording nor a task was started.
        """
        if self._behaviour is not None:
            return self._behaviour.look_at(stimuli, number_of_trials, **kwargs)
        if self._recording is None:
            raise InputError("look_at before start_recording or start_task: start one of them")
        region, requested = self._recording
        chosen = [step_name(region, _best_bin(b, self._time_bins[region])) for b in requested]
        by_step = {
            name: self._activations(
                stimuli, layers=[name], number_of_trials=number_of_trials, **kwargs
            )
            for name in dict.fromkeys(chosen)
        }
        return self._in_time(by_step, chosen, requested, region)

    def _in_time(
        self,
        by_step: Mapping[str, Any],
        chosen: Sequence[str],
        requested: Sequence[Bin],
        region: str,
    ) -> Any:
        ordered = {name: a.transpose("presentation", "neuroid") for name, a in by_step.items()}
        first = ordered[chosen[0]]
        own = ("layer", "neuroid_id", "region")
        coordinates: dict[str, Any] = {
            k: v for k, v in _flat_coordinates(first).items() if k not in own
        }
        count = first.shape[1]
        names = [f"{self.identifier}.{region}.{i}" for i in range(count)]
        coordinates["neuroid_id"] = ("neuroid", names)
        coordinates["layer"] = coordinates["region"] = ("neuroid", [region] * count)
        coordinates["time_bin_start"] = ("time_bin", [start for start, _ in requested])
        coordinates["time_bin_end"] = ("time_bin", [end for _, end in requested])
        make: Any = self._make_assembly
        if make is None:
            from brainscore_core.supported_data_standards.brainio.assemblies import (  # type: ignore[no-redef]
                NeuroidAssembly as make,
            )
        values = np.stack([np.asarray(ordered[name].values) for name in chosen], axis=2)
        return make(values, coords=coordinates, dims=["presentation", "neuroid", "time_bin"])


def step_name(layer: str, step: int) -> str:
    """What a step of a layer with time is called: ``IT@1``."""
    return f"{layer}@{step}"


def _best_bin(requested: Bin, committed: Sequence[Bin]) -> int:
    start, end = requested

    def merit(number: int) -> tuple[float, float]:
        left, right = committed[number]
        overlap = min(end, right) - max(start, left)  # negative: the gap between them
        return overlap, -number

    return max(range(len(committed)), key=merit)


def _flat_coordinates(assembly: Any) -> dict[str, tuple[str, np.ndarray]]:
    """Coordinates along one dimension each; the levels of a multi-index as coordinates."""
    found = {}
    for dim in ("presentation", "neuroid"):
        index = assembly.indexes.get(dim)
        names = list(index.names) if index is not None and len(index.names) > 1 else []
        for name in names:
            found[name] = (dim, np.asarray(index.get_level_values(name)))
    for name, coordinate in assembly.coords.items():
        plain = coordinate.dims in (("presentation",), ("neuroid",))
        if plain and name not in found and name not in ("presentation", "neuroid"):
            found[name] = (coordinate.dims[0], np.asarray(coordinate.values))
    return found
