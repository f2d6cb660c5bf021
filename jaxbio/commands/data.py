"""Shows what is in a data set: classes, counts, sizes, samples; or writes it as shards.

jaxbio data show digits
jaxbio data show cifar10 --data_dir=DIR --output=cifar10.pdf
jaxbio data show photographs/              # train/<class>/* and val/<class>/*, or class folders
jaxbio data show imagenet_1000_val256.tar
jaxbio data shard imagenet/ imagenet_shards/ --shards=64   # for many processes
"""

import argparse
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from jaxbio.commands.command_line import Parser
from jaxbio.errors import InputError
from jaxbio.runs.progress import format_table

if TYPE_CHECKING:
    import numpy as np

    from jaxbio.data import Source

_ALL_LISTED = 20  # classes
_LOOKED_AT = 200  # pictures, for their sizes


def options(parser: Parser) -> None:
    """The command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="prints a summary, saves samples")
    add = show.add_argument
    _add_data(show)
    add("--split", type=float, default=0.0, metavar="SHARE", help="data.split: what it would do")
    add("--output", type=Path, metavar="FILE", help="of the samples; default: NAME_samples.png")
    add("--classes", type=int, default=10, metavar="N", help="of the samples; default: %(default)s")
    add("--samples", type=int, default=8, metavar="N", help="per class; default: %(default)s")
    add("--seed", type=int, default=0, help="chooses the samples")
    shard = actions.add_parser("shard", help="writes TFRecord files for many processes")
    _add_data(shard)
    shard.add_argument("folder", type=Path, metavar="DIR", help="new or empty")
    shard.add_argument(
        "--shards", type=int, default=64, metavar="N", help="of each split; default: %(default)s"
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME|PATH", help="a value of data.source; or pictures, a folder or a tar")
    add("--data_dir", metavar="DIR", help="default: the environment variable JAXBIO_DATA_DIR")


def run(options: argparse.Namespace) -> None:
    """Shows the data, or writes shards."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, force=True)
    logging.getLogger("jaxbio").setLevel(logging.INFO)
    (_show if options.action == "show" else _shard)(options)


def _shard(options: argparse.Namespace) -> None:
    from jaxbio.data import open_source
    from jaxbio.data.shard_writer import write_shards
    from jaxbio.runs.progress import say

    source = open_source(SimpleNamespace(**_settings(options)))
    written: list[int] = []

    def progress(name: str, size: int) -> None:
        written.append(size)
        say(f"{name}: {size / 2**20:.1f} MiB")

    write_shards(source, options.folder, options.shards, progress)
    say(
        f"{source.num_train} + {source.num_eval} pictures, {sum(written) / 2**20:.1f} MiB in "
        f"{len(written)} shards: data.source=shards data.data_dir={options.folder}"
    )


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    from jaxbio.data.sources import source_of

    if Path(options.name).exists() or "://" in options.name:
        return {"source": source_of(options.name), "data_dir": options.name}
    return {"source": options.name, "data_dir": options.data_dir}


def _show(options: argparse.Namespace) -> None:
    for name in ("classes", "samples"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name}={getattr(options, name)}: use 1 or more")
    from jaxbio.data import open_source
    from jaxbio.plotting.samples import plot_samples
    from jaxbio.plotting.saving import save_figure

    label = options.name.replace(":", "_").replace("/", "_")
    if Path(options.name).exists():
        label = Path(options.name).resolve().name.partition(".")[0]
    source = open_source(SimpleNamespace(**_settings(options), split=options.split))
    described = source.describe()
    rows = [("data", options.name), *((key, str(v)) for key, v in described.items())]
    rows.append(("pixels", _sizes(source, options.seed)))
    print(format_table(rows))
    print(f"\n{format_table(_counts(source))}")
    output = options.output or Path(f"{label}_samples.png")
    sheet = _samples(source, options.classes, options.samples, options.seed)
    save_figure(plot_samples(sheet, f"{options.name}: {source.num_classes} classes"), output)
    print(f"\nsamples: {output}")


def _sizes(source: "Source", seed: int) -> str:
    """Width x height: of all pictures, or from the smallest to the largest area of some."""
    from jaxbio.data.splits import picture

    split = source.train if source.num_train else source.eval
    chosen = _draw(len(split), _LOOKED_AT, seed)
    sizes = [picture(split, i).shape[:2] for i in chosen]
    sizes.sort(key=lambda size: size[0] * size[1])
    places = (0, len(sizes) // 2, -1)
    shown = [f"{sizes[place][1]} x {sizes[place][0]}" for place in places]
    if len(set(sizes)) == 1:
        return shown[0]
    return f"{shown[0]} to {shown[2]}, median {shown[1]} (of {len(sizes)} looked at)"


def _counts(source: "Source") -> list[tuple[str, ...]]:
    """Training and test pictures of the classes; of many the largest and the smallest."""
    import numpy as np

    from jaxbio.data.class_names import readable
    from jaxbio.data.splits import labels_of

    train, test = (
        np.bincount(labels_of(split), minlength=source.num_classes)
        for split in (source.train, source.eval)
    )
    order, head = np.arange(source.num_classes), "class"
    if source.num_classes > _ALL_LISTED:
        order = np.argsort(-(train + test), kind="stable")
        order = np.r_[order[: _ALL_LISTED // 4], order[-_ALL_LISTED // 4 :]]
        head = f"largest and smallest of {source.num_classes}"
    rows: list[tuple[str, ...]] = [(head, "training", "test")]
    for i in order:
        name = source.class_names[i]
        words = readable(name)
        shown = name if words == name else f"{name} {words}"
        rows.append((shown, str(train[i]), str(test[i])))
    return rows


def _samples(
    source: "Source", classes: int, count: int, seed: int
) -> "list[tuple[str, list[np.ndarray]]]":
    import numpy as np

    from jaxbio.data.class_names import readable
    from jaxbio.data.splits import labels_of, picture

    split = source.train if source.num_train else source.eval
    labels = labels_of(split)
    rows = []
    for label in _draw(source.num_classes, classes, seed):
        of_class = np.flatnonzero(labels == label)
        if len(of_class):
            chosen = of_class[_draw(len(of_class), count, seed)]
            name = readable(source.class_names[label])
            rows.append((name, [picture(split, int(i)) for i in chosen]))
    return rows


def _draw(available: int, count: int, seed: int) -> "np.ndarray":
    """Ascending numbers below ``available``; all of them if there are no more than ``count``."""
    import numpy as np

    if available <= count:
        return np.arange(available)
    return np.sort(np.random.default_rng(seed).choice(available, count, replace=False))
