import numpy as np
import pytest
from PIL import Image

from jaxbio.data import eval_batches, open_source
from jaxbio.data.settings import Settings, read_settings
from jaxbio.errors import InputError
from jaxbio.features import pictures as subject
from tests.features.tiny import SIZE, write_images


def _settings(**keys):
    return Settings(image_size=SIZE, **keys)


def test_listing_is_sorted_and_leaves_out_what_is_no_image(tmp_path):
    folder = write_images(tmp_path, 6)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.jpg").write_text("no image")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "picture.jpg").write_text("no image")
    (folder / "UPPER.JPG").write_bytes((folder / "picture00.jpg").read_bytes())
    assert subject.open_pictures(folder).names == [
        "UPPER.JPG",
        "below/picture01.jpg",
        "below/picture05.jpg",
        "picture00.jpg",
        "picture02.jpg",
        "picture03.jpg",
        "picture04.jpg",
    ]


def test_images_are_prepared_as_in_evaluation(tmp_path):
    """The same files as the validation set of a folder source."""
    write_images(tmp_path / "val" / "only", 7)
    write_images(tmp_path / "train" / "only", 1)
    cfg = read_settings(Settings(source="folder", data_dir=str(tmp_path), image_size=SIZE))
    expected = list(eval_batches(open_source(cfg), cfg, global_batch_size=3))
    found = list(subject.open_pictures(tmp_path / "val" / "only").batches(_settings(), 3))
    assert len(found) == len(expected) == 3
    for one, other in zip(found, expected, strict=True):
        for name in ("image", "index", "mask"):
            assert np.array_equal(one[name], other[name]), name


@pytest.mark.parametrize("kind", ["folder", "digits"])
def test_starting_later_gives_the_same_images(kind, tmp_path):
    if kind == "folder":
        stimuli = subject.open_pictures(write_images(tmp_path, 11))
    else:
        stimuli = subject.test_pictures(open_source(Settings(source="digits")))
        assert stimuli.names[-1] == str(len(stimuli) - 1)
    whole = [b for b in stimuli.batches(_settings(), 5) if b["index"].min() < 12]
    later = [b for b in stimuli.batches(_settings(), 5, start=3) if b["index"].min() < 12]
    images, indices = [np.concatenate([b[n] for b in whole]) for n in ("image", "index")]
    for batch in later:
        for image, index, mask in zip(batch["image"], batch["index"], batch["mask"], strict=True):
            assert mask == (index >= 0)
            if mask and index < 11:
                assert np.array_equal(image, images[list(indices).index(index)])
    assert later[0]["index"].tolist() == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("what", ["nothing", "file", "empty"])
def test_folders_without_images_are_refused(what, tmp_path):
    path = tmp_path / "images"
    if what == "file":
        path.write_text("")
    if what == "empty":
        path.mkdir()
    with pytest.raises(InputError, match=f"--images={path}"):
        subject.open_pictures(path)


def test_photographs_are_turned_as_their_camera_says(tmp_path):
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:, :20] = 255  # left half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    Image.fromarray(np.rot90(pixels, -1)).save(tmp_path / "upright.png")
    given = subject.given_pictures([tmp_path / "turned.jpg", tmp_path / "upright.png"])
    (batch,) = given.batches(_settings(exif_rotation=True), 2)
    difference = np.abs(batch["image"][0].astype(int) - batch["image"][1])
    assert difference.max() < 16  # of the JPEG
    assert given.names == [str(tmp_path / "turned.jpg"), str(tmp_path / "upright.png")]


def test_given_pictures_that_are_none(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    for name in ("text.jpg", "loop.jpg", "missing.jpg"):
        with pytest.raises(InputError, match=name):
            subject.given_pictures([tmp_path / name])
