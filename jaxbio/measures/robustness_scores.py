"""From accuracies under corruptions to the numbers that papers quote, each under its own name.

Two families are easily confused. Unnormalised: plain means of top-1 errors. Normalised: a
corruption's error is divided by AlexNet's on ImageNet-C before averaging, so that hard corruptions
do not dominate; that means something for ImageNet classifiers only.

Reference:
    Hendrycks & Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations", ICLR.
"""

from collections.abc import Mapping
from typing import Any

from jaxbio.corruptions.names import BENCHMARK
from jaxbio.corruptions.selection import SEVERITIES

# AlexNet's mean top-1 error over the five severities of ImageNet-C.
ALEXNET_ERRORS = {
    "gaussian_noise": 0.886428, "shot_noise": 0.894468, "impulse_noise": 0.922640,
    "defocus_blur": 0.819880, "glass_blur": 0.826268, "motion_blur": 0.785948,
    "zoom_blur": 0.798360, "snow": 0.866816, "frost": 0.826572, "fog": 0.819324,
    "brightness": 0.564592, "contrast": 0.853204, "elastic_transform": 0.646056,
    "pixelate": 0.717840, "jpeg_compression": 0.606500,
}  # fmt: skip
# torchvision's AlexNet, the network of the errors above, on the clean validation set.
ALEXNET_CLEAN_ERROR = 0.43478


def robustness_scores(
    errors: Mapping[tuple[str, int], float],
    clean_error: float,
    protocol: str,
    *,
    normalised: bool = True,
) -> dict[str, Any]:
    """Corruption errors and their means.

    With E(c, s) the top-1 error under corruption c at severity s, A(c) AlexNet's mean error and A
    its clean error:

        CE(c) = mean_s E(c, s) / A(c);  relative CE(c) = (mean_s E(c, s) - E) / (A(c) - A)

    Args:
        errors: top-1 errors in [0, 1] by (corruption, severity).
        clean_error: E, on the same images without corruption.
        protocol: by which the images were corrupted, see :func:`jaxbio.corruptions.corrupt`.
        normalised: whether AlexNet's errors mean anything for these images; else CEs are None.

    Returns:
        ``clean_error``; ``mean_error`` over all cells given and ``mean_error_increase`` (minus the
        clean error), both unnormalised; ``corruptions``: name to ``mean_error`` (unnormalised) and,
        for benchmark corruptions with all five severities, ``ce_PROTOCOL`` and
        ``relative_ce_PROTOCOL``; their means over all 15 as ``mce_PROTOCOL`` and
        ``relative_mce_PROTOCOL``, which is the mCE of papers for ``imagenet_c`` alone. None where
        cells are missing. Everything as fractions; papers quote 100 times these.

    Raises:
        ValueError: there are no cells.
    """
    if not errors:
        raise ValueError("no cells were measured")
    by_name: dict[str, dict[int, float]] = {}
    for (name, severity), error in errors.items():
        by_name.setdefault(name, {})[severity] = error
    corruptions = {
        name: _of_corruption(name, cells, clean_error, protocol, normalised)
        for name, cells in by_name.items()
    }
    mean_error = sum(errors.values()) / len(errors)
    scores = {
        "clean_error": clean_error,
        "mean_error": mean_error,
        "mean_error_increase": mean_error - clean_error,
        "corruptions": corruptions,
    }
    for mean, single in (
        (f"mce_{protocol}", f"ce_{protocol}"),
        (f"relative_mce_{protocol}", f"relative_ce_{protocol}"),
    ):
        values: list[Any] = [corruptions.get(name, {}).get(single) for name in BENCHMARK]
        scores[mean] = None if None in values else sum(values) / len(values)
    return scores


def _of_corruption(
    name: str, cells: dict[int, float], clean_error: float, protocol: str, normalised: bool
) -> dict[str, Any]:
    mean = sum(cells.values()) / len(cells)
    complete = normalised and name in ALEXNET_ERRORS and set(cells) == set(SEVERITIES)
    ce = relative = None
    if complete:
        ce = mean / ALEXNET_ERRORS[name]
        relative = (mean - clean_error) / (ALEXNET_ERRORS[name] - ALEXNET_CLEAN_ERROR)
    return {"mean_error": mean, f"ce_{protocol}": ce, f"relative_ce_{protocol}": relative}
