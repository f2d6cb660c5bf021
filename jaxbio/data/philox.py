"""TensorFlow's stateless random numbers without TensorFlow: the same bits, everywhere.

Runs of earlier versions shuffled and cropped by ``tf.random.stateless_*``. These are the same
streams, so that they go on as they began, and no longer depend on TensorFlow's version.

Reference:
    Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", SC11 (Philox4x32-10).
"""

import numpy as np

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_WORD = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
# TensorFlow scrambles a seed of two numbers into key and counter under this key.
_SCRAMBLE = (0x3EC8F720, 0x02461E29)


def random_words(seed: int, number: int, count: int) -> np.ndarray:
    """The first words of the stream of ``(seed, number)``.

    Args:
        seed: int64.
        number: int64.
        count: how many.

    Returns:
        uint32 ``[count]``.
    """
    halves = [(value >> shift) & 0xFFFFFFFF for value in (seed, number) for shift in (0, 32)]
    mixed = _philox(np.array([halves], np.uint64), _SCRAMBLE)[0]
    counters = np.zeros((-(-count // 4), 4), np.uint64)
    counters[:, 0] = np.arange(len(counters))
    counters[:, 2:] = mixed[2:]
    return _philox(counters, (int(mixed[0]), int(mixed[1]))).reshape(-1)[:count]


def uniform(seed: int, number: int, shape: tuple[int, ...]) -> np.ndarray:
    """``tf.random.stateless_uniform(shape, [seed, number])``: float32 in [0, 1)."""
    words = random_words(seed, number, int(np.prod(shape)))
    in_one_to_two = (words & np.uint32(0x7FFFFF)) | np.uint32(127 << 23)
    return (in_one_to_two.view(np.float32) - np.float32(1)).reshape(shape)


def shuffled(count: int, seed: int, number: int) -> np.ndarray:
    """``tf.random.experimental.stateless_shuffle(tf.range(count), [seed, number])``.

    Returns:
        int32 ``[count]``; 25 ms for 50,000.
    """
    rest = np.arange(count, 0, -1, dtype=np.int64)  # entries from each place on
    partners = (
        np.arange(count) + random_words(seed, number, count).astype(np.int64) % rest
    ).tolist()
    order = list(range(count))
    for place, partner in enumerate(partners):
        order[place], order[partner] = order[partner], order[place]
    return np.array(order, np.int32)


def _philox(counters: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Ten rounds over counters ``[n, 4]`` of 32-bit words in uint64; gives uint32."""
    a, b, c, d = counters.T
    first, second = key
    for _ in range(_ROUNDS):
        low, high = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (
            (high >> _SHIFT) ^ b ^ np.uint64(first),
            high & _WORD,
            (low >> _SHIFT) ^ d ^ np.uint64(second),
            low & _WORD,
        )
        first, second = (first + _WEYL[0]) & 0xFFFFFFFF, (second + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([a, b, c, d], axis=1).astype(np.uint32)
