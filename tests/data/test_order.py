import numpy as np
import pytest

from jaxbio.data import order
from jaxbio.data.tensorflow_cpu import tf


@pytest.mark.parametrize("num_examples", [*range(1, 40), 255, 256, 257, 1433, 65_537])
def test_an_epoch_is_a_permutation(num_examples):
    for epoch in range(2):
        drawn = order.epoch_order(num_examples, 5, epoch).numpy()
        np.testing.assert_array_equal(np.sort(drawn), np.arange(num_examples))


def test_epochs_and_seeds_differ():
    orders = {
        tuple(order.epoch_order(50, seed, epoch).numpy())
        for seed in (-1, 0, 1, 2**61)
        for epoch in range(5)
    }
    assert len(orders) == 20


def test_every_example_takes_every_place():
    counts = np.zeros((10, 10))
    for epoch in range(1000):
        counts[np.arange(10), order.epoch_order(10, 0, epoch).numpy()] += 1
    chi_square = ((counts - 100) ** 2 / 100).sum()
    assert 45 < chi_square < 130  # 81 degrees of freedom: 81 +- 4 standard deviations


@pytest.mark.parametrize("start_step", [0, 1, 5, 6, 7, 1000])
def test_steps_follow_the_epochs(start_step):
    per_epoch, batch, n = 6, 4, 27
    steps = order.training_steps(n, batch, slice(1, 3), 3, start_step, 13)
    numbers = []
    for step, index in steps.as_numpy_iterator():
        numbers.append(int(step))
        epoch, place = divmod(int(step), per_epoch)
        full = order.epoch_order(n, 3, epoch).numpy()[place * batch : (place + 1) * batch]
        np.testing.assert_array_equal(index, full[1:3])
    assert numbers == list(range(start_step, start_step + 13))


def test_successors_begin_with_the_example_and_wrap():
    found = list(order.successors(10, 4, 7, step=3, position=3))  # epoch 1, second batch
    full = order.epoch_order(10, 7, 1).numpy()
    np.testing.assert_array_equal(found, np.roll(full, -7))


def test_evaluation_covers_all_once():
    steps = order.evaluation_steps(10, 4, slice(0, 4))
    index = np.concatenate([i for _, i in steps.as_numpy_iterator()])
    np.testing.assert_array_equal(index, [*range(10), -1, -1])


def test_streams_are_apart():
    keys = [order.stream_seed(seed, 4, a).numpy() for seed in (0, 1) for a in (False, True)]
    assert len({tuple(key) for key in keys}) == 4
    assert keys[0].dtype == tf.int64.as_numpy_dtype
