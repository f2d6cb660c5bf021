"""The choices mode: a network that sees greys, and people who choose between two objects."""

import numpy as np
import pytest
from PIL import Image

from jaxbio.behaviour.choices import Choices
from jaxbio.board.scorecard import _of_choices
from jaxbio.errors import InputError
from jaxbio.measures.measure import measure
from jaxbio.tasks.classification import opened as session
from tests.measures.folder_run import folder_run

_OBJECTS = ("bear", "crane", "hanger", "tank")


def _picture(path, level, seed):
    rng = np.random.default_rng(seed)
    pixels = np.clip(level + rng.uniform(-40, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _pictures(root, names=_OBJECTS, count=9):
    for number, name in enumerate(names):
        for i in range(count):
            _picture(root / name / f"{name}_{i}.png", 30 + 60 * number + 4 * i, 100 * number + i)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network of two other classes."""
    root = tmp_path_factory.mktemp("choices")
    for split in ("train", "val"):
        _pictures(root / "data" / split, ("dark", "light"), 8)
    with folder_run(root / "data", root / "run") as run:
        yield run


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    """People confuse neighbouring greys, the more so the lighter the picture is for its object."""
    root = tmp_path_factory.mktemp("objects")
    _pictures(root / "pictures")
    rng = np.random.default_rng(0)
    lines = ["image,distractor,choice"]
    for number, name in enumerate(_OBJECTS):
        for i in range(6):  # the other three teach the readout
            for other, distractor in enumerate(_OBJECTS):
                if other == number:
                    continue
                near = i / 6 if other == number + 1 else 0.1
                for _ in range(160):
                    choice = distractor if rng.random() < 0.25 + 0.5 * near else name
                    lines.append(f"{name}_{i}.png,{distractor},{choice}")
    (root / "trials.csv").write_text("\n".join(lines) + "\n")
    return root


def _measure(run, stimuli, trials, **options):
    opened = session.open_session(None, str(run), with_data=False)
    pictures = str(stimuli / "pictures")
    return measure(opened, "choices", stimuli=pictures, trials=[str(trials)], **options)


def test_a_network_beside_people(run, stimuli, capsys):
    result = _measure(run, stimuli, stimuli / "trials.csv", halves=5, layer="logits")
    assert (result["images"], result["objects"], result["trials"]) == (24, 4, 24 * 3 * 160)
    assert "from 12 other pictures" in result["readout"]
    for name in ("i2", "i2n"):
        score = result["scores"][name]
        assert 0.5 < score["halves"] <= 1  # people agree with themselves
        assert score["low"] <= score["score"] <= score["high"]
        assert score["score"] == pytest.approx(score["raw"] / score["halves"] ** 0.5, rel=0.05)
    assert "i2n " in capsys.readouterr().out
    entries = list(_of_choices("choices", result))
    assert [entry["value"] for entry in entries] == [
        result["scores"][name]["score"] for name in ("i2", "i2n")
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("distractor", "other", 1), "column distractor"),
        (lambda text: text.replace("bear_0.png,crane", "bear_x.png,crane", 1), "bear_x.png"),
        (lambda text: text.replace("bear_0.png,crane,", "bear_0.png,crone,", 1), "crone"),
        (lambda text: text.replace("bear_0.png,crane,bear", "bear_0.png,crane,tank", 1), "offered"),
        (lambda text: text.replace("bear_0.png,crane,bear", "bear_0.png,crane,", 1), "line 2"),
        (lambda text: text.splitlines()[0], "no trials"),
    ],
)
def test_wrong_trials(run, stimuli, tmp_path, change, words):
    (tmp_path / "trials.csv").write_text(change((stimuli / "trials.csv").read_text()))
    with pytest.raises(InputError, match=words):
        _measure(run, stimuli, tmp_path / "trials.csv")


def test_pictures_of_one_name_are_told_apart_by_their_folders():
    pictures = ["a/bear/1.png", "a/tank/1.png", "a/tank/2.png"]
    trials = Choices(["bear/1.png", "tank/1.png", "2"], ["tank", "bear", "bear"], ["bear"] * 3)
    assert trials.numbered(pictures, ["bear", "tank"]).image.tolist() == [0, 1, 2]
    with pytest.raises(InputError, match=r"called 1\.png: call them OBJECT/NAME"):
        Choices(["1.png"], ["tank"], ["bear"]).numbered(pictures, ["bear", "tank"])


def test_pictures_for_the_readout_are_missing(run, stimuli, tmp_path):
    text = (stimuli / "trials.csv").read_text()
    more = "".join(f"tank_{i}.png,bear,tank\n" for i in range(6, 9))
    (tmp_path / "trials.csv").write_text(text + more)
    with pytest.raises(InputError, match="'tank'"):
        _measure(run, stimuli, tmp_path / "trials.csv")
    with pytest.raises(InputError, match="--halves=1"):
        _measure(run, stimuli, stimuli / "trials.csv", halves=1)
