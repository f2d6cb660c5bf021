"""Classes are compared by name: the labels of a data set as the numbers that a network gives them.

ImageNet's 1,000 classes have three names each: a WordNet id ("n01440764"), words ("tench") and a
number ("0"). Data and network may use different ones.

Reference:
    Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition Challenge", IJCV 115; ids and
    words are those of WordNet 3.0 (Princeton University), in the order of the ids, which is that of
    torchvision's networks.
"""

import dataclasses
import difflib
import functools
import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from jaxbio.data.settings import DataError
from jaxbio.data.splits import relabelled
from jaxbio.data.types import Source

_SHOWN = 3
_NUMBERS = 1000

_logger = logging.getLogger("jaxbio.data")


@functools.cache
def _imagenet() -> dict[str, str]:
    """WordNet id: words, in the order of the classes."""
    text = Path(__file__).with_name("imagenet_classes.txt").read_text(encoding="utf-8")
    return {line[:9]: line[10:] for line in text.splitlines()}


@functools.cache
def _ids_by_words() -> dict[str, str]:
    """Those words that name one class alone."""
    words = [_simple(text) for text in _imagenet().values()]
    return {
        text: wnid for wnid, text in zip(_imagenet(), words, strict=True) if words.count(text) == 1
    }


def imagenet_ids() -> tuple[str, ...]:
    """WordNet ids of ImageNet's 1,000 classes, by number."""
    return tuple(_imagenet())


def readable(name: str) -> str:
    """A class name for people: ImageNet's words for a WordNet id, all else as it is.

    Two pairs of classes share their words ("crane"); theirs are followed by the id.
    """
    words = _imagenet().get(name)
    if words is None:
        return name
    return words if _simple(words) in _ids_by_words() else f"{words} ({name})"


def check_distinct(names: Sequence[str], where: str) -> None:
    """Refuses names that file systems and people take for one another.

    Raises:
        DataError: two names are equal but for case or the spelling of accents.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if other is not name:
            raise DataError(f"{where}: classes {other!r} and {name!r} collide: rename one of them")


def match_classes(names: Sequence[str], known: Sequence[str], where: str) -> list[int]:
    """The number of each class of a data set among those ``known`` to a network, by number.

    ``where`` are the data, for messages.

    Raises:
        DataError: a class that the network does not know, or two that are one to it.
    """
    numbers = {name: number for number, name in enumerate(known)}
    if not set(names) <= set(numbers):
        of_imagenet = {wordnet_id(name): number for name, number in numbers.items()}
        by_number = list(imagenet_ids()) if _are_numbers(names) else []
        found = {}
        for name in names:
            wnid = by_number[int(name)] if by_number else wordnet_id(name)
            number = numbers.get(name, of_imagenet.get(wnid) if wnid else None)
            if number is not None:
                found[name] = number
        numbers = found
    unknown = [name for name in names if name not in numbers]
    if unknown:
        shown = ", ".join(map(repr, unknown[:_SHOWN]))
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        close = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        first = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
        raise DataError(
            f"{where} has classes that the network does not know, {shown}{more}: {hint}it knows "
            f"{len(known)} ({first}); rename or remove them"
        )
    taken: dict[int, str] = {}
    for name in names:
        other = taken.setdefault(numbers[name], name)
        if other is not name:
            raise DataError(f"{where}: classes {other!r} and {name!r} are one to the network")
    return [numbers[name] for name in names]


def with_classes_of(
    source: Source, names: Sequence[str] | None, count: int
) -> tuple[Source, tuple[int, ...]]:
    """A data set with the labels of a network that learned from another.

    Args:
        source: the data.
        names: of the network's classes, by number; None if they are not known.
        count: of the network's classes.

    Returns:
        The data with the network's class names and labels, and which classes it has, ascending.

    Raises:
        DataError: see :func:`match_classes`; without names, another number of classes.
    """
    where = f"data.source={source.name}"
    same_count = source.num_classes == count
    if names is not None and list(names) == list(imagenet_ids()) and same_count:
        # Of converted weights: only taken for ImageNet's; 1,000 classes may also be others.
        of_imagenet = any(map(wordnet_id, source.class_names))
        if not of_imagenet and not _are_numbers(source.class_names):
            names = None
    if names is None:
        if not same_count:
            raise DataError(
                f"{where} has {source.num_classes} classes, the network {count}, without names: "
                "use the data that it was trained on"
            )
        _logger.info("%s: the network's class names are unknown, numbers are compared", where)
        return source, tuple(range(count))
    if list(names) == source.class_names:
        return source, tuple(range(count))
    numbers = match_classes(source.class_names, names, where)
    if len(numbers) < count:
        _logger.info("%s has %d of the network's %d classes", where, len(numbers), count)
    return renumbered(source, numbers, names), tuple(sorted(numbers))


def renumbered(source: Source, numbers: Sequence[int], names: Sequence[str]) -> Source:
    """The source with label ``numbers[i]`` where it has ``i``, and the names of the new labels."""
    train, evaluation = (relabelled(split, numbers) for split in (source.train, source.eval))
    return dataclasses.replace(source, class_names=list(names), train=train, eval=evaluation)


def wordnet_id(name: str) -> str | None:
    """Of a class of ImageNet, by its id or its words where they name it alone; else None."""
    return name if name in _imagenet() else _ids_by_words().get(_simple(name))


def _are_numbers(names: Sequence[str]) -> bool:
    """Whether these are 0 to 999 (ImageNetV2's folders)."""
    numbers = sorted(int(name) for name in names if name.isascii() and name.isdecimal())
    return numbers == list(range(_NUMBERS)) and len(names) == _NUMBERS


def _simple(words: str) -> str:
    return words.replace("_", " ").replace("-", " ").casefold()
