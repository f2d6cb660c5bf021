"""The behaviour mode: a tiny network on coloured squares, and people who see them."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxbio.behaviour import CATEGORIES, read_trials
from jaxbio.errors import InputError
from jaxbio.measures.measure import measure
from jaxbio.tasks.classification import opened as session
from tests.measures.folder_run import folder_run


def _draw(path, category, noise):
    rng = np.random.default_rng(noise)
    level = 15 * CATEGORIES.index(category)
    pixels = np.clip(level + rng.uniform(0, 12, (32, 32, 3)), 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Sixteen greys as sixteen categories, learned for a moment."""
    root = tmp_path_factory.mktemp("behaviour")
    for split in ("train", "val"):
        for category in CATEGORIES:
            for number in range(2):
                _draw(root / "data" / split / category / f"{number}.png", category, number)
    with folder_run(root / "data", root / "run") as run:
        yield run


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    root = tmp_path_factory.mktemp("stimuli")
    lines = ["subj,session,trial,rt,object_response,category,condition,imagename"]
    number = 0
    for condition in ("c100", "c10"):
        for category in CATEGORIES:
            number += 1
            name = f"{number:04d}_co_dnn_{condition}_{category}_10_n0{number:07d}_1.png"
            _draw(root / "contrast" / "dnn" / "session-1" / name, category, number)
            for person in ("subject-01", "subject-02"):
                right = (number + int(person[-1])) % 3
                answer = category if right else "na"
                seen = name.replace("_dnn_", f"_s{person[-2:]}_")
                lines.append(f"{person},1,{number},0.5,{answer},{category},{condition},{seen}")
    (root / "people.csv").write_text("\n".join(lines) + "\n")
    return root


def _measure(run, **options):
    return measure(session.open_session(None, str(run), with_data=False), "behaviour", **options)


@pytest.mark.slow
def test_a_network_beside_people(run, stimuli, capsys):
    result = _measure(run, stimuli=str(stimuli / "contrast"), humans=[str(stimuli / "people.csv")])
    assert result["experiment"] == "contrast"
    assert result["images"] == 32
    assert result["people"] == ["subject-01", "subject-02"]
    assert result["excluded"] == ["c100"]
    assert result["accuracy"] == result["conditions"]["c10"]["accuracy"]
    assert -1 <= result["error_consistency"] <= 1
    recorded = json.loads((run / "evaluation" / "behaviour_contrast.json").read_text())
    assert recorded == json.loads(json.dumps(result))
    own = read_trials(run / "evaluation" / "behaviour_contrast.csv").of(condition="c10")
    assert own.correct.mean() == pytest.approx(result["accuracy"])
    assert (run / "report" / "behaviour_contrast.png").stat().st_size > 5000
    assert "left out" in capsys.readouterr().out


@pytest.mark.slow
def test_without_people(run, stimuli):
    result = _measure(run, stimuli=str(stimuli / "contrast"), experiment="mine")
    assert set(result["conditions"]) == {"c100", "c10"}
    assert "error_consistency" not in result


@pytest.mark.slow
def test_cue_conflicts_have_a_shape_bias(run, tmp_path):
    for shape, texture in (("bear", "truck"), ("car", "dog"), ("cat", "cat")):
        _draw(tmp_path / "cue-conflict" / shape / f"{shape}1-{texture}2.png", shape, 0)
    result = _measure(run, stimuli=str(tmp_path / "cue-conflict"))
    assert set(result["shape_bias"]) == {"shape", "texture", "shape_bias"}


def test_what_does_not_fit(run, stimuli, tmp_path):
    with pytest.raises(InputError, match="stimuli"):
        _measure(run)
    other = tmp_path / "other.csv"
    other.write_text((stimuli / "people.csv").read_text().replace("_1.png", "_7.png"))
    with pytest.raises(InputError, match="_7"):
        _measure(run, stimuli=str(stimuli / "contrast"), humans=[str(other)])
    less = tmp_path / "less.csv"
    lines = (stimuli / "people.csv").read_text().splitlines()
    less.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(InputError, match="subject-02"):
        _measure(run, stimuli=str(stimuli / "contrast"), humans=[str(less)])
