"""Corruptions and severities as people write them: in configurations and on command lines."""

from collections.abc import Sequence

from jaxbio.corruptions.names import SUBSETS, corruption_names
from jaxbio.errors import InputError, suggest

SEVERITIES = (1, 2, 3, 4, 5)


def parse_corruptions(names: Sequence[str], option: str = "--corruptions") -> list[str]:
    """Expands ``benchmark``, ``validation`` and ``all``; checks the others.

    Args:
        names: what was written.
        option: where, for the message.

    Raises:
        InputError: an unknown name, or none.
    """
    known = corruption_names("all")
    expanded: list[str] = []
    for name in names:
        if name in SUBSETS:
            expanded += corruption_names(name)
        elif name in known:
            expanded.append(name)
        else:
            raise InputError(f"{option}={name}: {suggest(name, [*SUBSETS, *known])}")
    if not expanded:
        raise InputError(f"{option} is empty: use {', '.join(SUBSETS)} or some names")
    return list(dict.fromkeys(expanded))


def parse_severities(values: Sequence[str], option: str = "--severities") -> list[int]:
    """Numbers 1 to 5 from strings; ``all`` means every one.

    Args:
        values: what was written.
        option: where, for the message.

    Raises:
        InputError: anything else, or none.
    """
    severities: list[int] = []
    for value in values:
        if value == "all":
            severities += SEVERITIES
        elif value.isdecimal() and int(value) in SEVERITIES:
            severities.append(int(value))
        else:
            raise InputError(f"{option}={value}: use 1 to 5, or all")
    if not severities:
        raise InputError(f"{option} is empty: use 1 to 5, or all")
    return sorted(set(severities))
