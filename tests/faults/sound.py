"""Sound files of every kind that the readers take: what the campaign then damages."""

import dataclasses
import gzip
import json
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from PIL import Image

from jaxbio.features.layers import Layer
from jaxbio.features.store import Writer
from jaxbio.neural.portable import write_recordings
from jaxbio.neural.synthetic import synthetic_recordings
from tests.neural.files import Assembly, write_cadieu, write_csv
from tests.weights.torch_files import oldest_members, tar_file, text

_ROOT = Path(__file__).parents[1]
_RECORDED = _ROOT / "runs/recorded/0.1.0.tar.xz"
_WEIGHTS = _ROOT / "weights/data"


def write_sound(folder: Path) -> dict[str, list[Path]]:
    """Small sound files, by the reader of ``tests.faults.readers`` that takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    return {
        "weights": _weights(folder),
        "neural": [*_matlab(folder, rng), *_netcdf(folder), *_portable(folder, rng), _nwb(folder)],
        "features": _features(folder, rng),
        "idx": _idx(folder, rng),
        "shards": _shards(folder, rng),
        "picture": _pictures(folder, rng),
        "activity": [_activity(folder, rng)],
        "trials": [_trials(folder)],
        "distributions": [_distributions(folder)],
        "run": _runs(folder),
    }


def _weights(folder: Path) -> list[Path]:
    files = []
    for name in ("tensors_zip.pth", "tensors_legacy.pth.tar", "protocol4.pth", "recent_types.pth"):
        files.append(folder / name)
        files[-1].write_bytes((_WEIGHTS / name).read_bytes())
    described = b"\x80\x02}(" + text("a") + text("10") + b"Q" + text("b") + text("20") + b"Qu."
    files.append(tar_file(folder / "oldest.tar", oldest_members(described)))
    header = {
        "conv.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "fc.bias": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
        "__metadata__": {"format": "pt"},
    }
    begin = json.dumps(header).encode()
    files.append(folder / "a.safetensors")
    files[-1].write_bytes(struct.pack("<Q", len(begin)) + begin + bytes(32))
    return files


def _matlab(folder: Path, rng: np.random.Generator) -> list[Path]:
    entries = np.empty((1, 3), [("RDM", object), ("name", object)])
    for i, name in enumerate(("hIT | A | Session: 1", "hIT | A | Session: 2", "hIT | B | S: 1")):
        rdm = rng.random((6, 6))
        rdm += rdm.T
        np.fill_diagonal(rdm, 0)
        entries[0, i] = (rdm, name)
    files = [folder / "plain.mat", folder / "packed.mat", folder / "version4.mat"]
    for file, packed in zip(files, (False, True), strict=False):
        scipy.io.savemat(file, {"RDMs": entries}, do_compression=packed)
    rows = np.array([f"im{i}.png A 1" for i in range(7)])
    scipy.io.savemat(files[2], {"features": np.ones((7, 2)), "meta": rows}, format="4")
    (folder / "cadieu").mkdir(exist_ok=True)
    files += [write_cadieu(folder / "cadieu"), folder / "version73.mat"]
    with h5py.File(files[-1], "w", userblock_size=512) as file:
        group = file.create_group("#refs#")
        cells = [group.create_dataset(str(i), data=np.eye(6) == 0) for i in range(2)]
        names = []
        for i in range(2):
            letters = np.array([[ord(c)] for c in f"hIT | {i} | 1"], np.uint16)
            names.append(group.create_dataset(f"n{i}", data=letters))
            names[-1].attrs["MATLAB_class"] = np.bytes_("char")
        struct_ = file.create_group("RDMs")
        for key, values in (("RDM", cells), ("name", names)):
            struct_.create_dataset(key, data=[[v.ref] for v in values], dtype=h5py.ref_dtype)
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM"
    content = bytearray(files[-1].read_bytes())
    content[:128] = head
    files[-1].write_bytes(bytes(content))
    return files


def _netcdf(folder: Path) -> list[Path]:
    assembly = Assembly()
    files = [assembly.write_hdf5(folder / "four.nc"), assembly.write_classic(folder / "three.nc")]
    with h5py.File(files[0], "a") as file:
        file["xarray_data"].attrs.update({"scale_factor": 0.5, "_FillValue": np.float32(-9)})
    return files


def _portable(folder: Path, rng: np.random.Generator) -> list[Path]:
    recordings = synthetic_recordings(views=12).select(stimuli=np.arange(12))
    recordings = recordings.take_neuroids(4) if hasattr(recordings, "take_neuroids") else recordings
    rdm = rng.random((2, 12, 12))
    rdm += rdm.swapaxes(1, 2)
    rdm[:, np.arange(12), np.arange(12)] = 0
    stimuli = recordings.stimuli
    small = np.asarray(stimuli.read_images(8))
    recordings = dataclasses.replace(
        recordings, stimuli=dataclasses.replace(stimuli, images=small), rdms={"human_it": rdm}
    )
    files = [folder / "portable.npz", folder / "portable.h5", folder / "table.csv"]
    for file in files[:2]:
        write_recordings(recordings, file)
    rows = [f"s{i},{i},{i / 2},{-i}\n" for i in range(8)]
    files[2].write_text("stimulus_id,n0,n1,n2\n" + "".join(rows))
    (folder / "npy").mkdir(exist_ok=True)
    np.save(folder / "npy" / "table.npy", rng.random((4, 3)))
    write_csv(folder / "npy" / "stimuli.csv")
    pairs = {"human_it_rdms": rdm[None, :, :6, :6], "monkey_it_rdm_vec": rng.random(15)}
    images = np.zeros((6, 4, 4, 3), np.uint8)
    np.savez_compressed(
        folder / "kriegeskorte.npz", images=images, category=np.array(["a"] * 6), **pairs
    )
    return [*files, folder / "npy" / "table.npy", folder / "kriegeskorte.npz"]


def _nwb(folder: Path) -> Path:
    path = folder / "units.nwb"
    with h5py.File(path, "w") as file:
        units = file.create_group("units")
        units["spike_times"] = np.sort(np.linspace(0, 9, 40).reshape(20, 2), axis=0).T.ravel()
        units["spike_times_index"] = [20, 40]
        units["id"] = [3, 5]
        trials = file.create_group("intervals/trials")
        trials["start_time"] = np.arange(8.0)
        trials.create_dataset("stimulus_id", data=[b"a", b"b"] * 4, dtype=h5py.string_dtype())
    return path


def _features(folder: Path, rng: np.random.Generator) -> list[Path]:
    layers = {
        "area": Layer("area", (2, 3, 4), steps=(1, 2), arrival_step=2),
        "pooled": Layer("pooled", (5,)),
    }
    files = [folder / "features.h5", folder / "features.npz"]
    for file in files:
        if file.exists():
            continue
        names = [f"i{i}.png" for i in range(9)]
        with Writer(file, layers, names, {"weights": "w", "layers": {}}, {"run": "r"}) as writer:
            values = {n: rng.random((9, *la.feature_shape), np.float32) for n, la in layers.items()}
            writer.write(values, np.ones(9, bool))
            writer.finish()
    return files


def _idx(folder: Path, rng: np.random.Generator) -> list[Path]:
    files = []
    for kind in ("packed", "plain"):
        inside = folder / f"idx_{kind}" / "mnist"
        inside.mkdir(parents=True, exist_ok=True)
        for split, count in (("train", 20), ("t10k", 10)):
            pixels = rng.integers(0, 255, count * 64, dtype=np.uint8).tobytes()
            images = struct.pack(">4I", 0x803, count, 8, 8) + pixels
            labels = struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count))
            for name, raw in (("images-idx3", images), ("labels-idx1", labels)):
                path = inside / f"{split}-{name}-ubyte"
                if kind == "packed":
                    path, raw = path.with_name(f"{path.name}.gz"), gzip.compress(raw, mtime=0)
                path.write_bytes(raw)
        files += sorted(inside.iterdir())
    return files


def _shards(folder: Path, rng: np.random.Generator) -> list[Path]:
    for split, number in (("train", 5), ("val", 2)):
        for i in range(number):
            path = folder / "classes" / split / f"c{i % 2}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(path)
    # In a process of its own: forks of one that has tensorflow's threads may hang.
    code = "import sys; from jaxbio.commands.main import main; sys.exit(main(sys.argv[1:]))"
    words = ["data", "shard", folder / "classes", folder / "shards", "--shards=2"]
    subprocess.run([sys.executable, "-c", code, *map(str, words)], check=True, capture_output=True)
    return sorted((folder / "shards").iterdir())


def _pictures(folder: Path, rng: np.random.Generator) -> list[Path]:
    image = Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8))
    grey16 = Image.fromarray(rng.integers(0, 65535, (20, 30)).astype(np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    more = [Image.fromarray(255 - np.asarray(image))]
    kinds = {
        "a.jpg": (image, {"exif": exif}),
        "cmyk.jpg": (image.convert("CMYK"), {}),
        "progressive.jpg": (image, {"progressive": True}),
        "a.png": (image, {"exif": exif}),
        "alpha.png": (image.convert("RGBA"), {}),
        "la.png": (image.convert("LA"), {}),
        "deep.png": (grey16, {}),
        "moving.png": (image, {"save_all": True, "append_images": more}),
        "a.gif": (image, {"save_all": True, "append_images": more}),
        "a.webp": (image, {}),
        "moving.webp": (image, {"save_all": True, "append_images": more}),
        "a.bmp": (image, {}),
        "palette.bmp": (image.quantize(16), {}),
        "a.tif": (image, {"compression": "tiff_lzw"}),
        "plain.tif": (image, {}),
        "a.avif": (image, {"quality": 60}),
    }
    for name, (picture, options) in kinds.items():
        picture.save(folder / name, **options)
    return [folder / name for name in kinds]


def _activity(folder: Path, rng: np.random.Generator) -> Path:
    path = folder / "activity.npz"
    counts = rng.integers(0, 9, (200, 25))
    np.savez_compressed(path, digest=np.array("d" * 32), counts=counts, labels=np.arange(200) % 10)
    return path


def _trials(folder: Path) -> Path:
    path = folder / "trials.csv"
    head = "subj,session,trial,rt,object_response,category,condition,imagename\n"
    row = "s1,1,{0},0.{0},dog,cat,c,0001_x_{0}.png\n"
    path.write_text(head + "".join(row.format(i) for i in range(9)))
    return path


def _distributions(folder: Path) -> Path:
    path = folder / "distributions.csv"
    rows = "".join(f"{i / 3},{i}\n" for i in range(1, 30))
    path.write_text(f"preferred_orientation,circular_variance\n{rows}")
    return path


def _runs(folder: Path) -> list[Path]:
    """The small files of three recorded runs."""
    small = []
    with tarfile.open(_RECORDED) as archive:
        for member in archive.getmembers():
            task, _, name = member.name.partition("/")
            if name in ("config.json", "metrics.jsonl") and member.isfile():
                archive.extract(member, folder / "runs", filter="data")
                small.append(folder / "runs" / task / name)
    results = {
        "classification": {"top1": 0.5, "top5": 0.9, "loss": 1.0},
        "stdp": {"readouts": {"patch_voting": {"accuracy": 0.5, "error": 0.1}}, "images": 40},
        "rdm": {"similarity": 0.2},
    }
    for task, found in results.items():
        small.append(folder / "runs" / task / "results.json")
        whole = {"step": 4, "parameters": 10, "run": "r", **found}
        small[-1].write_text(json.dumps(whole, indent=2))
    return small
