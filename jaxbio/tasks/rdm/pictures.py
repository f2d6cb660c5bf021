"""Pictures of a data set as stimuli, where the geometry to be learnt is another network's."""

from types import SimpleNamespace

import numpy as np

from jaxbio.data import open_source
from jaxbio.data.settings import OF_SQUARES
from jaxbio.data.splits import labels_of, picture
from jaxbio.errors import InputError
from jaxbio.neural import StimulusSet


def is_data_set(neural: str) -> bool:
    """Whether ``rdm.neural`` names pictures with labels rather than recordings."""
    return neural in OF_SQUARES or neural.startswith("tfds:")


def draw_stimuli(name: str, per_class: int, seed: int) -> StimulusSet:
    """Training examples of every class, drawn at random; a class is an object of the RDM.

    Args:
        name: a ``data.source``; what is not there by itself is found in ``JAXBIO_DATA_DIR``.
        per_class: examples of each class.
        seed: of the draw.

    Raises:
        InputError: no such data, a class with fewer examples, or pictures of several sizes.
    """
    source = open_source(SimpleNamespace(source=name))
    labels = labels_of(source.train)
    rng = np.random.default_rng((seed, 4))
    drawn = []
    for number, class_name in enumerate(source.class_names):
        of_class = np.flatnonzero(labels == number)
        if len(of_class) < per_class:
            raise InputError(
                f"rdm.pictures={per_class}: class {class_name!r} of {name} has {len(of_class)}"
            )
        drawn.append(np.sort(rng.choice(of_class, per_class, replace=False)))
    index = np.concatenate(drawn)
    images = [picture(source.train, i) for i in index.tolist()]
    if len({image.shape for image in images}) > 1:
        raise InputError(f"rdm.neural={name}: its pictures differ in size; use a set of one size")
    stacked = np.stack(images)
    classes = np.array(source.class_names)[labels[index]]
    return StimulusSet(
        ids=index.astype(str),
        labels=classes,
        objects=classes,
        images=np.repeat(stacked, 3, -1) if stacked.shape[-1] == 1 else stacked,
    )
