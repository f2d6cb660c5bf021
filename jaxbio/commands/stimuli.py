"""Makes the stimuli of a parametric experiment of model-vs-human from one's own pictures.

jaxbio stimuli pictures/ --experiment=contrast --output=stimuli/contrast
jaxbio evaluate RUN --mode=behaviour --stimuli=stimuli/contrast

The pictures lie in folders of the 16 categories (airplane, bear, ...) or of ImageNet's classes, of
which the 207 that belong to a category are taken; a tar of them will do. Every picture is shown in
every condition, grey, as published; docs/behaviour.md lists experiments and conditions.
"""

import argparse
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from jaxbio.commands.command_line import Parser
from jaxbio.errors import InputError, suggest
from jaxbio.measures.measure import split_list

if TYPE_CHECKING:
    import numpy as np

    from jaxbio.data import Source

_BATCH = 32


def options(parser: Parser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("pictures", metavar="PICTURES", help="folder of CATEGORY/*, or a tar of that")
    add("--experiment", required=True, metavar="NAME", help="contrast, eidolonI, ...")
    add("--conditions", type=split_list, metavar="LIST", help="default: the published ones")
    add("--output", type=Path, required=True, metavar="DIR", help="new or empty")
    add("--size", type=int, default=224, metavar="N", help="of the square; default: %(default)s")
    add("--seed", type=int, default=0, metavar="N", help="of the random ones; default: 0")


def run(options: argparse.Namespace) -> None:
    """Writes the stimuli."""
    from jaxbio.corruptions.parametric import CONDITIONS
    from jaxbio.data import open_source
    from jaxbio.runs.progress import say

    if options.experiment not in CONDITIONS:
        raise InputError(
            f"--experiment={options.experiment}: {suggest(options.experiment, CONDITIONS)}"
        )
    known = CONDITIONS[options.experiment]
    conditions = options.conditions or known
    if unknown := [name for name in conditions if name not in known]:
        raise InputError(f"--conditions={unknown[0]}: {suggest(unknown[0], known)}")
    if not Path(options.pictures).exists():
        raise InputError(f"{options.pictures} does not exist: give the folder or tar of pictures")
    if not 32 <= options.size <= 4096:
        raise InputError(f"--size={options.size}: use 32 to 4096 pixels")
    if options.output.exists() and (not options.output.is_dir() or any(options.output.iterdir())):
        raise InputError(f"--output={options.output} is not empty: give another folder")
    source = open_source(SimpleNamespace(source="folder", data_dir=options.pictures))
    categories = _categories(source)
    shown, left_out = _of_categories(source, categories)
    _write(shown, categories, conditions, options)
    if left_out:
        say(f"{left_out} pictures of classes that belong to none of the 16 categories are left out")


def _categories(source: "Source") -> list[str | None]:
    """Of each class of the pictures; None for ImageNet's classes that belong to none."""
    from jaxbio.behaviour import CATEGORIES, IMAGENET_CLASSES
    from jaxbio.data.class_names import imagenet_ids, wordnet_id

    ids = imagenet_ids()
    of_id = {ids[n]: name for name, numbers in IMAGENET_CLASSES.items() for n in numbers}
    found = []
    for name in source.class_names:
        if name not in CATEGORIES and wordnet_id(name) is None:
            raise InputError(
                f"class {name!r} is neither one of the 16 categories nor of ImageNet: "
                f"{suggest(name, CATEGORIES)}"
            )
        found.append(name if name in CATEGORIES else of_id.get(wordnet_id(name) or ""))
    if not any(found):
        raise InputError(f"none of the {len(found)} classes belongs to one of the 16 categories")
    return found


def _of_categories(source: "Source", categories: list[str | None]) -> tuple["Source", int]:
    """The pictures that belong to a category, and how many do not."""
    import numpy as np

    from jaxbio.data.splits import labels_of, taken

    belongs = np.array([category is not None for category in categories])[labels_of(source.eval)]
    part = taken(source.eval, np.flatnonzero(belongs))
    return dataclasses.replace(source, eval=part), int((~belongs).sum())


def _write(
    source: "Source",
    categories: list[str | None],
    conditions: "tuple[str, ...] | list[str]",
    options: argparse.Namespace,
) -> None:
    import jax
    import numpy as np

    from jaxbio.corruptions.parametric import distort
    from jaxbio.runs.progress import Pace, say
    from jaxbio.runs.waiting import waiting

    spectrum = None
    if options.experiment == "power-equalisation":
        with waiting("spectra of all pictures"):
            spectrum = _mean_amplitude(source, options.size)
    key, pace, written = jax.random.key(options.seed), Pace(5.0), 0
    for batch in _batches(source, options.size):
        count = int(batch["mask"].sum())  # padding comes last
        for condition in conditions:
            with waiting(f"{options.experiment} {condition}"):
                distorted = distort(
                    batch["image"], options.experiment, condition, key,
                    indices=batch["index"], spectrum=spectrum,
                )  # fmt: skip
                pictures = np.asarray(distorted)
            for picture, label, number in zip(
                pictures[:count], batch["label"].tolist(), batch["index"].tolist(), strict=False
            ):
                name = _picture_name(source.eval.example_name(number), number)
                experiment = f"{number:05d}_{options.experiment}_dnn_{condition}"
                file = f"{experiment}_{categories[label]}_10_{name}.png"
                _save(picture, options.output / "dnn" / "session-1" / file)
        written += count
        if pace.due():
            say(f"{written} pictures in {len(conditions)} conditions")
    say(f"{written} pictures in {len(conditions)} conditions, written to {options.output}")


def _batches(source: "Source", size: int) -> "Iterator[dict[str, Any]]":
    from jaxbio.data import eval_batches

    settings = SimpleNamespace(source="folder", image_size=size)
    return iter(eval_batches(source, settings, global_batch_size=min(_BATCH, source.num_eval)))


def _mean_amplitude(source: "Source", size: int) -> "np.ndarray":
    import numpy as np

    from jaxbio.corruptions.parametric import mean_amplitude

    total = np.zeros((size, size))
    for batch in _batches(source, size):
        images = batch["image"][batch["mask"]]
        total += len(images) * np.asarray(mean_amplitude(images))
    return (total / source.num_eval).astype(np.float32)


def _picture_name(path: str, number: int) -> str:
    """What the benchmark tells pictures by: an ImageNet name, or a part without underscores."""
    stem = Path(path).stem
    if re.fullmatch(r"n0\d{7}_\d+", stem):
        return stem
    return f"{number}-{stem.replace('_', '-')}"


def _save(picture: "np.ndarray", path: Path) -> None:
    from PIL import Image

    from jaxbio.files import atomic

    with atomic(path) as temporary:
        Image.fromarray(picture).save(temporary, "PNG")
