"""Pyramid vision transformers, whole or as the part behind a V1 or a V1 + V2 front-end."""

from functools import partial
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.models.body import Body
from jaxbio.models.layers import torch_default
from jaxbio.models.vit import (
    FRONT_END_STRIDES,
    Block,
    PatchProjection,
    check_drop_path,
    class_token,
    layer_norm,
    linear,
    read_class_token,
    with_positions,
)

# Of each stage of the Tiny network.
_WIDTHS = (64, 128, 320, 512)
_HEADS = (1, 2, 5, 8)
_MLP_RATIOS = (8, 8, 4, 4)
_REDUCTIONS = (8, 4, 2, 1)
_DEPTH = 2  # blocks
_INNER_NORM = 1e-5  # epsilon of the norms behind convolutions; the others have 1e-6


class ReducedAttention(nn.Module):
    """Self-attention whose keys and values come from a map of fewer pixels.

    Attributes:
        reduction: by how much the map's sides are reduced, by a convolution without overlap.
    """

    heads: int
    reduction: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, size: tuple[int, int]) -> jax.Array:
        """Maps ``[B, N, C]``, the tokens of a map of ``size``, to the same; only without reduction
        others may be among them.
        """
        batch, tokens, width = x.shape
        query = linear(width, self.dtype, "q")(x)
        if self.reduction > 1:
            maps = _at_least(x.reshape(batch, *size, width), self.reduction)
            x = PatchProjection(width, self.reduction, self.dtype, torch_default, name="sr")(maps)
            x = layer_norm(self.dtype, "norm", _INNER_NORM)(x.reshape(batch, -1, width))
        both = linear(2 * width, self.dtype, "kv")(x)
        both = both.reshape(batch, -1, 2, self.heads, width // self.heads)
        query = query.reshape(batch, tokens, self.heads, -1)
        y = jax.nn.dot_product_attention(query, both[:, :, 0], both[:, :, 1])
        return linear(width, self.dtype, "proj")(y.reshape(batch, tokens, width))


class StageEmbedding(nn.Module):
    """Patches of a map through one linear layer and a norm.

    Attributes:
        patch: side of a patch in pixels of the map.
    """

    width: int
    patch: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H // patch, W // patch, width]``."""
        x = _at_least(x, self.patch)
        x = PatchProjection(self.width, self.patch, self.dtype, torch_default, name="proj")(x)
        return layer_norm(self.dtype, "norm", _INNER_NORM)(x)


class PVT(Body, kw_only=True):
    """Pyramid vision transformer, Tiny: four stages of two blocks, at 1/4, 1/8, 1/16 and 1/32.

    V1 does what the patches of the first stage do, which keeps its blocks; after V2 the network
    starts at its second stage (jaxbio's analogies). Stages keep their published numbers. A map
    smaller than a patch, or than what the attention reduces, is padded with zeros.

    Attributes:
        patch: side of a patch of the first stage in pixels of the image; 4 as published. Later
            stages have patches of 2x2 tokens.
        drop_path: rate of stochastic depth in the last block; rises linearly from 0 in the first.

    Reference:
        Wang et al. 2021, "Pyramid Vision Transformer: A Versatile Backbone for Dense Prediction
        without Convolutions", arXiv:2102.12122.
    """

    patch: int
    drop_path: float = 0.0

    default_activation: ClassVar[str] = "gelu"
    blocks: ClassVar[str] = r"block\d_\d"
    torch_positions: ClassVar[str] = "pos_embed1"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits and the endpoints block1_0.., stage4, tokens, penultimate.

        ``block<stage>_<i>`` are the tokens after a block, a map ``[B, H, W, C]``; those of the last
        stage have a class token, which is the endpoint, ``[B, C]``; ``stage4`` is the map of the
        others. ``tokens``, ``penultimate`` and errors are those of
        :class:`jaxbio.models.vit.VisionTransformer`, but that images need not be multiples of the
        patch.
        """
        check_drop_path(self.drop_path)
        first = 1 if self.after == "v2" else 0
        rates = iter(np.linspace(0, self.drop_path, _DEPTH * (4 - first)).tolist())
        block = nn.remat(Block, static_argnums=(2, 3)) if self.remat else Block
        endpoints = {}
        for stage in range(first, 4):
            patch = 2 if stage > first else max(1, self.patch // FRONT_END_STRIDES[self.after])
            number, width, last = stage + 1, _WIDTHS[stage], stage == 3
            x = StageEmbedding(width, patch, self.dtype, name=f"patch_embed{number}")(x)
            rows, columns = x.shape[1:3]
            x = x.reshape(-1, rows * columns, width)
            if last:
                x = jnp.concatenate([class_token(self, x), x], axis=1)
            x = with_positions(self, f"pos_embed{number}", x)
            attention = partial(ReducedAttention, _HEADS[stage], _REDUCTIONS[stage])
            for i in range(_DEPTH):
                name, ratio = f"block{number}_{i}", _MLP_RATIOS[stage]
                x = block(attention, ratio, self.act, next(rates), self.dtype, name=name)(
                    x, train, (rows, columns)
                )
                maps = x[:, int(last) :].reshape(-1, rows, columns, width)
                endpoints[f"block{number}_{i}"] = x[:, 0] if last else maps
            if not last:
                x = maps
        tokens = layer_norm(self.dtype, "norm")(x)
        return read_class_token(self, tokens, endpoints | {"stage4": maps})


def _at_least(x: jax.Array, size: int) -> jax.Array:
    """``[B, H, W, C]`` with zeros below and to the right, so that no side is below ``size``."""
    rows, columns = (max(0, size - n) for n in x.shape[1:3])
    return jnp.pad(x, ((0, 0), (0, rows), (0, columns), (0, 0))) if rows or columns else x
