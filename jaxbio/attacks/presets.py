"""Attacks as papers ran them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
from jax import Array
from jax.typing import ArrayLike

from jaxbio.attacks.apgd import apgd
from jaxbio.attacks.objective import Attacked, Model
from jaxbio.attacks.pgd import pgd
from jaxbio.errors import InputError

METHODS = {"pgd": pgd, "apgd": apgd}


@dataclass(frozen=True)
class Attack:
    """An attack with its options and the radii that it is reported at.

    Attributes:
        method: ``pgd`` or ``apgd``.
        norm: ``linf``, ``l2`` or ``l1``.
        epsilons: radii.
        samples: gradients per step where the model is stochastic; others need one.
        options: further arguments of the method.
    """

    method: str
    norm: str
    epsilons: tuple[float, ...]
    samples: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method={self.method!r}: use one of {', '.join(METHODS)}")

    @property
    def name(self) -> str:
        """Of the method, its loss and its norm: ``pgd_ce_linf``."""
        return f"{self.method}_{self.options.get('loss', 'ce')}_{self.norm}"

    def __call__(
        self,
        model: Model,
        images: Array,
        labels: ArrayLike,
        key: jax.Array,
        epsilon: ArrayLike,
        *,
        stochastic: bool = False,
        **arguments: Any,
    ) -> Attacked:
        """Attacks a batch; see :func:`jaxbio.attacks.pgd`.

        ``epsilon`` need not be one of ``epsilons``; ``arguments`` are ``indices``, ``targets``, and
        what overrides the options.
        """
        options = {**self.options, "samples": self.samples if stochastic else 1, **arguments}
        return METHODS[self.method](
            model, images, labels, key, epsilon, norm=self.norm, stochastic=stochastic, **options
        )


_PGD64 = {"steps": 64, "step": 1 / 32}

PRESETS: dict[str, tuple[Attack, ...]] = {
    # Madry et al. 2018, CIFAR-10: 20 steps of 2/255 within 8/255.
    "pgd20": (Attack("pgd", "linf", (8 / 255,), 1, {"steps": 20, "step": 0.25}),),
    # Dapello et al. 2020 (VOneNet): 64 steps, 8 gradient samples. L1 and L2 radii are for images of
    # 224 px. The length of a step, which its public sources do not state, is epsilon / 32 here.
    "vonenet": (
        Attack("pgd", "linf", (1 / 1020, 1 / 255), 8, _PGD64),
        Attack("pgd", "l2", (0.15, 0.6), 8, _PGD64),
        Attack("pgd", "l1", (40.0, 160.0), 8, _PGD64),
    ),
    # EVNet: 64 steps, 10 gradient samples.
    "evnet": (Attack("pgd", "linf", (1 / 1020, 1 / 255, 4 / 255, 16 / 255), 10, _PGD64),),
    # The first two parts of AutoAttack (Croce & Hein 2020), 100 steps each, at the radius of its
    # CIFAR-10 table; EOT 20 for stochastic models, as its version "rand".
    "autoattack_lite": (
        Attack("apgd", "linf", (8 / 255,), 20, {"steps": 100, "loss": "ce"}),
        Attack("apgd", "linf", (8 / 255,), 20, {"steps": 100, "loss": "dlr"}),
    ),
}
