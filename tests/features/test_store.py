import errno
import os
import shutil

import h5py
import numpy as np
import pytest

from jaxbio import features
from jaxbio.errors import InputError
from jaxbio.features import store
from jaxbio.features.layers import Layer
from jaxbio.features.store import Writer, partial_path

_COUNT = 23
_LAYERS = {
    "area": Layer("area", (2, 3, 4), steps=(1, 2), arrival_step=2),
    "pooled": Layer("pooled", (5,)),
    "projected": Layer("projected", (6,), steps=(0,), projected=True),
}
_NAMES = [f"bild ü{i}.jpg" for i in range(_COUNT)]
_DESCRIPTION = {"weights": "w", "pool": "none", "layers": {}}
_ABOUT = {"run": "r"}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """So that these little arrays have several chunks and batches straddle them."""
    monkeypatch.setattr(store, "_CHUNK_BYTES", 4 * 2 * 24 * 5)


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(0)
    return {
        name: rng.normal(size=(_COUNT, *layer.feature_shape)).astype(np.float32)
        for name, layer in _LAYERS.items()
    }


def _writer(output, description=_DESCRIPTION, layers=_LAYERS):
    return Writer(output, layers, _NAMES, description, _ABOUT)


def _write(writer, values, until=_COUNT, batch=4, bad=()):
    while writer.done < until:
        rows = np.arange(writer.done, min(writer.done + batch, until))
        good = ~np.isin(rows, bad)
        writer.write({name: array[rows[good]] for name, array in values.items()}, good)


def _make(output, values, **options):
    with _writer(output) as writer:
        _write(writer, values, **options)
        writer.finish()


def _check(output, values, skipped=()):
    kept = [i for i in range(_COUNT) if i not in skipped]
    with features.load(output) as file:
        assert file.images == [_NAMES[i] for i in kept]
        assert file.skipped == [_NAMES[i] for i in skipped]
        assert file.layers == _LAYERS
        assert list(file) == list(_LAYERS)
        for name, array in values.items():
            assert np.array_equal(file[name], array[kept]), name


@pytest.mark.parametrize("suffix", ["h5", "npz"])
@pytest.mark.parametrize("batch", [1, 4, 23])
def test_what_goes_in_comes_out(suffix, batch, values, tmp_path):
    output = tmp_path / f"new/feats.{suffix}"
    _make(output, values, batch=batch)
    _check(output, values)
    assert os.listdir(output.parent) == [output.name]
    with features.load(output) as file:
        assert file.description == _DESCRIPTION
        assert file.about == _ABOUT
        part = file.read("area", times=[2], images=slice(5, 9))
        assert np.array_equal(part, values["area"][5:9, 1:])
    assert np.array_equal(features.load(output, "pooled"), values["pooled"])
    assert np.array_equal(features.load(output, "area", times=(2, 1)), values["area"][:, ::-1])


def test_hdf5_alone_tells_what_the_axes_are(values, tmp_path):
    """Read without jaxbio."""
    output = tmp_path / "feats.h5"
    _make(output, values)
    with h5py.File(output) as file:
        area = file["layers/area/features"]
        assert [d.label for d in area.dims] == ["image", "time", "row", "column", "channel"]
        assert area.dims[1][0][:].tolist() == [1, 2]
        assert area.dims[0][0].asstr()[:].tolist() == _NAMES
        assert area.chunks[0] == 5
        assert area.parent.attrs["arrival_step"] == 2
        labels = file["layers/area/time_label"].asstr()[:].tolist()
        assert labels == ["step 1 (before the image arrives)", "step 2"]
        projected = file["layers/projected/features"]
        assert [d.label for d in projected.dims] == ["image", "time", "component"]


def test_xarray_has_the_coordinates(values, tmp_path):
    output = tmp_path / "feats.h5"
    _make(output, values)
    with features.load(output) as file:
        area = file.to_xarray("area")
    assert area.dims == ("image", "time", "row", "column", "channel")
    chosen = area.sel(image=_NAMES[7], time=2, channel=3)
    assert np.array_equal(chosen.values, values["area"][7, 1, :, :, 3])
    assert area.time_label.values.tolist()[1] == "step 2"
    assert area.attrs["arrival_step"] == 2


@pytest.mark.parametrize("suffix", ["h5", "npz"])
def test_goes_on_where_it_stopped(suffix, values, tmp_path):
    output = tmp_path / f"feats.{suffix}"
    with _writer(output) as writer:
        _write(writer, values, until=9)
    assert not output.exists()
    with pytest.raises(InputError, match="not complete"):
        features.load(partial_path(output))
    with _writer(output) as writer:
        assert writer.done == 9
        _write(writer, values, batch=7)
        writer.finish()
    _check(output, values)


def test_a_killed_process_leaves_a_sound_file(values, tmp_path):
    """No closing, no note of the last batches: they are computed again."""
    output = tmp_path / "feats.h5"
    writer = _writer(output)
    _write(writer, values, until=8)
    writer._sync()
    _write(writer, values, until=12)
    os.close(writer._file)
    with _writer(output) as writer:
        assert writer.done == 8
        _write(writer, values)
        writer.finish()
    _check(output, values)


@pytest.mark.parametrize("bad", [[0], [3, 4, 22], list(range(6, 20))])
@pytest.mark.parametrize("suffix", ["h5", "npz"])
def test_skipped_images_have_no_rows_and_are_listed(suffix, bad, values, tmp_path):
    output = tmp_path / f"feats.{suffix}"
    with _writer(output) as writer:
        _write(writer, values, until=8, bad=bad)
    with _writer(output) as writer:
        _write(writer, values, bad=bad)
        writer.finish()
    _check(output, values, skipped=bad)


class _FullDisk:
    """``os.pwrite`` on a disk with room for so many bytes more; short writes included."""

    def __init__(self, room):
        self.room = room
        self._pwrite = os.pwrite

    def __call__(self, file, data, offset):
        if len(data) == _COUNT:  # the note of progress, whose place is taken already
            return self._pwrite(file, data, offset)
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = min(self.room, len(data))
        self.room -= count
        return self._pwrite(file, data[:count], offset)


def test_a_full_disk_loses_nothing(values, tmp_path, monkeypatch):
    output = tmp_path / "feats.h5"
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", _FullDisk(3000))
        with (
            pytest.raises(InputError, match=r"disk is full\) after 12 of 23 images") as error,
            _writer(output) as writer,
        ):
            _write(writer, values)
    assert "\n" not in str(error.value)
    assert not output.exists()
    with _writer(output) as writer:
        assert writer.done == 12
        _write(writer, values)
        writer.finish()
    _check(output, values)


@pytest.mark.parametrize("suffix", ["h5", "npz"])
def test_a_disk_that_fills_at_the_very_end(suffix, values, tmp_path, monkeypatch):
    output = tmp_path / f"feats.{suffix}"
    with monkeypatch.context() as patch, _writer(output) as writer:
        _write(writer, values, bad=[2])
        patch.setattr(os, "pwrite", _FullDisk(1000))
        with pytest.raises(InputError, match="after 23 of 23"):
            writer.finish()
    assert not output.exists()
    with _writer(output) as writer:
        assert writer.done == _COUNT
        writer.finish()
    _check(output, values, skipped=[2])


@pytest.mark.parametrize("suffix", ["h5", "npz"])
def test_a_failing_last_move_can_be_repeated(suffix, values, tmp_path, monkeypatch):
    output = tmp_path / f"feats.{suffix}"
    with monkeypatch.context() as patch, _writer(output) as writer:
        _write(writer, values)

        def refuse(*_):
            raise PermissionError(errno.EACCES, "Permission denied")

        patch.setattr(os, "replace", refuse)
        with pytest.raises(InputError, match="Permission denied"):
            writer.finish()
    assert sorted(os.listdir(tmp_path)) == [f"{output.name}.partial"]
    with _writer(output) as writer:
        writer.finish()
    _check(output, values)


def test_room_is_checked_before_the_first_image(values, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    with pytest.raises(InputError, match=r"needs 1.0 MiB, the disk has 1.0 MiB free: make room"):
        _writer(tmp_path / "feats.h5")


def test_one_writer_at_a_time(values, tmp_path):
    output = tmp_path / "feats.h5"
    with _writer(output), pytest.raises(InputError, match="another process"):
        _writer(output)
    _writer(output).close()


def test_a_partial_file_of_other_settings_is_not_gone_on_with(values, tmp_path):
    output = tmp_path / "feats.h5"
    _writer(output).close()
    with pytest.raises(InputError, match=r"pool='max' \(there 'none'\)"):
        _writer(output, {**_DESCRIPTION, "pool": "max"})


def test_incomplete_features_are_not_finished(values, tmp_path):
    with _writer(tmp_path / "feats.h5") as writer:
        _write(writer, values, until=22)
        with pytest.raises(ValueError, match="22 of 23"):
            writer.finish()


@pytest.mark.parametrize("content", [b"", b"nonsense" * 99, "truncated"])
def test_damaged_files_are_refused_by_name(content, values, tmp_path):
    output = tmp_path / "feats.h5"
    _make(output, values)
    if content == "truncated":
        content = output.read_bytes()[:-4000]
    output.write_bytes(content)
    partial_path(output).write_bytes(content)
    with pytest.raises(InputError, match=f"{output} cannot be read as a file of features"):
        features.load(output)
    with pytest.raises(InputError, match=r"feats.h5.partial is damaged .*: remove it"):
        _writer(output)


def test_wrong_reading_is_one_line(values, tmp_path):
    output = tmp_path / "feats.h5"
    _make(output, values)
    with pytest.raises(InputError, match="does not exist"):
        features.load(tmp_path / "other.h5")
    with pytest.raises(InputError, match="no layer 'V9': use one of area, pooled"):
        features.load(output, "V9")
    with pytest.raises(InputError, match="no step 0: use one of 1, 2"):
        features.load(output, "area", times=[0])
    with pytest.raises(InputError, match="no time"):
        features.load(output, "pooled", times=[0])
    for path, write in (
        (tmp_path / "a.npz", lambda p: np.savez(p, x=1)),
        (tmp_path / "a.h5", lambda p: h5py.File(p, "w").close()),
    ):
        write(path)
        with pytest.raises(InputError, match="a file of features"):
            features.load(path)
