"""Vision transformers, whole or behind a V1 or a V1 + V2 front-end."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError
from jaxbio.models.body import Body
from jaxbio.models.layers import Initializer, Linear

# Of linear layers, class tokens and positions.
TOKEN_INIT = nn.initializers.truncated_normal(0.02)
# Pixels of the image per pixel of the front-end's map.
FRONT_END_STRIDES = {"image": 1, "v1": 4, "v2": 8}


class PatchEmbedding(nn.Module):
    """Square patches, side by side, each through one linear layer.

    Attributes:
        patch: side of a patch in pixels.
    """

    width: int
    patch: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, N, width]``, row by row, without incomplete patches."""
        x = PatchProjection(self.width, self.patch, self.dtype, name="proj")(x)
        return x.reshape(x.shape[0], -1, self.width)


class PatchProjection(nn.Module):
    """A convolution whose stride is its kernel, done as the matrix product that it is.

    Attributes:
        kernel_init: initialiser of the kernel ``[patch, patch, C, width]``.
    """

    width: int
    patch: int
    dtype: Any = jnp.float32
    kernel_init: Initializer = TOKEN_INIT

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H // patch, W // patch, width]``."""
        x = flat_patches(x, self.patch).astype(self.dtype)
        shape = (self.patch, self.patch, x.shape[-1] // self.patch**2, self.width)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.width,), jnp.float32)
        kernel = kernel.reshape(-1, self.width)
        return x @ kernel.astype(x.dtype) + bias.astype(x.dtype).reshape(1, 1, 1, -1)


def flat_patches(x: jax.Array, patch: int) -> jax.Array:
    """Maps ``[B, H, W, C]`` to ``[B, H // patch, W // patch, patch * patch * C]``."""
    rows, columns = x.shape[1] // patch, x.shape[2] // patch
    x = x[:, : rows * patch, : columns * patch]
    x = x.reshape(-1, rows, patch, columns, patch, x.shape[-1]).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(x.shape[0], rows, columns, -1)


class Attention(nn.Module):
    """Multi-head self-attention.

    Attributes:
        heads: number of heads; divides the features.
    """

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, N, C]`` to ``[B, N, C]``."""
        batch, tokens, width = x.shape
        qkv = linear(3 * width, self.dtype, "qkv")(x)
        qkv = qkv.reshape(batch, tokens, 3, self.heads, width // self.heads)
        x = jax.nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])
        return linear(width, self.dtype, "proj")(x.reshape(batch, tokens, width))


class MLP(nn.Module):
    """Linear layer to ``hidden`` features, activation, and back."""

    hidden: int
    act: Callable[..., nn.Module]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, N, C]`` to ``[B, N, C]``."""
        width = x.shape[-1]
        x = self.act(name="act")(linear(self.hidden, self.dtype, "fc1")(x))
        return linear(width, self.dtype, "fc2")(x)


class DropPath(nn.Module):
    """Stochastic depth: leaves out a branch for a random part of the examples.

    Attributes:
        rate: share of the examples, in [0, 1); the others are scaled by ``1 / (1 - rate)``.

    Reference:
        Huang et al. 2016, "Deep Networks with Stochastic Depth", arXiv:1603.09382.
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Same shape; takes the rng ``"drop_path"`` in training."""
        if not train or self.rate == 0:
            return x
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        kept = jax.random.bernoulli(self.make_rng("drop_path"), 1 - self.rate, shape)
        return jnp.where(kept, x / (1 - self.rate), 0).astype(x.dtype)


class Block(nn.Module):
    """Pre-norm transformer block: attention, then an MLP, each added to its input.

    Attributes:
        attention: makes the attention layer.
        mlp_ratio: hidden features of the MLP per feature of a token.
    """

    attention: Callable[..., nn.Module]
    mlp_ratio: int
    act: Callable[..., nn.Module]
    drop_path: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, *about: Any) -> jax.Array:
        """Maps ``[B, N, C]`` to ``[B, N, C]``; ``about`` them is for the attention."""
        y = layer_norm(self.dtype, "norm1")(x)
        y = self.attention(dtype=self.dtype, name="attn")(y, *about)
        x = x + DropPath(self.drop_path, name="drop_path1")(y, train)
        y = MLP(self.mlp_ratio * x.shape[-1], self.act, self.dtype, name="mlp")(
            layer_norm(self.dtype, "norm2")(x)
        )
        return x + DropPath(self.drop_path, name="drop_path2")(y, train)


class VisionTransformer(Body, kw_only=True):
    """Vision transformer with a class token and learned positions.

    Behind a front-end the patches are cut from its maps and are smaller by the front-end's stride
    (4 pixels of the image for V1, 8 for V1 + V2; at least one pixel of the map), so that the number
    of tokens stays as near as it can to that of the plain network. This is jaxbio's analogy.

    Attributes:
        patch: side of a patch in pixels of the image.
        heads: attention heads; divide ``width``.
        mlp_ratio: hidden features of an MLP per feature of a token.
        drop_path: rate of stochastic depth in the last block; rises linearly from 0 in the first.

    Reference:
        Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv:2010.11929; sizes as in
        Touvron et al. 2021, "Training data-efficient image transformers", arXiv:2012.12877.
    """

    patch: int
    width: int
    depth: int
    heads: int
    mlp_ratio: int = 4
    drop_path: float = 0.0

    default_activation: ClassVar[str] = "gelu"
    blocks: ClassVar[str] = r"block\d+"
    torch_positions: ClassVar[str] = "pos_embed"
    torch_half: ClassVar[bool] = True  # timm's; its names are ours, and these are torchvision's:
    torch_renames: ClassVar[Sequence[tuple[str, str]]] = (
        (r"(?<![^.])class_token$", "cls_token"),
        (r"(?<![^.])conv_proj\.", "patch_embed.proj."),
        (r"(?<![^.])encoder\.pos_embedding$", "pos_embed"),
        (r"(?<![^.])encoder\.ln\.", "norm."),
        (r"(?<![^.])encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
        (r"(?<![^.])ln_([12])\.", r"norm\1."),
        (r"(?<![^.])self_attention\.in_proj_", "attn.qkv."),
        (r"(?<![^.])self_attention\.out_proj\.", "attn.proj."),
        (r"(?<![^.])mlp\.(0|linear_1)\.", "mlp.fc1."),
        (r"(?<![^.])mlp\.(3|linear_2)\.", "mlp.fc2."),
    )

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits and the endpoints block0.., tokens, penultimate.

        ``block<i>`` is the class token after a block, ``[B, width]``; ``tokens`` are all tokens
        after the last norm, ``[B, 1 + N, width]``, class token first; ``penultimate`` is that one.

        Raises:
            InputError: the image is not a multiple of the patch, or of another size than the
                variables are for, or the rate of stochastic depth is out of range.
        """
        check_drop_path(self.drop_path)
        patch = first_patch(self, x)
        x = PatchEmbedding(self.width, patch, self.dtype, name="patch_embed")(x)
        x = jnp.concatenate([class_token(self, x), x], axis=1)
        x = with_positions(self, "pos_embed", x)
        block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        attention = partial(Attention, self.heads)
        endpoints = {}
        for i, rate in enumerate(np.linspace(0, self.drop_path, self.depth).tolist()):
            name = f"blocks_{i}"
            x = block(attention, self.mlp_ratio, self.act, rate, self.dtype, name=name)(x, train)
            endpoints[f"block{i}"] = x[:, 0]
        return read_class_token(self, layer_norm(self.dtype, "norm")(x), endpoints)


class DeiT(VisionTransformer, kw_only=True):
    """A data-efficient image transformer: the vision transformer, trained on ImageNet alone.

    Its weights take images of ImageNet's mean and standard deviation; that is all that differs.

    Reference:
        Touvron et al. 2021, "Training data-efficient image transformers", arXiv:2012.12877.
    """

    torch_half: ClassVar[bool] = False


def class_token(module: nn.Module, tokens: jax.Array) -> jax.Array:
    """A module's parameter ``cls_token``, once for every example of ``[B, N, C]``."""
    batch, _, width = tokens.shape
    token = module.param("cls_token", TOKEN_INIT, (1, 1, width), jnp.float32)
    return jnp.broadcast_to(token.astype(tokens.dtype), (batch, 1, width))


def with_positions(module: nn.Module, name: str, x: jax.Array) -> jax.Array:
    """Tokens ``[B, N, C]`` with a module's learned positions added.

    Raises:
        InputError: the module's variables are for another number of tokens.
    """
    _, tokens, width = x.shape
    if module.has_variable("params", name):
        have: int = module.get_variable("params", name).shape[1]
        if have != tokens:
            raise InputError(
                f"the variables are for {have} tokens, but this image has {tokens}: use the "
                "image_size that they were made with"
            )
    return x + module.param(name, TOKEN_INIT, (1, tokens, width), jnp.float32).astype(x.dtype)


def read_class_token(
    network: Body, tokens: jax.Array, endpoints: dict[str, jax.Array]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The parameter layer ``head`` on the first of the tokens: logits, and all endpoints."""
    logits = linear(network.num_classes, network.dtype, "head")(tokens[:, 0]).astype(jnp.float32)
    return logits, endpoints | {"tokens": tokens, "penultimate": tokens[:, 0], "logits": logits}


def check_drop_path(rate: float) -> None:
    """Refuses a rate of stochastic depth outside of [0, 1): an ``InputError``."""
    if not 0 <= rate < 1:
        raise InputError(f"drop_path={rate}, must be in [0, 1)")


def first_patch(network: Any, x: jax.Array) -> int:
    """Side of a network's patches in pixels of its input.

    Raises:
        InputError: the input is an image whose height or width is no multiple of it.
    """
    rows, columns = x.shape[1:3]
    if network.after == "image" and (rows % network.patch or columns % network.patch):
        raise InputError(
            f"images of {rows}x{columns} pixels do not divide into patches of "
            f"{network.patch}: use an image_size that is a multiple of {network.patch}"
        )
    return max(1, network.patch // FRONT_END_STRIDES[network.after])


def linear(features: int, dtype: Any, name: str, use_bias: bool = True) -> Linear:
    """A linear layer as vision transformers start it: truncated normal 0.02, bias zero."""
    return Linear(features, TOKEN_INIT, nn.initializers.zeros, dtype, use_bias, name=name)


def layer_norm(dtype: Any, name: str, epsilon: float = 1e-6) -> nn.LayerNorm:
    """LayerNorm over the features."""
    return nn.LayerNorm(epsilon, dtype=dtype, use_fast_variance=False, name=name)
