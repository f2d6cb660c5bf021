"""What every network of the table has: the fields that create_model sets, and facts about itself.

A fact stands here, as a class variable of the network that it is about, and nowhere else. A new
network overrides what differs.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp


class Body(nn.Module, kw_only=True):
    """A network that maps images, or a front-end's maps, to logits and endpoints.

    It is called as ``network(x, train)``: ``x`` are normalised images ``[B, H, W, 3]`` or the
    front-end's maps, ``[B, H, W, C]``. With ``train`` BatchNorm uses and updates the batch's
    statistics, and dropout and stochastic depth act (rngs ``"dropout"`` and ``"drop_path"``). It
    returns logits ``[B, num_classes]`` and the endpoints that its own ``__call__`` names.

    Attributes:
        act: activation factory, see :func:`jaxbio.models.activations.make`.
        num_classes: number of logits.
        after: what the network's input is: ``"image"``, ``"v1"`` or ``"v2"``.
        dtype: dtype of the computation; parameters and logits are float32.
        remat: whether the network's blocks are recomputed in the backward pass.
        default_activation: of the published network, by name.
        v2_channels: maps that the V2 front-end gives to what is left of the network.
        keeps_time: whether endpoints have a time axis of their own.
        blocks: pattern of the endpoints that are the blocks' outputs; ARR acts on them.
        arrival_steps: area of a recurrent network to the first step at which its output depends on
            the image.
        time_bins: area to the published time (start, end) of each of its steps, in ms after the
            image's onset.
        map_linear: name of the linear layer that flattens a map, and the map's channels.
        torch_renames: (pattern, replacement) from older names in PyTorch files to today's.
        torch_positions: PyTorch's name of the positions of a vision transformer's patches.
        torch_half: whether published weights take images of mean and standard deviation 0.5,
            instead of ImageNet's.
    """

    act: Callable[..., nn.Module]
    num_classes: int = 1000
    after: str = "image"
    dtype: Any = jnp.float32
    remat: bool = False

    default_activation: ClassVar[str] = "relu"
    v2_channels: ClassVar[int] = 128
    keeps_time: ClassVar[bool] = False
    blocks: ClassVar[str] = ""
    arrival_steps: ClassVar[Mapping[str, int]] = {}
    time_bins: ClassVar[Mapping[str, Sequence[tuple[float, float]]]] = {}
    map_linear: ClassVar[tuple[str, int]] = ("", 0)
    torch_renames: ClassVar[Sequence[tuple[str, str]]] = ()
    torch_positions: ClassVar[str] = ""
    torch_half: ClassVar[bool] = False

    @classmethod
    def torch_name(cls, path: Sequence[str]) -> str:
        """What PyTorch files call a tensor: ``layer1.0.bn1.bias``.

        Args:
            path: the modules' names, from the network down, and PyTorch's name of the tensor:
                ``("layer1_0", "bn1", "bias")``.

        Returns:
            The name. ``{step}`` in it stands for the steps 1, 2, ... that the array stacks along
            its first axis.
        """
        *modules, tensor = path
        return ".".join([*(re.sub(r"_(\d+)$", r".\1", name) for name in modules), tensor])
