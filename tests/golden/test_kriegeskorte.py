"""Comparisons of the RDMs of Kriegeskorte et al. 2008 against rsatoolbox, in float64.

Needs ``JAXBIO_DATA_DIR`` with ``kriegeskorte2008_92.npz``.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from jaxbio import similarity as sim
from tests.golden import vectors
from tests.golden.vectors import METHODS, close

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("float64")]

VALUES = vectors.dynamics_cases("kriegeskorte2008").get("values", {})


@pytest.fixture(scope="module")
def recordings():
    folder = os.environ.get("JAXBIO_DATA_DIR")
    path = Path(folder or ".") / "kriegeskorte2008_92.npz"
    if not folder or not path.is_file():
        pytest.skip("JAXBIO_DATA_DIR names no folder with kriegeskorte2008_92.npz")
    with np.load(path, allow_pickle=False) as file:
        data = {k: v for k, v in file.items() if "rdm" in k}
    n = data["hmax_rdm"].shape[0]
    row, column = np.triu_indices(n, 1)
    # Vectors may be of some of the conditions only.
    chosen = np.arange(n)[np.asarray(VALUES.get("conditions", np.arange(n)))]
    kept = np.isin(row, chosen) & np.isin(column, chosen)
    flat = {
        k: v[..., row[kept], column[kept]]
        for k, v in data.items()
        if v.dtype.kind == "f" and n in v.shape
    }
    flat["human"], flat["monkey"] = (data[f"{k}_it_rdm_vec"][kept] for k in ("human", "monkey"))
    flat["subjects"] = flat["human_it_rdms"].astype(np.float64).mean(1)
    models = {
        "v1_model": flat["v1_model_rdm"],
        "hmax": flat["hmax_rdm"],
        "monkey_IT": flat["monkey"],
    }
    models |= dict(zip(map(str, data["model_rdm_names"]), flat["model_rdms"], strict=True))
    return flat, models


@pytest.mark.parametrize("name", list(VALUES.get("human_IT_vs_monkey_IT", {})))
def test_man_and_monkey(recordings, name):
    flat, _ = recordings
    ours = sim.compare(flat["human"], flat["monkey"], METHODS[name])
    close(ours, VALUES["human_IT_vs_monkey_IT"][name])


def compared_by() -> list[str]:
    found = (VALUES.get(f"model_vs_human_{k}", {}) for k in ("subject", "mean_rdm"))
    return sorted({name for models in found for gold in models.values() for name in gold})


@pytest.mark.slow
@pytest.mark.parametrize("name", compared_by())
def test_models_and_subjects(recordings, name):
    flat, models = recordings
    for key, target in (
        ("model_vs_human_subject", flat["subjects"]),
        ("model_vs_human_mean_rdm", flat["human"]),
    ):
        gold = VALUES.get(key, {})
        chosen = [k for k in gold if name in gold[k]]
        if chosen:
            stacked = np.stack([models[k] for k in chosen]).astype(np.float64)
            ours = sim.compare(stacked, target, METHODS[name])
            close(ours, [gold[k][name] for k in chosen])


@pytest.mark.slow
def test_ceilings_of_real_subjects(recordings):
    flat, _ = recordings
    sessions = flat["human_it_rdms"].astype(np.float64)
    n_subjects, n_sessions, _ = sessions.shape
    grouped = {"groups": np.repeat(np.arange(n_subjects), n_sessions)}
    for key, rdms, options in (
        ("noise_ceiling_lower_upper_4_subjects_sessions_averaged", flat["subjects"], {}),
        (
            "noise_ceiling_lower_upper_8_sessions_grouped_by_subject",
            sessions.reshape(n_subjects * n_sessions, -1),
            grouped,
        ),
        (
            "noise_ceiling_lower_upper_16_judgements",
            flat["similarity_judgement_rdms"].astype(np.float64),
            {},
        ),
    ):
        for name, gold in VALUES.get(key, {}).items():
            if name != "tau-a":  # compared with everything else above; slow for 16 subjects
                close(sim.rsa_noise_ceiling(rdms, METHODS[name], **options), gold)


def test_fixed_evaluation_of_real_subjects(recordings):
    flat, models = recordings
    gold = VALUES.get("eval_fixed_spearman")
    if gold is None:
        pytest.skip("the vectors of JAXBIO_GOLDEN_DIR hold no eval_fixed_spearman")
    stacked = np.stack([models[k] for k in gold["models"]]).astype(np.float64)
    ours = sim.evaluate_fixed(stacked, flat["subjects"])
    close(ours.score, gold["mean"])
    close(ours.sem, gold["sem"])
