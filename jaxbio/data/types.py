"""What data is: splits, sources, batches."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxbio.data.settings import DataError, Settings

Batch = dict[str, np.ndarray]
Transform = Callable[[list[np.ndarray], list[int]], Sequence[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class ArraySplit:
    """Decoded images of one size, in memory.

    Attributes:
        images: uint8 ``[N, H, W, C]``, C 1 or 3.
        labels: int32 ``[N]``.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def example_name(self, index: int) -> str:
        """What to call an example: its number."""
        return str(index)


@dataclasses.dataclass(frozen=True)
class FileSplit:
    """One encoded image per file.

    Attributes:
        paths: ``N`` file names.
        labels: int32 ``[N]``.
    """

    paths: list[str]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def example_name(self, index: int) -> str:
        """What to call an example in a message: its path."""
        return self.paths[index]

    def reader(self) -> Callable:
        """A graph function: scalar index -> (encoded image, int32 label)."""
        from jaxbio.data.tensorflow_cpu import tf

        paths = tf.constant(np.array([os.fsencode(path) for path in self.paths], object))
        labels = tf.constant(self.labels)
        return lambda index: (tf.io.read_file(paths[index]), labels[index])


@dataclasses.dataclass(frozen=True)
class RecordSplit:
    """Encoded images of a record file.

    Attributes:
        name: what to call the split in a message.
        size: number of examples.
        read: index -> (encoded image, label), fast at any index; None if ``memory`` is given.
        memory: (array of N byte strings, int32 labels), or None.
        names: of the examples; None where they have none.
        labels: int32 ``[N]``, if they are known without reading.
    """

    name: str
    size: int
    read: Callable[[int], tuple[bytes, int]] | None = None
    memory: tuple[np.ndarray, np.ndarray] | None = None
    names: Sequence[str] | None = None
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return self.size

    def example_name(self, index: int) -> str:
        """What to call an example in a message: its name, or the split and its index."""
        return f"{self.name}[{index}]" if self.names is None else self.names[index]

    def reader(self) -> Callable:
        """A graph function: scalar index -> (encoded image, int32 label)."""
        from jaxbio.data.tensorflow_cpu import tf

        if self.memory is not None:
            images, labels = (tf.constant(array) for array in self.memory)
            return lambda index: (images[index], labels[index])

        def read(index):
            image, label = self.read(int(index))
            return image, np.int32(label)

        def graph(index):
            image, label = tf.numpy_function(read, [index], [tf.string, tf.int32], stateful=False)
            return tf.ensure_shape(image, ()), tf.ensure_shape(label, ())

        return graph


EncodedSplit = FileSplit | RecordSplit
Split = ArraySplit | FileSplit | RecordSplit


@dataclasses.dataclass(frozen=True)
class Source:
    """An open data set.

    Attributes:
        name: the configuration's ``data.source``.
        class_names: one per label.
        train: the training split; empty where the data are for evaluation alone.
        eval: the evaluation split.
        one_size: whether all images are squares of one size (then evaluation does not crop).
        fingerprint: computes a short hash of the content.
        bad_files: examples that did not decode, in the order in which they were met. Shared by all
            pipelines over this source in this process.
    """

    name: str
    class_names: list[str]
    train: Split
    eval: Split
    one_size: bool
    fingerprint: Callable[[], str]
    bad_files: list[str] = dataclasses.field(default_factory=list)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def num_train(self) -> int:
        """Number of training examples."""
        return len(self.train)

    @property
    def num_eval(self) -> int:
        """Number of evaluation examples."""
        return len(self.eval)

    def describe(self) -> dict[str, Any]:
        """Name, sizes and content hash, for a run's record (JSON-able)."""
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "num_train": self.num_train,
            "num_eval": self.num_eval,
            "fingerprint": self.fingerprint(),
        }


def array_source(name: str, class_names: Sequence[str], splits: Mapping[str, ArraySplit]) -> Source:
    """A source of squares in memory, split into ``train`` and ``eval``.

    Its fingerprint is that of all pixels and labels.
    """

    def fingerprint() -> str:
        digest = hashlib.sha256()
        for split in splits.values():
            for array in (split.images, split.labels):
                values: Any = np.ascontiguousarray(array)
                digest.update(values)
        return digest.hexdigest()[:16]

    return Source(name, list(class_names), splits["train"], splits["eval"], True, fingerprint)


def existing_data_path(settings: Settings) -> str:
    """The data directory, or the archive that stands for it.

    Raises:
        DataError: it is not set, or does not exist.
    """
    if settings.data_dir is None:
        raise DataError(
            f"data.source={settings.source!r} needs data: set data.data_dir or the environment "
            "variable JAXBIO_DATA_DIR"
        )
    if not os.path.exists(settings.data_dir):
        raise DataError(f"data.data_dir={settings.data_dir!r} does not exist: correct it")
    return os.fspath(settings.data_dir)


def existing_data_dir(settings: Settings) -> str:
    """The data directory; raises as :func:`existing_data_path`, and if it is an archive."""
    path = existing_data_path(settings)
    if not os.path.isdir(path):
        raise DataError(f"data.data_dir={path!r} is not a directory: correct it")
    return path
