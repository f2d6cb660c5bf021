"""The table of DNRT: all its networks, CIFAR in every form that jaxbio reads, in pieces."""

import itertools
import tarfile

import numpy as np
import pytest

from jaxbio.data.cifar import NAMES, find_cifar
from jaxbio.reproduce.dnrt import TABLE
from jaxbio.reproduce.run import measure_table
from jaxbio.reproduce.table import Context, missing
from tests.data.conftest import write_folder


def _pictures(data):
    write_folder(data / "cifar10", 1, 1, NAMES["cifar10"][:2])


def _packed(data):
    write_folder(data / "pictures", 1, 1, NAMES["cifar10"][:2])
    (data / "cifar10").mkdir()
    with tarfile.open(data / "cifar10" / "small.tar.xz", "w:xz") as archive:
        archive.add(data / "pictures", "cifar10")


def _published(data):
    (data / "cifar10" / "cifar-10-batches-bin").mkdir(parents=True)
    (data / "cifar10" / "cifar-10-batches-bin" / "test_batch.bin").write_bytes(b"")


def _arrays(data):
    np.savez(data / "cifar10.npz", train_images=0)


def _prepared(data):
    (data / "cifar10" / "3.0.2").mkdir(parents=True)
    (data / "cifar10" / "3.0.2" / "dataset_info.json").write_text("{}")


@pytest.mark.parametrize("form", [_pictures, _packed, _published, _arrays, _prepared])
def test_every_form_is_found(tmp_path, form):
    rows = TABLE.rows(Context(tmp_path, tmp_path / "out"))
    assert all(missing(row.needs, tmp_path) for row in rows)
    form(tmp_path)
    found = [row for row in rows if not missing(row.needs, tmp_path)]
    assert {row.detail[1] for row in found} == {"cifar10"}
    assert find_cifar(tmp_path, "cifar10") is not None


def test_all_networks_are_trained_in_pieces(tmp_path, monkeypatch):
    """Every activation with and without ARR; what is cut off goes on, what is done stays."""
    _pictures(tmp_path)
    trained = []
    stops = [3]  # the number of the training that runs out of time

    def train(config, workdir):
        if len(trained) == stops[0]:
            stops[0] = -1
            return None
        trained.append((config.model.activation, config.arr.coefficient > 0, config.data.source))
        assert config.data.data_dir == str(tmp_path)
        assert config.train.total_epochs == 300
        folders.add(workdir)
        return {"top1": 0.5 + 0.01 * len(trained)}

    folders = set()
    monkeypatch.setattr("jaxbio.tasks.loop.train", train)
    context = Context(tmp_path, tmp_path / "out", seeds=1)
    first = measure_table("dnrt", TABLE, context)
    assert sum(entry["measured"] is not None for entry in first) == 5  # one was cut off
    measured = [e for e in measure_table("dnrt", TABLE, context) if e["measured"] is not None]
    assert {round(e["measured"], 2) for e in measured} == {0.51, 0.52, 0.53, 0.54, 0.55, 0.56}
    assert set(trained) == set(
        itertools.product(("relu", "gelu", "raa"), (False, True), ("cifar10",))
    )
    assert len(folders) == len(trained) == 6
    assert all("cifar10" in e["data"] for e in measured)
