"""DNRT: vision transformers with response-adaptive activations and regularisation on CIFAR."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxbio.reproduce.run import trained
from jaxbio.reproduce.statistics import mean_of
from jaxbio.reproduce.table import Context, Measured, Need, Row, Table

_CONFIGS = {"relu_vit": "ReLU", "gelu_vit": "GELU", "dnrt_vit": "RAA"}
_SETS = ("cifar10", "cifar100")


def _data(name: str) -> Need:
    from jaxbio.data.cifar import find_cifar

    number = name.removeprefix("cifar")
    return Need(
        f"{name} in DATA/{name}: the published archive, pictures in train/<class>/ and "
        "test/<class>/ (also in a tar), an .npz, or a set of tfds",
        f"cifar-{number}-binary.tar.gz of https://www.cs.toronto.edu/~kriz/cifar.html, as it is",
        "170 MB",
        lambda data: find_cifar(data, name),
    )


def _rows(context: Context) -> Sequence[Row]:
    return [
        Row(
            f"ViT-Tiny, {title}{' and ARR' if arr else ''}, {name}",
            f"{config}:{name} {'with' if arr else 'without'} ARR, 300 epochs of 256 images, top-1 "
            "of the test set",
            needs=(_data(name),),
            detail=(config, name, arr),
        )
        for name in _SETS
        for config, title in _CONFIGS.items()
        for arr in (False, True)
    ]


def _config(row: Row, context: Context, seed: int) -> Any:
    """The configuration of a network; its name says where ARR is not what the experiment has."""
    from jaxbio.configs.dnrt import ARR_COEFFICIENTS

    name, variant, arr = row.detail
    config = importlib.import_module(f"jaxbio.configs.{name}").get_config(variant)
    if arr != bool(config.arr.coefficient):
        config.arr.coefficient = ARR_COEFFICIENTS[variant] if arr else 0.0
        config.name += "_arr" if arr else "_without_arr"
    config.seed = seed
    config.data.data_dir = str(context.data)
    return config


def _measure(row: Row, context: Context) -> Measured:
    values, error = [], 0.0
    for seed in range(context.seeds):
        config = _config(row, context, seed)
        results, _ = trained(config, f"{config.name}_seed_{seed}", context)
        values.append(results["top1"])
        error = (values[-1] * (1 - values[-1]) / 10_000) ** 0.5
    more = {"seeds": values, "data": str(context.find(row.needs[0]))}
    return mean_of(np.array(values), error, more=more)


TABLE = Table(
    title="DNRT on CIFAR-10 and CIFAR-100",
    source="Qiu et al., ICLR 2024, openreview HiTg16qhxp (values wanted: its tables are "
    "pictures in the copies that were found, and the project's README has none)",
    rows=_rows,
    measure=_measure,
    about=(
        "each row is days of a CPU, hours of a GPU: give --budget, and repeat; it goes on in the "
        "middle of a training",
        "pictures that were re-encoded as JPEG (a tar.xz of some 20 MB) are other pictures: say so "
        "beside accuracies; results.json has the path of the data",
    ),
)
