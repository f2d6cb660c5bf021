"""The retina and LGN in front of V1, fixed."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.ops.retina import (
    M_CELLS,
    P_CELLS,
    adapt_to_light,
    centre_surround,
    neuronal_noise,
    normalise_contrast,
)

PIXELS_PER_DEGREE = 32.0  # 224 pixels over 7 degrees, as published


class Retina(nn.Module):
    """Parvo- and magnocellular cells: light adaptation, centre-surround, contrast gain, noise.

    It has no variables. Published checkpoints cannot be compared with: their constants come from a
    later fit.

    Attributes:
        image_size: side of the images in pixels.
        visual_degrees: field of view of the image; None keeps 32 pixels per degree.
        mean: of the images' normalisation, which is undone: cells see light, 0 to 1.
        std: likewise.
        m_cells: whether there is a fourth channel, of M cells.
        light_adaptation: whether cells adapt; without, they see intensities.
        opponency: whether cells have centre and surround; without, P cells see one colour and the M
            cell the mean of all.
        contrast_normalization: whether cells divide by local contrast.
        noise_mode: ``"none"`` or ``"neuronal"``.
        noise_at_eval: whether there is noise when not training, too.

    Reference:
        Piper, Oliveira and Marques 2025, arXiv:2506.03089.
    """

    image_size: int = 224
    visual_degrees: float | None = None
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    m_cells: bool = True
    light_adaptation: bool = True
    opponency: bool = True
    contrast_normalization: bool = True
    noise_mode: str = "neuronal"
    noise_at_eval: bool = False

    @property
    def channels(self) -> int:
        """How many cells look at each pixel."""
        return 4 if self.m_cells else 3

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the cells' maps and the endpoint ``lgn``, the same.

        Args:
            x: normalised images, ``[B, H, W, 3]``.
            train: whether there is noise even without ``noise_at_eval``; it needs
                ``rngs={"noise": key}``.

        Returns:
            ``[B, H, W, channels]``: red-green, green-red, blue-yellow, and white-black.

        Raises:
            InputError: if a field is out of range.
        """
        if self.noise_mode not in ("none", "neuronal"):
            raise InputError(f"unknown retina.noise_mode {self.noise_mode!r}: none or neuronal")
        degrees = self.visual_degrees
        if degrees is None:
            degrees = self.image_size / PIXELS_PER_DEGREE
        if not degrees > 0:
            raise InputError(f"visual_degrees={degrees}, must be above 0")
        scale = self.image_size / degrees
        mean, std = (
            jnp.asarray(value, jnp.float32).reshape(1, 1, 1, -1) for value in (self.mean, self.std)
        )
        light = x * std + mean
        maps = []
        for cells in (P_CELLS, M_CELLS)[: 2 if self.m_cells else 1]:
            y = adapt_to_light(light, cells.adaptation) if self.light_adaptation else light
            if self.opponency:
                y = centre_surround(y, cells, scale)
            elif len(cells.colours) == 1:
                y = y.mean(-1, keepdims=True)
            if self.contrast_normalization:
                y = normalise_contrast(y, cells, scale)
            maps.append(cells.gain * y)
        y = jnp.concatenate(maps, -1)
        if self.noise_mode == "neuronal" and (train or self.noise_at_eval):
            keys = jax.vmap(jax.random.fold_in, (None, 0))(
                self.make_rng("noise"), jnp.arange(len(y))
            )
            y = neuronal_noise(y, jax.vmap(lambda key: jax.random.normal(key, y.shape[1:]))(keys))
        return y, {"lgn": y}
