"""Seeded pictures of 49 simple objects over varied position, size, pose and background.

An object is a few superellipses. Its category fixes their arrangement, the object varies it, and a
view moves, scales, turns and squeezes the whole. What results is crude beside photographs, but has
what measures of invariance need: identity that pixels do not tell directly.
"""

from typing import NamedTuple

import numpy as np

OBJECTS_PER_CATEGORY = 7

# Parts as (x, y, half width, half height, angle, exponent): 2 is an ellipse, 8 nearly a box.
# Coordinates are in units of the object's half size, y downwards.
_PARTS: dict[str, tuple[tuple[float, ...], ...]] = {
    "Animals": (
        (0.0, 0.0, 0.6, 0.3, 0.0, 2),
        (0.6, -0.35, 0.25, 0.22, 0.3, 2),
        (-0.4, 0.5, 0.08, 0.35, 0.1, 4),
        (0.35, 0.5, 0.08, 0.35, -0.1, 4),
        (-0.7, -0.2, 0.25, 0.06, -0.7, 2),
    ),
    "Cars": (
        (0.0, 0.15, 0.85, 0.22, 0.0, 6),
        (0.0, -0.15, 0.45, 0.2, 0.0, 3),
        (-0.5, 0.4, 0.2, 0.2, 0.0, 2),
        (0.5, 0.4, 0.2, 0.2, 0.0, 2),
        (0.1, -0.15, 0.15, 0.12, 0.0, 6),
    ),
    "Chairs": (
        (-0.1, 0.1, 0.5, 0.1, 0.0, 8),
        (-0.5, -0.4, 0.09, 0.5, -0.1, 8),
        (-0.5, 0.5, 0.07, 0.4, 0.0, 8),
        (0.3, 0.5, 0.07, 0.4, 0.0, 8),
        (0.0, 0.45, 0.35, 0.05, 0.0, 8),
    ),
    "Faces": (
        (0.0, 0.0, 0.6, 0.8, 0.0, 2),
        (-0.25, -0.2, 0.12, 0.08, 0.0, 2),
        (0.25, -0.2, 0.12, 0.08, 0.0, 2),
        (0.0, 0.1, 0.07, 0.2, 0.0, 2),
        (0.0, 0.45, 0.25, 0.07, 0.0, 2),
    ),
    "Fruits": (
        (0.0, 0.1, 0.6, 0.55, 0.0, 2),
        (0.05, -0.6, 0.05, 0.2, 0.3, 4),
        (0.25, -0.55, 0.22, 0.09, -0.5, 2),
        (-0.2, -0.1, 0.15, 0.12, 0.4, 2),
        (0.2, 0.3, 0.2, 0.18, 0.0, 2),
    ),
    "Planes": (
        (0.0, 0.0, 0.9, 0.12, 0.0, 2),
        (0.05, 0.3, 0.12, 0.45, 0.35, 4),
        (0.05, -0.3, 0.12, 0.45, -0.35, 4),
        (-0.75, -0.2, 0.08, 0.22, -0.3, 4),
        (0.6, -0.04, 0.14, 0.06, 0.0, 2),
    ),
    "Tables": (
        (0.0, -0.3, 0.85, 0.1, 0.0, 8),
        (-0.65, 0.25, 0.07, 0.5, 0.0, 8),
        (0.65, 0.25, 0.07, 0.5, 0.0, 8),
        (-0.25, 0.15, 0.06, 0.4, 0.0, 8),
        (0.25, 0.15, 0.06, 0.4, 0.0, 8),
    ),
}
CATEGORIES = tuple(_PARTS)
_EDGE = 0.06  # softness of outlines, in units of the object
_CHUNK = 128  # images at a time: bounds the memory


class Views(NamedTuple):
    """Where and how an object is seen; arrays ``[n]``.

    Attributes:
        x: centre, in half image widths to the right of the middle.
        y: centre, in half image heights below the middle.
        size: half size of the object, in half image widths.
        angle: in-plane rotation in radians.
        squeeze: width left by turning away in depth, in (0, 1]; negative values are mirrored.
    """

    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    angle: np.ndarray
    squeeze: np.ndarray


def object_shapes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Geometry and colours of all objects, category by category.

    Returns:
        Parts ``[49, 5, 6]`` as above, and colours ``[49, 5, 3]`` in [0, 1].
    """
    templates = np.repeat(list(_PARTS.values()), OBJECTS_PER_CATEGORY, axis=0)
    parts = np.array(templates, np.float64)
    jitter = rng.standard_normal(parts.shape)
    parts[..., :2] += 0.07 * jitter[..., :2]
    parts[..., 2:4] *= np.exp(0.25 * jitter[..., 2:4])
    parts[..., 4] += 0.15 * jitter[..., 4]
    body = rng.uniform(0.15, 0.9, (len(parts), 1, 3))
    shade = rng.uniform(-0.45, 0.45, (*parts.shape[:2], 1))
    shade[:, 0] = 0.0
    return parts, np.clip(body + shade, 0.0, 1.0)


def random_views(rng: np.random.Generator, count: int) -> Views:
    """Positions, sizes and poses as wide as those of the published high-variation images."""
    return Views(
        x=rng.uniform(-0.4, 0.4, count),
        y=rng.uniform(-0.4, 0.4, count),
        size=rng.uniform(0.3, 0.7, count),
        angle=rng.uniform(-0.6, 0.6, count),
        squeeze=rng.uniform(0.45, 1.0, count) * rng.choice([-1.0, 1.0], count),
    )


def centred_views(count: int) -> Views:
    """Every object in the middle, upright, seen from the side."""
    return Views(*(np.full(count, value) for value in (0.0, 0.0, 0.8, 0.0, 1.0)))


def render(
    parts: np.ndarray,
    colours: np.ndarray,
    views: Views,
    size: int,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Draws one object per image.

    Args:
        parts: ``[n, P, 6]``, see :func:`object_shapes`.
        colours: ``[n, P, 3]`` in [0, 1].
        views: of the n images.
        size: side in pixels.
        rng: of the backgrounds; None leaves them grey.

    Returns:
        ``[n, size, size, 3]`` uint8.
    """
    images = np.empty((len(parts), size, size, 3), np.uint8)
    for start in range(0, len(parts), _CHUNK):
        part = slice(start, start + _CHUNK)
        count = len(parts[part])
        canvas = _backgrounds(count, size, rng)
        _paint(canvas, parts[part], colours[part], Views(*(v[part] for v in views)))
        images[part] = np.clip(255.0 * canvas, 0, 255).astype(np.uint8)
    return images


def _paint(canvas: np.ndarray, parts: np.ndarray, colours: np.ndarray, views: Views) -> None:
    axis = np.linspace(-1, 1, canvas.shape[1], dtype=np.float32)
    x = (axis[None, None, :] - _column(views.x)) / _column(views.size)
    y = (axis[None, :, None] - _column(views.y)) / _column(views.size)
    x, y = _turned(x, y, views.angle)
    x = x / _column(views.squeeze)
    for number in range(parts.shape[1]):
        left, top, width, height, angle, exponent = parts[:, number].T
        u, v = _turned(x - _column(left), y - _column(top), angle)
        power = _column(exponent)
        radius = np.abs(u / _column(width)) ** power + np.abs(v / _column(height)) ** power
        # The signed distance to the outline, roughly: exact on the axes.
        distance = (radius ** (1 / power) - 1) * _column(np.minimum(width, height))
        cover = np.clip(0.5 - distance / _EDGE, 0, 1)[..., None]
        canvas += cover * (colours[:, number, None, None].astype(np.float32) - canvas)


def _turned(x: np.ndarray, y: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cos, sin = _column(np.cos(angle)), _column(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def _column(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)[:, None, None]


def _backgrounds(count: int, size: int, rng: np.random.Generator | None) -> np.ndarray:
    """Faintly coloured clouds with the 1/f amplitude of natural scenes."""
    canvas = np.full((count, size, size, 3), 0.5, np.float32)
    if rng is None:
        return canvas
    noise = rng.standard_normal((count, size, size, 1), np.float32)
    noise = noise + 0.3 * rng.standard_normal((count, size, size, 3), np.float32)
    rows, columns = np.fft.fftfreq(size), np.fft.rfftfreq(size)
    frequency = np.hypot(rows[:, None], columns[None])
    frequency[0, 0] = np.inf  # no mean: it is drawn separately
    spectrum = np.fft.rfft2(noise, axes=(1, 2)) / frequency[None, :, :, None]
    clouds = np.fft.irfft2(spectrum, s=(size, size), axes=(1, 2)).astype(np.float32)
    clouds /= clouds.std(axis=(1, 2, 3), keepdims=True)
    mean = rng.uniform(0.3, 0.7, (count, 1, 1, 1)) + rng.uniform(-0.1, 0.1, (count, 1, 1, 3))
    return np.clip(mean + 0.13 * clouds, 0, 1).astype(np.float32)
