"""Items of a checkpoint with digests of their bits: what is read is what was saved."""

import contextlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.files.reading import reason
from jaxbio.runs.mesh import replicated

_CHECK = "check"  # in the digests: of the digests themselves
_AT_ONCE = 2**20  # numbers of an array


class CheckpointMismatchError(InputError):
    """A checkpoint of another model."""


class DamagedCheckpointError(InputError):
    """A checkpoint that cannot be read back as it was saved."""


def digest(tree: Any) -> int:
    """A 32-bit checksum of the bits of all arrays of a tree; exact whatever the sharding.

    Each device sums its own part, but what lies on CPUs of this process is summed by NumPy: a
    program of so many sums takes seconds to compile.
    """
    leaves = jax.tree.leaves(tree)
    sums = (
        map(_sum_on_host, leaves)
        if all(map(_on_host, leaves))
        else jax.device_get(_sums_on_devices(leaves))
    )
    total = 0
    for number, part in enumerate(sums):
        total = (31 * total + number + int(part)) % 2**32
    return total


def _on_host(leaf: Any) -> bool:
    if not isinstance(leaf, jax.Array):
        return True
    return leaf.is_fully_addressable and {d.platform for d in leaf.devices()} == {"cpu"}


@jax.jit
def _sums_on_devices(leaves: Sequence[Any]) -> list[jax.Array]:
    def weighted(leaf: jax.Array) -> jax.Array:
        if leaf.dtype.itemsize < 4:
            leaf = leaf.astype(_widened(leaf.dtype))
        bits = jax.lax.bitcast_convert_type(leaf, jnp.uint32).reshape(-1)
        return jnp.sum(bits * _weights(jax.lax.iota(jnp.uint32, bits.size)), dtype=jnp.uint32)

    return [weighted(jnp.asarray(leaf)) for leaf in leaves]


def _sum_on_host(leaf: Any) -> int:
    leaf = np.asarray(leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf))
    if leaf.dtype.itemsize < 4:
        leaf = leaf.astype(_widened(leaf.dtype))
    bits, total = np.ascontiguousarray(leaf).reshape(-1).view(np.uint32), 0
    for start in range(0, bits.size, _AT_ONCE):
        part = bits[start : start + _AT_ONCE]
        total += int(part @ _weights(np.arange(start, start + part.size, dtype=np.uint32)))
    return total


def _widened(dtype: Any) -> Any:
    return np.float32 if dtype.kind in "fV" else np.int32  # loses nothing


def _weights(places: Any) -> Any:
    return 2 * places + 1  # odd: every bit and place counts


def arguments_of(items: Mapping[str, Any], notes: dict[str, Any]) -> ocp.args.Composite:
    """What Orbax is given to save: the items, and notes about them."""
    return ocp.args.Composite(
        digests=ocp.args.JsonSave({**notes, _CHECK: _check(notes)}),
        **{name: ocp.args.StandardSave(item) for name, item in items.items()},
    )


def read_item(manager: ocp.CheckpointManager, step: int, name: str, like: Any, path: Path) -> Any:
    """One item, verified: same tree as ``like``, same bits as were saved."""
    saved_digest = _read_notes(path).get(name)
    try:
        found = manager.item_metadata(step)[name]
    except Exception as error:  # whatever Orbax meets in a damaged folder
        raise DamagedCheckpointError(f"checkpoint {path} is damaged ({reason(error)})") from error
    if found is None or saved_digest is None:
        raise DamagedCheckpointError(f"checkpoint {path} is damaged (no item '{name}')")
    if name == "variables":
        like = _with_constants_of(like, found)
        _check_same_tree(like, found, path)
    try:
        restored = manager.restore(
            step, args=ocp.args.Composite(**{name: ocp.args.StandardRestore(like)})
        )[name]
        intact = digest(restored) == saved_digest
    except Exception as error:
        raise DamagedCheckpointError(f"checkpoint {path} is damaged ({reason(error)})") from error
    if not intact:
        raise DamagedCheckpointError(f"checkpoint {path} is damaged (checksum of '{name}')")
    return restored


def read_scores(directory: Path, steps: Sequence[int]) -> dict[int, float]:
    """The scores of those checkpoints that have a readable one."""
    scores = {}
    for step in steps:
        path = directory / f"step_{step}"
        with contextlib.suppress(InputError, ValueError, TypeError, OverflowError):
            score = _read_notes(path).get("score")
            if score is None and (path / "metrics" / "metrics").exists():  # of version 0.1.0
                score = read_json(path / "metrics" / "metrics").get("score")
            if score is not None and math.isfinite(float(score)):
                scores[step] = float(score)
    return scores


def _read_notes(path: Path) -> dict[str, Any]:
    """The digests of a checkpoint, and its score if it was tested, verified."""
    try:
        notes = read_json(path / "digests" / "metadata")
    except InputError as error:
        raise DamagedCheckpointError(f"checkpoint {path} is damaged ({error})") from error
    if _CHECK not in notes:  # of version 0.1.0
        return notes
    if notes.pop(_CHECK) != _check(notes):
        raise DamagedCheckpointError(f"checkpoint {path} is damaged (checksum of the digests)")
    return notes


def _check(notes: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(notes, sort_keys=True).encode())


def _with_constants_of(like: dict[str, Any], found: Any) -> dict[str, Any]:
    """``like`` with the constants' shapes as saved, on the same devices as the parameters."""
    saved = found.get("constants") if hasattr(found, "get") else None
    leaf = jax.tree.leaves(like["params"])[0]
    mesh = getattr(leaf.sharding, "mesh", None)
    sharding = leaf.sharding if mesh is None else replicated(mesh)
    constants = jax.tree.map(
        lambda m: jax.ShapeDtypeStruct(m.shape, m.dtype, sharding=sharding), saved or {}
    )
    return {**like, "constants": constants}


def _check_same_tree(like: Any, found: Any, path: Path) -> None:
    expected, saved = _shapes(like), _shapes(found)
    problems = [f"missing {key}" for key in expected if key not in saved]
    problems += [f"unexpected {key}" for key in saved if key not in expected]
    problems += [
        f"{key} has shape {saved[key]}, the model {shape}"
        for key, shape in expected.items()
        if saved.get(key, shape) != shape
    ]
    if problems:
        raise CheckpointMismatchError(
            f"checkpoint {path} is of another model: {'; '.join(problems[:3])}"
            f"{f' and {len(problems) - 3} more' if len(problems) > 3 else ''}; "
            "use the configuration that made it or another --workdir"
        )


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {
        "/".join(str(getattr(p, "key", getattr(p, "name", p))) for p in path): tuple(leaf.shape)
        for path, leaf in leaves
    }
