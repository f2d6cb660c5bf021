"""CORnet: top-1 on ImageNet's validation set with the published weights."""

from collections.abc import Sequence

from jaxbio.reproduce.accuracy import top1
from jaxbio.reproduce.networks import IMAGENET, weights
from jaxbio.reproduce.table import EQUAL, Context, Row, Table

_FILES = {
    "cornet_z": ("cornet_z-5c427c9c.pth", "20 MB"),
    "cornet_r": ("cornet_r-5930a990.pth", "20 MB"),
    "cornet_rt": ("cornet_rt-933c001c.pth", "20 MB"),
    "cornet_s": ("cornet_s-1d3f7974.pth", "400 MB"),
}


def _rows(context: Context) -> Sequence[Row]:
    return [
        Row(
            f"{name}, top-1",
            f"{file}, 50,000 images, shorter side 256, centre 224",
            rule=EQUAL,
            tolerance=0.005,
            needs=(weights(file, "links in github.com/dicarlolab/CORnet", size),),
            detail=name,
        )
        for name, (file, size) in _FILES.items()
    ]


TABLE = Table(
    title="CORnet on ImageNet",
    source="Kubilius et al. 2018, doi:10.1101/408385; 2019, arXiv 1909.06161 (values wanted: they "
    "stand in figures and texts that were not at hand)",
    needs=(IMAGENET,),
    took="",
    rows=_rows,
    measure=top1,
)
