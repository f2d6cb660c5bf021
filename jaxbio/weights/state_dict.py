"""Which tensors of a file are a network's, and what they are called without their wrappers."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxbio.errors import InputError

_WRAPPERS = re.compile(r"(?<![^.])(module|_orig_mod)\.")  # DataParallel, torch.compile
# Counters of BatchNorm and of averaged weights, the random tensors of VOneNet's attacks.
_COUNTERS = re.compile(r"(num_batches_tracked|n_averaged|div_[ut]\.weight)$")
_AVERAGED = re.compile(r"ema|averag|swa|teacher", re.IGNORECASE)
_DEEPEST = 3  # entries within entries


@dataclass(frozen=True)
class StateDict:
    """The tensors of one network.

    Attributes:
        tensors: by the network's names, without prefix and wrappers; whatever has another prefix,
            and counters, are left out.
        entry: where in the file they are, "/" between entries, "" at its top.
        prefix: what their names begin with in the file, wrappers apart.
        others: how many tensors of the entry were left out for another prefix.
        choice: what else would have fitted as well, in words; "" if nothing.
    """

    tensors: dict[str, Any]
    entry: str
    prefix: str
    others: int
    choice: str


def find_state_dict(
    content: Any,
    wanted: Iterable[str],
    renames: Sequence[tuple[str, str]] = (),
    entry: str | None = None,
    prefix: str | None = None,
) -> StateDict:
    """Find a network's tensors in what :func:`jaxbio.weights.reader.read_torch` returns.

    Among all entries and all prefixes it takes those under which most of the wanted names are
    found; of several that have as many, one that is no running average, then the first.

    Args:
        content: a dict of tensors, or of such dicts.
        wanted: the network's names.
        renames: (pattern, replacement) from other names to the network's.
        entry: take this one, such as "state_dict_ema" or "net/student".
        prefix: take the names that begin so.

    Raises:
        InputError: there are no tensors by name, or none where ``entry`` and ``prefix`` say.
    """
    places = entries(content) or ({"": content} if content == {} else {})
    if not places:
        raise InputError("no tensors by name in it")
    if entry is not None and entry not in places:
        raise InputError(
            f"no entry {entry!r} of tensors; there are: {', '.join(map(repr, places))}"
        )
    wanted = set(wanted)
    found: list[Any] = []
    for key in places if entry is None else [entry]:
        named = _named(places[key], renames, prefix)
        for begin, count in _prefixes(named, wanted) if prefix is None else [("", len(named))]:
            found.append((-count, bool(_AVERAGED.search(f"{key}/{begin}")), len(found), key, begin))
    if prefix is not None and not any(count for count, *_ in found):
        raise InputError(f"no name begins with prefix {prefix!r}; --list shows the names")
    count, _, _, key, begin = min(found)
    named = _named(places[key], renames, prefix)
    tensors = {name[len(begin) :]: v for name, v in named.items() if name.startswith(begin)}
    same = [(k, b) for n, _, _, k, b in sorted(found) if n == count < 0 and (k, b) != (key, begin)]
    choice = ""
    if same and (entry is None or prefix is None):
        rest = ", ".join(_place(*place) for place in same)
        choice = f"took {_place(key, begin)}; {rest} would fit as well (--entry, --prefix)"
    arrays = sum(is_array(value) for value in named.values())
    kept = sum(is_array(value) for value in tensors.values())
    return StateDict(tensors, key, prefix or begin, arrays - kept, choice)


def is_array(value: Any) -> bool:
    """Return whether a value of a file is a tensor that can be read."""
    return hasattr(value, "__array__")


def _place(entry: str, prefix: str) -> str:
    return f"entry {entry or 'top'!r}" + (f" prefix {prefix!r}" if prefix else "")


def entries(content: Any, path: str = "", depth: int = 0) -> dict[str, Mapping[str, Any]]:
    """Every dict in a file that holds tensors under names, by the path to it ("a/b")."""
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return {}
    named = any(isinstance(k, str) and is_array(v) for k, v in content.items())
    found = {path: content} if named else {}
    for key, value in content.items():
        found |= entries(value, f"{path}/{key}" if path else str(key), depth + 1)
    return found


def _named(
    tensors: Mapping[str, Any], renames: Sequence[tuple[str, str]], prefix: str | None
) -> dict[str, Any]:
    """An entry's values by today's names, without wrappers, counters and ``prefix``."""
    named: dict[str, Any] = {}
    for key, value in tensors.items():
        name = _WRAPPERS.sub("", str(key))
        if prefix is not None:
            if str(key).startswith(prefix):
                name = _WRAPPERS.sub("", str(key)[len(prefix) :])
            elif name.startswith(prefix):
                name = name[len(prefix) :]
            else:
                continue
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        if not _COUNTERS.search(name):
            named.setdefault(name, value)
    return named


def _prefixes(named: Mapping[str, Any], wanted: set[str]) -> list[tuple[str, int]]:
    """Prefixes and how many wanted names are found under each, at least as many as under any."""
    counts: Counter[str] = Counter({"": 0})
    for name in named:
        starts = [0, *(match.end() for match in re.finditer(r"\.", name))]
        counts.update(name[:start] for start in starts if name[start:] in wanted)
    most = max(counts.values())
    return [(prefix, count) for prefix, count in counts.items() if count == most]
