"""Pictures as people have them: every kind of file, links, sizes."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from jaxbio.errors import InputError
from jaxbio.files import pictures
from jaxbio.files.pictures import find_pictures, is_turned, open_picture

_COLOURS = np.stack(np.meshgrid(*[np.linspace(0, 255, 24)] * 2, indexing="ij"), -1)
PIXELS = np.dstack([_COLOURS, _COLOURS.mean(-1)]).astype(np.uint8)
_HALF = np.dstack([PIXELS, np.full((24, 24), 128, np.uint8)])


def saved(array, kind, **options):
    buffer = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animated(kind, **options):
    rest = [Image.fromarray(255 - PIXELS)]
    return saved(PIXELS, kind, save_all=True, append_images=rest, **options)


_EXACT = {
    "tiff": saved(PIXELS, "TIFF"),
    "webp with alpha": saved(_HALF, "WEBP", lossless=True, exact=True),
    "animated webp": animated("WEBP", lossless=True),
    "png with alpha": saved(_HALF, "PNG"),
    "bmp with alpha": saved(_HALF, "BMP"),
}


@pytest.mark.parametrize("kind", list(_EXACT))
def test_every_kind_has_its_pixels(kind):
    image = open_picture(_EXACT[kind])
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), PIXELS)


@pytest.mark.parametrize("colours", [2, 64])
def test_palettes_are_looked_up(colours):
    image = Image.fromarray(PIXELS)
    image = image.convert("1") if colours == 2 else image.quantize(colours)
    for kind in ("BMP", "PNG", "TIFF"):
        read = open_picture(saved(image, kind)).convert("RGB")
        np.testing.assert_array_equal(np.asarray(read), np.asarray(image.convert("RGB")))


def test_avif_is_near():
    image = np.asarray(open_picture(saved(PIXELS, "AVIF", quality=95))).astype(int)
    assert np.abs(image - PIXELS).mean() < 5


def test_transparency_shows_the_background_that_is_asked_for():
    ink = np.zeros((8, 8, 2), np.uint8)  # black; opaque in the middle
    ink[2:6, 2:6, 1] = 255
    content = saved(Image.fromarray(ink, "LA"), "PNG")
    white = np.asarray(open_picture(content, background=255))
    assert white.shape == (8, 8)
    assert white[0, 0] == 255
    assert white[3, 3] == 0
    assert not np.asarray(open_picture(content, background=0)).any()
    assert not np.asarray(open_picture(content)).any()  # dropped: the colours below


def test_photographs_stand_upright_unless_told_otherwise(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it by a quarter to the right
    wide = PIXELS[:12]
    (tmp_path / "a.jpg").write_bytes(saved(wide, "JPEG", exif=exif))
    (tmp_path / "b.jpg").write_bytes(saved(wide, "JPEG"))
    lying = np.asarray(open_picture(tmp_path / "a.jpg", upright=False))
    assert lying.shape == (12, 24, 3)
    np.testing.assert_array_equal(np.asarray(open_picture(tmp_path / "a.jpg")), np.rot90(lying, -1))
    assert is_turned(tmp_path / "a.jpg")
    assert not is_turned(tmp_path / "b.jpg")


def test_deep_pictures_keep_their_high_byte_or_are_refused():
    deep = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(np.asarray(open_picture(saved(deep, kind))), deep >> 8)
    with pytest.raises(InputError, match="mode F"):
        open_picture(saved(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"))


def test_small_files_of_many_pixels_are_not_unfolded(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 500)
    (tmp_path / "bomb.png").write_bytes(saved(PIXELS, "PNG"))
    for read in (open_picture, is_turned):
        with pytest.raises(InputError, match=r"bomb\.png.*24 x 24.*500"):
            read(tmp_path / "bomb.png")


def test_rows_cost_memory_too(monkeypatch):
    monkeypatch.setattr(pictures, "_MAX_SIDE", 40)
    stream = io.BytesIO()
    Image.new("L", (1, 41)).save(stream, "png")
    with pytest.raises(InputError, match="1 x 41 pixels"):
        open_picture(stream.getvalue())


@pytest.mark.parametrize(
    "content", [b"", b"BM", b"<html>", saved(PIXELS, "PNG")[:70], saved(PIXELS, "TIFF")[:900]]
)
def test_what_is_no_picture_is_one_line(content, tmp_path):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.png") as caught:
        open_picture(tmp_path / "bad.png")
    assert "\n" not in str(caught.value)


def test_links_that_lead_nowhere_are_bad_pictures(tmp_path):
    (tmp_path / "gone.png").symlink_to("/nonexistent")
    (tmp_path / "itself.png").symlink_to("itself.png")
    for name in ("gone.png", "itself.png", "missing.png"):
        for read in (open_picture, is_turned):
            with pytest.raises(InputError, match=name):
                read(tmp_path / name)


def test_a_folder_is_searched_once_and_what_is_left_out_is_said(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("a.TIF", "b.jfif", "deep/c.avif", "d.webp", "e.jpeg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "no_suffix").write_bytes(saved(PIXELS, "JPEG"))
    for name in ("notes.txt", "README", "Thumbs.db", ".hidden.png"):
        (tmp_path / name).write_bytes(b"text")
    os.symlink(".", tmp_path / "loop")
    os.symlink(tmp_path, tmp_path / "deep" / "above")
    (tmp_path / "gone.png").symlink_to("/nonexistent")
    found, left_out = (
        [os.path.relpath(path, tmp_path) for path in paths] for paths in find_pictures(tmp_path)
    )
    assert found == ["a.TIF", "b.jfif", "d.webp", "deep/c.avif", "e.jpeg", "gone.png", "no_suffix"]
    assert left_out == ["README", "Thumbs.db", "deep/above", "loop", "notes.txt"]


def test_programs_are_no_pictures(tmp_path):
    """Pillow would have PostScript run by the program for it."""
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.png").write_bytes(program)
    with pytest.raises(InputError, match=r"a\.png cannot be read"):
        open_picture(tmp_path / "a.png")


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    found, left_out = find_pictures(tmp_path)
    assert [os.path.basename(path) for path in found] == ["pipe.png", "zero.jpg"]
    assert len(left_out) == 1
    for path in found:
        with pytest.raises(InputError, match="pipe or device"):
            open_picture(path)
        with pytest.raises(InputError, match="pipe or device"):
            is_turned(path)


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_stands_upright(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    turned = np.asarray(open_picture(saved(PIXELS[:12], "PNG", exif=exif)))
    flips = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}
    expected = PIXELS[:12].transpose(1, 0, 2) if turn > 4 else PIXELS[:12]
    down, across = flips[turn]
    expected = expected[::-1] if down else expected
    expected = expected[:, ::-1] if across else expected
    np.testing.assert_array_equal(turned, expected)


def test_cmyk_and_moving_png():
    cmyk = saved(Image.fromarray(PIXELS).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(np.asarray(open_picture(cmyk)).astype(int) - PIXELS).mean() < 5
    np.testing.assert_array_equal(np.asarray(open_picture(animated("PNG"))), PIXELS)
