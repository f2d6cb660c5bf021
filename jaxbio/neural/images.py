"""Stimulus images: in memory, in a folder or in a zip archive, resized when they are read."""

import contextlib
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from jaxbio.errors import InputError
from jaxbio.files.pictures import open_picture
from jaxbio.files.reading import check_regular, reading
from jaxbio.files.sizes import check_size, inflated


@dataclass(frozen=True)
class ImageFiles:
    """Image files of a folder or a zip archive, decoded on demand.

    Attributes:
        root: the folder, or the archive.
        names: ``[S]`` str, relative to the root; members of the archive.
    """

    root: Path
    names: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: np.ndarray) -> "ImageFiles":
        return ImageFiles(self.root, self.names[index])

    def read(self, size: int) -> np.ndarray:
        """All images as ``[S, size, size, 3]`` uint8.

        Raises:
            InputError: a file is missing or does not decode.
        """
        images = np.empty((len(self), size, size, 3), np.uint8)
        with contextlib.ExitStack() as stack:
            archive = None if self.root.is_dir() else stack.enter_context(_open_zip(self.root))
            for i, name in enumerate(map(str, self.names)):
                content = archive.read(name) if archive else self.root / name
                # As a presentation program shows it: whatever EXIF says.
                image = open_picture(content, upright=False, name=f"{self.root}: image {name}")
                images[i] = _to_square(image.convert("RGB"), size)
        return images


def resize_images(images: np.ndarray, size: int) -> np.ndarray:
    """``[S, H, W, 3]`` uint8 to ``[S, size, size, 3]``: bilinear, antialiased; no-op if it fits."""
    if images.shape[1:3] == (size, size):
        return images
    resized = [_to_square(Image.fromarray(image), size) for image in images]
    return np.stack(resized)


def image_files(root: Path, names: np.ndarray) -> ImageFiles | None:
    """The files ``names`` below ``root``, or None if none is there: no images came along.

    Args:
        root: a folder or a zip archive. In an archive the names may lie below a common folder.
        names: ``[S]`` relative paths.

    Raises:
        InputError: a name points outside the root, or only some of the files are there.
    """
    for name in names:
        check_inside(str(name), str(root))
    if root.is_dir():
        found = [str(name) for name in names if (root / str(name)).is_file()]
    else:
        members = dict.fromkeys(zip_members(root))  # in their order: the first folder counts
        first = str(names[0])
        prefix = next((m.removesuffix(first) for m in members if _ends(m, first)), "")
        found = [prefix + str(name) for name in names if prefix + str(name) in members]
    if not found:
        return None
    if len(found) < len(names):
        missing = next(str(n) for n in names if not any(_ends(f, str(n)) for f in found))
        raise InputError(
            f"{root}: {len(names) - len(found)} of {len(names)} images are missing: {missing}, ..."
        )
    return ImageFiles(root, np.array(found))


def check_inside(name: str, where: str) -> None:
    """Refuses a relative path that leaves its folder.

    Raises:
        InputError: an absolute path, a drive, or ``..``.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or not name.strip():
        raise InputError(f"{where}: '{name}' points outside its folder: refused")


def zip_members(archive: Path) -> list[str]:
    """Names of an archive's files, all of them checked.

    Raises:
        InputError: not a zip, a member outside the folder, a link, or one that declares more than
            the file or the memory has.
    """
    with _open_zip(archive) as file:
        for info in file.infolist():
            check_inside(info.filename, f"{archive}: zip member")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise InputError(f"{archive}: zip member '{info.filename}' is a link: refused")
            what = f"zip member '{info.filename}'"
            check_size(archive, what, info.file_size, inflated(info.compress_size))
        return [info.filename for info in file.infolist() if not info.is_dir()]


def read_member(archive: Path, member: str) -> bytes:
    """The bytes of a checked member of an archive."""
    with _open_zip(archive) as file:
        return file.read(member)


@contextlib.contextmanager
def _open_zip(archive: Path) -> Iterator[zipfile.ZipFile]:
    check_regular(archive)
    with reading(archive, "a zip archive"), zipfile.ZipFile(archive) as file:
        yield file


def _to_square(image: Image.Image, size: int) -> np.ndarray:
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def _ends(member: str, name: str) -> bool:
    """Whether a member is ``name`` itself or ``name`` below some folder."""
    return member == name or member.endswith(f"/{name}")
