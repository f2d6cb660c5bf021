"""RDM-loss fine-tuning of SqueezeNet-1.0 by teachers: gains in SVM accuracy."""

import importlib
from collections.abc import Sequence

import numpy as np

from jaxbio.reproduce import cadieu
from jaxbio.reproduce.networks import converted, torchvision
from jaxbio.reproduce.run import trained
from jaxbio.reproduce.statistics import mean_of
from jaxbio.reproduce.table import EQUAL, Context, Measured, Published, Row, Table

_STUDENT = "squeezenet1_0"
_TOLERANCE = 0.025  # a standard deviation of the student's SVM accuracy over splits
_DRY = {"squeezenet1_1": "random:squeezenet1_1"}


def _rows(context: Context) -> Sequence[Row]:
    text = "SqueezeNet-1.0, Adam 1e-6, 1,000 steps of 196 images; SVM on held-out images"
    rows = [Row("IT multi-unit sites", text, (Published(0.0161),), _TOLERANCE, EQUAL, detail=None)]
    names = _DRY if context.dry_run else [n for n in cadieu.NETWORKS if n != _STUDENT]
    for name in names:
        network = cadieu.NETWORKS[name]
        assert network.gain is not None  # all but the student
        gain, needs = (Published(network.gain),), (cadieu.weights_of(name),)
        rows.append(Row(network.title, text, gain, _TOLERANCE, EQUAL, needs, name))
    return rows


def _measure(row: Row, context: Context) -> Measured:
    gains = []
    for seed in range(context.seeds):
        config = importlib.import_module("jaxbio.configs.rdm_finetune").get_config("cadieu")
        config.seed = config.rdm.split_seed = seed
        config.rdm.neural = str(cadieu.archive(context))
        config.log.tensorboard = False
        if context.dry_run:
            _make_dry(config, row)
        else:
            config.rdm.student = _network(_STUDENT, context)
            config.rdm.teacher = "" if row.detail is None else _network(row.detail, context)
        results, _ = trained(config, f"{row.detail or 'neural'}_seed_{seed}", context)
        gains.append(results["svm"] - results["svm_before"])
    error = 2**0.5 * _TOLERANCE
    return mean_of(np.array(gains), error, "gain in SVM accuracy", {"seeds": gains})


def _network(name: str, context: Context) -> str:
    file = context.find(cadieu.weights_of(name))
    return str(converted(name, file, context.output))


def _make_dry(config, row: Row) -> None:
    """A few steps of small random networks."""
    config.model.name = "squeezenet1_1"
    config.rdm.teacher = "" if row.detail is None else _DRY[row.detail]
    config.rdm.images_per_object = 1
    config.rdm.sit_splits = 5
    config.data.image_size = 32
    config.train.total_steps = config.eval.every_steps = config.checkpoint.every_steps = 2


TABLE = Table(
    title="Fine-tuning on RDMs by teachers",
    source=cadieu.SOURCE,
    needs=(cadieu.ARCHIVE, torchvision(_STUDENT, "5 MB")),
    rows=_rows,
    quantity="gain in accuracy, share of the images",
    measure=_measure,
    about=("gains are differences of SVM accuracies, published in points of one split each",),
    can_dry_run=True,
)
