"""Transformers in transformers, whole or behind a V1 or a V1 + V2 front-end."""

from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.models.body import Body
from jaxbio.models.layers import TorchConv
from jaxbio.models.vit import (
    MLP,
    TOKEN_INIT,
    DropPath,
    check_drop_path,
    class_token,
    first_patch,
    flat_patches,
    layer_norm,
    linear,
    read_class_token,
    with_positions,
)

_INNER_HEADS = 4
_EPSILON = 1e-5
_PIXELS = 4  # of a patch, along each side


class Attention(nn.Module):
    """Multi-head self-attention; queries, keys and values without biases.

    Attributes:
        heads: number of heads; divides the features.
    """

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, N, C]`` to ``[B, N, C]``."""
        batch, tokens, width = x.shape
        split = (self.heads, width // self.heads)
        both = linear(2 * width, self.dtype, "qk", use_bias=False)(x)
        both = both.reshape(batch, tokens, 2, *split)
        value = linear(width, self.dtype, "v", use_bias=False)(x).reshape(batch, tokens, *split)
        x = jax.nn.dot_product_attention(both[:, :, 0], both[:, :, 1], value)
        return linear(width, self.dtype, "proj")(x.reshape(batch, tokens, width))


class Block(nn.Module):
    """The pixels of each patch among themselves, then the patches, which take up their pixels.

    Attributes:
        heads: of the patches' attention.
    """

    heads: int
    act: Callable[..., nn.Module]
    drop_path: float
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, pixels: jax.Array, patches: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Maps pixels ``[B * N, P, inner width]`` and patches ``[B, 1 + N, width]`` to the same
        two.
        """

        def norm(name: str, x: jax.Array) -> jax.Array:
            return layer_norm(self.dtype, name, _EPSILON)(x)

        def drop(i: int, x: jax.Array) -> jax.Array:
            return DropPath(self.drop_path, name=f"drop_path{i}")(x, train)

        def mlp(name: str, x: jax.Array) -> jax.Array:
            return MLP(4 * x.shape[-1], self.act, self.dtype, name=name)(x)

        attention = Attention(_INNER_HEADS, self.dtype, name="attn_in")
        pixels = pixels + drop(1, attention(norm("norm_in", pixels)))
        pixels = pixels + drop(2, mlp("mlp_in", norm("norm_mlp_in", pixels)))
        inside = pixels.reshape(len(patches), patches.shape[1] - 1, -1)
        width = patches.shape[-1]
        inside = linear(width, self.dtype, "proj", use_bias=False)(norm("norm1_proj", inside))
        patches = patches.at[:, 1:].add(norm("norm2_proj", inside))
        attention = Attention(self.heads, self.dtype, name="attn_out")
        patches = patches + drop(3, attention(norm("norm_out", patches)))
        return pixels, patches + drop(4, mlp("mlp", norm("norm_mlp", patches)))


class TNT(Body, kw_only=True):
    """A transformer of patches, each of which holds a transformer of its 4x4 pixels.

    A "pixel" is a 7x7 convolution within its patch, 4 pixels of the image apart in patches of 16.
    Behind a front-end the patches are cut from its maps and are smaller by the front-end's stride,
    as those of :class:`jaxbio.models.vit.VisionTransformer`; a patch has as many pixels, up to
    4x4, as the maps have there (jaxbio's analogy).

    Attributes:
        patch: side of a patch in pixels of the image.
        width: features of a patch's token.
        inner_width: features of a pixel's token.
        heads: attention heads of the patches; divide ``width``.
        drop_path: rate of stochastic depth in the last block; rises linearly from 0 in the first.

    Reference:
        Han et al. 2021, "Transformer in Transformer", arXiv:2103.00112.
    """

    patch: int
    width: int
    inner_width: int
    depth: int
    heads: int
    drop_path: float = 0.0

    default_activation: ClassVar[str] = "gelu"
    blocks: ClassVar[str] = r"block\d+"
    torch_half: ClassVar[bool] = True
    torch_positions: ClassVar[str] = "patch_pos"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Endpoints and errors are those of :class:`jaxbio.models.vit.VisionTransformer`."""
        check_drop_path(self.drop_path)
        batch = len(x)
        pixels = self._pixels(x)
        inside = pixels.reshape(batch, -1, pixels.shape[1] * self.inner_width)
        inside = layer_norm(self.dtype, "norm1_proj", _EPSILON)(inside)
        patches = linear(self.width, self.dtype, "proj")(inside)
        patches = layer_norm(self.dtype, "norm2_proj", _EPSILON)(patches)
        patches = jnp.concatenate([class_token(self, patches), patches], axis=1)
        patches = with_positions(self, "patch_pos", patches)
        block = nn.remat(Block, static_argnums=(3,)) if self.remat else Block
        endpoints = {}
        for i, rate in enumerate(np.linspace(0, self.drop_path, self.depth).tolist()):
            pixels, patches = block(self.heads, self.act, rate, self.dtype, name=f"blocks_{i}")(
                pixels, patches, train
            )
            endpoints[f"block{i}"] = patches[:, 0]
        tokens = layer_norm(self.dtype, "norm", _EPSILON)(patches)
        return read_class_token(self, tokens, endpoints)

    def _pixels(self, x: jax.Array) -> jax.Array:
        """Tokens of the pixels of each patch, ``[B * N, P, inner_width]``."""
        patch = first_patch(self, x)
        channels = x.shape[-1]
        x = flat_patches(x, patch).reshape(-1, patch, patch, channels)
        x = PixelEmbedding(
            self.inner_width, max(1, patch // _PIXELS), self.dtype, name="pixel_embed"
        )(x)
        shape = (*x.shape[1:], 1)  # laid out as a kernel, since PyTorch has four axes
        positions = self.param("pixel_pos", TOKEN_INIT, shape, jnp.float32)
        x = x + positions[..., 0].astype(x.dtype)[None]
        return x.reshape(len(x), -1, self.inner_width)


class PixelEmbedding(nn.Module):
    """The convolution that makes pixels, within each patch.

    Attributes:
        stride: pixels of the patch per pixel that comes out.
    """

    width: int
    stride: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps patches ``[B * N, p, p, C]`` to ``[B * N, p / stride, p / stride, width]``."""
        return TorchConv(self.width, 7, self.stride, dtype=self.dtype, name="proj")(x)
