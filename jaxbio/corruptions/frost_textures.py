"""Ice textures for frost: the photographs of the imagecorruptions package, or synthetic ones.

The published corruption blends in crops of five photographs (two of them the same picture; a sixth
is never drawn). They are read from the installed package. Where that is missing there is, instead
of each, a random texture of the same size, with the photograph's colour means and spreads, channel
correlations, luminance percentiles and radial power spectrum (and with it the correlation between
neighbouring pixels).
"""

import functools
import importlib.util
import logging
import math
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from PIL import Image

_logger = logging.getLogger("jaxbio")


class _Photograph(NamedTuple):
    shape: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    correlation: tuple[float, float]  # red-green, red-blue
    percentiles: tuple[float, ...]  # of the luminance, at _PERCENT
    log_power: tuple[float, ...]  # of the luminance; log10, 10 geometric bins from 1/256 to 1/2


_PERCENT = (1, 5, 25, 50, 75, 95, 99)
_STATISTICS = (
    _Photograph(
        (600, 900), (77.67, 149.12, 165.74), (26.91, 16.48, 15.33), (0.8236, 0.5744),
        (95.5, 102.5, 116.1, 127.9, 141.3, 163.0, 177.4),
        (5.791, 5.007, 4.474, 3.927, 3.403, 2.889, 2.6, 2.421, 2.245, 1.763),
    ),
    _Photograph(
        (315, 560), (200.79, 205.38, 214.48), (21.37, 22.09, 22.57), (0.9956, 0.99),
        (139.8, 164.6, 193.0, 208.1, 220.4, 234.8, 244.1),
        (5.945, 5.151, 4.643, 4.216, 3.871, 3.633, 3.203, 2.777, 2.401, 1.83),
    ),
    _Photograph(
        (350, 527), (137.62, 152.77, 165.18), (28.48, 28.49, 29.86), (0.9975, 0.9914),
        (80.7, 102.1, 132.0, 149.8, 166.7, 195.8, 230.7),
        (5.978, 4.943, 4.549, 4.159, 3.975, 3.716, 3.417, 3.182, 2.874, 2.347),
    ),
    _Photograph(
        (495, 660), (112.38, 123.37, 134.75), (44.42, 43.26, 41.66), (0.9994, 0.9977),
        (43.0, 57.8, 89.0, 116.8, 148.8, 201.9, 236.8),
        (5.973, 5.403, 5.16, 4.912, 4.521, 4.099, 3.7, 3.287, 2.88, 2.489),
    ),
)  # fmt: skip
# One of five files is drawn; the second and third hold the same picture.
PHOTOGRAPHS = (0, 1, 1, 2, 3)
_FILES = ("frost1.png", "frost2.png", "frost4.jpg", "frost5.jpg")
_LUMA = np.array([0.299, 0.587, 0.114])
ENLARGE = 1.1  # of the photographs, before they are cropped
_EDGES = np.geomspace(1 / 256, 0.5, 11)


def _amplitude(photograph: _Photograph, log_power: np.ndarray, variance: float) -> np.ndarray:
    """Fourier amplitudes, ``[H, W // 2 + 1]``, of an image with the radial power spectrum.

    The spectra were taken from patches of 256 pixels. What they leave of the whole picture's
    variance is in the frequencies below 1/256: the differences in brightness between regions.
    """
    height, width = photograph.shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    centre = np.log10(np.sqrt(_EDGES[:-1] * _EDGES[1:]))
    # Corners lie outside the last bin: the decline over the last two bins goes on.
    steepness = (log_power[-1] - log_power[-2]) / (centre[-1] - centre[-2])
    place = np.log10(np.maximum(frequency, 1e-9))
    power = 10 ** (
        np.interp(place, centre, log_power) + steepness * np.maximum(0, place - centre[-1])
    )
    power[0, 0] = 0
    slow = frequency < _EDGES[0]
    total = variance * power.size
    power[slow] *= max(1.0, (total - power[~slow].sum()) / power[slow].sum())
    return np.sqrt(power * power.size)[:, : width // 2 + 1]


def radial_power(luminance: np.ndarray) -> np.ndarray:
    """log10 of the mean radial power spectrum of patches of 256 pixels, in 10 geometric bins."""
    size = 256
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    starts = [np.linspace(0, n - size, 2).astype(int) for n in luminance.shape]
    power = np.zeros((size, size))
    for top in starts[0]:
        for left in starts[1]:
            patch = luminance[top : top + size, left : left + size]
            power += np.abs(np.fft.fft2(patch - patch.mean())) ** 2 / patch.size / 4
    bins = np.digitize(frequency, _EDGES)
    return np.log10([power[bins == i].mean() for i in range(1, len(_EDGES))])


def _standard(field: np.ndarray) -> np.ndarray:
    return (field - field.mean()) / field.std()


def synthesise(index: int) -> np.ndarray:
    """The stand-in for one photograph, ``[H, W, 3]`` float64 in 0..255; always the same."""
    photograph = _STATISTICS[index]
    shape = photograph.shape
    rng = np.random.default_rng([2019, index])
    # Percentiles are imposed on the ranks, which disturbs the spectrum a little, which is then
    # imposed again; a few rounds meet both.
    low, *_, high = photograph.percentiles
    levels = np.array([max(0.0, 1.15 * low - 0.15 * photograph.percentiles[3]),
                       *photograph.percentiles,
                       min(255.0, 1.15 * high - 0.15 * photograph.percentiles[3])])  # fmt: skip
    target = np.interp(
        (np.arange(math.prod(shape)) + 0.5) * 100 / math.prod(shape), [0, *_PERCENT, 100], levels
    )

    def with_amplitude(spectrum: np.ndarray) -> np.ndarray:
        return np.fft.irfft2(spectrum / np.maximum(np.abs(spectrum), 1e-9) * amplitude, shape)

    log_power = np.array(photograph.log_power)
    amplitude = _amplitude(photograph, log_power, target.var())
    luminance = with_amplitude(np.fft.rfft2(rng.standard_normal(shape)))
    for _ in range(6):
        luminance = with_amplitude(np.fft.rfft2(luminance))
        order = np.argsort(luminance, axis=None)
        luminance = np.empty(target.size)
        luminance[order] = target
        luminance = luminance.reshape(shape)
        # Slow gradients leak into a patch's lowest bins; what they add is taken out.
        log_power += 0.7 * (photograph.log_power - radial_power(luminance))
        amplitude = _amplitude(photograph, log_power, target.var())
    shared = with_amplitude(np.fft.rfft2(rng.standard_normal(shape)))
    common, other = _standard(luminance), _standard(shared)

    # Channels: a common part and one that green and blue share against red, mixed so that the
    # luminance stays the field made above.
    rg, rb = photograph.correlation
    mix = np.array([[1.0, 0.0], [rg, -math.sqrt(1 - rg**2)], [rb, -math.sqrt(1 - rb**2)]])
    scaled = mix * np.array(photograph.std)[:, None]
    towards = _LUMA @ scaled
    angle = math.atan2(towards[1], towards[0])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    channels = np.stack([common, other], -1) @ (scaled @ turn).T
    return np.clip(channels + np.array(photograph.mean), 0, 255)


def source() -> str:
    """What frost blends in: ``photographs``, or ``synthetic textures`` where they are missing."""
    return "synthetic textures" if _photographs() is None else "photographs"


@functools.cache
def _photographs() -> tuple[np.ndarray, ...] | None:
    """Imagecorruptions' pictures, uint8 RGB, read without importing it; None if it is missing."""
    package = importlib.util.find_spec("imagecorruptions")
    if package is None or importlib.util.find_spec("cv2") is None:
        _logger.warning(
            "frost uses synthetic textures: `pip install imagecorruptions` brings the published "
            "photographs"
        )
        return None
    folder = Path(cast("list[str]", package.submodule_search_locations)[0]) / "frost"
    return tuple(np.asarray(Image.open(folder / name).convert("RGB")) for name in _FILES)


@functools.cache
def textures(
    height: int, width: int, enlarge: float = ENLARGE
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All textures, enlarged to hold crops of ``height`` by ``width``, on one canvas.

    Args:
        height: of the crops.
        width: of the crops.
        enlarge: factor of every texture, before what larger crops need.

    Returns:
        Canvas ``[rows, columns, 3]`` uint8 with the textures below each other, and for each of
        ``PHOTOGRAPHS`` its first row, height and width, int32.
    """
    photographs = _photographs()
    images = []
    for index in range(len(_STATISTICS)):
        texture = _synthesised(index) if photographs is None else photographs[index]
        rows, columns = texture.shape[:2]
        factor = enlarge * max(1.0, height / rows, width / columns)
        size = (math.ceil(columns * factor), math.ceil(rows * factor))
        if photographs is None:
            image = Image.fromarray(texture).resize(size, Image.Resampling.BICUBIC)
            images.append(np.asarray(image))
        else:  # OpenCV's cubic, as published, is sharper than Pillow's
            import cv2

            images.append(cv2.resize(texture, size, interpolation=cv2.INTER_CUBIC))
    widest = max(image.shape[1] for image in images)
    canvas = np.concatenate([np.pad(i, ((0, 0), (0, widest - i.shape[1]), (0, 0))) for i in images])
    sizes = np.array([image.shape[:2] for image in images], np.int32)
    tops = np.concatenate([[0], np.cumsum(sizes[:-1, 0])]).astype(np.int32)
    pick = list(PHOTOGRAPHS)
    return canvas, tops[pick], sizes[pick, 0], sizes[pick, 1]


@functools.cache
def _synthesised(index: int) -> np.ndarray:
    return np.round(synthesise(index)).astype(np.uint8)
