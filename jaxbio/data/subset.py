"""Some classes of a data set."""

import dataclasses
import difflib
import hashlib
import logging
import os
from pathlib import Path

import numpy as np

from jaxbio.data.class_names import wordnet_id
from jaxbio.data.settings import DataError
from jaxbio.data.splits import labels_of, relabelled, taken
from jaxbio.data.types import Source, Split
from jaxbio.errors import suggest
from jaxbio.files.reading import check_regular, reading

_logger = logging.getLogger("jaxbio.data")

# By name, a file beside this one: WordNet ids, one a line.
LISTS = {"imagenet100": "imagenet100_classes.txt"}


def only_classes(source: Source, which: str) -> Source:
    """The examples of some classes, which keep their order and are numbered anew.

    Args:
        source: nothing of it is read, except labels that stand in records alone.
        which: ``imagenet100``, or a text file with the name of a class on each line. ImageNet's
            classes may be called by WordNet id or words, in the list and in the data.

    Returns:
        The source of these classes.

    Raises:
        DataError: no such list, an empty one, or a class that the data lack; data for evaluation
            alone (ImageNet-A, say) need have only one of them.
        InputError: the file cannot be read.

    Reference:
        imagenet100: Tian, Krishnan & Isola 2020, "Contrastive Multiview Coding", ECCV.
    """
    wanted = {wordnet_id(name) or name: name for name in _names(which)}
    numbers = {wordnet_id(name) or name: i for i, name in enumerate(source.class_names)}
    lacking = [name for key, name in wanted.items() if key not in numbers]
    if lacking and (source.num_train or len(lacking) == len(wanted)):
        others = [name for name in source.class_names if (wordnet_id(name) or name) not in wanted]
        close = difflib.get_close_matches(lacking[0], others, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise DataError(
            f"data.classes={which}: data.source={source.name!r} lacks {len(lacking)} of its "
            f"{len(wanted)} classes, such as {lacking[0]!r}: {hint}data.classes= takes all that "
            "are there"
        )
    if lacking:
        _logger.info("%s has %d of the %d classes of %s", source.name, len(wanted) - len(lacking),
                     len(wanted), which)  # fmt: skip
    chosen = sorted(numbers[key] for key in wanted if key in numbers)
    table = np.full(source.num_classes, -1)
    table[chosen] = range(len(chosen))

    def part(split: Split) -> Split:
        if not len(split):
            return split
        index = np.flatnonzero(table[labels_of(split)] >= 0)
        return relabelled(taken(split, index), table.tolist())

    names = [source.class_names[number] for number in chosen]
    mark = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    return dataclasses.replace(
        source,
        class_names=names,
        train=part(source.train),
        eval=part(source.eval),
        fingerprint=lambda: f"{source.fingerprint()}-{mark}",
    )


def _names(which: str) -> list[str]:
    listed = Path(__file__).with_name(LISTS[which]) if which in LISTS else Path(which)
    if not os.path.exists(listed):
        raise DataError(f"data.classes={which!r}: {suggest(which, LISTS)}, or an existing file")
    check_regular(listed)
    with reading(listed, "a list of classes"):
        lines = listed.read_text(encoding="utf-8").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise DataError(f"data.classes={which!r} names no class")
    return names
