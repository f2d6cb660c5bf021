"""CORnet-S: four areas, three of them bottleneck blocks that run several times."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.models.convolution import conv2d
from jaxbio.models.cornet import (
    AREAS,
    OPERATIONS,
    CORnet,
    areas_after,
    check_times,
    keep_operations,
    unroll_of,
)
from jaxbio.models.layers import BatchNorm, Conv, Kernel, max_pool

_EXPANSION = 4


class AreaV1(nn.Module):
    """First area: 7x7 convolution of stride 2, max-pool, 3x3 convolution; runs once."""

    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps images ``[B, H, W, 3]`` to ``[B, H / 4, W / 4, 64]``."""
        outputs = {}
        x = outputs["conv1"] = Conv(64, 7, 2, dtype=self.dtype, name="conv1")(x)
        x = outputs["norm1"] = BatchNorm(dtype=self.dtype, name="norm1")(x, train)
        x = outputs["nonlin1"] = self.act(name="act1")(x)
        x = outputs["pool"] = max_pool(x, 3, 2, 1)
        x = outputs["conv2"] = Conv(64, 3, dtype=self.dtype, name="conv2")(x)
        x = outputs["norm2"] = BatchNorm(dtype=self.dtype, name="norm2")(x, train)
        x = outputs["nonlin2"] = outputs["output"] = self.act(name="act2")(x)
        keep_operations(self, "once", outputs)
        return x


class BottleneckStep(nn.Module):
    """What one step of an area has for itself: its three norms and activations."""

    act: Callable[..., nn.Module]
    train: bool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        kernels: Sequence[jax.Array],
        stride: int = 1,
        shortcut: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """One pass through the bottleneck, ``[B, H, W, C]`` to ``[B, H / stride, W / stride, C]``.

        ``kernels`` are of the 1x1, 3x3 and 1x1 convolution, which all steps share; ``shortcut`` is
        added before the last activation, ``x`` if it is None. The output comes twice: as the next
        step's input, and as what a scan collects.
        """
        outputs: dict[str, jax.Array] = {}
        y = x
        for i, (kernel, step) in enumerate(zip(kernels, (1, stride, 1), strict=True), 1):
            y = outputs[f"conv{i}"] = conv2d(y, kernel, step, kernel.shape[0] // 2)
            y = BatchNorm(dtype=self.dtype, name=f"norm{i}")(y, self.train)
            outputs[f"norm{i}"] = y
            if i == 3:
                y = y + (x if shortcut is None else shortcut)
            y = outputs[f"nonlin{i}"] = self.act(name=f"act{i}")(y)
        keep_operations(self, "step", outputs | {"output": y})
        return y, y


class RecurrentArea(nn.Module):
    """A bottleneck block applied several times, with shared convolutions and norms of each step.

    The first step halves the map and adds a projected shortcut; later steps add their own input.
    The first step's own variables are in ``first``; those of the others in ``later``, stacked along
    a leading axis of ``times - 1`` steps over which the recurrence is scanned. An activation's
    parameters, too, are each step's own.
    """

    features: int
    times: int
    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps ``[B, H, W, C]`` to every step's output, ``[times, B, H / 2, W / 2, features]``."""
        wide = _EXPANSION * self.features
        x = Conv(self.features, 1, dtype=self.dtype, name="conv_input")(x)
        kernels = tuple(
            Kernel(shape, self.dtype, name=f"conv{i}")()
            for i, shape in enumerate(
                ((1, 1, self.features, wide), (3, 3, wide, wide), (1, 1, wide, self.features)), 1
            )
        )
        shortcut = Conv(self.features, 1, 2, dtype=self.dtype, name="skip")(x)
        outputs = {"conv_input": x, "skip": shortcut}
        shortcut = BatchNorm(dtype=self.dtype, name="norm_skip")(shortcut, train)
        keep_operations(self, "once", outputs | {"norm_skip": shortcut})
        first_step = later_step = BottleneckStep
        if self.remat:
            first_step, later_step = nn.remat(first_step, static_argnums=(3,)), nn.remat(later_step)
        first, _ = first_step(self.act, train, self.dtype, name="first")(x, kernels, 2, shortcut)
        if self.times == 1:
            return first[None]
        steps = self.times - 1
        recurrence = nn.scan(
            later_step,
            variable_axes={"params": 0, "batch_stats": 0, OPERATIONS: 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=steps,
            unroll=unroll_of(steps),
        )
        _, later = recurrence(self.act, train, self.dtype, name="later")(first, kernels)
        return jnp.concatenate([first[None], later])


class CORnetS(CORnet, kw_only=True):
    """CORnet-S: V1, then V2, V4 and IT, which run 2, 4 and 2 times.

    The areas run one after the other: an area sees the last output of the area below, at each of
    its own steps. After the V1 front-end the network starts at its area V2 (as VOneNet's), after
    V1 + V2 at V4 (jaxbio's analogy).

    Attributes:
        times: passes of V2, V4 and IT through their blocks: three numbers, or one for all. Each
            pass has norms of its own: other numbers than the published ones are other networks.
        readout: ``"last"``, or ``"all"`` for the logits after every pass of IT in
            ``endpoints["logits"]``.

    Reference:
        Kubilius et al. 2019, "Brain-Like Object Recognition with High-Performing Shallow Recurrent
        ANNs", arXiv:1909.06161.
    """

    times: int | Sequence[int] = (2, 4, 2)
    time_bins: ClassVar[Mapping[str, Sequence[tuple[float, float]]]] = {
        "V1": [(50, 150)],
        "V2": [(70, 170), (170, 270)],
        "V4": [(90, 140), (140, 190), (190, 240), (240, 290)],
        "IT": [(100, 200), (200, 300)],
    }

    @classmethod
    def torch_name(cls, path: Sequence[str]) -> str:
        """As :meth:`Body.torch_name`; ``V2.norm1_0`` is ``V2/first/norm1``, the others stacked."""
        if path[1] in ("first", "later"):
            area, which, norm, tensor = path
            return f"{area}.{norm}_{0 if which == 'first' else '{step}'}.{tensor}"
        return super().torch_name(path)

    def __post_init__(self) -> None:
        if isinstance(self.times, (list, tuple)):
            if len(self.times) != 3:
                raise InputError(
                    f"times={self.times!r}: give the passes of V2, V4 and IT, or one number"
                )
            self.times = tuple(self.times)
            for times in self.times:
                check_times(times)
        else:
            check_times(self.times)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits ``[B, num_classes]`` and the endpoints.

        Endpoints: the areas V1, V2, V4, IT, ``[T, B, H, W, C]`` with T the passes of that area (1
        for V1), and the decoder's (see :class:`jaxbio.models.cornet.Decoder`).
        """
        passes = (self.times,) * 3 if isinstance(self.times, int) else self.times
        times = dict(zip(("V2", "V4", "IT"), passes, strict=True))
        endpoints = {}
        for name in areas_after(self.after):
            if name == "V1":
                area: Any = nn.remat(AreaV1, static_argnums=(2,)) if self.remat else AreaV1
                states = area(self.act, self.dtype, name=name)(x, train)[None]
            else:
                area = RecurrentArea(
                    AREAS[name], times[name], self.act, self.dtype, self.remat, name=name
                )
                states = area(x, train)
            endpoints[name] = states
            x = states[-1]
        return self.decode(states, endpoints)
