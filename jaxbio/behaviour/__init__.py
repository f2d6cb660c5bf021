"""How people and networks answer which of 16 objects they see, and how far they agree."""

from jaxbio.behaviour.categories import CATEGORIES, IMAGENET_CLASSES, category_probabilities
from jaxbio.behaviour.scores import (
    EXCLUDED_CONDITIONS,
    Agreement,
    accuracy,
    agreement,
    benchmark,
    confusion,
    shape_bias,
)
from jaxbio.behaviour.trials import (
    COLUMNS,
    Trials,
    model_trials,
    read_stimuli,
    read_trials,
    write_trials,
)

__all__ = [
    "CATEGORIES",
    "COLUMNS",
    "EXCLUDED_CONDITIONS",
    "IMAGENET_CLASSES",
    "Agreement",
    "Trials",
    "accuracy",
    "agreement",
    "benchmark",
    "category_probabilities",
    "confusion",
    "model_trials",
    "read_stimuli",
    "read_trials",
    "shape_bias",
    "write_trials",
]
