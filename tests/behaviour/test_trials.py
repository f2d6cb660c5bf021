import numpy as np
import pytest

from jaxbio.behaviour import (
    CATEGORIES,
    COLUMNS,
    accuracy,
    model_trials,
    read_stimuli,
    read_trials,
    write_trials,
)
from jaxbio.errors import InputError

HEADER = ",".join(COLUMNS)


def write(path, *lines):
    path.write_text("\n".join((HEADER, *lines)) + "\n")
    return path


def test_files_and_folders(tmp_path):
    write(
        tmp_path / "a.csv",
        "subject-01,1,1,0.7,dog,dog,c05,0000_co_s01_c05_dog_10_n02085936_1.JPEG",
        "subject-01,1,2,NaN,na,cat,c05,0001_co_s01_c05_cat_10_n02123045_2.JPEG",
    )
    write(tmp_path / "b.csv", "subject-02,1,1,,car,car,c10,x_y_car.png")
    trials = read_trials(tmp_path)
    assert len(trials) == 3
    assert trials.subjects == ["subject-01", "subject-02"]
    assert trials.conditions == ["c05", "c10"]
    assert trials.correct.tolist() == [True, False, True]
    assert trials.rt[0] == 0.7
    assert np.isnan(trials.rt[1:]).all()
    assert trials.of(subject="subject-01").by_image()[0] == [
        "n02085936_1.JPEG", "n02123045_2.JPEG",
    ]  # fmt: skip
    write_trials(tmp_path / "copy" / "all.csv", trials)
    again = read_trials(tmp_path / "copy" / "all.csv")
    for field in ("subject", "response", "category", "condition", "image", "session", "rt"):
        np.testing.assert_array_equal(getattr(again, field), getattr(trials, field))


def test_columns_of_other_order_and_case(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text(
        "﻿Subj,ImageName,Category,Object_Response,Condition,Session\nme,a.png,cat,dog,0,1\n"
    )
    assert accuracy(read_trials([file])) == 0


def test_an_index_without_a_name_is_no_reaction_time(tmp_path):
    file = tmp_path / "indexed.csv"  # as data frames are written
    file.write_text(
        ",subj,session,object_response,category,condition,imagename\n7,me,1,dog,cat,0,a.png\n"
    )
    assert np.isnan(read_trials(file).rt).all()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("subj,session\na,1\n", "object_response"),
        (f"{HEADER}\n", "no trials"),
        (f"{HEADER}\ns,1,1,1,dog,giraffe,0,a.png\n", "giraffe"),
        (f"{HEADER}\ns,1,1,1,yes,dog,0,a.png\n", "line 2"),
        (f"{HEADER}\ns,1,1,fast,dog,dog,0,a.png\n", "rt"),
        ("", "subj"),
    ],
)
def test_bad_files(tmp_path, text, word):
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=word):
        read_trials(file)


def test_files_that_are_none(tmp_path):
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81" * 10)
    for path in (tmp_path / "binary.csv", tmp_path / "absent.csv"):
        with pytest.raises(InputError, match=path.stem):
            read_trials(path)


def test_stimuli_of_both_layouts(tmp_path):
    published = tmp_path / "contrast" / "dnn" / "session-2"
    own = tmp_path / "sketch" / "boat"
    for folder in (published, own):
        folder.mkdir(parents=True)
    (published / "0003_co_dnn_c05_knife_10_n03041632_5.png").touch()
    (own / "drawing.JPG").touch()
    (own / "notes.txt").touch()
    (first,) = read_stimuli(tmp_path / "contrast")
    assert first[1:] == ("knife", "c05", "session-2")
    (second,) = read_stimuli(tmp_path / "sketch")
    assert second[1:] == ("boat", "0", "session-1")
    p = np.zeros((1, 16))
    p[0, CATEGORIES.index("knife")] = 1
    trials = model_trials("net", [first], p)
    assert trials.response.tolist() == ["knife"]
    assert accuracy(trials) == 1
    with pytest.raises(InputError, match="probabilities"):
        model_trials("net", [first], p * np.nan)
    (tmp_path / "odd.png").touch()
    with pytest.raises(InputError, match="odd"):
        read_stimuli(tmp_path)
    for folder in (tmp_path / "absent", own.parent.parent / "none"):
        with pytest.raises(InputError, match=folder.name):
            read_stimuli(folder)
