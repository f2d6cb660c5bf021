"""VOneNets: networks behind a model of V1, with the published weights."""

from collections.abc import Sequence

from jaxbio.reproduce.accuracy import top1
from jaxbio.reproduce.networks import IMAGENET, weights
from jaxbio.reproduce.table import EQUAL, Context, Row, Table

_FILES = {
    "VOneResNet-50": ("resnet50", "voneresnet50_e70.pth.tar", "300 MB"),
    "VOneCORnet-S": ("cornet_s", "vonecornets_e70.pth.tar", "600 MB"),
    "VOneAlexNet": ("alexnet", "vonealexnet_e70.pth.tar", "700 MB"),
}


def _rows(context: Context) -> Sequence[Row]:
    return [
        Row(
            f"{title}, clean top-1",
            f"{file}, its own noise, 50,000 images, shorter side 256, centre 224",
            rule=EQUAL,
            tolerance=0.005,
            needs=(weights(file, "links in github.com/dicarlolab/vonenet", size),),
            detail=name,
        )
        for title, (name, file, size) in _FILES.items()
    ]


TABLE = Table(
    title="VOneNets on ImageNet",
    source="Dapello et al. 2020, doi:10.1101/2020.06.16.154542 (values wanted: its table was "
    "looked for, and not found; abstract and README of github.com/dicarlolab/vonenet have "
    "differences only, 18 % above the base networks on perturbed images)",
    needs=(IMAGENET,),
    rows=_rows,
    measure=top1,
)
