"""Kriegeskorte et al. 2008: dissimilarities of 92 object images in human and monkey IT.

Three forms are read: ``Kriegeskorte_Neuron2008_supplementalData.mat`` (images, categories, the mean
human and the monkey RDM), ``92_brainRDMs.mat`` (human RDMs per subject and session; no images), and
an ``.npz`` with both. A folder with the two ``.mat`` files gives everything; beside them
``92_behavRDMs.mat`` and ``92_modelRDMs.mat`` (demos of rsatoolbox) add similarity judgements of the
same images and models of them.

Reference:
    Kriegeskorte et al. 2008, "Matching categorical object representations in inferior temporal
    cortex of man and monkey", doi:10.1016/j.neuron.2008.10.043.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import squareform

from jaxbio.errors import InputError
from jaxbio.files.matlab import read_mat, require, struct_field, text
from jaxbio.files.npz import read_npz
from jaxbio.neural.recordings import Recordings, StimulusSet

SUPPLEMENT = "Kriegeskorte_Neuron2008_supplementalData.mat"
BRAIN_RDMS = "92_brainRDMs.mat"
_JUDGEMENTS = ("92_behavRDMs.mat", "rdms_behav_92")
_MODELS = ("92_modelRDMs.mat", "Models")
_NAME = "kriegeskorte2008"
# What the file of 2008 calls its two RDMs.
_FIGURE_1 = {"mIT": "monkey_it", "hIT": "human_it"}


def load_kriegeskorte(path: str | Path) -> Recordings:
    """Loads the 92 images and their RDMs.

    ``rdms["human_it"]`` has a subject's mean over sessions per entry, or one entry where only the
    mean over subjects is known; ``rdms["monkey_it"]`` has one entry (674 cells of two animals).
    Dissimilarities are 1 - Pearson correlation. Every image is an object of its own. Where they are
    there, ``rdms["judgements"]`` has an entry per person who judged similarity, and
    ``rdms["model_v1"]``, ``rdms["model_hmax"]``, ... one each.

    Args:
        path: one of the files named above, or a folder with both ``.mat`` files.

    Raises:
        InputError: a missing or malformed file or field.
    """
    path = Path(path)
    if path.is_dir():
        supplement = _from_supplement(path / SUPPLEMENT)
        subjects = _subject_rdms(path / BRAIN_RDMS)
        rdms = {**supplement.rdms, "human_it": subjects}
        if (path / _JUDGEMENTS[0]).is_file():
            rdms["judgements"] = np.stack(list(_named_rdms(path, *_JUDGEMENTS).values()))
        if (path / _MODELS[0]).is_file():
            rdms |= _models(_named_rdms(path, *_MODELS))
        return Recordings(_NAME, supplement.stimuli, rdms=rdms, source=path.name)
    if path.suffix == ".npz":
        return _from_npz(path)
    if "RDMs" in (variables := read_mat(path)):
        rdm = _subject_rdms(path, variables)
        return Recordings(_NAME, _bare(rdm.shape[1]), rdms={"human_it": rdm}, source=path.name)
    return _from_supplement(path, variables)


def _from_npz(path: Path) -> Recordings:
    wanted = ("images", "category", "monkey_it_rdm_vec", "human_it_rdms")
    optional = ("similarity_judgement_rdms", "model_rdms", "model_rdm_names")
    arrays = read_npz(path, wanted, optional)
    human = arrays["human_it_rdms"]
    count = len(arrays["category"])
    if human.ndim != 4 or human.shape[2:] != (count, count):
        raise InputError(
            f"{path}: field 'human_it_rdms' has shape {human.shape}: must be "
            f"[subjects, sessions, {count}, {count}]"
        )
    monkey = _square(arrays["monkey_it_rdm_vec"], path, "monkey_it_rdm_vec")
    rdms = {"human_it": human.astype(np.float64).mean(1), "monkey_it": monkey[None]}
    if "similarity_judgement_rdms" in arrays:
        rdms["judgements"] = arrays["similarity_judgement_rdms"].astype(np.float64)
    if {"model_rdms", "model_rdm_names"} <= arrays.keys():
        names = [str(name) for name in arrays["model_rdm_names"]]
        rdms |= _models(dict(zip(names, arrays["model_rdms"], strict=True)))
    stimuli = _stimuli(arrays["images"], arrays["category"], path, "images")
    return Recordings(_NAME, stimuli, rdms=rdms, source=path.name)


def _from_supplement(path: Path, variables: dict[str, Any] | None = None) -> Recordings:
    variables = variables or read_mat(path)
    name = "stimuli_92objs"
    struct = require(variables, name, path)
    labels = np.array([text(c) for c in struct_field(struct, "category", path, name)])
    pictures = struct_field(struct, "image", path, name)
    if len({np.shape(picture) for picture in pictures}) != 1:
        raise InputError(f"{path}: field '{name}.image' has images of different sizes")
    name = "RDMs_mIT_hIT_fig1"
    rdms = {}
    for label, vector in _entries(variables, name, path):
        for prefix, area in _FIGURE_1.items():
            if label.startswith(prefix):
                rdms[area] = _square(vector, path, f"{name}.RDM")[None]
    stimuli = _stimuli(np.stack(pictures), labels, path, "stimuli_92objs.image")
    return Recordings(_NAME, stimuli, rdms=rdms, source=path.name)


def _subject_rdms(path: Path, variables: dict[str, Any] | None = None) -> np.ndarray:
    """``[subjects, S, S]``, sessions averaged, from names like ``hIT | BE | Session: 1``."""
    by_subject: dict[str, list[np.ndarray]] = {}
    for name, rdm in _entries(variables or read_mat(path), "RDMs", path):
        parts = [part.strip() for part in name.split("|")]
        if len(parts) < 2 or rdm.ndim != 2 or rdm.shape[0] != rdm.shape[1]:
            raise InputError(
                f"{path}: RDMs entry '{name}' of shape {rdm.shape}: must be named "
                "'area | subject | session' and be square"
            )
        by_subject.setdefault(parts[1], []).append(rdm.astype(np.float64))
    return np.stack([np.mean(sessions, axis=0) for sessions in by_subject.values()])


def _named_rdms(folder: Path, file: str, variable: str) -> dict[str, np.ndarray]:
    """``[S, S]`` by name, of a struct array with ``name`` and ``RDM`` (square or its triangle)."""
    path = folder / file
    rdms = {}
    for name, rdm in _entries(read_mat(path), variable, path):
        rdm = np.asarray(rdm, np.float64)
        is_square = rdm.ndim == 2 and rdm.shape[0] == rdm.shape[1]
        rdms[name] = rdm if is_square else _square(rdm, path, f"{variable}.RDM")
    return rdms


def _entries(variables: dict[str, Any], name: str, path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Fields ``name`` and ``RDM`` of a struct array."""
    struct = require(variables, name, path)
    names = [text(each) for each in struct_field(struct, "name", path, name)]
    return zip(names, struct_field(struct, "RDM", path, name), strict=True)


def _models(rdms: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of every model one RDM; the file's "monkeyIT" is the recording once more."""
    keys = {name: f"model_{name.lower()}" for name in rdms if name.lower() != "monkeyit"}
    return {key: rdms[name][None].astype(np.float64) for name, key in keys.items()}


def _square(vector: np.ndarray, path: Path, field: str) -> np.ndarray:
    try:
        return squareform(np.asarray(vector, np.float64).ravel())
    except ValueError:
        raise InputError(
            f"{path}: field '{field}' has {np.size(vector)} entries: not an upper triangle"
        ) from None


def _stimuli(images: np.ndarray, labels: np.ndarray, path: Path, field: str) -> StimulusSet:
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise InputError(
            f"{path}: field '{field}' is {images.dtype} of shape {images.shape}: must be uint8 "
            "[S, H, W, 3]"
        )
    return replace(_bare(len(labels)), labels=labels.astype(str), images=images)


def _bare(count: int) -> StimulusSet:
    ids = np.array([f"object_{i:02d}" for i in range(count)])
    return StimulusSet(ids=ids, labels=np.full(count, "object"), objects=ids)
