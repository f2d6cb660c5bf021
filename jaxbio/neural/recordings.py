"""The one in-memory type of neural recordings, whatever file they came from."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from jaxbio.errors import InputError
from jaxbio.neural.images import ImageFiles, resize_images

_LISTED = 8  # names in an error message
_RDM_TOLERANCE = 1e-4  # of the largest value: rounding of files


@dataclass(frozen=True)
class StimulusSet:
    """What was shown.

    Attributes:
        ids: ``[S]`` str, unique.
        labels: ``[S]`` str, the category.
        objects: ``[S]`` str, the object's identity; several images of one object share it.
        paths: ``[S]`` str, image files relative to their folder, or None.
        images: ``[S, H, W, 3]`` uint8, or files that are read when asked for, or None.
        splits: ``[S, K]`` 0 or 1, published training/test splits, or None.
    """

    ids: np.ndarray
    labels: np.ndarray
    objects: np.ndarray
    paths: np.ndarray | None = None
    images: np.ndarray | ImageFiles | None = None
    splits: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def read_images(self, size: int) -> np.ndarray:
        """All images, resized to a square as Brain-Score does (antialiased, no crop).

        Args:
            size: side in pixels.

        Returns:
            ``[S, size, size, 3]`` uint8.

        Raises:
            InputError: the recordings came without images, or a file does not decode.
        """
        if self.images is None:
            raise InputError(
                "the recordings have no images: give their folder or CSV with --stimuli=PATH"
            )
        if isinstance(self.images, ImageFiles):
            return self.images.read(size)
        return resize_images(self.images, size)

    def take(self, index: np.ndarray) -> "StimulusSet":
        """The stimuli of ``index`` (integers or a mask), in that order."""
        kept: dict[str, Any] = {
            f.name: None if (value := getattr(self, f.name)) is None else value[index]
            for f in dataclasses.fields(self)
        }
        return StimulusSet(**kept)


@dataclass(frozen=True)
class Recordings:
    """Responses of a population to stimuli, or dissimilarities where only those were published.

    Attributes:
        name: what a table calls the data.
        stimuli: what was shown.
        responses: ``[S, N, T]`` float, means over repetitions, in the file's own unit; None where
            only dissimilarities are known.
        repetitions: ``[R, S, N, T]``, or None if single presentations are not known.
        neuroids: per property (``neuroid_id``, ``region``, ...) an array ``[N]``.
        time_bins: ``[T, 2]`` start and end in ms after stimulus onset, or None if unknown (T = 1).
        rdms: per name (``human_it``, ...) ``[subjects, S, S]`` symmetric dissimilarities.
        synthetic: not measured but simulated; said wherever results show.
        source: where the data came from, in words.
    """

    name: str
    stimuli: StimulusSet
    responses: np.ndarray | None = None
    repetitions: np.ndarray | None = None
    neuroids: dict[str, np.ndarray] = field(default_factory=dict)
    time_bins: np.ndarray | None = None
    rdms: dict[str, np.ndarray] = field(default_factory=dict)
    synthetic: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        count = len(self.stimuli)
        for f in dataclasses.fields(self.stimuli):
            value = getattr(self.stimuli, f.name)
            if value is not None and len(value) != count:
                self._refuse(f"stimuli.{f.name}", f"has {len(value)} entries for {count} stimuli")
        if len(np.unique(self.stimuli.ids)) != count:
            self._refuse("stimuli.ids", "are not unique")
        if self.responses is None and not self.rdms:
            self._refuse("responses", "and rdms are both missing: one is needed")
        for name, rdm in self.rdms.items():
            if rdm.ndim != 3 or rdm.shape[1:] != (count, count):
                self._refuse(
                    f"rdms['{name}']",
                    f"has shape {rdm.shape} for {count} stimuli: must be [subjects, S, S]",
                )
            self._check_rdm(name, rdm)
        if self.responses is not None:
            self._check_responses(count)

    @property
    def num_bins(self) -> int:
        """Time bins; 1 where there are only dissimilarities."""
        return 1 if self.responses is None else self.responses.shape[2]

    def select(
        self, *, region: str | None = None, stimuli: np.ndarray | None = None
    ) -> "Recordings":
        """A part of the recordings; the name says which region.

        Args:
            region: keep these neuroids (``neuroids["region"]``), or this entry of ``rdms``.
            stimuli: keep these stimuli: integers or a mask.

        Raises:
            InputError: no such region.
        """
        part = self
        if region is not None:
            chosen = part._select_region(region)
            part = dataclasses.replace(chosen, name=f"{self.name}_{region.lower()}")
        if stimuli is None:
            return part
        index = np.arange(len(self.stimuli))[stimuli]
        return dataclasses.replace(
            part,
            stimuli=part.stimuli.take(index),
            responses=None if part.responses is None else part.responses[index],
            repetitions=None if part.repetitions is None else part.repetitions[:, index],
            rdms={name: rdm[:, index][:, :, index] for name, rdm in part.rdms.items()},
        )

    def drop_nan(self) -> "Recordings":
        """Without the neuroids that have a NaN response.

        Raises:
            InputError: every neuroid has one.
        """
        if self.responses is None:
            return self
        bad = np.isnan(self.responses).any(axis=(0, 2))
        if self.repetitions is not None:
            bad |= np.isnan(self.repetitions).any(axis=(0, 1, 3))
        if bad.all():
            raise InputError(f"{self.name}: every neuroid has NaN responses: nothing is left")
        return self._take_neuroids(~bad)

    def require_finite(self) -> "Recordings":
        """The recordings themselves if no response is NaN or infinite.

        Raises:
            InputError: there are some; it counts them and names the remedy.
        """
        for name in ("responses", "repetitions"):
            values = getattr(self, name)
            if values is not None and not np.isfinite(values).all():
                axes = tuple(a for a in range(values.ndim) if a != values.ndim - 2)
                bad = int((~np.isfinite(values)).any(axis=axes).sum())
                raise InputError(
                    f"{self.name}: {name} has NaN or infinite values in {bad} of "
                    f"{values.shape[-2]} neuroids: repair them, or drop these neuroids with "
                    "--drop_nan"
                )
        return self

    def describe(self) -> dict[str, Any]:
        """JSON-able facts: names, sizes, labels."""
        facts: dict[str, Any] = {
            "name": self.name,
            "synthetic": self.synthetic,
            "source": self.source,
            "stimuli": len(self.stimuli),
            "categories": sorted({str(label) for label in self.stimuli.labels}),
            "objects": len(set(self.stimuli.objects)),
            "images": self.stimuli.images is not None,
        }
        if self.responses is not None:
            facts["neuroids"] = self.responses.shape[1]
            facts["repetitions"] = 0 if self.repetitions is None else len(self.repetitions)
            bins = self.time_bins
            facts["time_bins_ms"] = None if bins is None else bins.tolist()
            if "region" in self.neuroids:
                names, counts = np.unique(self.neuroids["region"], return_counts=True)
                facts["regions"] = {str(n): int(c) for n, c in zip(names, counts, strict=True)}
        if self.rdms:
            facts["rdm_subjects"] = {name: len(rdm) for name, rdm in self.rdms.items()}
        return facts

    def _select_region(self, region: str) -> "Recordings":
        regions = self.neuroids.get("region")
        known = sorted({str(r) for r in (regions if regions is not None else ())} | set(self.rdms))
        if region not in known:
            listed = ", ".join(known[:_LISTED]) or "none is named"
            raise InputError(f"--region={region}: {self.name} has no such region; known: {listed}")
        kept = {name: rdm for name, rdm in self.rdms.items() if name == region}
        if regions is None or region not in regions:
            return dataclasses.replace(
                self, responses=None, repetitions=None, neuroids={}, time_bins=None, rdms=kept
            )
        return dataclasses.replace(self._take_neuroids(regions == region), rdms=kept)

    def _take_neuroids(self, mask: np.ndarray) -> "Recordings":
        repetitions = self.repetitions
        return dataclasses.replace(
            self,
            responses=cast(np.ndarray, self.responses)[:, mask],
            repetitions=None if repetitions is None else repetitions[:, :, mask],
            neuroids={name: values[mask] for name, values in self.neuroids.items()},
        )

    def _check_rdm(self, name: str, rdm: np.ndarray) -> None:
        self._check_numbers(f"rdms['{name}']", rdm)
        largest = np.abs(rdm).max()
        if not np.isfinite(largest):
            self._refuse(f"rdms['{name}']", "has NaN or infinite values")
        elif np.abs(rdm - rdm.swapaxes(1, 2)).max() > _RDM_TOLERANCE * largest:
            self._refuse(f"rdms['{name}']", "is not symmetric")
        elif np.abs(np.diagonal(rdm, axis1=1, axis2=2)).max() > _RDM_TOLERANCE * largest:
            self._refuse(f"rdms['{name}']", "has a diagonal that is not 0: are these similarities?")

    def _check_numbers(self, name: str, values: np.ndarray | None) -> None:
        if values is not None and values.dtype.kind not in "fiu":
            self._refuse(name, f"is {values.dtype}: must be numbers")

    def _check_responses(self, count: int) -> None:
        for name in ("responses", "repetitions", "time_bins"):
            self._check_numbers(name, getattr(self, name))
        shape = cast(np.ndarray, self.responses).shape
        if len(shape) != 3 or shape[0] != count or 0 in shape:
            self._refuse(
                "responses",
                f"has shape {shape} for {count} stimuli: must be [stimuli, neuroids, time bins]",
            )
        if self.repetitions is not None and self.repetitions.shape[1:] != shape:
            self._refuse(
                "repetitions",
                f"has shape {self.repetitions.shape}: must be [repetitions, *{list(shape)}]",
            )
        for name, values in self.neuroids.items():
            if len(values) != shape[1]:
                self._refuse(f"neuroids['{name}']", f"has {len(values)} entries, not {shape[1]}")
        if self.time_bins is None:
            if shape[2] != 1:
                self._refuse("time_bins", f"are missing for {shape[2]} time bins")
        elif self.time_bins.shape != (shape[2], 2):
            self._refuse("time_bins", f"has shape {self.time_bins.shape}, not ({shape[2]}, 2)")

    def _refuse(self, what: str, problem: str) -> None:
        raise InputError(f"{self.name}: {what} {problem}")
