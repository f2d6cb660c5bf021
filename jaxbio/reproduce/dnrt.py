"""DNRT: vision transformers with response-adaptive activations on CIFAR."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxbio.reproduce.run import stopping_at
from jaxbio.reproduce.statistics import mean_of
from jaxbio.reproduce.table import Context, Measured, Need, OutOfTimeError, Row, Table

_CONFIGS = {"relu_vit": "ReLU", "gelu_vit": "GELU", "dnrt_vit": "RAA and ARR"}
_SETS = ("cifar10", "cifar100")


def _prepared(name: str) -> Need:
    def find(data: Path) -> Path | None:
        return next(iter((data / name).glob("**/dataset_info.json")), None)

    return Need(
        f"{name}, as tensorflow-datasets prepares it, in DATA/{name}",
        f"tfds build {name} --data_dir=DATA, once with a network",
        "170 MB",
        find,
    )


def _rows(context: Context) -> Sequence[Row]:
    return [
        Row(
            f"ViT-Tiny, {title}, {name}",
            f"{config}:{name}, 300 epochs of 256 images, top-1 of the test set",
            needs=(_prepared(name),),
            detail=(config, name),
        )
        for name in _SETS
        for config, title in _CONFIGS.items()
    ]


def _measure(row: Row, context: Context) -> Measured:
    from jaxbio.tasks.loop import train

    name, variant = row.detail
    values, error = [], 0.0
    for seed in range(context.seeds):
        config = importlib.import_module(f"jaxbio.configs.{name}").get_config(variant)
        config.seed = seed
        config.data.data_dir = str(context.data)
        with stopping_at(context):
            results = train(config, str(context.output / "runs" / f"{config.name}_seed_{seed}"))
        if results is None:
            raise OutOfTimeError
        values.append(results["top1"])
        error = (values[-1] * (1 - values[-1]) / 10_000) ** 0.5
    return mean_of(np.array(values), error, more={"seeds": values})


TABLE = Table(
    title="DNRT on CIFAR-10 and CIFAR-100",
    source="Qiu et al., ICLR 2024, openreview HiTg16qhxp (values wanted: its tables are "
    "pictures in the copies that were found, and the project's README has none)",
    needs=(),
    took="",
    rows=_rows,
    measure=_measure,
    about=("each row is days of a CPU, hours of a GPU: give --budget, and repeat",),
)
