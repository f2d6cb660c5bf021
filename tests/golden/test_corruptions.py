"""Parity of corruptions with imagecorruptions: exact, with its draws, in distribution."""

import io
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import stats
from scipy.ndimage import uniform_filter

from jaxbio.corruptions import corrupt, frost_textures
from jaxbio.corruptions.blur import GLASS
from jaxbio.corruptions.compiled import CORRUPTIONS
from jaxbio.corruptions.fields import image_words
from jaxbio.corruptions.weather import draw_fog
from tests.golden import vectors

pytestmark = pytest.mark.golden

CASES = vectors.dynamics_cases("corruptions")
EXACT = ("jpeg_compression", "pixelate")  # integer arithmetic throughout


FIXED, INJECTED, RANDOM = (
    vectors.dynamics_arrays(CASES, f"corrupt_{kind}")
    for kind in ("deterministic", "injected", "random_stats")
)
SIGNIFICANCE = 1e-3  # of all comparisons in distribution together


def picture(key: str) -> np.ndarray:
    """A stored picture: the bytes of a PNG file."""
    return np.asarray(Image.open(io.BytesIO(FIXED[key].tobytes())).convert("RGB"))


def parsed(keys, pattern: str, severity_first: bool = False) -> list:
    """Parameters from array names; only the smallest size is in the quick suite."""
    found = sorted({m.groups() for m in (re.fullmatch(pattern, key) for key in keys) if m})
    smallest = min((int(size) for *_, size in found), default=0)
    parameters = []
    for *rest, severity, size in found:
        slow = int(size) > smallest or (severity_first and severity != found[0][-2])
        marks = [pytest.mark.slow] if slow else []
        parameters.append(pytest.param(*rest, int(severity), int(size), marks=marks))
    return parameters


@pytest.mark.parametrize(
    ("name", "severity", "size"),
    parsed([re.sub(r"_s(\d)_\w+_", r"_s\1_", k) for k in FIXED], r"(?!clean)(\w+)_s(\d)_(\d+)"),
)
def test_deterministic_corruptions_equal_the_reference(name, severity, size):
    keys = [k for k in FIXED if re.fullmatch(rf"{name}_s{severity}_\w+_{size}", k)]
    clean = [picture(k.replace(f"{name}_s{severity}", "clean")) for k in keys]
    ours = np.asarray(corrupt(np.stack(clean), name, severity, jax.random.key(0)))
    for key, image in zip(keys, ours, strict=True):
        off = np.abs(image.astype(int) - picture(key))
        allowed = 0 if name in EXACT else 1
        assert (off > allowed).mean() <= 1e-3, (key, off.max(), (off > allowed).mean())


def injected_field(name: str, severity: int, shape: tuple[int, ...]):
    """The stored random draws of a case, in the form our functions take."""
    prefix = f"{name}_s{severity}_"
    stored = [INJECTED[k] for k in INJECTED if k.startswith(prefix) and not k.endswith("_out")]
    if name == "glass_blur":
        _, distance, passes = GLASS[severity - 1]
        rows, columns = (n - 2 * distance for n in shape[:2])
        stored = [stored[0].reshape(passes, rows, columns, 2).astype(np.int32)]
    if name == "frost":
        _, row, column = stored[0]
        texture = INJECTED["frost_texture_resized_bgr"][..., ::-1]
        crop = texture[row : row + shape[0], column : column + shape[1]]
        stored = [crop.astype(np.float32)]
    fields = tuple(jnp.asarray(s)[None] for s in stored)
    return fields if len(fields) > 1 else fields[0]


@pytest.mark.parametrize(
    ("name", "severity"),
    sorted(m.groups() for m in (re.fullmatch(r"(\w+)_s(\d)_out", k) for k in INJECTED) if m),
)
def test_the_arithmetic_equals_the_reference_with_its_random_draws(name, severity):
    severity = int(severity)
    clean = INJECTED["clean"]
    field = injected_field(name, severity, clean.shape)
    apply = jax.jit(CORRUPTIONS[name].apply, static_argnums=1)
    ours = apply(jnp.asarray(clean, jnp.float32)[None], severity, field)[0]
    ours = np.clip(np.floor(np.asarray(ours) + 2.0**-13), 0, 255).astype(int)
    off = np.abs(ours - INJECTED[f"{name}_s{severity}_out"])
    assert (off > 1).mean() <= 1e-3, (off.max(), (off > 1).mean())


def spectrum(plane: np.ndarray) -> list[float]:
    """log10 power in 10 geometric bins of radial frequency from 1/N to 0.5."""
    n = len(plane)
    power = np.abs(np.fft.fft2(plane - plane.mean())) ** 2 / plane.size
    axis = np.fft.fftfreq(n)
    # Some frequencies lie on the edges between bins, to which they belong.
    bins = np.digitize(np.hypot(axis[:, None], axis), np.geomspace(1 / n, 0.5, 11) * (1 - 1e-9))
    return [np.log10(power[bins == i].mean() + 1e-12) for i in range(1, 11)]


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean structural similarity of two images in 0..255 with 7 x 7 uniform windows."""
    mean = lambda v: uniform_filter(v, (7, 7, 0))  # noqa: E731
    unbiased = 49 / 48
    ua, ub = mean(a), mean(b)
    va, vb, vab = (
        unbiased * (mean(p * q) - up * uq)
        for p, q, up, uq in ((a, a, ua, ua), (b, b, ub, ub), (a, b, ua, ub))
    )
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = (2 * ua * ub + c1) * (2 * vab + c2) / ((ua**2 + ub**2 + c1) * (va + vb + c2))
    return value[3:-3, 3:-3].mean()


def statistics(out: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """The stored statistics, in the order of ``stat_names``."""
    out, clean = out.astype(np.float64), clean.astype(np.float64)
    change = out - clean
    flat = change.reshape(-1, 3)
    centred = flat - flat.mean(0)
    standard = centred / np.maximum(flat.std(0), 1e-12)
    luma = np.array([0.299, 0.587, 0.114])
    grey = out @ luma
    still = (change - change.mean((0, 1))) @ luma
    lag1 = [
        (a * b).mean() / (still**2).mean()
        for a, b in ((still[:, 1:], still[:, :-1]), (still[1:], still[:-1]))
    ]
    correlation = np.corrcoef(centred.T)
    return np.array(
        [
            *out.reshape(-1, 3).mean(0), *out.reshape(-1, 3).std(0), *flat.mean(0), *flat.std(0),
            *(standard**3).mean(0), *(standard**4).mean(0),
            (np.diff(grey, axis=1) ** 2).mean(), (np.diff(grey, axis=0) ** 2).mean(),
            *lag1, correlation[0, 1], correlation[0, 2],
            10 * np.log10(255**2 / (flat**2).mean()), ssim(clean, out),
            (out == 0).mean(), (out == 255).mean(),
            *np.percentile(grey, [1, 5, 25, 50, 75, 95, 99]),
            *spectrum(grey), *spectrum(change @ luma),
        ]
    )  # fmt: skip


def disagreement(ours: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per statistic: difference of means in standard errors, and |log| ratio of spreads."""
    mean, std = gold.mean(0), gold.std(0, ddof=1)
    ours_mean, ours_std = ours.mean(0), ours.std(0, ddof=1)
    # Differences below a thousandth of a value are rounding, whatever the spread.
    floor = 1e-3 * np.abs(mean) + 1e-4
    error = np.sqrt(std**2 / len(gold) + ours_std**2 / len(ours) + floor**2)
    return (ours_mean - mean) / error, np.abs(np.log((ours_std + floor) / (std + floor)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "image", "severity", "size"),
    parsed(
        [re.sub(r"_s(\d)_([a-z]+)_", r"_\2_s\1_", k) for k in RANDOM],
        r"(\w+)_([a-z]+)_s(\d)_(\d+)",
        severity_first=True,
    ),
)
def test_random_corruptions_agree_in_distribution(name, image, severity, size):
    gold = RANDOM[f"{name}_s{severity}_{image}_{size}"]
    clean = picture(f"clean_{image}_{size}")
    images = np.repeat(clean[None], 48, 0)
    ours = np.asarray(corrupt(images, name, severity, jax.random.key(size)))
    z, spread = disagreement(np.array([statistics(o, clean) for o in ours]), gold)
    worst = np.argmax(np.abs(z))
    looks = (len(RANDOM) - 1) * len(z)  # every statistic of every case, bar the names
    bound = stats.t.isf(SIGNIFICANCE / looks / 2, len(gold) - 1)
    assert np.abs(z[worst]) < bound, (RANDOM["stat_names"][worst], z[worst])
    # Spreads of a few draws have heavy tails, those of kurtosis most of all, and a percentile may
    # sit on a plateau (mud has one colour) in all of them: so these look at shares.
    assert (spread < np.log(2)).mean() > 0.8, RANDOM["stat_names"][spread > np.log(2)]
    assert (spread < np.log(8)).mean() > 0.95, RANDOM["stat_names"][spread > np.log(8)]


@pytest.mark.skipif(not RANDOM, reason="the folder holds no statistics of random corruptions")
def test_the_statistics_tell_severities_apart():
    key = next(k for k in RANDOM if "_noise_s" in k)
    name, severity, image, size = re.fullmatch(r"(\w+)_s(\d)_([a-z]+)_(\d+)", key).groups()
    clean = picture(f"clean_{image}_{size}")
    other = int(severity) % 5 + 1
    ours = np.asarray(corrupt(np.repeat(clean[None], 16, 0), name, other, jax.random.key(0)))
    z, _ = disagreement(np.array([statistics(o, clean) for o in ours]), RANDOM[key])
    assert np.abs(z).max() > 20


FOG = CASES.get("fog_fractal_statistics", {"per_severity": {}})


@pytest.mark.parametrize(
    "severity",
    [
        pytest.param(s, marks=[pytest.mark.slow] if i else [])
        for i, s in enumerate(sorted(FOG["per_severity"]))
    ],
)
def test_fog_maps_agree_in_distribution(severity):
    gold = FOG["per_severity"][severity]
    size, n = FOG["map_size"], FOG["n_maps"]
    words = image_words(jax.random.split(jax.random.key(1), n), 0)
    draw = jax.jit(draw_fog, static_argnums=2)
    maps = np.asarray(draw(words, jnp.zeros((n, size, size, 3)), int(severity[1:])), np.float64)
    assert maps.min((1, 2)) == pytest.approx(0, abs=1e-6)
    assert maps.max((1, 2)) == pytest.approx(1, abs=1e-6)
    power = np.array([spectrum(m) for m in maps])
    error = np.hypot(power.std(0), gold["log10_radial_power_std"]) / np.sqrt(n)
    assert np.abs((power.mean(0) - gold["log10_radial_power_mean"]) / error).max() < 5
    assert power.std(0) == pytest.approx(np.array(gold["log10_radial_power_std"]), rel=0.5)
    # A map's level varies much more than a pixel's share in it.
    error = 5 * np.sqrt(2 / n) * gold["map_mean_sd_over_maps"]
    mean, std = gold["map_mean_and_std"]
    assert maps.mean() == pytest.approx(mean, abs=error)
    assert maps.std((1, 2)).mean() == pytest.approx(std, rel=0.15)
    percentiles = np.percentile(maps, [5, 25, 50, 75, 95])
    assert percentiles == pytest.approx(np.array(gold["percentiles_5_25_50_75_95"]), abs=error)


def test_frost_textures_have_the_photographs_statistics():
    stored = [t for t in CASES.get("frost_texture_statistics", {}).values() if t["used"]]
    if not stored:
        pytest.skip("the folder holds no statistics of frost textures")
    assert len(stored) == len(frost_textures.PHOTOGRAPHS)
    for index, gold in zip(frost_textures.PHOTOGRAPHS, stored, strict=True):
        texture = frost_textures.synthesise(index)
        assert list(texture.shape) == gold["shape"]
        grey = texture @ np.array([0.299, 0.587, 0.114])
        flat = texture.reshape(-1, 3)
        assert flat.mean(0) == pytest.approx(np.array(gold["mean_rgb"]), abs=1)
        assert flat.std(0) == pytest.approx(np.array(gold["std_rgb"]), rel=0.03)
        percentiles = np.percentile(grey, [1, 5, 25, 50, 75, 95, 99])
        expected = np.array(gold["lum_percentiles_1_5_25_50_75_95_99"])
        assert percentiles == pytest.approx(expected, abs=7)
        correlation = np.corrcoef(flat.T)[0, 1:]
        assert correlation == pytest.approx(np.array(gold["channel_corr_rg_rb"]), abs=0.01)
        for axis, key in ((1, "lag1_x"), (0, "lag1_y")):
            n = grey.shape[axis]
            pair = (np.take(grey, range(1, n), axis), np.take(grey, range(n - 1), axis))
            lag = np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1]
            assert lag == pytest.approx(gold[key], abs=0.06)
        power = frost_textures.radial_power(grey) - gold["log10_radial_power"]
        # The lowest bin is a handful of waves per patch, on top of slower gradients.
        assert np.abs(power[1:]).max() < 0.4
        assert np.abs(power[2:]).mean() < 0.1
