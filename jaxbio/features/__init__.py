"""Features: the activity of a model's layers, in memory or in a file.

In memory::

    from jaxbio import features

    features.layer_shapes(model, variables, image_size)  # {name: Layer}: what there is
    for batch in features.extract(
        model, variables, images,
        features.FeatureRequest(
            ["V4", "IT"],               # or "all"
            times="all",                # or "last", or (0, 2)
            pool="none",                # or "mean", "max": over space
            projection=0, seed=0,       # components of a random projection; 0: none
        ),
        Preprocessing(224, mean, std),  # jaxbio.ops.images: as in the training
        batch_size=64, mesh=None,
    ):
        batch["IT"]                     # float32 [b, T, H, W, C]; [b, H, W, C] without time

``images`` is uint8 ``[N, S, S, 3]``, or an iterable of batches ``[b, S, S, 3]``.

In a file, which ``evaluate.py --mode=features`` writes (docs/features.md)::

    with features.load("feats.h5") as file:
        file.layers, file.images        # {name: Layer}, [file name]
        file["IT"]                      # float32 [image, time, row, column, channel]
        file.read("IT", times=[1])      # one step
        file.to_xarray("IT")            # with coordinates, where xarray is installed
    features.load("feats.h5", "IT")     # the array alone
"""

from jaxbio.features.extract import Extractor, extract
from jaxbio.features.layers import Layer, layer_shapes
from jaxbio.features.load import FeatureFile, load
from jaxbio.features.request import FeatureRequest

__all__ = ["Extractor", "FeatureFile", "FeatureRequest", "Layer", "extract", "layer_shapes", "load"]
