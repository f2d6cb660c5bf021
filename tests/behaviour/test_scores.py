import dataclasses
import itertools

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from jaxbio.behaviour import (
    CATEGORIES,
    EXCLUDED_CONDITIONS,
    Trials,
    accuracy,
    agreement,
    benchmark,
    confusion,
    shape_bias,
)
from jaxbio.errors import InputError


def observer(name, skill, seed, conditions=("c10", "c05"), n=200):
    """Right with a probability that falls with the condition; the images come shuffled."""
    rng = np.random.default_rng(seed)
    rows = []
    for level, condition in enumerate(conditions):
        for i in rng.permutation(n):
            category = CATEGORIES[i % 16]
            right = rng.random() < skill / (1 + level)
            answer = category if right else CATEGORIES[(i + 1 + rng.integers(15)) % 16]
            rows.append((answer, category, condition, f"{condition}x{i}.png"))
    response, category, condition, image = (np.asarray(c) for c in zip(*rows, strict=True))
    count = len(rows)
    return Trials(
        np.full(count, name), response, category, condition, image,
        np.full(count, "1"), np.full(count, np.nan),
    )  # fmt: skip


def together(*trials):
    names = [f.name for f in dataclasses.fields(Trials)]
    return Trials(*(np.concatenate([getattr(t, n) for t in trials]) for n in names))


def test_kappa_is_cohens():
    a, b = observer("a", 0.8, 0).of(condition="c10"), observer("b", 0.6, 1).of(condition="c10")
    result = agreement(a, b)
    first = dict(zip(a.image, a.correct, strict=True))
    second = dict(zip(b.image, b.correct, strict=True))
    pairs = [(first[i], second[i]) for i in first]
    kappa = cohen_kappa_score(*zip(*pairs, strict=True))
    assert result.error_consistency == pytest.approx(kappa, abs=1e-6)
    assert result.observed_consistency == pytest.approx(np.mean([x == y for x, y in pairs]))
    assert result.accuracy_difference == pytest.approx((accuracy(a) - accuracy(b)) ** 2)
    assert agreement(a, a).error_consistency == 1
    perfect = dataclasses.replace(a, response=a.category)
    assert agreement(perfect, perfect).error_consistency == 1  # kappa itself is 0 / 0


def test_the_benchmark_averages_conditions_then_people():
    people = [observer(f"subject-0{i}", 0.9 - 0.1 * i, i) for i in range(3)]
    model = observer("net", 0.5, 9)
    result = benchmark(model, together(*people), "contrast")
    kappas = {
        c: [agreement(model.of(condition=c), p.of(condition=c)).error_consistency for p in people]
        for c in ("c10", "c05")
    }
    assert result["error_consistency"] == pytest.approx(np.mean(list(kappas.values())))
    assert result["conditions"]["c05"]["error_consistency"] == pytest.approx(np.mean(kappas["c05"]))
    among = [
        agreement(a.of(condition=c), b.of(condition=c)).error_consistency
        for c in ("c10", "c05")
        for a, b in itertools.combinations(people, 2)
    ]
    assert result["human_error_consistency"] == pytest.approx(np.mean(among))
    assert result["accuracy"] == pytest.approx(model.correct.mean())
    assert result["excluded"] == []


def test_intervals_are_those_of_other_images():
    people = [observer(f"subject-0{i}", 0.8, i) for i in range(2)]
    result = benchmark(observer("net", 0.5, 9), together(*people))
    for cell in (result, *result["conditions"].values()):
        assert len(cell["intervals"]) == 6
        for name, (low, high) in cell["intervals"].items():
            assert low < cell[name] < high, name
    low, high = result["conditions"]["c10"]["intervals"]["accuracy"]
    share = result["conditions"]["c10"]["accuracy"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 200), rel=0.1)
    both = result["intervals"]["accuracy"]  # of two conditions: twice the images
    assert both[1] - both[0] < high - low


def test_intervals_hold_the_scores_of_other_draws_of_images():
    """Of experiments with known observers, nine tenths and more: they are 95 % intervals."""
    held = 0
    for seed in range(40):
        cell = benchmark(observer("net", 0.6, seed), observer("person", 0.7, 100 + seed))
        low, high = cell["intervals"]["error_consistency"]
        held += low <= 0.0 <= high  # independent errors
    assert held >= 34  # 4 standard deviations below 38


def test_one_person_has_nobody_to_agree_with():
    result = benchmark(observer("net", 0.5, 9), observer("person", 0.7, 1))
    assert result["human_error_consistency"] is None
    assert "human_error_consistency" not in result["intervals"]


def test_conditions_that_are_not_out_of_distribution_do_not_count():
    conditions = ("c100", "c10", "c01")
    person, model = (observer(n, 0.7, i, conditions) for i, n in enumerate(("subject-01", "net")))
    result = benchmark(model, person, "contrast")
    assert result["excluded"] == ["c01", "c100"]
    assert result["accuracy"] == accuracy(model.of(condition="c10"))
    assert set(result["conditions"]) == set(conditions)
    assert result["human_error_consistency"] is None
    assert benchmark(model, person)["excluded"] == []
    only = observer("net", 0.7, 1, ("c100",))
    with pytest.raises(InputError, match="contrast"):
        benchmark(only, observer("subject-01", 0.7, 2, ("c100",)), "contrast")
    assert EXCLUDED_CONDITIONS["eidolonIII"][0] == "1-0-10"


def test_observers_that_saw_other_images():
    a, b = observer("a", 0.5, 0), observer("b", 0.5, 1)
    with pytest.raises(InputError, match="c10x"):
        agreement(a, b.where(b.image != "c10x3.png"))
    with pytest.raises(InputError, match="twice"):
        agreement(together(a, a), together(b, b))
    with pytest.raises(InputError, match="c05"):
        benchmark(a.of(condition="c10"), b)
    with pytest.raises(InputError, match="one observer"):
        benchmark(together(a, b), b)
    with pytest.raises(InputError, match="no trials"):
        accuracy(a.of(subject="nobody"))


def test_shape_bias():
    images = [
        "cat1-dog2.png",
        "cat1-dog3.png",
        "bear1-car2.png",
        "boat2-boat1.png",
        "x_oven1-cat9.png",
    ]
    shapes = ["cat", "cat", "bear", "boat", "oven"]
    answers = ["cat", "dog", "bear", "boat", "na"]
    n = len(images)
    trials = Trials(
        np.full(n, "net"), np.asarray(answers), np.asarray(shapes), np.full(n, "0"),
        np.asarray(images), np.full(n, "1"), np.full(n, np.nan),
    )  # fmt: skip
    result = shape_bias(trials)
    assert result == {"shape": 2 / 5, "texture": 1 / 5, "shape_bias": pytest.approx(2 / 3)}
    assert np.isnan(shape_bias(trials.where(trials.response == "na"))["shape_bias"])
    with pytest.raises(InputError, match="texture"):
        shape_bias(trials.where(trials.response == "boat"))
    with pytest.raises(InputError, match="c10x"):
        shape_bias(observer("net", 0.5, 0))


def test_confusions():
    trials = observer("net", 0.7, 3, ("c10",))
    trials = dataclasses.replace(
        trials, response=np.where(np.arange(len(trials)) % 9 == 0, "na", trials.response)
    )
    shares = confusion(trials)
    assert shares.shape == (17, 16)
    np.testing.assert_allclose(shares.sum(0), 1)
    shown = trials.where(trials.category == "dog")
    column = shares[:, CATEGORIES.index("dog")]
    assert column[CATEGORIES.index("dog")] == pytest.approx(accuracy(shown))
    assert column[16] == pytest.approx((shown.response == "na").mean())
    alone = confusion(shown)
    assert np.isnan(alone[:, CATEGORIES.index("cat")]).all()
