import numpy as np

from jaxbio.attacks.apgd import checkpoints


def test_checkpoints_are_the_published_ones():
    """Of 100 steps, by the recursion of the paper: p + max(p - previous - 0.03, 0.06)."""
    share, previous, expected = 0.22, 0.0, []
    while share <= 1:
        expected.append(round(100 * share))
        share, previous = share + max(share - previous - 0.03, 0.06), share
    windows = checkpoints(100)
    assert (np.flatnonzero(windows) + 1).tolist() == expected
    assert windows[windows > 0].tolist() == np.diff([0, *expected]).tolist()


def test_few_steps_have_checkpoints_too():
    assert checkpoints(1).tolist() == [1]
    assert checkpoints(5).sum() == 5
