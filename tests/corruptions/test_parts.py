"""The building blocks against plain definitions and other libraries."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from jaxbio.corruptions import blur, digital, fields, jpeg, noise, spatter, weather


@pytest.fixture(scope="module")
def words():
    return fields.image_words(jax.random.split(jax.random.key(0), 4), 1)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(1)
    coarse = np.kron(rng.uniform(0, 255, (6, 7, 3)), np.ones((8, 8, 1)))
    return np.clip(coarse + rng.normal(0, 20, coarse.shape), 0, 255).astype(np.uint8)[:45, :53]


@pytest.mark.slow
def test_fields_are_uniform_and_independent(words):
    n = 100_000
    u = np.asarray(fields.uniform(words, 0, (n,)), np.float64)
    assert u.min() > 0
    assert u.max() < 1
    for row in u:
        assert stats.kstest(row, "uniform").pvalue > 1e-4
    other = np.asarray(fields.uniform(words, 1, (n,)), np.float64)
    everything = np.concatenate([u, other, np.roll(u, 1, 1)])
    correlation = np.corrcoef(everything) - np.eye(len(everything))
    assert np.abs(correlation).max() < 5 / np.sqrt(n)
    z = np.asarray(fields.normal(words, 2, (n,)), np.float64)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    k = np.asarray(fields.integers(words, 3, (n,), -2, 2))
    counts = np.bincount(k.ravel() + 2)
    assert len(counts) == 4
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("photons", noise.SHOT_PHOTONS)
def test_alias_tables_hold_the_poisson_distribution(photons):
    table = noise._poisson_alias_table(photons)
    threshold = (table & 0xFFFFFF) / 2**24
    alias = table >> 24
    for level in (0, 1, 100, 255):
        share = threshold[level].copy()
        np.add.at(share, alias[level], 1 - threshold[level])
        expected = stats.poisson.pmf(np.arange(128), level * photons / 255)
        assert share / 128 == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("level", [0.0, 3.7, 128.0, 200.5])
@pytest.mark.slow
def test_shot_noise_counts_have_the_poisson_distribution(words, level):
    x = jnp.full((4, 100, 100, 3), level)
    counts = np.asarray(noise.draw_shot_noise(words, x, 3), np.int64).ravel()
    mean = level / 255 * noise.SHOT_PHOTONS[2]
    assert counts.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / counts.size))
    assert counts.var() == pytest.approx(mean, rel=0.03)


@pytest.mark.parametrize("severity", [1, 4])
@pytest.mark.slow
def test_glass_blur_equals_a_scan_pixel_by_pixel(severity, words):
    distance = blur.GLASS[severity - 1][1]
    height, width = 33, 40
    offsets = np.asarray(blur.draw_glass_blur(words, jnp.zeros((4, height, width, 3)), severity))
    image = np.arange(height * width)
    for scan in offsets[0]:
        for i, row in enumerate(range(height - distance, distance, -1)):
            for j, column in enumerate(range(width - distance, distance, -1)):
                dx, dy = scan[i, j]
                image[row * width + column] = image[(row + dy) * width + column + dx]
    index = np.arange(height * width)
    for scan in offsets[0]:
        index = index[np.asarray(blur._glass_pass(jnp.asarray(scan), distance, height, width))]
    np.testing.assert_array_equal(index, image)


@pytest.mark.parametrize("severity", [1, 5])
def test_blocked_convolution_equals_a_plain_one(severity, picture):
    kernel = blur.defocus_kernel(*blur.DEFOCUS[severity - 1])
    # Mirroring the kernel's grid adds up to 1.1 percent at the largest radii.
    assert 1 - 1e-5 < kernel.sum() < 1.012
    ours = blur.convolve(jnp.asarray(picture, jnp.float32)[None], kernel)[0]
    plain = ndimage.correlate(picture.astype(np.float64), kernel[..., None], mode="mirror")
    assert np.asarray(ours) == pytest.approx(plain, abs=1e-3)


@pytest.mark.slow
def test_elastic_transform_equals_map_coordinates(picture, words):
    x = jnp.asarray(picture, jnp.float32)[None]
    dx, dy = (np.asarray(f, np.float64) for f in digital.draw_elastic_transform(words[:1], x, 5))
    ours = digital.elastic_transform(x, 5, (jnp.asarray(dx), jnp.asarray(dy)))[0]
    height, width, _ = picture.shape
    sigma = (0.01 * height, 0.01 * width)
    smooth = [30 * ndimage.gaussian_filter(f[0], sigma, truncate=3) for f in (dx, dy)]
    row, column = np.mgrid[:height, :width] + np.array([smooth[1], smooth[0]])
    plain = [
        ndimage.map_coordinates(picture[..., c] * 1.0, (row, column), order=1, mode="reflect")
        for c in range(3)
    ]
    assert np.asarray(ours) == pytest.approx(np.stack(plain, -1), abs=0.05)


def test_jpeg_equals_libjpeg_at_any_size(picture):
    compress = jax.jit(jpeg.jpeg_compression, static_argnums=1)
    for severity, image in ((1, picture), (5, picture[:32, :37])):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=jpeg.QUALITY[severity - 1])
        ours = compress(jnp.asarray(image, jnp.float32)[None], severity)[0]
        ours = np.clip(np.asarray(ours), 0, 255)
        np.testing.assert_array_equal(ours, np.asarray(Image.open(file)))


@pytest.mark.slow
@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_pixelate_equals_pillow_at_any_size(severity, picture):
    for image in (picture, picture[:33, :51]):
        height, width, _ = image.shape
        factor = digital.PIXELATE[severity - 1]
        small = (int(width * factor), int(height * factor))
        pillow = Image.fromarray(image).resize(small, Image.Resampling.BOX)
        pillow = pillow.resize((width, height), Image.Resampling.NEAREST)
        ours = digital.pixelate(jnp.asarray(image, jnp.float32)[None], severity)[0]
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(pillow))


def test_edge_distance_is_the_chamfer_distance():
    rng = np.random.default_rng(0)
    edges = rng.uniform(size=(2, 40, 33)) < 0.002
    edges[1, :, 10:] = False
    steps = [(1, 1.0, ((0, 1), (1, 0))), (1, 1.4, ((1, 1), (1, -1)))]
    steps.append((2, 2.1969, ((1, 2), (2, 1), (1, -2), (2, -1))))
    plain = np.where(edges, 0.0, 1e9)
    while True:  # relax until nothing changes
        best = plain.copy()
        padded = np.pad(plain, ((0, 0), (2, 2), (2, 2)), constant_values=1e9)
        for _, length, directions in steps:
            for dy, dx in (*directions, *((-a, -b) for a, b in directions)):
                there = padded[:, 2 + dy : 42 + dy, 2 + dx : 35 + dx]
                best = np.minimum(best, there + round(length * 2**16))
        if (best == plain).all():
            break
        plain = best
    ours = jax.jit(spatter.edge_distance)(jnp.asarray(edges))
    np.testing.assert_array_equal(ours, np.minimum(plain, 20 * 2**16))


def test_canny_follows_weak_edges_from_strong_ones_only():
    image = np.zeros((1, 40, 80), np.int32)
    image[0, 10:30, 10:20] = 20  # a weak square: gradients 80 to 120
    image[0, 10:30, 50:60] = 20
    image[0, 10:12, 50:60] = 200  # another with a strong side
    canny = jax.jit(lambda image: spatter.canny(image, 50, 150))
    edges = np.asarray(canny(jnp.asarray(image)))[0]
    assert not edges[:, :40].any()
    assert edges[20, 40:].sum() == 2
    assert not canny(jnp.zeros((1, 40, 80), jnp.int32)).any()


def test_equalisation_spreads_the_levels_that_occur():
    image = jnp.asarray(np.repeat([3, 3, 7, 12], 100).reshape(1, 20, 20))
    equalise = jax.jit(spatter.equalise)
    np.testing.assert_array_equal(np.unique(equalise(image)), [0, 128, 255])
    constant = jnp.full((1, 20, 20), 20)
    np.testing.assert_array_equal(equalise(constant), constant)


@pytest.mark.slow
def test_fog_maps_span_zero_to_one_and_frost_crops_stay_inside(words):
    x = jnp.zeros((4, 40, 100, 3))
    maps = np.asarray(jax.jit(weather.draw_fog, static_argnums=2)(words, x, 3))
    assert maps.shape == (4, 40, 100)
    assert maps.min() >= 0
    assert maps.max() <= 1
    size = (40, 1300)  # larger than any texture: they are enlarged
    draw = jax.jit(weather.draw_frost, static_argnums=2)
    crops = np.asarray(draw(words, jnp.zeros((4, *size, 3)), 1))
    assert crops.shape == (4, *size, 3)
    assert crops.mean() > 60
    assert (crops.reshape(4, -1, 3).std(1) > 3).all()


def test_motion_blur_moves_along_its_angle():
    x = jnp.zeros((2, 64, 64, 1)).at[:, 32, 32].set(255.0)
    move = jax.jit(blur.directional_blur, static_argnums=(1, 2))
    out = np.asarray(move(x, 10, 3, jnp.asarray([0.0, 90.0])))[..., 0]
    assert out[0, 32].sum() == pytest.approx(255, rel=1e-5)
    assert out[1, :, 32].sum() == pytest.approx(255, rel=1e-5)
