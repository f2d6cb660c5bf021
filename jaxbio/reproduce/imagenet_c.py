"""Mean corruption errors of torchvision's networks on ImageNet-C."""

from collections.abc import Sequence

from jaxbio.reproduce.accuracy import mce
from jaxbio.reproduce.networks import IMAGENET, torchvision
from jaxbio.reproduce.table import EQUAL, Context, Published, Row, Table

# Model, also the stem of torchvision's file: its size, published mCE in per cent; AlexNet's is 100
# by definition.
_NETWORKS: dict[str, tuple[str, float | None]] = {
    "alexnet": ("230 MB", 100.0),
    "squeezenet1_1": ("5 MB", 104.4),
    "vgg11": ("500 MB", 93.5),
    "vgg19": ("550 MB", 88.9),
    "vgg19_bn": ("550 MB", 81.6),
    "densenet121": ("31 MB", None),
    "resnet18": ("45 MB", 84.7),
    "resnet50": ("98 MB", 76.7),
}


def _rows(context: Context) -> Sequence[Row]:
    return [
        Row(
            f"{name}, mCE",
            "15 corruptions, 5 severities, over AlexNet's errors, 224 px",
            () if value is None else (Published(round(value / 100, 4)),),
            0.01,
            EQUAL,
            (torchvision(name, size),),
            name,
        )
        for name, (size, value) in _NETWORKS.items()
    ]


TABLE = Table(
    title="ImageNet-C, mean corruption error",
    source="Hendrycks and Dietterich 2019, arXiv 1903.12261, table 1, as quoted by others: VGG-19 "
    "with batch normalisation and ResNet-18 by Khosla et al. 2020, arXiv 2004.11362; ResNet-50 in "
    "the README of github.com/hendrycks/robustness; the rest from a reading note alone, which "
    "agrees with both",
    needs=(IMAGENET,),
    rows=_rows,
    quantity="mean corruption error over AlexNet's",
    measure=mce,
    about=(
        "tolerance: corruptions are drawn anew, and JPEG compression of the files is left out",
        "SqueezeNet is version 1.1 by its published error without corruptions, 41.8 %",
        "DenseNet-121: values wanted, no quotation of its line was found",
    ),
)
