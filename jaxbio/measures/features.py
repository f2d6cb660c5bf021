"""the activity of layers, into a file (docs/features.md)

A file that is there and holds exactly these features is left alone; an interrupted one is gone on
with. Exactly these: the key of all that they depend on is compared, weights and images by their
content, so that stale features are never taken for fresh ones.
"""

import argparse
import dataclasses
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jaxbio
from jaxbio.errors import InputError
from jaxbio.measures.measure import a_list
from jaxbio.runs.progress import format_table

if TYPE_CHECKING:
    from jaxbio.features import Extractor
    from jaxbio.tasks.classification.opened import Session

NAME = "features"
# One batch's features. Three batches are alive at a time: computed, fetched, written.
_BATCH_BYTES = 2**26
_CACHE_VARIABLE = "JAXBIO_FEATURE_CACHE"


def options(add: Any) -> None:
    """The measure's flags."""
    add("--images", metavar="DIR", help="folder of images; default: the test set")
    add("--layers", **a_list("penultimate"), help="endpoints, or all; default: penultimate")
    add("--times", **a_list("all"), help="all, last or steps")
    add("--pool", choices=["none", "mean", "max"], default="none", help="pooling over space")
    add(
        "--projection",
        type=int,
        default=0,
        metavar="N",
        help="components of a random projection; 0 (default): none",
    )
    add("--projection_seed", type=int, default=0, metavar="N", help="of the projection's matrices")
    add("--skip_bad_images", action="store_true", help="leave out images that do not decode")
    add("--output", metavar="FILE", help=".h5 or .npz; default: RUN/features/KEY.h5")


def needs_data(options: argparse.Namespace) -> bool:
    """Not where the images are the user's own."""
    return not options.images


def run(session: "Session", options: argparse.Namespace) -> Path:
    """Makes sure that a file holds the features; prints what it holds, returns its path.

    Without ``--output`` it is named by the content key, in the folder of the environment variable
    JAXBIO_FEATURE_CACHE, or in ``features/`` of the run.

    Raises:
        InputError: unknown layers or steps; an image that does not decode; a file with other
            features in the place of ``--output``; a full disk.
    """
    from jaxbio.features import load

    began = time.monotonic()
    path, computed = _made(session, options)
    seconds = time.monotonic() - began
    with load(path) as file:
        rows = [("layer", "per image", "axes", "image arrives")]
        for name, layer in file.layers.items():
            shape = " x ".join(map(str, layer.feature_shape))
            arrival = "" if layer.steps is None else f"step {layer.arrival_step}"
            rows.append((name, shape, " ".join(layer.dims), arrival))
        print(f"{session.run.path}, checkpoint of step {session.step}\n\n{format_table(rows)}\n")
        if file.skipped:
            print(f"{len(file.skipped)} images did not decode: {', '.join(file.skipped)}")
        how = f"{computed} computed now, {seconds:.1f} s" if computed else "all there already"
        print(f"{len(file.images)} images ({how}), content key {file.content_key[:16]}")
        print(f"written to {path}", flush=True)
    return path


def _made(session: "Session", options: argparse.Namespace) -> tuple[Path, int]:
    """The file, and how many images were not there before."""
    from jaxbio.data import DataError
    from jaxbio.data.settings import read_settings
    from jaxbio.features import Extractor, FeatureRequest, load
    from jaxbio.features.content_key import content_key, describe, digest_variables
    from jaxbio.features.pictures import open_pictures, test_pictures
    from jaxbio.features.store import Writer, check_same
    from jaxbio.features.streaming import fill

    output = None if options.output is None else Path(options.output)
    if output is not None and output.suffix not in (".h5", ".hdf5", ".npz"):
        raise InputError(f"--output={output}: use a name that ends in .h5, .hdf5 or .npz")
    request = FeatureRequest(
        options.layers, options.times, options.pool, options.projection, options.projection_seed
    )
    pictures = open_pictures(options.images) if options.images else test_pictures(session.source)
    config = session.config
    settings = read_settings(config.data)
    if options.skip_bad_images:
        settings = dataclasses.replace(settings, max_bad_files=len(pictures))
    extractor = Extractor(
        session.model,
        session.variables,
        request,
        session.preprocessing,
        mesh=session.mesh,
        noise_seed=config.seed,
    )
    batch_size = _batch_size(session, extractor, len(pictures))
    description = describe(
        extractor,
        weights=digest_variables(session.variables),
        model={k: v for k, v in session.arguments.items() if k != "remat"},
        preprocessing={
            "image_size": settings.image_size,
            "resize_side": settings.resize_side(pictures.source.one_size),
            "mean": list(session.preprocessing.mean),
            "std": list(session.preprocessing.std),
        },
        stimuli=pictures.digest(),
        batch_size=batch_size,
    )
    if output is None:
        folder = os.environ.get(_CACHE_VARIABLE) or session.run.path / "features"
        output = Path(folder) / f"{content_key(description)}.h5"
    if output.exists():
        with load(output) as file:
            check_same(output, file.description, description)
        return output, 0
    about = {
        "run": session.run.path.name,
        "checkpoint_step": session.step,
        "jaxbio": jaxbio.__version__,
    }
    with Writer(output, extractor.layers, pictures.names, description, about) as writer:
        start = writer.done
        try:
            fill(writer, extractor, pictures, settings, batch_size)
        except DataError as error:
            raise InputError(f"{error}, or give --skip_bad_images") from error
        writer.finish()
    return output, len(pictures) - start


def _batch_size(session: "Session", extractor: "Extractor", images: int) -> int:
    """``eval.batch_size``, less where the features would take much memory or the images are few."""
    devices = session.mesh.size
    affordable = _BATCH_BYTES // extractor.bytes_per_image // devices * devices
    needed = math.ceil(images / devices) * devices
    return min(session.config.eval.batch_size, max(devices, affordable), needed)
