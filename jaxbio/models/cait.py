"""Class-attention transformers, whole or behind a V1 or a V1 + V2 front-end."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.models.body import Body
from jaxbio.models.vit import (
    MLP,
    TOKEN_INIT,
    DropPath,
    PatchEmbedding,
    check_drop_path,
    class_token,
    first_patch,
    layer_norm,
    linear,
    read_class_token,
    with_positions,
)


class TalkingHeads(nn.Module):
    """Self-attention whose heads are mixed, linearly, before and after the softmax.

    Attributes:
        heads: number of heads; divides the features.

    Reference:
        Shazeer et al. 2020, "Talking-Heads Attention", arXiv:2003.02436.
    """

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, N, C]`` to ``[B, N, C]``."""
        batch, tokens, width = x.shape
        size = width // self.heads
        qkv = linear(3 * width, self.dtype, "qkv")(x).reshape(batch, tokens, 3, self.heads, size)
        query, key, value = (qkv[:, :, i] for i in range(3))
        weights = jnp.einsum("bnhd,bmhd->bhnm", query * size**-0.5, key)
        weights = MixHeads(self.heads, name="proj_l")(weights)
        weights = nn.softmax(weights.astype(jnp.float32)).astype(self.dtype)
        weights = MixHeads(self.heads, name="proj_w")(weights)
        x = jnp.einsum("bhnm,bmhd->bnhd", weights, value)
        return linear(width, self.dtype, "proj")(x.reshape(batch, tokens, width))


class MixHeads(nn.Module):
    """A linear layer over the heads of ``[B, heads, N, M]``."""

    heads: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Same shape and dtype."""
        kernel = self.param("kernel", TOKEN_INIT, (self.heads, self.heads), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.heads,), jnp.float32)
        y = jnp.einsum("bhnm,hg->bgnm", x, kernel.astype(x.dtype))
        return y + bias.astype(x.dtype).reshape(1, -1, 1, 1)


class ClassAttention(nn.Module):
    """The class token, the first, attends to all tokens; the others ask nothing.

    Attributes:
        heads: number of heads; divides the features.
    """

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, 1 + N, C]`` to ``[B, 1, C]``."""
        width = x.shape[-1]

        def heads_of(name: str, x: jax.Array) -> jax.Array:
            y = linear(width, self.dtype, name)(x)
            return y.reshape(*y.shape[:2], self.heads, width // self.heads)

        query, key, value = heads_of("q", x[:, :1]), heads_of("k", x), heads_of("v", x)
        y = jax.nn.dot_product_attention(query, key, value)
        return linear(width, self.dtype, "proj")(y.reshape(-1, 1, width))


class Block(nn.Module):
    """Pre-norm block of attention and MLP; what each adds is scaled, feature by feature.

    Attributes:
        attention: what reads the tokens: of all, or of the class token.
        scale_init: initial value of the scales.
    """

    attention: Callable[..., nn.Module]
    act: Callable[..., nn.Module]
    drop_path: float
    scale_init: float
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, others: jax.Array | None = None) -> jax.Array:
        """``x`` ``[B, N, C]``, changed; ``others`` stand behind it and are only read."""

        def scaled(i: int, y: jax.Array) -> jax.Array:
            init = nn.initializers.constant(self.scale_init)
            scale = self.param(f"gamma_{i}", init, x.shape[-1:], jnp.float32)
            y = y * scale.astype(y.dtype).reshape(1, 1, -1)
            return DropPath(self.drop_path, name=f"drop_path{i}")(y, train)

        seen = x if others is None else jnp.concatenate([x, others], axis=1)
        seen = layer_norm(self.dtype, "norm1")(seen)
        x = x + scaled(1, self.attention(dtype=self.dtype, name="attn")(seen))
        mlp = MLP(4 * x.shape[-1], self.act, self.dtype, name="mlp")
        return x + scaled(2, mlp(layer_norm(self.dtype, "norm2")(x)))


class CaiT(Body, kw_only=True):
    """A transformer of patches, whose class token comes in at the end and gathers what it needs.

    Behind a front-end the patches are cut from its maps, as those of
    :class:`jaxbio.models.vit.VisionTransformer`.

    Attributes:
        patch: side of a patch in pixels of the image.
        depth: number of blocks of the patches.
        heads: attention heads; divide ``width``.
        class_depth: number of blocks of the class token.
        scale_init: initial value of the scales of what the blocks add.
        drop_path: rate of stochastic depth, the same in every block of the patches.

    Reference:
        Touvron et al. 2021, "Going deeper with Image Transformers", arXiv:2103.17239.
    """

    patch: int
    width: int
    depth: int
    heads: int
    class_depth: int = 2
    scale_init: float = 1e-5
    drop_path: float = 0.0

    default_activation: ClassVar[str] = "gelu"
    blocks: ClassVar[str] = r"(class_)?block\d+"
    torch_positions: ClassVar[str] = "pos_embed"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits and the endpoints block0.., class_block0.., tokens, penultimate.

        ``block<i>`` are the patches after a block, a map ``[B, H, W, width]``; ``class_block<i>``
        is the class token after a block of its own, ``[B, width]``; the others, and errors, are
        those of :class:`jaxbio.models.vit.VisionTransformer`.
        """
        check_drop_path(self.drop_path)
        patch = first_patch(self, x)
        size = [n // patch for n in x.shape[1:3]]
        x = PatchEmbedding(self.width, patch, self.dtype, name="patch_embed")(x)
        x = with_positions(self, "pos_embed", x)

        def block(attention: type[nn.Module], rate: float, name: str) -> nn.Module:
            kind = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
            of_heads = partial(attention, self.heads)
            return kind(of_heads, self.act, rate, self.scale_init, self.dtype, name=name)

        endpoints = {}
        for i in range(self.depth):
            x = block(TalkingHeads, self.drop_path, f"blocks_{i}")(x, train)
            endpoints[f"block{i}"] = x.reshape(-1, *size, self.width)
        token = class_token(self, x)
        for i in range(self.class_depth):
            token = block(ClassAttention, 0.0, f"blocks_token_only_{i}")(token, train, x)
            endpoints[f"class_block{i}"] = token[:, 0]
        tokens = layer_norm(self.dtype, "norm")(jnp.concatenate([token, x], axis=1))
        return read_class_token(self, tokens, endpoints)
