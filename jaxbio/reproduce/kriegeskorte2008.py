"""Human and monkey inferior temporal cortex, 92 images: how alike their dissimilarities are."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from jaxbio.neural.kriegeskorte import BRAIN_RDMS, SUPPLEMENT, load_kriegeskorte
from jaxbio.reproduce.table import EQUAL, Context, Measured, Need, Published, Row, Table
from jaxbio.similarity import compare, rsa_noise_ceiling, upper
from jaxbio.similarity.bootstrap import draw_counts, resampled_conditions

_TOOLBOX = "rsatoolbox 0.3.2 on the same RDMs"
_COMPARISONS = {
    "spearman": (Published(0.4389, None, _TOOLBOX),),
    "pearson": (Published(0.49, None, "paper"), Published(0.4912, None, _TOOLBOX)),
    "tau-a": (Published(0.3040, None, _TOOLBOX),),
    "cosine": (Published(0.9950, None, _TOOLBOX),),
}
_SAMPLES = 1000
_CEILING = {"lower": 0.3723, "upper": 0.6657}


def _find(data: Path) -> Path | None:
    archive = data / "kriegeskorte2008_92.npz"
    both = all((data / name).is_file() for name in (SUPPLEMENT, BRAIN_RDMS))
    return archive if archive.is_file() else (data if both else None)


def _rows(context: Context) -> Sequence[Row]:
    rows = [
        Row(
            f"human IT and monkey IT, {method}",
            "mean human RDM (4 subjects) against monkey RDM (674 cells), 4,186 pairs",
            published,
            # The paper gives two digits.
            0.005 if method == "pearson" else 0.0005,
            EQUAL,
            detail=method,
        )
        for method, published in _COMPARISONS.items()
    ]
    for bound, value in _CEILING.items():
        published = (Published(value, None, _TOOLBOX),)
        text = "spearman, 4 subjects, sessions averaged"
        rows.append(
            Row(f"noise ceiling of human IT, {bound}", text, published, 0.0005, EQUAL, detail=bound)
        )
    return rows


def _measure(row: Row, context: Context) -> Measured:
    recordings = load_kriegeskorte(context.find(TABLE.needs[0]))
    subjects = np.asarray(upper(recordings.rdms["human_it"]), np.float64)
    if row.detail in _CEILING:
        ceiling = rsa_noise_ceiling(subjects, "spearman")
        return Measured(float(getattr(ceiling, row.detail)))
    human = subjects.mean(0)
    monkey = np.asarray(upper(recordings.rdms["monkey_it"]), np.float64)[0]
    value = float(compare(human, monkey, row.detail))
    if row.detail == "tau-a":  # a thousand times slower in bootstrap samples
        return Measured(value, note="without interval: see docs/similarity.md")
    counts = draw_counts(jax.random.key(0), len(recordings.stimuli), _SAMPLES)
    samples = resampled_conditions(
        monkey[None], human[None], counts, np.ones((_SAMPLES, 1), np.float32), row.detail, False
    )
    scores = np.asarray(samples.scores)[:, 0]
    low, high = np.percentile(scores, [2.5, 97.5])
    note = f"error and interval: {_SAMPLES} bootstrap samples of the images"
    return Measured(value, float(scores.std()), (float(low), float(high)), note)


TABLE = Table(
    title="Human and monkey IT, 92 images (Kriegeskorte et al. 2008)",
    source="doi:10.1016/j.neuron.2008.10.043; rsatoolbox 0.3.2",
    needs=(
        Need(
            f"{SUPPLEMENT} and {BRAIN_RDMS} (or kriegeskorte2008_92.npz)",
            "demos/92imageData of github.com/rsagroup/rsatoolbox",
            "10 MB",
            _find,
        ),
    ),
    took="16 s (busy machine, two cores)",
    rows=_rows,
    quantity="similarity of RDMs",
    measure=_measure,
)
