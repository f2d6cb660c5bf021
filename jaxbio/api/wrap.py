"""Networks of the user's own, in any of the ways in which people write them."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from flax import linen, nnx

from jaxbio.api.host import Call, hosted
from jaxbio.api.model import Model
from jaxbio.api.torch_module import TorchModule, is_torch_module
from jaxbio.api.traced import function_network, linen_network, nnx_network
from jaxbio.errors import InputError
from jaxbio.features.content_key import digest_variables
from jaxbio.features.layers import inspect_model
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.mesh import lone_mesh

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def wrap(
    network: Any,
    variables: Mapping[str, Any] | None = None,
    image_size: int = 224,
    mean: Sequence[float] = _IMAGENET_MEAN,
    std: Sequence[float] = _IMAGENET_STD,
    layers: Sequence[str] | str | None = None,
    *,
    host: bool = False,
    class_names: Sequence[str] | None = None,
    name: str | None = None,
    workdir: str | Path | None = None,
    batch_size: int = 64,
) -> Model:
    """A network of your own, to be asked what a run is: features, predictions, any measure.

    ================  =====================================================================
    Linen module      with its variables, or bound to them; ``train``, ``training``,
                      ``deterministic``, ``use_running_average`` are set for evaluation.
                      Layers: the outputs of its submodules, ``Block_0.Conv_1``
    NNX module        a copy, in evaluation mode. Layers: likewise, ``blocks.0.conv``
    PyTorch module    called on its own device, in evaluation mode, with ``[N, 3, S, S]``.
                      Layers: by hooks, ``layer1.0.conv1``; ``[N, C, H, W]`` becomes
                      ``[N, H, W, C]``. Attacks follow PyTorch's gradients. The activity
                      goes through the host's memory
    function          of images, or of variables and images where these are given
    ================  =====================================================================

    All but PyTorch modules take images ``[N, S, S, 3]``; all take float32, normalised by ``mean``
    and ``std``. A network returns logits ``[N, K]``; or a dict of layers, in which ``"logits"``
    may be; or (logits, dict). Where it names layers itself, these are the layers. Layers have the
    images as their first axis, ``[N, C]``, ``[N, positions, C]`` or ``[N, H, W, C]``; others are
    left out; time steps may come before the images in layers that a traced network names. Of a
    module that is called several times the last output counts. Without logits there are features,
    similarity and physiology; without layers all that needs logits only.

    Args:
        network: see above.
        variables: of a Linen module or a function.
        image_size: S, in pixels.
        mean: per channel, of images in [0, 1]; default: ImageNet's.
        std: likewise.
        layers: names or patterns (``"layer*"``) of the layers to offer; default: all.
        host: call a function with NumPy arrays, for what JAX cannot trace (ONNX, TensorFlow, ...);
            it has no gradients.
        class_names: in the order of the logits, for predictions and for matching folders.
        name: what tables call it; default: that of the class or function.
        workdir: where results are written; default: ``runs/NAME_DIGEST``. Of a function without
            variables nothing tells whether it is the same one again: the digest is a random one.
        batch_size: images at once.

    Raises:
        InputError: it does not take such images, variables are missing or too many, a layer is not
            there, or there are not as many names as classes.

    Example:
        >>> from flax import linen
        >>> pool = lambda x: x.mean((1, 2))
        >>> net = linen.Sequential([linen.Conv(4, (3, 3)), pool, linen.Dense(2)])
        >>> variables = net.init(jax.random.key(0), np.zeros((1, 32, 32, 3)))
        >>> model = jaxbio.wrap(net, variables, image_size=32, class_names=["cat", "dog"])
        >>> sorted(model.features(np.zeros((5, 32, 32, 3), np.uint8), "all"))
        ['layers_0', 'layers_2', 'logits']
    """
    if image_size < 1 or batch_size < 1:
        raise InputError(f"image_size={image_size}, batch_size={batch_size}: use 1 or more")
    images = Preprocessing(image_size, _channels(mean, "mean"), _channels(std, "std"))
    wanted = None if layers is None or layers == "all" else layers
    wanted = [wanted] if isinstance(wanted, str) else wanted
    name = _name(network) if name is None else name
    digest: Callable[[], str] | None = None
    on_host = host or is_torch_module(network)
    module: Any
    if is_torch_module(network):
        _refuse_variables(variables, "a PyTorch module")
        torch = TorchModule(network)
        found = lambda: hosted(torch, torch.gradient, torch.names, image_size, wanted)  # noqa: E731
        module = _tried(name, image_size, found)
        digest = lambda: digest_variables(torch.variables())  # noqa: E731
    elif isinstance(network, linen.Module):
        if variables is None and network.scope is not None:
            network, variables = network.unbind()
        if variables is None:
            raise InputError(f"variables of {name} are missing: give those of its init or training")
        module = linen_network(network, wanted)
    elif isinstance(network, nnx.Module):
        _refuse_variables(variables, "an NNX module")
        module, variables = nnx_network(network, wanted)
    elif not callable(network):
        raise InputError(
            f"network is a {type(network).__name__}: give a Linen, NNX or PyTorch module, or a "
            "function of images"
        )
    elif host:
        _refuse_variables(variables, "a function on the host")
        call: Call = lambda images, layers: (network(images), {})  # noqa: E731
        module = _tried(name, image_size, lambda: hosted(call, None, (), image_size, wanted))
    else:
        module = function_network(network, wanted, takes_variables=variables is not None)
    if variables is None and digest is None:
        unique = uuid.uuid4().hex
        digest = lambda: unique  # noqa: E731
    there = _tried(name, image_size, lambda: inspect_model(module, variables or {}, image_size)[0])
    classes = there["logits"].shape[-1] if "logits" in there else 0
    if not there:
        raise InputError(
            f"{name} returns neither logits [N, K] nor layers [N, C], [N, P, C] or [N, H, W, C]"
        )
    return Model(
        module,
        variables or {},
        images,
        {"name": name, "num_classes": classes, "image_size": image_size},
        class_names=class_names,
        workdir=workdir,
        digest=digest,
        batch_size=batch_size,
        mesh=lone_mesh() if on_host else None,
    )


def _tried(name: str, size: int, what: Callable[[], Any]) -> Any:
    """What comes of somebody else's code, whose errors are told with what they concern."""
    try:
        return what()
    except InputError:
        raise
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError) as error:
        raise InputError(
            f"{name} cannot be traced by JAX: write it in jax.numpy, or give host=True, which "
            "calls it with NumPy arrays"
        ) from error
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = lines[0] if lines else type(error).__name__
        raise InputError(
            f"{name} does not take images float32 [N, {size}, {size}, 3]: {why}"
        ) from error


def _name(network: Any) -> str:
    """Of the class, or of the function; fit for a folder's name."""
    own = getattr(network, "__name__", None) or type(network).__name__
    return "".join(c if c.isalnum() else "_" for c in own).strip("_") or "network"


def _channels(values: Sequence[float], what: str) -> tuple[float, ...]:
    found = tuple(map(float, values))
    if len(found) != 3 or (what == "std" and min(found) <= 0):
        raise InputError(f"{what}={found}: give one number per channel, of images in [0, 1]")
    return found


def _refuse_variables(variables: Any, what: str) -> None:
    if variables is not None:
        raise InputError(f"variables: {what} brings its own, leave them out")
