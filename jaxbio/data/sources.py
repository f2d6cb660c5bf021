"""What data there is: a source has a training and an evaluation split and class names."""

import importlib
from typing import Any

from jaxbio.data.settings import SOURCES, read_settings
from jaxbio.data.types import Source


def open_source(cfg: Any) -> Source:
    """Opens the data set that a configuration names.

    Needs no tensorflow, except for ``tfds:<name>``.

    Args:
        cfg: ``config.data``: an object with the keys of :class:`jaxbio.data.settings.Settings` as
            attributes; absent keys take their defaults.

    Raises:
        DataError: unknown source, missing or broken data, or a setting out of range.

    Example:
        >>> from types import SimpleNamespace
        >>> source = open_source(SimpleNamespace(source="digits"))
        >>> source.num_classes, source.num_train, source.num_eval
        (10, 1433, 364)
    """
    settings = read_settings(cfg)
    module, _, opener = SOURCES.get(settings.source, "tfds.open_tfds").partition(".")
    # Imported where it is needed: a run pays for its own source only.
    source: Source = getattr(importlib.import_module(f"jaxbio.data.{module}"), opener)(settings)
    if settings.classes:
        from jaxbio.data.subset import only_classes

        source = only_classes(source, settings.classes)
    if not settings.split:
        return source
    from jaxbio.data.holdout import hold_out

    return hold_out(source, settings.split, settings.split_seed)


def source_of(place: str) -> str:
    """The ``data.source`` of a path: ``shards`` or ``folder`` (which may be a tar)."""
    from jaxbio.data.shards import is_sharded

    return "shards" if is_sharded(place) else "folder"
