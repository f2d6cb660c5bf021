"""Recorded activity: spike counts kept on disk, for exactly the weights that made them.

Presenting thousands of images takes minutes; every readout, and every plot of its dependence on
something, needs the same counts. They are kept in ``<run>/activity`` and used again only if weights
and settings are the same: the file holds their digest.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbio.errors import InputError
from jaxbio.files import atomic
from jaxbio.files.npz import read_npz

Counts = tuple[np.ndarray, np.ndarray]


def content_digest(arrays: Any, settings: dict[str, Any] | None = None) -> str:
    """A digest of the content of arrays and settings.

    Args:
        arrays: a tree of arrays; names, shapes, dtypes and bytes count.
        settings: JSON-able; what else the activity depends on: data, seed, encoder.

    Returns:
        32 hexadecimal digits.
    """
    total = hashlib.sha256(json.dumps(settings or {}, sort_keys=True).encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(arrays):
        leaf = np.ascontiguousarray(leaf)
        total.update(f"{jax.tree_util.keystr(path)}{leaf.dtype.str}{leaf.shape}".encode())
        total.update(leaf.tobytes())
    return total.hexdigest()[:32]


def recorded_counts(path: Path, digest: str, record: Callable[[], Counts]) -> Counts:
    """Spike counts and labels from a file of that digest, or newly recorded and written there.

    Args:
        path: ``<run>/activity/NAME.npz``; replaced if it belongs to other weights or is damaged.
        digest: of :func:`content_digest`.
        record: presents the images; gives counts ``[N, filters, ...]`` and labels ``[N]``.

    Returns:
        Counts and labels.
    """
    kept = _read(path, digest)
    if kept is not None:
        return kept
    counts, labels = (np.asarray(values) for values in record())
    with atomic(path) as temporary:
        np.savez_compressed(temporary, digest=np.array(digest), counts=counts, labels=labels)
    return counts, labels


def _read(path: Path, digest: str) -> Counts | None:
    if not path.exists():
        return None
    with contextlib.suppress(InputError):
        kept = read_npz(path, ("digest", "counts", "labels"))
        counts, labels = kept["counts"], kept["labels"]
        numbers = counts.dtype.kind in "iuf" and labels.dtype.kind in "iu" and labels.ndim == 1
        numbers = numbers and bool(np.isfinite(counts).all())
        if str(kept["digest"]) == digest and numbers and counts.shape[:1] == labels.shape:
            return counts, labels
    return None
