"""CORnet-RT and CORnet-R: four areas, each with lateral recurrence, unrolled in two ways."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.models.cornet import (
    AREAS,
    OPERATIONS,
    XAVIER,
    CORnet,
    areas_after,
    check_times,
    keep_operations,
    unroll_of,
)
from jaxbio.models.group_norm import GroupNorm
from jaxbio.models.layers import Conv

_Outputs = dict[str, jax.Array]


class LateralArea(nn.Module):
    """An area whose output is also its state: ``s <- f(input stage + s)``.

    The input stage is a convolution with bias, GroupNorm, activation; ``f`` a 3x3 convolution,
    GroupNorm, activation. Parameters, an activation's included, are shared by all steps.

    Attributes:
        kernel: side of the input stage's kernel.
    """

    features: int
    kernel: int
    stride: int
    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        """Input stage and recurrent stage; the scan takes both along."""
        self.conv_input = Conv(
            self.features, self.kernel, self.stride, use_bias=True, dtype=self.dtype, **XAVIER
        )
        self.norm_input = GroupNorm(dtype=self.dtype)
        self.act_input = self.act(name="act_input")
        self.conv1 = Conv(self.features, 3, dtype=self.dtype, **XAVIER)
        self.norm1 = GroupNorm(dtype=self.dtype)
        self.act1 = self.act(name="act1")

    def drive(self, x: jax.Array) -> tuple[jax.Array, _Outputs]:
        """The input stage, ``[B, H, W, C]`` to ``[B, H / stride, W / stride, features]``."""
        y = self.conv_input(x)
        outputs = {"conv_input": y, "norm_input": self.norm_input(y)}
        y = self.act_input(outputs["norm_input"])
        return y, outputs | {"nonlin_input": y}

    def respond(self, drive: jax.Array) -> tuple[jax.Array, _Outputs]:
        """The output for the sum of input stage and state."""
        return self._finish(self.conv1(drive))

    def _finish(self, y: jax.Array) -> tuple[jax.Array, _Outputs]:
        """Norm and activation of the recurrent convolution's output."""
        outputs = {"conv1": y, "norm1": self.norm1(y)}
        y = self.act1(outputs["norm1"])
        return y, outputs | {"nonlin1": y, "output": y}

    def entry(self, x: jax.Array, times: int) -> jax.Array:
        """The outputs of an area that sees one and the same input at every step.

        Args:
            x: images, or a front-end's maps, ``[B, H, W, C]``.
            times: number of steps.

        Returns:
            ``[times, B, H', W', features]``.
        """
        drive, once = self._recomputed(LateralArea.drive)(self, x)  # the same at every step
        respond = self._recomputed(LateralArea.respond)

        def step(area: LateralArea, state: jax.Array, drive: jax.Array):
            state, outputs = respond(area, drive + state)
            keep_operations(area, "later", outputs)
            return state, state

        first, at_first = respond(self, drive)
        _, later = self._scan(step, times - 1, nn.broadcast)(self, first, drive)
        self._keep(once, at_first)
        return jnp.concatenate([first[None], later])

    def above(self, below: jax.Array) -> jax.Array:
        """The outputs of an area that sees nothing at step 0, then what it is given.

        At step 0 the drive is zero *after* the input stage, as published: the output is
        ``activation(bias of norm1)``, the same at every place and for every image.

        Args:
            below: the area's input at steps 1, 2, ..., ``[T - 1, B, H, W, C]``.

        Returns:
            ``[T, B, H', W', features]``.
        """

        @self._recomputed
        def respond(area: LateralArea, state: jax.Array, x: jax.Array):
            drive, before = area.drive(x)
            state, after = area.respond(drive + state)
            return state, before | after

        def step(area: LateralArea, state: jax.Array, x: jax.Array):
            state, outputs = respond(area, state, x)
            keep_operations(area, "later", outputs)
            return state, state

        steps, batch, *size, _ = below.shape
        if self.is_initializing() and not steps:  # parameters do not depend on the number of steps
            self.respond(self.drive(jnp.zeros(below.shape[1:], self.dtype))[0])
        size = [(n - 1) // self.stride + 1 for n in size]
        silence = jnp.zeros((batch, *size, self.features), self.dtype)
        first, at_first = self._finish(silence)
        _, later = self._scan(step, steps, 0)(self, first, below)
        self._keep({}, at_first)
        return jnp.concatenate([first[None], later])

    def _keep(self, once: _Outputs, at_first: _Outputs) -> None:
        """What is not kept at each step; after the scan, which would cut it into steps."""
        keep_operations(self, "once", once)
        keep_operations(self, "first", at_first)

    def _recomputed(self, function: Callable) -> Callable:
        return nn.remat(function) if self.remat else function

    def _scan(self, step: Callable, steps: int, in_axes: Any) -> Callable:
        return nn.scan(
            step,
            variable_broadcast="params",
            variable_axes={OPERATIONS: 0},
            split_rngs={"params": False},
            in_axes=in_axes,
            length=steps,
            unroll=unroll_of(steps),
        )


class CORnetRT(CORnet, kw_only=True):
    """CORnet-RT (biological unrolling) or CORnet-R (sequential unrolling).

    In RT an area sees what the area below put out at the *previous* step: one area per step, so the
    image arrives at V1 at step 0, at V2 at 1, at V4 at 2 and at IT at 3, and with ``times`` of 3 or
    less the logits are the same for every image. In R an area sees the *new* output of the area
    below, and the image arrives everywhere at step 1. In both, the areas above V1 see nothing at
    step 0 (see :meth:`LateralArea.above`) and V1 sees the image at every step.

    Areas do not feed back to lower ones: each runs through all steps in a scan of its own, over
    the outputs of the one below. Behind a front-end (jaxbio's analogy) the first area left takes
    V1's part: it sees the front-end's maps at every step, from step 0 on.

    Attributes:
        act: activation factory; an activation's parameters are shared by all steps.
        sequential: True for R, False for RT.
        readout: ``"last"``, or ``"all"`` for the logits of every step in ``endpoints["logits"]``.

    Reference:
        Kubilius et al. 2018, "CORnet: Modeling the Neural Mechanisms of Core Object Recognition",
        doi:10.1101/408385.
    """

    sequential: bool
    times: int = 5

    def __post_init__(self) -> None:
        check_times(self.times)
        super().__post_init__()

    @property
    def arrival_steps(self) -> Mapping[str, int]:  # type: ignore[override]
        """Area to the first step at which its output depends on the image."""
        areas = areas_after(self.after)
        return {name: min(i, 1) if self.sequential else i for i, name in enumerate(areas)}

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the last step's logits ``[B, num_classes]`` and the endpoints.

        Endpoints: the areas V1, V2, V4, IT, ``[times, B, H, W, C]``, and the decoder's (see
        :class:`jaxbio.models.cornet.Decoder`).
        """
        del train
        endpoints: dict[str, jax.Array] = {}
        states: Any = None
        for name in areas_after(self.after):
            kernel, stride = (7, 4) if name == "V1" else (3, 2)
            area = LateralArea(
                AREAS[name], kernel, stride, self.act, self.dtype, self.remat, name=name
            )
            if states is None:
                states = area.entry(x, self.times)
            else:
                states = area.above(states[1:] if self.sequential else states[:-1])
            endpoints[name] = states
        return self.decode(states, endpoints, **XAVIER)
