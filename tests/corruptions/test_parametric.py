import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jaxbio.corruptions import parametric
from jaxbio.corruptions.parametric import CONDITIONS, distort, mean_amplitude

KEY = jax.random.key(5)
RANDOM = ("phase-scrambling", "uniform-noise", "eidolonI", "eidolonII", "eidolonIII")


def pictures(batch=3, size=32, seed=0):
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.uniform(0, 255, (batch, size // 8, size // 8, 3)), np.ones((1, 8, 8, 1)))
    return np.clip(coarse + rng.normal(0, 20, coarse.shape), 0, 255).astype(np.uint8)


IMAGES = pictures()
GREY = (IMAGES / 255.0) @ np.asarray([0.2125, 0.7154, 0.0721])


def floating(experiment, condition, **options):
    images = jnp.asarray(IMAGES / 255.0, jnp.float32)
    y = np.asarray(distort(images, experiment, condition, KEY, **options))
    np.testing.assert_array_equal(y[..., 0], y[..., 2])
    return y[..., 0]


@pytest.mark.parametrize(
    ("experiment", "condition", "expected"),
    [
        ("contrast", "c100", GREY),
        ("contrast", "c05", 0.475 + 0.05 * GREY),
        ("rotation", "0", GREY),
        ("rotation", "90", np.stack([g.T[::-1] for g in GREY])),
        ("rotation", "180", GREY[:, ::-1, ::-1]),
        ("rotation", "270", np.stack([g[::-1].T for g in GREY])),
        ("low-pass", "0", GREY),
        ("high-pass", "inf", GREY),
        ("phase-scrambling", "0", GREY),
        ("power-equalisation", "0", GREY),
        ("uniform-noise", "0.0", 0.35 + 0.3 * GREY),
    ],
)
def test_conditions_without_a_choice(experiment, condition, expected):
    np.testing.assert_allclose(floating(experiment, condition), expected, atol=1e-6)


@pytest.mark.parametrize("condition", ["1", "5", "40"])
def test_low_pass_is_scipys(condition):
    blurred = [gaussian_filter(g, float(condition), mode="constant", cval=0.4423) for g in GREY]
    np.testing.assert_allclose(floating("low-pass", condition), blurred, atol=1e-5)


@pytest.mark.parametrize("condition", ["3.0", "0.4"])
def test_high_pass_is_scipys(condition):
    for y, g in zip(floating("high-pass", condition), GREY, strict=True):
        rest = g - gaussian_filter(g, float(condition), mode="constant", cval=0.4423)
        np.testing.assert_allclose(y, np.clip(rest + 0.4423 - rest.mean(), 0, 1), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(8, 8), (7, 8), (9, 5)])
def test_phases_move_and_amplitudes_stay(shape):
    keys = jax.random.split(KEY, 50)
    width = math.radians(60)
    shifts = np.asarray(parametric.draw_phases(keys, shape, width))
    mirrored = np.roll(shifts[:, ::-1, ::-1], (1, 1), (1, 2))
    np.testing.assert_array_equal(shifts, -mirrored)
    free = shifts[:, 1, 1:3]
    assert np.abs(shifts).max() <= width
    assert np.abs(free).max() > 0.9 * width
    assert abs(free.mean()) < 0.2 * width
    x = jnp.asarray(np.random.default_rng(1).random((50, *shape)), jnp.float32)
    y = parametric.scramble_phases(x, jnp.asarray(shifts))
    before, after = jnp.fft.fft2(x), jnp.fft.fft2(y)
    np.testing.assert_allclose(jnp.abs(after), jnp.abs(before), rtol=1e-3, atol=1e-4)
    turned = np.angle(np.asarray(after / before))
    np.testing.assert_allclose(turned, shifts, atol=2e-3)
    np.testing.assert_allclose(y.mean((1, 2)), x.mean((1, 2)), atol=1e-5)


def test_power_is_equalised():
    spectrum = mean_amplitude(IMAGES)
    np.testing.assert_allclose(spectrum, np.abs(np.fft.fft2(GREY)).mean(0), rtol=1e-3, atol=1e-3)
    y = floating("power-equalisation", "pow", spectrum=spectrum)
    f = np.fft.fft2(GREY)
    expected = np.fft.ifft2(np.asarray(spectrum) * np.exp(1j * np.angle(f))).real
    np.testing.assert_allclose(y, np.clip(expected, 0, 1), atol=1e-4)
    with pytest.raises(ValueError, match="spectrum"):
        distort(IMAGES, "power-equalisation", "pow", KEY)


def test_noise_is_uniform():
    y = floating("uniform-noise", "0.2")
    noise = y - (0.35 + 0.3 * GREY)
    assert np.abs(noise).max() <= 0.2 + 1e-6
    assert abs(noise.mean()) < 0.01
    assert noise.std() == pytest.approx(0.2 / math.sqrt(3), rel=0.03)


def plain_eidolon(picture, noise, reach, coherence, grain):
    """The published procedure, a slice at a time."""
    n = len(picture)
    margin = (noise.shape[-1] - n) // 2
    plane = np.floor(np.pad(picture, margin, mode="symmetric") * 255 + 1e-4)
    size = len(plane)
    x = np.minimum(np.arange(size), size - np.arange(size))

    def blur(image, sigma):
        line = np.exp(-(x**2) / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma)
        kernel = np.outer(line, line)
        return np.fft.ifft2(np.fft.fft2(image) * np.fft.fft2(kernel)).real

    def field(raw, sigma):
        raw = np.clip(127.5 * raw / np.abs(raw).max(), -127, 127)
        c = blur(raw, sigma)
        return c - c.mean() / c.std()

    sigmas = [math.sqrt(0.5) * math.sqrt(2) ** k for k in range(noise.shape[2])]
    result = np.zeros_like(plane)
    for k, sigma in enumerate(sigmas):
        piece = blur(plane, sigma)
        if k + 1 < len(sigmas):
            piece = piece - blur(plane, sigmas[k + 1])
        moves = []
        for axis in (0, 1):
            carried = sum(
                field(noise[0, axis, j], sigmas[j]) * sigmas[j] / (n / 4)
                for j in range(k, len(sigmas))
            )
            own = field(noise[1, axis, k], grain)
            moves.append(coherence * carried + (1 - coherence) * own)
        for row in range(size):
            for column in range(size):
                r = int(np.clip(row + reach * moves[0][row, column], 0, size - 1))
                c = int(np.clip(column + reach * moves[1][row, column], 0, size - 1))
                result[row, column] += piece[r, c]
    inside = result[margin : margin + n, margin : margin + n]
    return np.floor(np.clip(inside, 0, 255)) / 255


@pytest.mark.slow
@pytest.mark.parametrize("coherence", [0.0, 0.3, 1.0])
def test_eidolons_are_the_published_ones(coherence):
    noise = np.random.default_rng(3).normal(size=(2, 2, 6, 64, 64)).astype(np.float32)
    expected = plain_eidolon(GREY[0], noise.astype(float), 4.0, coherence, 1.25)
    made = parametric.disarray(
        jnp.asarray(GREY[0], jnp.float32), jnp.asarray(noise),
        parametric.Eidolon(4.0, coherence, 1.25),
    )  # fmt: skip
    # A displacement next to a whole number may be cut either way.
    off = np.abs(np.asarray(made) - expected)
    assert (off < 1.5 / 255).mean() > 0.99
    assert off.mean() < 1e-3


@pytest.mark.slow
def test_reach_takes_the_picture_away():
    likeness = []
    for reach in ("1", "8", "64"):
        y = floating("eidolonII", f"{reach}-3-10")
        likeness.append(
            np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(y, GREY, strict=True)])
        )
    assert likeness[0] > 0.8
    assert likeness[0] > likeness[1] > likeness[2]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", CONDITIONS)
def test_a_picture_depends_on_its_key_alone(experiment):
    condition = CONDITIONS[experiment][3 if len(CONDITIONS[experiment]) > 3 else 0]
    numbers = np.asarray([7, 8, 9])
    whole = np.asarray(distort(IMAGES, experiment, condition, KEY, indices=numbers))
    assert whole.dtype == np.uint8
    assert whole.shape == IMAGES.shape
    one = distort(IMAGES[1], experiment, condition, jax.random.fold_in(KEY, 8))
    np.testing.assert_array_equal(one, whole[1])
    other = np.asarray(distort(IMAGES, experiment, condition, KEY, indices=numbers + 1))
    assert (experiment in RANDOM) == (not np.array_equal(other, whole))
    grey = distort(IMAGES[..., :1], experiment, condition, KEY)
    assert grey.shape == (3, 32, 32, 1)


def test_what_cannot_be_made():
    for experiment, condition, word in (
        ("fog", "1", "fog"),
        ("contrast", "c07", "c07"),
        ("rotation", "90", "32x40"),
    ):
        wide = np.zeros((32, 40, 3), np.uint8)
        with pytest.raises(ValueError, match=word):
            distort(wide, experiment, condition, KEY)
    assert distort(np.zeros((32, 40, 3), np.uint8), "eidolonI", "4-10-10", KEY).shape == (32, 40, 3)
