"""White-box attacks: PGD and APGD in L-inf, L2 and L1, expectation over transformation."""

from jaxbio.attacks.apgd import apgd
from jaxbio.attacks.ball import NORMS, project
from jaxbio.attacks.masking import gradient_health, masking_warnings
from jaxbio.attacks.objective import LOSSES, Attacked
from jaxbio.attacks.pgd import pgd
from jaxbio.attacks.presets import PRESETS, Attack

__all__ = [
    "LOSSES",
    "NORMS",
    "PRESETS",
    "Attack",
    "Attacked",
    "apgd",
    "gradient_health",
    "masking_warnings",
    "pgd",
    "project",
]
