"""Mean corruption errors of torchvision's networks on ImageNet-C."""

from collections.abc import Sequence

from jaxbio.reproduce.accuracy import mce
from jaxbio.reproduce.networks import IMAGENET, torchvision
from jaxbio.reproduce.table import EQUAL, Context, Published, Row, Table

# Model: torchvision's file, its size, published mCE in per cent.
_NETWORKS = {
    "alexnet": ("alexnet", "230 MB", 100.0),
    "squeezenet1_1": ("squeezenet1_1", "5 MB", 104.4),
    "vgg11": ("vgg11", "500 MB", 93.5),
    "vgg19": ("vgg19", "550 MB", 88.9),
    "vgg19_bn": ("vgg19_bn", "550 MB", 81.6),
    "densenet121": ("densenet121", "31 MB", 73.4),
    "resnet18": ("resnet18", "45 MB", 84.7),
    "resnet50": ("resnet50", "98 MB", 76.7),
}


def _rows(context: Context) -> Sequence[Row]:
    return [
        Row(
            f"{name}, mCE",
            "15 corruptions, 5 severities, over AlexNet's errors, 224 px",
            (Published(round(value / 100, 4)),),
            0.01,
            EQUAL,
            (torchvision(stem, size),),
            name,
        )
        for name, (stem, size, value) in _NETWORKS.items()
    ]


TABLE = Table(
    title="ImageNet-C, mean corruption error",
    source="Hendrycks and Dietterich 2019, arXiv 1903.12261, table 1; ResNet-50 also in the README "
    "of github.com/hendrycks/robustness",
    needs=(IMAGENET,),
    took="",
    rows=_rows,
    measure=mce,
    about=(
        "tolerance: corruptions are drawn anew, and JPEG compression of the files is left out",
        "the published values but those of AlexNet and ResNet-50 were not compared with the text",
    ),
)
