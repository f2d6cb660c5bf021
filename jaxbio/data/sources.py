"""What data there is: a source has a training and an evaluation split and class names."""

from pathlib import Path
from typing import Any

from jaxbio.data.settings import Settings, read_settings
from jaxbio.data.types import Source
from jaxbio.files.tars import is_tar


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
    source = _open(settings)
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


def _open(settings: Settings) -> Source:
    # Each opener is imported where it is needed: a run pays for its own source only.
    if settings.source == "digits":
        from jaxbio.data.digits import open_digits

        return open_digits()
    if settings.source == "mnist":
        from jaxbio.data.mnist import open_mnist

        return open_mnist(settings)
    if settings.source in ("cifar10", "cifar100"):
        from jaxbio.data.cifar import open_cifar

        return open_cifar(settings, settings.source)
    if settings.source == "svhn":
        from jaxbio.data.svhn import open_svhn

        return open_svhn(settings)
    if settings.source == "folder" and settings.data_dir and is_tar(settings.data_dir):
        from jaxbio.data.archive import open_archive

        return open_archive(Path(settings.data_dir))
    if settings.source == "folder":
        from jaxbio.data.folder import open_image_folder

        return open_image_folder(settings)
    if settings.source == "shards":
        from jaxbio.data.shards import open_shards

        return open_shards(settings)
    from jaxbio.data.tfds import open_tfds

    return open_tfds(settings, settings.source.removeprefix("tfds:"))
