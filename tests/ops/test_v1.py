"""The fast V1 response against the published dense definition, and the bank's format."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.ops import v1


def random_bank(rng, simple: int, complex_: int, size: int, same_color: bool = False):
    n = simple + complex_
    q0, q1 = np.zeros((2, n, 3, size, size), np.float32)
    c0, c1 = rng.integers(0, 3, (2, n))
    c1 = c0 if same_color else c1
    q0[np.arange(n), c0], q1[np.arange(n), c1] = rng.standard_normal((2, n, size, size))
    return q0, q1


def dense(x, q0, q1, simple: int, stride: int, k_exc: float):
    """As published: both banks over all channels."""
    pad = q0.shape[-1] // 2
    a, b = (
        jax.lax.conv_general_dilated(
            x, jnp.asarray(q), (stride, stride), [(pad, pad)] * 2,
            dimension_numbers=("NHWC", "OIHW", "NHWC"),
        )
        for q in (q0, q1)
    )  # fmt: skip
    cells = jax.nn.relu(a[..., :simple])
    energy = jnp.sqrt(a[..., simple:] ** 2 + b[..., simple:] ** 2) / np.sqrt(2)
    return k_exc * jnp.concatenate([cells, energy], -1)


def relative(a, b) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    return np.abs(a - b).max() / np.abs(b).max()


CASES = {
    # name: simple, complex, kernel size, stride, (height, width), same colour
    "published": (24, 40, 25, 4, (64, 64), False),
    "same_color": (9, 30, 25, 4, (48, 48), True),
    "odd_counts": (7, 13, 13, 3, (37, 50), False),
    "one_of_each": (1, 1, 5, 2, (17, 16), False),
    "only_simple": (5, 0, 7, 4, (33, 33), False),
    "only_complex": (0, 11, 7, 5, (31, 64), False),
    "stride_1": (4, 5, 7, 1, (15, 18), False),
    "stride_over_kernel": (4, 5, 3, 7, (40, 41), False),
    "point_filters": (4, 5, 1, 4, (22, 25), False),
    "kernel_over_image": (3, 4, 25, 4, (14, 11), False),
}


PATHS = {
    "one_cpu": lambda patch: patch.setattr(jax, "device_count", lambda *_: 1),
    "many_cpus": lambda patch: patch.setattr(jax, "device_count", lambda *_: 2),
    "accelerator": lambda patch: patch.setattr(
        jax.lax, "platform_dependent", lambda *args, default, **_: default(*args)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("path", PATHS)
def test_fast_equals_dense(case: str, path: str, monkeypatch) -> None:
    PATHS[path](monkeypatch)
    simple, complex_, size, stride, shape, same_color = CASES[case]
    rng = np.random.default_rng(len(case))
    q0, q1 = random_bank(rng, simple, complex_, size, same_color)
    readout = jnp.asarray(rng.standard_normal((simple + complex_, 6)), jnp.float32)
    x = jnp.asarray(rng.standard_normal((3, *shape, 3)), jnp.float32)
    constants = v1.bank_to_constants(q0, q1, simple)
    y, maps = jax.jit(lambda *a: v1.v1_response(*a, stride=stride, k_exc=2.0))(
        x, constants, readout
    )
    expected = dense(x, q0, q1, simple, stride, 2.0)
    assert relative(maps, expected) < 1e-5
    assert relative(y, expected @ readout) < 1e-5


@pytest.mark.parametrize("path", PATHS)
def test_bfloat16(path: str, monkeypatch) -> None:
    PATHS[path](monkeypatch)
    rng = np.random.default_rng(0)
    q0, q1 = random_bank(rng, 6, 6, 9)
    constants = v1.bank_to_constants(q0, q1, 6)
    readout = jnp.asarray(rng.standard_normal((12, 4)), jnp.float32)
    x = jnp.asarray(rng.standard_normal((2, 24, 24, 3)), jnp.float32)
    respond = jax.jit(lambda *a: v1.v1_response(*a, dtype=jnp.bfloat16))
    y, maps = respond(x, constants, readout)
    assert y.dtype == maps.dtype == jnp.bfloat16
    expected = dense(x, q0, q1, 6, 4, 25.0)
    assert relative(maps, expected) < 2e-2  # 8 bits of mantissa: 4e-3 per rounding
    assert relative(y, expected @ readout) < 3e-2


@pytest.mark.slow
def test_gradients_equal_those_of_the_dense_bank() -> None:
    rng = np.random.default_rng(1)
    q0, q1 = random_bank(rng, 5, 6, 9)
    constants = v1.bank_to_constants(q0, q1, 5)
    readout = jnp.asarray(rng.standard_normal((11, 4)), jnp.float32)
    x = jnp.asarray(rng.standard_normal((2, 20, 20, 3)), jnp.float32)
    ours = jax.grad(jax.jit(lambda x, r: v1.v1_response(x, constants, r)[0].sum()), (0, 1))(
        x, readout
    )
    theirs = jax.grad(lambda x, r: (dense(x, q0, q1, 5, 4, 25.0) @ r).sum(), (0, 1))(x, readout)
    for a, b in zip(ours, theirs, strict=True):
        assert relative(a, b) < 1e-4


def test_gradient_of_a_black_image_is_finite() -> None:
    constants = v1.bank_to_constants(*random_bank(np.random.default_rng(1), 2, 3, 5), 2)
    x, readout = jnp.zeros((1, 12, 12, 3)), jnp.ones((5, 2))
    gradient = jax.grad(jax.jit(lambda x: v1.v1_response(x, constants, readout)[0].sum()))(x)
    assert np.isfinite(gradient).all()


def test_vmap_equals_batch() -> None:
    rng = np.random.default_rng(2)
    constants = v1.bank_to_constants(*random_bank(rng, 3, 4, 9), 3)
    readout = jnp.asarray(rng.standard_normal((7, 2)), jnp.float32)
    x = jnp.asarray(rng.standard_normal((2, 3, 20, 20, 3)), jnp.float32)
    respond = jax.jit(lambda part: v1.v1_response(part, constants, readout)[0])
    mapped, whole = jax.vmap(respond)(x), respond(x.reshape(6, 20, 20, 3))
    assert relative(mapped.reshape(whole.shape), whole) < 1e-6


@pytest.mark.parametrize(("simple", "complex_"), [(5, 9), (0, 4), (3, 0)])
@pytest.mark.parametrize("same_color", [False, True])
def test_bank_survives_packing(simple: int, complex_: int, same_color: bool) -> None:
    q0, q1 = random_bank(np.random.default_rng(3), simple, complex_, 5, same_color)
    constants = v1.bank_to_constants(q0, q1, simple)
    assert set(constants) <= set(v1.BANK_KEYS)
    assert all(value.size for value in constants.values())
    kernels = sum(v.shape[-1] for k, v in constants.items() if k != "order")
    assert kernels == simple + 2 * complex_
    back0, back1, count = v1.constants_to_bank(constants)
    assert count == simple
    np.testing.assert_array_equal(back0, q0)
    np.testing.assert_array_equal(back1[simple:], q1[simple:])
    np.testing.assert_array_equal(back1[:simple], 0)


def test_wrong_banks() -> None:
    q0, q1 = random_bank(np.random.default_rng(3), 2, 2, 5)
    both = q0.copy()
    both[1, :2] = 1.0
    with pytest.raises(ValueError, match="filter 1 of q0 reads 2 colour channels"):
        v1.bank_to_constants(both, q1, 2)
    v1.bank_to_constants(q0, both, 2)  # the second quadrature of simple cells does not matter
    with pytest.raises(ValueError, match="filter 1 of q1 reads 2 colour channels"):
        v1.bank_to_constants(q0, both, 1)
    with pytest.raises(ValueError, match="both must be"):
        v1.bank_to_constants(q0, q1[:3], 2)
    with pytest.raises(ValueError, match="simple_channels=5"):
        v1.bank_to_constants(q0, q1, 5)


def test_gaussian_noise_statistics() -> None:
    """Mean and variance of keyed noise before the readout, at six standard errors."""
    constants = v1.bank_to_constants(*random_bank(np.random.default_rng(4), 2, 2, 3), 2)
    x = jnp.full((4, 64, 64, 3), 1.0)
    respond = jax.jit(v1.v1_response, static_argnames=("k_exc", "noise"))
    quiet = respond(x, constants, jnp.ones((4, 1)), k_exc=1000.0)[1]
    keys = jax.random.split(jax.random.key(0), 4)
    noise = v1.Noise("gaussian", 0.5)
    noisy = respond(x, constants, jnp.ones((4, 1)), k_exc=1000.0, noise=noise, source=keys)[1]
    added = np.asarray(noisy - quiet)[np.asarray(quiet) > 8] / 0.5  # where the ReLU never cuts
    assert added.size > 1000
    assert abs(added.mean()) < 6 / np.sqrt(added.size)
    assert abs(added.var() - 1) < 6 * np.sqrt(2 / added.size)
    assert np.abs(noisy[0] - noisy[1]).max() > 0.1


def test_noise_definitions() -> None:
    y, n = jnp.array([0.0, 1.0, 4.0]), jnp.array([1.0, -0.5, 2.0])
    np.testing.assert_allclose(v1.Noise("gaussian", 0.5)(y, n), [0.5, 0.75, 5.0])
    scale, level = 0.35, 0.07
    z = scale * np.asarray(y) + level
    expected = (z + np.sqrt(z + 1e-4) * np.asarray(n) - level) / scale
    np.testing.assert_allclose(v1.Noise("neuronal", scale, level)(y, n), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="unknown noise_mode 'pink'; valid: none, neuronal"):
        v1.Noise("pink", 1.0)
    with pytest.raises(ValueError, match=r"noise_scale=0\.0"):
        v1.Noise("neuronal", 0.0)
