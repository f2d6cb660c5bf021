"""``jaxbio data show`` of data in memory, in folders and in archives."""

import tarfile

import pytest
from PIL import Image

from jaxbio.commands.main import main
from tests.data.conftest import write_folder


def _show(capsys, *words, code=0):
    assert main(["data", "show", *map(str, words)]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def test_digits(capsys, tmp_path):
    text = _show(capsys, "digits", f"--output={tmp_path / 'x.png'}", "--split=0.1")
    assert "8 x 8" in text
    rows = [line.split() for line in text.splitlines()]
    train = sum(int(row[1]) for row in rows if len(row) == 3 and row[0].isdecimal())
    test = sum(int(row[2]) for row in rows if len(row) == 3 and row[0].isdecimal())
    assert train + test == 1433
    assert 138 <= test <= 148
    with Image.open(tmp_path / "x.png") as sheet:
        assert min(sheet.size) > 300


def test_folders_and_archives_are_told_by_their_path(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_folder(tmp_path / "animals", 3, 2)
    text = _show(capsys, folder)
    assert [line.split() for line in text.splitlines()].count(["cat", "3", "2"]) == 1
    assert "median" in text
    assert (tmp_path / "animals_samples.png").is_file()
    with tarfile.open(tmp_path / "packed.tar.xz", "w:xz") as archive:
        archive.add(folder, "animals")
    packed = _show(capsys, "packed.tar.xz", "--samples=2", "--classes=2")
    assert [line.split() for line in packed.splitlines()].count(["emu", "3", "2"]) == 1
    assert (tmp_path / "packed_samples.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digitz"], "did you mean 'digits'"),
        (["nowhere/"], "data.source"),
        (["digits", "--samples=0"], "--samples=0"),
        (["digits", "--split=2"], "data.split=2"),
    ],
)
def test_wrong_words_are_one_line(capsys, words, message):
    text = _show(capsys, *words, code=2)
    assert message in text
    assert text.count("\n") == 1
