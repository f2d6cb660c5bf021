"""The corruptions' names, their order, and the checks on them."""

from typing import Any

BENCHMARK = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur",
    "motion_blur", "zoom_blur", "snow", "frost", "fog",
    "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
VALIDATION = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
# Whose definitions: those of the package, or those that made ImageNet-C's files.
PROTOCOLS = ("imagecorruptions", "imagenet_c")
SUBSETS = {
    "benchmark": BENCHMARK,
    "validation": VALIDATION,
    "all": BENCHMARK + VALIDATION,
}


def corruption_names(subset: str = "benchmark") -> tuple[str, ...]:
    """Names of the corruptions.

    Args:
        subset: ``benchmark`` (the 15 of ImageNet-C), ``validation`` (the 4 held-out ones meant for
            tuning) or ``all``.

    Raises:
        ValueError: unknown subset.

    Reference:
        Hendrycks & Dietterich 2019, Benchmarking Neural Network Robustness to Common Corruptions.
    """
    if subset not in SUBSETS:
        raise ValueError(f"unknown subset {subset!r}; one of {', '.join(SUBSETS)}")
    return SUBSETS[subset]


def check_name(name: Any) -> None:
    """Raises ValueError unless ``name`` is a corruption."""
    if name not in SUBSETS["all"]:
        raise ValueError(f"unknown corruption {name!r}; one of {', '.join(SUBSETS['all'])}")


def check_protocol(protocol: Any) -> None:
    """Raises ValueError unless ``protocol`` is one of ``PROTOCOLS``."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {protocol!r}; one of {', '.join(PROTOCOLS)}")


def check_severity(severity: Any) -> None:
    """Raises ValueError unless ``severity`` is an integer from 1 to 5."""
    try:
        valid = int(severity) == severity and 1 <= severity <= 5
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(f"severity {severity!r}; an integer from 1 to 5 is needed")
