"""Files that are the old one or the whole new one."""

import os
import subprocess
import sys

import pytest

from jaxbio.errors import InputError, WriteError
from jaxbio.files import atomic, read_json, remove_left, write_json, write_text


def test_json_comes_back_and_leaves_nothing_else(tmp_path):
    write_json(tmp_path / "new" / "a.json", {"b": [1, None, "\udcff"]})
    assert read_json(tmp_path / "new" / "a.json") == {"b": [1, None, "\udcff"]}
    assert os.listdir(tmp_path / "new") == ["a.json"]


def test_a_failure_keeps_the_old_file(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "old")
    with pytest.raises(UnicodeEncodeError), atomic(file) as temporary:
        temporary.write_text("half \udcff", encoding="utf-8")
    assert temporary.suffix == ".txt"
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_the_disk_refuses_is_one_line(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder", tmp_path / "file" / "a.txt", tmp_path / ("x" * 300)):
        with pytest.raises(WriteError, match=path.name) as caught:
            write_text(path, "text")
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 1
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_full_disk_is_one_line(tmp_path):
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    with pytest.raises(WriteError, match=r"a\.txt.*No space left"), atomic(tmp_path / "a.txt"):
        link.write_text("text")


@pytest.mark.parametrize(
    "content", [b"\xff", b"{", b"[1]", b"3", b"", b"[" * 100_000, b'{"a": ' + b"1" * 5000 + b"}"]
)
def test_damaged_json_names_the_file(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_other_things_in_the_place_of_json(tmp_path):
    for path in (tmp_path, tmp_path / "missing", tmp_path / "missing" / "a.json"):
        with pytest.raises(InputError, match=path.name):
            read_json(path)


def test_temporary_files_of_killed_processes_go(tmp_path):
    code = (
        "import os, sys; from jaxbio.files import atomic\n"
        "with atomic(sys.argv[1]) as temporary: temporary.touch(); os._exit(9)"
    )
    file = tmp_path / "o.npz"
    assert subprocess.run([sys.executable, "-c", code, str(file)]).returncode == 9
    (left,) = os.listdir(tmp_path)
    with atomic(tmp_path / "mine") as mine:
        mine.touch()
        (tmp_path / ".hidden.tmp").touch()
        remove_left(tmp_path)
        assert mine.exists()
        assert not (tmp_path / left).exists()
    assert sorted(os.listdir(tmp_path)) == [".hidden.tmp", "mine"]
