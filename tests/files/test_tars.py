import io
import random
import tarfile

import pytest

from jaxbio.errors import InputError
from jaxbio.files import tars
from jaxbio.files.tars import Tar, is_tar

_KINDS = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz", ".tar.bz2": "w:bz2"}


def write_tar(path, contents, mode="w", links=()):
    with tarfile.open(path, mode) as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return path


@pytest.mark.parametrize("suffix", _KINDS)
def test_files_are_read_in_place(tmp_path, suffix):
    contents = {"a/1.txt": b"one", "./a/2.txt": b"two" * 1000, "a/.hidden": b"x", "b/empty": b""}
    path = write_tar(tmp_path / f"x{suffix}", contents, _KINDS[suffix], links=["a/link"])
    assert is_tar(path)
    tar = Tar(path)
    assert tar.names == ["a/1.txt", "a/2.txt", "b/empty"]
    assert [tar.read(i) for i in range(3)] == [b"one", b"two" * 1000, b""]
    assert [tar.size(i) for i in range(3)] == [3, 3000, 0]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x"])
def test_paths_that_lead_out_are_refused(tmp_path, name):
    path = write_tar(tmp_path / "x.tar", {name: b"x"})
    with pytest.raises(InputError, match="leads out of it") as caught:
        Tar(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", _KINDS)
@pytest.mark.parametrize("share", [0.3, 0.95])
def test_truncated_archives(tmp_path, suffix, share):
    content = random.Random(0).randbytes(20_000)
    path = write_tar(tmp_path / f"x{suffix}", {"a": content, "b": content[::-1]}, _KINDS[suffix])
    whole = path.read_bytes()
    # A plain archive ends in 10 kB of nothing.
    path.write_bytes(whole[: int(share * (len(whole) - (20_000 if suffix == ".tar" else 0)))])
    with pytest.raises(InputError, match="fetch it again") as caught:
        Tar(path)
    assert "\n" not in str(caught.value)


def test_other_things_are_no_archives(tmp_path):
    for suffix in (".tar", ".tar.xz", ".tar.gz"):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(b"<html>not found</html>" * 100)
        with pytest.raises(InputError, match="truncated or damaged"):
            Tar(path)


def test_two_files_of_one_name(tmp_path):
    path = tmp_path / "x.tar"
    write_tar(path, {"a": b"x", "./a": b"y"})
    with pytest.raises(InputError, match="'a' twice"):
        Tar(path)


def test_bombs_are_refused(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "x.tar.xz", {"a": bytes(3 * 2**20)}, "w:xz")
    assert path.stat().st_size < 10_000
    Tar(path)
    monkeypatch.setattr(tars, "_LITTLE", 2**20)
    with pytest.raises(InputError, match="its content"):
        Tar(path)
