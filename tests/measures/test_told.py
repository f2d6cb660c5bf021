import numpy as np

from jaxbio.measures import measure


def test_a_long_pass_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(measure.Pace, "due", lambda self: True)
    masks = [np.array([True, True]), np.array([True, False])]
    batches = [{"mask": mask, "number": i} for i, mask in enumerate(masks)]
    assert list(measure.told(batches, 3)) == batches
    assert capsys.readouterr().out.splitlines() == ["2 of 3 pictures", "3 of 3 pictures"]


def test_a_short_one_says_nothing(capsys):
    assert len(list(measure.told([{"mask": np.ones(1, bool)}] * 3, 3))) == 3
    assert capsys.readouterr().out == ""
