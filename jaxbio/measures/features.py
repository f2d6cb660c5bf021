"""The mode ``features``: a model's activity on a folder of images, streamed into a file."""

import dataclasses
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

import jaxbio
from jaxbio.data import DataError
from jaxbio.data.settings import read_settings
from jaxbio.errors import InputError
from jaxbio.features import Extractor, load
from jaxbio.features.content_key import content_key, describe, digest_variables
from jaxbio.features.images import Stimuli, open_folder, open_test_set
from jaxbio.features.store import Writer, check_same
from jaxbio.features.streaming import fill
from jaxbio.runs.progress import format_table
from jaxbio.tasks.classification.opened import Session

# One batch's features. Three batches are alive at a time: computed, fetched, written.
_BATCH_BYTES = 2**26
_CACHE_VARIABLE = "JAXBIO_FEATURE_CACHE"


def report_features(
    session: Session,
    *,
    images: str | None = None,
    layers: Sequence[str] = ("penultimate",),
    times: Sequence[str] = ("all",),
    pool: str = "none",
    projection: int = 0,
    projection_seed: int = 0,
    skip_bad_images: bool = False,
    output: str | None = None,
) -> Path:
    """Writes features, as :func:`write_features` does, and prints what the file holds.

    Args:
      session: the model; with data if ``images`` is None.
      images: folder; None: the test set of the session's data.
      layers: as on the command line.
      times: as on the command line: ``["all"]``, ``["last"]`` or numbers.
      pool: see :func:`jaxbio.features.extract`.
      projection: likewise.
      projection_seed: likewise.
      skip_bad_images: leave out images that do not decode, whatever ``data.max_bad_files`` says.
      output: see :func:`write_features`.

    Returns:
      The file.
    """
    stimuli = open_test_set(session.source) if images is None else open_folder(images)
    began = time.monotonic()
    path, computed = write_features(
        session,
        stimuli,
        layers,
        times=_parse_times(times),
        pool=pool,
        projection=projection,
        projection_seed=projection_seed,
        skip_bad_images=skip_bad_images,
        output=output,
    )
    with load(path) as file:
        rows = [("layer", "per image", "axes", "image arrives")]
        for name, layer in file.layers.items():
            shape = " x ".join(map(str, layer.feature_shape))
            arrival = "" if layer.steps is None else f"step {layer.arrival_step}"
            rows.append((name, shape, " ".join(layer.dims), arrival))
        print(f"{session.run.path}, checkpoint of step {session.step}\n\n{format_table(rows)}\n")
        if file.skipped:
            print(f"{len(file.skipped)} images did not decode: {', '.join(file.skipped)}")
        seconds = time.monotonic() - began
        how = f"{computed} computed now, {seconds:.1f} s" if computed else "all there already"
        print(f"{len(file.images)} images ({how}), content key {file.content_key[:16]}")
        print(f"written to {path}", flush=True)
    return path


def write_features(
    session: Session,
    stimuli: Stimuli,
    layers: str | Sequence[str],
    *,
    times: str | Sequence[int] = "all",
    pool: str = "none",
    projection: int = 0,
    projection_seed: int = 0,
    skip_bad_images: bool = False,
    output: str | Path | None = None,
) -> tuple[Path, int]:
    """Makes sure that a file holds the features of a model.

    A file that is there and holds exactly these features is left alone; an interrupted one is gone
    on with. Exactly these: the key of all that they depend on is compared, weights and images
    by their content, so that stale features are never taken for fresh ones.

    Args:
      session: the model.
      stimuli: the images.
      layers: see :func:`jaxbio.features.extract`, as for the next four.
      times: likewise.
      pool: likewise.
      projection: likewise.
      projection_seed: likewise.
      skip_bad_images: leave out images that do not decode, whatever ``data.max_bad_files`` says.
      output: ``.h5`` or ``.npz``. None: named by the content key, in the folder of the environment
        variable JAXBIO_FEATURE_CACHE, or in ``features/`` of the run.

    Returns:
      The file, and how many images were computed.

    Raises:
      InputError: unknown layers or steps; an image that does not decode; a file with other features
        in the place of ``output``; a full disk.
    """
    output = _checked(output)
    config = session.config
    settings = read_settings(config.data)
    if skip_bad_images:
        settings = dataclasses.replace(settings, max_bad_files=len(stimuli))
    extractor = Extractor(
        session.model,
        session.variables,
        layers,
        image_size=config.data.image_size,
        mean=config.data.mean,
        std=config.data.std,
        times=times,
        pool=pool,
        projection=projection,
        projection_seed=projection_seed,
        mesh=session.mesh,
        noise_seed=config.seed,
    )
    batch_size = _batch_size(session, extractor, len(stimuli))
    description = describe(
        extractor,
        weights=digest_variables(session.variables),
        model={k: v for k, v in session.arguments.items() if k != "remat"},
        preprocessing={
            "image_size": settings.image_size,
            "resize_side": settings.resize_side(stimuli.source.one_size),
            "mean": list(config.data.mean),
            "std": list(config.data.std),
        },
        stimuli=stimuli.digest(),
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
    with Writer(output, extractor.layers, stimuli.names, description, about) as writer:
        start = writer.done
        try:
            fill(writer, extractor, stimuli, settings, batch_size)
        except DataError as error:
            raise InputError(f"{error}, or give --skip_bad_images") from error
        writer.finish()
    return output, len(stimuli) - start


def _batch_size(session: Session, extractor: Extractor, images: int) -> int:
    """``eval.batch_size``, less where the features would take much memory or the images are few."""
    devices = session.mesh.size
    affordable = _BATCH_BYTES // extractor.bytes_per_image // devices * devices
    needed = math.ceil(images / devices) * devices
    return min(session.config.eval.batch_size, max(devices, affordable), needed)


def _checked(output: str | Path | None) -> Path | None:
    if output is None:
        return None
    path = Path(output)
    if path.suffix not in (".h5", ".hdf5", ".npz"):
        raise InputError(f"--output={output}: use a name that ends in .h5, .hdf5 or .npz")
    return path


def _parse_times(values: Sequence[str]) -> str | tuple[int, ...]:
    if len(values) == 1 and values[0] in ("all", "last"):
        return values[0]
    if not values or not all(value.isdecimal() for value in values):
        raise InputError(f"--times={','.join(values)}: use all, last or step numbers such as 0,2")
    return tuple(int(value) for value in values)
