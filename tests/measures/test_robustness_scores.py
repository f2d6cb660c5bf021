import pytest

from jaxbio.corruptions import corruption_names
from jaxbio.measures.robustness_scores import ALEXNET_CLEAN_ERROR, ALEXNET_ERRORS, robustness_scores


def _alexnet():
    """AlexNet's own errors, spread over severities so that only their mean is AlexNet's."""
    return {
        (name, severity): error + 0.01 * (severity - 3)
        for name, error in ALEXNET_ERRORS.items()
        for severity in range(1, 6)
    }


def test_alexnet_scores_one_by_definition():
    scores = robustness_scores(_alexnet(), ALEXNET_CLEAN_ERROR, "imagecorruptions")
    assert scores["mce_imagecorruptions"] == pytest.approx(1)
    assert scores["relative_mce_imagecorruptions"] == pytest.approx(1)
    assert scores["mean_error"] == pytest.approx(sum(ALEXNET_ERRORS.values()) / 15)
    assert scores["mean_error_increase"] == pytest.approx(
        scores["mean_error"] - ALEXNET_CLEAN_ERROR
    )


def test_the_normalised_mean_weighs_corruptions_by_alexnets_errors():
    errors = _alexnet()
    for severity in range(1, 6):
        errors["brightness", severity] += 0.1
    scores = robustness_scores(errors, ALEXNET_CLEAN_ERROR, "imagecorruptions")
    expected = 1 + 0.1 / ALEXNET_ERRORS["brightness"] / 15
    assert scores["mce_imagecorruptions"] == pytest.approx(expected)
    expected = 1 + 0.1 / (ALEXNET_ERRORS["brightness"] - ALEXNET_CLEAN_ERROR) / 15
    assert scores["relative_mce_imagecorruptions"] == pytest.approx(expected)


def test_normalised_numbers_need_every_cell():
    errors = _alexnet()
    del errors["fog", 5]
    scores = robustness_scores(errors, 0.1, "imagecorruptions")
    assert scores["mce_imagecorruptions"] is None
    assert scores["corruptions"]["fog"]["ce_imagecorruptions"] is None
    assert scores["corruptions"]["snow"]["ce_imagecorruptions"] is not None
    assert scores["mean_error"] == pytest.approx(sum(errors.values()) / 74)


def test_validation_corruptions_are_not_normalised_and_do_not_enter_the_mce():
    errors = _alexnet()
    with_validation = errors | {("saturate", s): 0.9 for s in range(1, 6)}
    a, b = (
        robustness_scores(errors, 0.4, "imagecorruptions"),
        robustness_scores(with_validation, 0.4, "imagecorruptions"),
    )
    assert b["mce_imagecorruptions"] == a["mce_imagecorruptions"]
    assert b["corruptions"]["saturate"]["ce_imagecorruptions"] is None
    assert b["mean_error"] != a["mean_error"]


def test_every_benchmark_corruption_has_a_normaliser():
    assert tuple(ALEXNET_ERRORS) == corruption_names("benchmark")


def test_no_cells():
    with pytest.raises(ValueError, match="no cells"):
        robustness_scores({}, 0.1, "imagecorruptions")
