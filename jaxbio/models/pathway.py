"""A body behind a fixed front-end: V1, or V1 and V2."""

from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax

from jaxbio.models.body import Body
from jaxbio.models.retina import Retina


class Pathway(nn.Module):
    """A front-end followed by what is left of a network.

    Attributes:
        v1: the V1 front-end, from images (behind a retina: from its maps) to its bottleneck's maps.
        v2: the V2 front-end, or None.
        body: the rest of the network, built with the matching ``after``.
        retina: what is in front of V1, or None.

    Reference:
        Dapello et al. 2020, "Simulating a Primary Visual Cortex at the Front of CNNs Improves
        Robustness to Image Perturbations", doi:10.1101/2020.06.16.154542 (VOneNet: V1 alone).
    """

    v1: nn.Module
    v2: nn.Module | None
    body: Body
    retina: Retina | None = None

    @property
    def arrival_steps(self) -> Mapping[str, int]:
        """The body's."""
        return self.body.arrival_steps

    @property
    def time_bins(self) -> Mapping[str, Sequence[tuple[float, float]]]:
        """The body's."""
        return self.body.time_bins

    @property
    def blocks(self) -> str:
        """The body's."""
        return self.body.blocks

    @property
    def torch_prefixes(self) -> dict[str, str]:
        """What the published programs call the parts, with V2 (SVP) or V1 alone (VOneNet)."""
        if self.v2 is None:
            return {"v1": "vone_block.", "body": "model."}
        return {"v1": "voneblock.", "v2": "vtwoblock.", "body": "backend."}

    def torch_name(self, path: Sequence[str]) -> str:
        """What PyTorch files call a tensor, see :meth:`jaxbio.models.body.Body.torch_name`."""
        part, *inner = path
        if part == "body":
            return self.torch_prefixes["body"] + self.body.torch_name(inner)
        if part == "v1" and self.v2 is None:
            return ".".join(inner)  # VOneNet keeps the bottleneck outside its block
        return self.torch_prefixes[part] + ".".join(inner)

    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns logits ``[B, num_classes]`` and the endpoints of every part."""
        endpoints: dict[str, jax.Array] = {}
        for part in (self.retina, self.v1, self.v2, self.body):
            if part is not None:
                x, of_part = part(x, train)
                endpoints |= of_part
        return x, endpoints
