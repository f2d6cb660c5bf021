"""Spike encoders: grey levels or rates in, spike trains out.

Every encoder is a pure function ``encode(key, intensity, steps) -> bool [steps, *shape]`` of rates
in hertz. Pictures have few grey levels, and :func:`make_encoder` uses that: it works out once what
a level needs, and encodes a picture of level numbers far faster than rates can be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import threefry_2x32
from scipy import stats

from jaxbio.errors import InputError
from jaxbio.ops.alias import alias_columns

_LATE = 1e-12  # chance that a spike train needs more intervals than are drawn


def renewal(key: jax.Array, intensity: jax.Array, steps: int, dt: float = 1.0) -> jax.Array:
    """The published encoder: intervals ~ Poisson(1000 / (intensity dt)) steps, zeros raised to one.

    Despite its usual name, "Poisson encoding", this is a renewal process, far more regular than a
    Poisson process: at 127.5 Hz the Fano factor of the count is 0.13. The first spike waits one
    interval too.

    Args:
        key: a threefry key.
        intensity: mean rates in Hz, any shape; 0 never spikes.
        steps: length of the train.
        dt: length of a step in ms.

    Returns:
        bool ``[steps, *intensity.shape]``.

    Raises:
        InputError: negative intensities (unless they are traced), ``steps`` or ``dt`` not positive.

    Reference:
        Hazan et al. 2018, "BindsNET: A Machine Learning-Oriented Spiking Neural Networks Library in
        Python", doi:10.3389/fninf.2018.00089.
    """
    intensity = _checked(intensity, steps, dt)
    # Rates so low that a first spike within the train has no chance are as good as 0, and their
    # intervals as whole numbers would overflow.
    slowest = 1000.0 / ((10.0 * steps + 1000.0) * dt)
    active = intensity >= slowest
    mean = 1000.0 / (jnp.where(active, intensity, slowest) * dt)

    def draw(number: jax.Array) -> jax.Array:
        interval = jax.random.poisson(jax.random.fold_in(key, number), mean, dtype=jnp.int32)
        interval = jnp.clip(interval, 1, steps + 1)
        return jnp.where(active, interval, steps + 1).astype(jnp.uint32)

    def unfinished(carry: tuple) -> jax.Array:
        _, time, _ = carry
        return jnp.any(time <= steps)

    def next_spikes(carry: tuple) -> tuple:
        number, time, words = carry
        return number + 1, *_add_spikes(draw(number), time, words, steps)

    time, words = _no_spikes(intensity.shape, steps)
    *_, words = jax.lax.while_loop(unfinished, next_spikes, (jnp.int32(0), time, words))
    return unpack(jnp.stack(words), steps)


def bernoulli(key: jax.Array, intensity: jax.Array, steps: int, dt: float = 1.0) -> jax.Array:
    """Independent steps, each with a spike with probability ``min(intensity dt / 1000, 1)``.

    Args:
        key: of any kind.
        intensity: mean rates in Hz, any shape.
        steps: length of the train.
        dt: length of a step in ms.

    Returns:
        bool ``[steps, *intensity.shape]``.

    Raises:
        InputError: as :func:`renewal`.
    """
    return _independent_steps("bernoulli", key, intensity, steps, dt)


def poisson(key: jax.Array, intensity: jax.Array, steps: int, dt: float = 1.0) -> jax.Array:
    """A Poisson process in bins of ``dt``: a bin has a spike with probability 1 - exp(-rate dt).

    Several events of one bin are one spike, so that the rate saturates at one spike per step.

    Args:
        key: of any kind.
        intensity: rates of the process in Hz, any shape.
        steps: length of the train.
        dt: length of a step in ms.

    Returns:
        bool ``[steps, *intensity.shape]``.

    Raises:
        InputError: as :func:`renewal`.
    """
    return _independent_steps("poisson", key, intensity, steps, dt)


def latency(key: jax.Array | None, intensity: jax.Array, steps: int, dt: float = 1.0) -> jax.Array:
    """One spike after ``1000 / intensity`` ms, rounded up to a step: the brighter, the earlier.

    This is when a regular train of that rate has its first spike; 0, and rates whose spike would
    come after the last step, stay silent.

    Args:
        key: ignored; the code is deterministic.
        intensity: rates in Hz, any shape.
        steps: length of the train.
        dt: length of a step in ms.

    Returns:
        bool ``[steps, *intensity.shape]``.

    Raises:
        InputError: as :func:`renewal`.
    """
    del key
    intensity = _checked(intensity, steps, dt)
    active = intensity > 0
    period = 1000.0 / (jnp.where(active, intensity, 1.0) * dt)
    wait = jnp.ceil(period * (1.0 - 1e-6))  # whole periods stay whole when rounded to float32
    wait = jnp.where(active, jnp.clip(wait, 1, steps + 1), steps + 1).astype(jnp.int32)
    return jax.nn.one_hot(wait - 1, steps, dtype=bool, axis=0)


_ENCODERS = {"renewal": renewal, "bernoulli": bernoulli, "poisson": poisson, "latency": latency}


def list_encoders() -> list[str]:
    """Names that :func:`make_encoder` and :func:`encode` know."""
    return list(_ENCODERS)


def encode(
    name: str, key: jax.Array, intensity: jax.Array, steps: int, dt: float = 1.0
) -> jax.Array:
    """Encodes with an encoder by name; see :func:`renewal` for the arguments.

    Raises:
        InputError: an unknown name, or what the encoder refuses.

    Example:
        >>> encode("renewal", jax.random.key(0), jnp.full((20, 20), 127.5), 250).shape
        (250, 20, 20)
    """
    return _by_name(name)(key, intensity, steps, dt)


@dataclass(frozen=True)
class LevelEncoder:
    """An encoder of pictures whose pixels are one of a few levels; from :func:`make_encoder`.

    Attributes:
        steps: length of the trains.
        levels: how many there are.
        encode: ``(key, levels [n], places [n], pixels) -> uint32 [ceil(steps / 32), n]``.
    """

    steps: int
    levels: int
    encode: Callable[[jax.Array, jax.Array, jax.Array, int], jax.Array]

    def __call__(self, key: jax.Array, levels: jax.Array) -> jax.Array:
        """Spikes, bool ``[steps, *levels.shape]``, of levels of any shape."""
        words = self.packed(key, levels.reshape(-1))
        return unpack(words, self.steps).reshape(self.steps, *levels.shape)

    def packed(
        self,
        key: jax.Array,
        levels: jax.Array,
        places: jax.Array | None = None,
        pixels: int | None = None,
    ) -> jax.Array:
        """The same spikes as bits, of all pixels of a picture or of some.

        Args:
            key: of the picture.
            levels: ``[n]`` whole numbers in [0, L).
            places: int32 ``[n]``, which pixels of the picture the levels belong to; all of them, in
                order, by default. A pixel's spikes do not depend on which others are asked for.
            pixels: number of pixels of the picture; n by default.

        Returns:
            uint32 ``[ceil(steps / 32), n]``; see :func:`unpack`.

        Raises:
            InputError: levels that are no integers, or (unless they are traced) out of range.
        """
        self._check(levels)
        if places is None:
            places = jnp.arange(levels.size, dtype=jnp.int32)
        return self.encode(key, levels, places, levels.size if pixels is None else pixels)

    def _check(self, levels: jax.Array) -> None:
        if not jnp.issubdtype(levels.dtype, jnp.integer):
            raise InputError(
                f"levels of dtype {levels.dtype}: give whole numbers from 0 to {self.levels - 1}, "
                "such as grey levels of uint8"
            )
        if levels.size and not isinstance(levels, jax.core.Tracer):
            low, high = int(levels.min()), int(levels.max())
            if low < 0 or high >= self.levels:
                raise InputError(
                    f"levels from {low} to {high}: the encoder knows 0 to {self.levels - 1}"
                )


def pack(spikes: jax.Array) -> jax.Array:
    """Spikes ``[steps, ...]`` as the bits of uint32 words ``[ceil(steps / 32), ...]``.

    Step ``t`` is bit ``t % 32`` of word ``t // 32``.
    """
    padded = jnp.pad(spikes > 0, ((0, -len(spikes) % 32), *((0, 0),) * (spikes.ndim - 1)))
    split = padded.reshape(-1, 32, *spikes.shape[1:])
    places = jnp.arange(32, dtype=jnp.uint32).reshape(1, 32, *(1,) * (spikes.ndim - 1))
    return (split.astype(jnp.uint32) << places).sum(1, dtype=jnp.uint32)


def unpack(words: jax.Array, steps: int) -> jax.Array:
    """The inverse of :func:`pack`: bool ``[steps, ...]``."""
    places = jnp.arange(32, dtype=jnp.uint32).reshape(1, 32, *(1,) * (words.ndim - 1))
    bits = (words[:, None] >> places) & 1
    return bits.astype(bool).reshape(-1, *words.shape[1:])[:steps]


def make_encoder(name: str, rates: np.ndarray, steps: int, dt: float = 1.0) -> LevelEncoder:
    """An encoder of pictures whose pixels are one of a few levels.

    The renewal encoder draws its intervals from tables of the alias method
    (:mod:`jaxbio.ops.alias`): one random word and one look-up each, exact to 2^-32 in probability,
    and as many intervals as can fit into the train.

    Args:
        name: one of :func:`list_encoders`.
        rates: ``[L]`` rates in Hz, one per level: ``np.arange(256) * (127.5 / 255)`` for 8-bit grey
            values at the published intensity.
        steps: length of the trains.
        dt: length of a step in ms.

    Returns:
        ``encoder(key, levels)``: levels are whole numbers in [0, L), any shape; gives bool
        ``[steps, *levels.shape]``. Jit it; ``jax.vmap`` it over keys and pictures.

    Raises:
        InputError: an unknown name, rates that are negative or not finite, or ``steps`` or ``dt``
            not positive.

    Example:
        >>> encoder = make_encoder("renewal", np.arange(256) * 0.5, steps=250)
        >>> encoder(jax.random.key(0), picture).shape  # uint8 [20, 20]
        (250, 20, 20)
    """
    _by_name(name)
    rates = np.asarray(rates, np.float64)
    if rates.ndim != 1 or rates.size == 0:
        raise InputError(f"rates of shape {rates.shape}: give one rate per level, [L]")
    _checked(rates, steps, dt)
    if name == "renewal":
        return LevelEncoder(steps, len(rates), _renewal_by_table(rates, steps, dt))
    table = jnp.asarray(rates, jnp.float32)
    if name == "latency":

        def encode_latency(key: jax.Array, levels: jax.Array, *_: Any) -> jax.Array:
            return pack(latency(key, table[levels], steps, dt))

        return LevelEncoder(steps, len(rates), encode_latency)
    probabilities = _step_probability(name, table, dt)

    def encode_levels(key: jax.Array, levels: jax.Array, places: jax.Array, pixels: int):
        return pack(_independent(key, probabilities[levels], steps, places, pixels))

    return LevelEncoder(steps, len(rates), encode_levels)


def _renewal_by_table(rates: np.ndarray, steps: int, dt: float) -> Callable[..., jax.Array]:
    bits = (steps + 1).bit_length()
    entries = jnp.asarray(_alias_tables(_interval_probabilities(rates, steps, dt, bits), bits))
    draws = _draws_needed(rates.max(), steps, dt)
    low = jnp.uint32((1 << bits) - 1)

    def encode_levels(
        key: jax.Array, levels: jax.Array, places: jax.Array, pixels: int
    ) -> jax.Array:
        word = _random_words(key, draws, places, pixels)
        column = word & low
        row = levels.astype(jnp.uint32)[None] << bits
        entry = entries.at[row | column].get(mode="clip")
        intervals = jnp.where((word >> bits) < (entry >> bits), column, entry & low)

        def next_spikes(carry: tuple, interval: jax.Array) -> tuple:
            return _add_spikes(interval, *carry, steps), None  # type: ignore[call-arg]

        (_, words), _ = jax.lax.scan(next_spikes, _no_spikes(levels.shape, steps), intervals)
        return jnp.stack(words)

    return encode_levels


def _by_name(name: str) -> Callable[..., jax.Array]:
    if name not in _ENCODERS:
        raise InputError(f"unknown encoder '{name}': use {', '.join(_ENCODERS)}")
    return _ENCODERS[name]


def _checked(intensity: jax.Array | np.ndarray, steps: int, dt: float) -> jax.Array:
    if steps < 1 or dt <= 0:
        raise InputError(f"steps={steps} of dt={dt} ms: both must be positive")
    if not isinstance(intensity, jax.core.Tracer):
        values = np.asarray(intensity)
        if values.size and not (np.isfinite(values).all() and values.min() >= 0):
            worst = values.min() if np.isfinite(values).all() else "a value that is not finite"
            raise InputError(f"intensity has {worst}: rates in Hz must be 0 or more")
    return jnp.asarray(intensity, jnp.float32)


def _step_probability(name: str, rate: jax.Array, dt: float) -> jax.Array:
    """Of a spike in a step, for the encoders whose steps are independent."""
    if name == "bernoulli":
        return jnp.minimum(rate * (dt / 1000.0), 1.0)
    return -jnp.expm1(-rate * (dt / 1000.0))


def _independent_steps(
    name: str, key: jax.Array, intensity: jax.Array, steps: int, dt: float
) -> jax.Array:
    rate = _checked(intensity, steps, dt)
    probability = _step_probability(name, rate.reshape(-1), dt)
    spikes = _independent(key, probability, steps, jnp.arange(rate.size), rate.size)
    return spikes.reshape(steps, *rate.shape)


def _independent(
    key: jax.Array, probability: jax.Array, steps: int, places: jax.Array, pixels: int
) -> jax.Array:
    """Bool ``[steps, n]`` of probabilities ``[n]``."""
    words = _random_words(key, steps, places, pixels)
    return (words >> 8).astype(jnp.float32) < probability[None] * jnp.float32(1 << 24)


def _random_words(key: jax.Array, rows: int, places: jax.Array, pixels: int) -> jax.Array:
    """uint32 ``[rows, n]``: a place's words depend on the key and the place alone."""
    # jax.random.bits hashes twice as often, to be the same however it is partitioned.
    seeds = jax.random.bits(key, (2,), jnp.uint32)
    pairs = jnp.arange(-(-rows // 2), dtype=jnp.uint32)[:, None] * pixels
    first = pairs + places.astype(jnp.uint32)[None]
    # The hash takes pairs of numbers: the upper half of its input with the lower.
    numbers = jnp.concatenate([first, first + len(pairs) * pixels])
    return threefry_2x32(seeds, numbers.reshape(-1)).reshape(numbers.shape)[:rows]


# A train under construction: the time of the last spike, counted from 1, and the spikes so far as
# bits of 32-bit words. Bits make adding a spike a few vectorised operations instead of a scatter.


def _no_spikes(shape: tuple[int, ...], steps: int) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    zeros = jnp.zeros(shape, jnp.uint32)
    return zeros, (zeros,) * -(-steps // 32)


def _add_spikes(
    interval: jax.Array, time: jax.Array, words: tuple[jax.Array, ...], steps: int
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    time = jnp.minimum(time + interval, jnp.uint32(steps + 1))
    place = time - 1
    bit = jnp.where(time <= steps, jnp.uint32(1) << (place & 31), jnp.uint32(0))
    word = place >> 5
    return time, tuple(
        old | jnp.where(word == number, bit, jnp.uint32(0)) for number, old in enumerate(words)
    )


def _interval_probabilities(rates: np.ndarray, steps: int, dt: float, bits: int) -> np.ndarray:
    """``[L, 2^bits]``: probability of each interval; ``steps + 1`` stands for all longer ones."""
    probabilities = np.zeros((len(rates), 1 << bits))
    active = rates > 0
    mean = 1000.0 / (rates[active, None] * dt)
    law = stats.poisson.pmf(np.arange(steps + 1), mean)
    law[:, 1] += law[:, 0]
    law[:, 0] = 0.0
    probabilities[active, : steps + 1] = law
    probabilities[active, steps + 1] = stats.poisson.sf(steps, mean[:, 0])
    probabilities[~active, steps + 1] = 1.0
    return probabilities / probabilities.sum(1, keepdims=True)


def _alias_tables(probabilities: np.ndarray, bits: int) -> np.ndarray:
    """Walker's tables, ``[L * 2^bits]``: high bits the share a column keeps, low bits its alias.

    Of a random word the low ``bits`` bits name the column; the column's alias is taken where the
    high bits are not below the column's share.
    """
    one = 1 << (32 - bits)
    tables = np.empty((len(probabilities), 1 << bits), np.uint32)
    for row, law in enumerate(probabilities):
        share, alias = alias_columns(law)
        kept = np.minimum(np.round(share * one), one - 1).astype(np.uint32)
        tables[row] = (kept << bits) | alias.astype(np.uint32)
    return tables.reshape(-1)


def _draws_needed(fastest: float, steps: int, dt: float) -> int:
    """Intervals after which a train is complete, but for a chance below ``_LATE``."""
    if fastest == 0:
        return 1
    mean = 1000.0 / (fastest * dt)
    counts = np.arange(1, steps + 1)
    # Raising zeros only lengthens the sum of `count` intervals, which is Poisson otherwise.
    enough = stats.poisson.cdf(steps, counts * mean) < _LATE
    return int(counts[enough][0]) if enough.any() else steps
