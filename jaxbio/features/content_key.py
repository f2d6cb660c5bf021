"""What features depend on, as one key: two files with the same key hold the same features."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxbio.features.extract import Extractor
from jaxbio.options import flat

# Raised whenever the same settings would give other numbers or another file.
FORMAT_VERSION = 1


def digest_variables(variables: Mapping[str, Any]) -> str:
    """SHA-256 of a model's variables: paths, dtypes, shapes and bytes."""
    leaves = jax.tree_util.tree_flatten_with_path(dict(variables))[0]
    arrays = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    digest = hashlib.sha256()
    for name, leaf in sorted(arrays.items()):
        array: Any = np.ascontiguousarray(leaf)
        digest.update(f"{name} {array.dtype} {array.shape}\0".encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()


def describe(
    extractor: Extractor,
    *,
    weights: str,
    model: Mapping[str, Any],
    preprocessing: Mapping[str, Any],
    stimuli: str,
    batch_size: int,
) -> dict[str, Any]:
    """Everything that features depend on, as plain JSON.

    Args:
        extractor: knows layers, steps, pooling and projection.
        weights: from :func:`digest_variables`.
        model: arguments of :func:`jaxbio.create_model`.
        preprocessing: how a stimulus becomes the model's input.
        stimuli: from :meth:`jaxbio.features.pictures.Pictures.digest`.
        batch_size: matters where the model is noisy at evaluation, and is left out elsewhere.
    """
    parts = {
        "format": FORMAT_VERSION,
        "weights": weights,
        "model": dict(model),
        "preprocessing": dict(preprocessing),
        "stimuli": stimuli,
        **extractor.settings(),
    }
    if extractor.noisy:
        parts["noise"] = {"seed": extractor.noise_seed, "batch_size": batch_size}
    return json.loads(json.dumps(parts))


def content_key(description: Mapping[str, Any]) -> str:
    """SHA-256 of a description, in hexadecimal."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def differences(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What two descriptions differ in, for a message: wanted values, recorded ones in brackets."""
    old, new = flat(recorded), flat(wanted)
    found = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        if name in ("weights", "stimuli"):
            found.append(f"other {name}")
        elif not name.startswith("layers."):
            found.append(f"{name}={new.get(name)!r} (there {old.get(name)!r})")
    there, here = recorded["layers"], wanted["layers"]
    if there.keys() != here.keys():
        found.append(f"layers={','.join(here)} (there {','.join(there)})")
    for layer in sorted(there.keys() & here.keys()):
        for key in ("steps", "shape"):
            if there[layer][key] != here[layer][key]:
                found.append(f"{layer}.{key}={here[layer][key]} (there {there[layer][key]})")
    return found
