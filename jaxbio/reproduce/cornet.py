"""CORnet: top-1 on ImageNet's validation set with the published weights."""

from collections.abc import Sequence

from jaxbio.reproduce.accuracy import top1 as measure_top1
from jaxbio.reproduce.networks import IMAGENET, weights
from jaxbio.reproduce.table import EQUAL, Context, Published, Row, Table

# Model: the file, its size, published top-1 and half a unit of its last digit.
_FILES: dict[str, tuple[str, str, tuple[float, float] | None]] = {
    "cornet_z": ("cornet_z-5c427c9c.pth", "20 MB", (0.47, 0.005)),
    "cornet_r": ("cornet_r-5930a990.pth", "20 MB", (0.56, 0.005)),
    "cornet_rt": ("cornet_rt-933c001c.pth", "20 MB", None),
    "cornet_s": ("cornet_s-1d3f7974.pth", "400 MB", (0.747, 0.0005)),
}
_TOLERANCE = 0.005  # decoding and resizing of pictures differ


def _rows(context: Context) -> Sequence[Row]:
    return [
        Row(
            f"{name}, top-1",
            f"{file}, 50,000 images, shorter side 256, centre 224",
            () if top1 is None else (Published(top1[0]),),
            _TOLERANCE + (top1[1] if top1 else 0.0),
            EQUAL,
            (weights(file, "links in github.com/dicarlolab/CORnet", size),),
            name,
        )
        for name, (file, size, top1) in _FILES.items()
    ]


_ABOUT = (
    "CORnet-RT: values wanted, the list is older than the model",
    "Brain-Score's own tests of CORnet-S: IT of Majaj and Hong 2015 .600 +- .02, "
    "Kar 2019 .2409 +- .002, i2n .382 +- .005; they need recordings that only Brain-Score has",
)

TABLE = Table(
    title="CORnet on ImageNet",
    source="the laboratory's list of models, candidate_models/base_models/models.csv in "
    "github.com/brain-score/candidate_models; papers: Kubilius et al. 2018, doi:10.1101/408385; "
    "2019, arXiv 1909.06161",
    needs=(IMAGENET,),
    rows=_rows,
    measure=measure_top1,
    about=_ABOUT,
)
