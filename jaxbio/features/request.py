"""Which activity of a model is wanted."""

import dataclasses
from collections.abc import Sequence

from jaxbio.errors import InputError

POOLINGS = ("none", "mean", "max")


@dataclasses.dataclass(frozen=True)
class FeatureRequest:
    """Layers, and what of them is kept.

    Attributes:
        layers: endpoints of the model, or ``("all",)``; one name is taken, too. Of CORnets also
            single operations by their published names: ``"V4.conv1_2"``, or ``"V4.conv1"`` for all
            steps of ``times``, each a layer of its own.
        times: ``"all"``, ``"last"`` or step numbers from 0; of no effect on layers without time.
            The words of a command line are taken, too.
        pool: over space: ``"none"``, ``"mean"`` or ``"max"``.
        projection: components of a sparse random projection of every step's units (after the
            pooling); layers that have no more units stay as they are. 0: none.
        seed: of the projection's matrices.

    Raises:
        InputError: wrong times, pooling or projection. What layers and steps a model has is checked
            by :func:`jaxbio.features.layers.select_layers`.
    """

    layers: Sequence[str] | str = ("all",)
    times: Sequence[int] | str = "all"
    pool: str = "none"
    projection: int = 0
    seed: int = 0

    @property
    def operations(self) -> bool:
        """Whether single operations are asked for."""
        return any("." in name for name in self.layers)

    def __post_init__(self) -> None:
        names = [self.layers] if isinstance(self.layers, str) else self.layers
        object.__setattr__(self, "layers", tuple(dict.fromkeys(names)))
        object.__setattr__(self, "times", _checked(self.times))
        if self.pool not in POOLINGS:
            raise InputError(f"pool='{self.pool}': use {', '.join(POOLINGS)}")
        if self.projection < 0:
            raise InputError(
                f"projection={self.projection}: use a number of components, or 0 for none"
            )


def _checked(times: Sequence[int] | Sequence[str] | str) -> str | tuple[int, ...]:
    words = [times] if isinstance(times, str) else [str(time) for time in times]
    if words in (["all"], ["last"]):
        return words[0]
    if not words or not all(word.isdecimal() for word in words):
        raise InputError(f"times='{','.join(words)}': use all, last or step numbers such as 0,2")
    return tuple(sorted({int(word) for word in words}))
