import io

import numpy as np
import pytest
from PIL import Image

from jaxbio.data import decoding
from jaxbio.data.tensorflow_cpu import tf
from jaxbio.errors import InputError

from .conftest import encoded, picture

PIXELS = picture(0, 90, 121)
_BROKEN = (tf.errors.InvalidArgumentError, InputError)  # tf, Pillow


def reference(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def converted(mode):
    return np.asarray(Image.fromarray(PIXELS).convert(mode))


def saved(mode, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "tolerance"),
    [
        (saved("RGB", "JPEG"), 0),
        (saved("RGB", "JPEG", progressive=True), 0),
        (saved("RGB", "JPEG", subsampling=0), 0),
        (saved("L", "JPEG"), 1),
        (saved("CMYK", "JPEG"), 2),
        (saved("RGB", "PNG"), 0),
        (saved("RGBA", "PNG"), 0),
        (saved("L", "PNG"), 0),
        (saved("LA", "PNG"), 0),
        (saved("P", "PNG"), 0),
        (saved("1", "PNG"), 0),
        (saved("RGB", "BMP"), 0),
        (saved("L", "BMP"), 0),
        (saved("P", "GIF"), 0),
        (saved("1", "BMP"), 0),
        (saved("P", "BMP"), 0),
        (saved("RGBA", "BMP"), 0),
        (saved("RGB", "WEBP", lossless=True), 0),
        (saved("RGBA", "WEBP", lossless=True), 0),
        (saved("RGB", "TIFF"), 0),
        (saved("P", "TIFF"), 0),
    ],
)
def test_decodes_like_pil(content, tolerance):
    ours = decoding.decode(tf.constant(content)).numpy()
    assert ours.dtype == np.uint8
    assert np.abs(ours - reference(content)).max() <= tolerance


def test_16_bits_are_cut_to_8():
    deep = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    ours = decoding.decode(tf.constant(encoded(deep, "PNG"))).numpy()
    np.testing.assert_array_equal(ours, np.repeat(deep[..., None] >> 8, 3, axis=-1))


def test_first_frame_of_an_animation():
    frames = [Image.fromarray(picture(i, 20, 20)).convert("P") for i in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    ours = decoding.decode(tf.constant(buffer.getvalue())).numpy()
    np.testing.assert_array_equal(ours, np.asarray(frames[0].convert("RGB")))


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"progressive": True}, {"quality": 30}]
)
def test_windows_are_cut_from_the_whole(options):
    content = tf.constant(encoded(PIXELS, **options))
    whole = decoding.decode(content).numpy()
    window_of = tf.function(
        lambda box: decoding.decode_window(content, lambda h, w: tf.unstack(box)), autograph=False
    )
    rng = np.random.default_rng(1)
    for _ in range(40):
        height, width = rng.integers(1, 91), rng.integers(1, 122)
        top, left = rng.integers(0, 91 - height), rng.integers(0, 122 - width)
        box = np.array([top, left, height, width], np.int32)
        np.testing.assert_array_equal(
            window_of(box), whole[top : top + height, left : left + width]
        )


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "GIF"])
def test_windows_of_other_formats(kind):
    content = tf.constant(saved("L" if kind == "GIF" else "RGB", kind))
    whole = decoding.decode(content).numpy()
    part = decoding.decode_window(content, lambda h, w: [h // 2, w // 4, h // 3, w // 2])
    np.testing.assert_array_equal(part, whole[45:75, 30:90])


def broken_files():
    for kind in ("JPEG", "PNG", "BMP", "WEBP"):
        content = saved("RGB", kind)
        yield f"{kind} half", content[: len(content) // 2]
        yield f"{kind} head", content[:20]
    yield "JPEG without end", saved("RGB", "JPEG")[:-2]
    yield "JPEG short of a byte", saved("RGB", "JPEG")[:-1]
    yield "empty", b""
    yield "two bytes", b"\xff\xd8"
    yield "BM", b"BM"
    yield "text", b"<html>not found</html>"


@pytest.mark.parametrize("content", [pytest.param(c, id=name) for name, c in broken_files()])
def test_broken_files_fail_in_every_window(content):
    with pytest.raises(_BROKEN):
        decoding.decode(tf.constant(content))
    corner = [tf.constant(n) for n in (0, 0, 2, 2)]
    with pytest.raises(_BROKEN):
        decoding.decode_window(tf.constant(content), lambda h, w: corner)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_more_pixels_than_the_limit_are_refused_in_every_window(kind, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 90 * 121 - 1)
    monkeypatch.setattr("jaxbio.files.pictures.MAX_PIXELS", 90 * 121 - 1)
    content = tf.constant(saved("P" if kind == "GIF" else "RGB", kind))
    corner = [tf.constant(n) for n in (0, 0, 2, 2)]
    with pytest.raises(_BROKEN, match="pixels"):
        decoding.decode(content)
    with pytest.raises(_BROKEN, match="pixels"):
        decoding.decode_window(content, lambda h, w: corner)


def test_photographs_are_turned_when_asked():
    exif = Image.Exif()
    exif[0x0112] = 8
    content = tf.constant(saved("RGB", "JPEG", exif=exif))
    lying = decoding.decode(content).numpy()
    upright = np.rot90(lying)
    np.testing.assert_array_equal(decoding.decode(content, upright=True).numpy(), upright)
    part = decoding.decode_window(content, lambda h, w: [h // 2, 0, h // 3, w], upright=True)
    np.testing.assert_array_equal(part, upright[60:100])


def test_trailing_bytes_are_no_damage():
    content = saved("RGB", "JPEG") + b"\0\0"
    corner = [tf.constant(n) for n in (0, 0, 9, 9)]
    part = decoding.decode_window(tf.constant(content), lambda h, w: corner)
    np.testing.assert_array_equal(part, decoding.decode(tf.constant(content))[:9, :9])
