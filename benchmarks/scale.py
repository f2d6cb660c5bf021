"""What training on 256 chips needs, from programs compiled for 256 devices that are not there.

    PYTHONPATH=. python benchmarks/scale.py                   # what the JSON lacks, then the tables
    PYTHONPATH=. python benchmarks/scale.py --parts=vit_b16   # a part, also if it is there

The real steps of ``jaxbio train`` (model, optimiser, augmentation, mesh) are lowered for 256 host
devices and compiled; nothing runs, and no data is read. XLA's own accounts of the program of one
device give memory, operations and the bytes of collectives. The tables in docs/scale.md divide them
by the published peak rates of a TPU.

What that leaves open: buffers and fusions are those of XLA's CPU backend, which computes bfloat16
in float32, so temporaries are an upper bound; collectives do not overlap with computation here.
"""

import argparse
import dataclasses
import os
import re
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHIPS = 256
# Before JAX is imported. LLVM's passes change no account; they take most of the time.
os.environ["XLA_FLAGS"] = " ".join([
    os.environ.get("XLA_FLAGS", ""), f"--xla_force_host_platform_device_count={CHIPS}",
    "--xla_backend_optimization_level=0",
])  # fmt: skip
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402
from jax.sharding import NamedSharding, PartitionSpec  # noqa: E402

from benchmarks import input_pipeline  # noqa: E402
from jaxbio.configs import gelu_vit, svp_resnet  # noqa: E402
from jaxbio.data.types import ArraySplit, Source  # noqa: E402
from jaxbio.files import read_json, write_json  # noqa: E402
from jaxbio.runs.mesh import batch_sharding, make_mesh  # noqa: E402
from jaxbio.similarity.gram import _gram  # noqa: E402
from jaxbio.tasks.classification import task as tasks  # noqa: E402

Figures = dict[str, Any]
_PER_CHIP = 32  # images of a step
_TRAIN, _TEST = 1_281_167, 50_000  # ImageNet's
_STIMULI, _UNITS = 1960, 112 * 112 * 64  # the first pool of VGG-16 at 224 px
_SMALL = 2**16  # bytes; collectives of fewer wait for the network's latency, not for its bandwidth


@dataclasses.dataclass(frozen=True)
class Chip:
    """Published peak rates of a chip, and of its network.

    Attributes:
        flops: bfloat16 operations per second.
        memory: bytes.
        all_reduce: bytes per second that a chip sends: the pod's all-reduce bandwidth per chip.
        per_host: chips.
        source: where these stand.
    """

    flops: float
    memory: float
    all_reduce: float
    per_host: int
    source: str


TPUS = {
    "v5e": Chip(197e12, 16e9, 51.2e12 / 256, 8, "https://docs.cloud.google.com/tpu/docs/v5e"),
    "v4": Chip(275e12, 32 * 2**30, 1.1e15 / 4096, 4, "https://docs.cloud.google.com/tpu/docs/v4"),
}
_REACHED = 0.4  # of the peak: an assumption, beside the bound at the peak itself
_HOP, _HOPS = 1e-6, 16  # an assumption: seconds for a step to a neighbour; the way in a 16x16 torus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--parts", default="", help="with commas; default: those that are not there"
    )
    parser.add_argument("--output", type=Path, default=Path("scale.json"))
    options = parser.parse_args()
    parts = _parts()
    found = read_json(options.output) if options.output.exists() else {}
    wanted = [word for word in options.parts.split(",") if word] or parts.keys() - found.keys()
    for name in wanted:
        if name not in parts:
            raise SystemExit(f"--parts={name}: use some of {', '.join(parts)}")
    # Programs of an accelerator, not what jaxbio.models.cpu has in their place.
    lax.platform_dependent = lambda *args, default, **_: default(*args)
    for name in sorted(wanted, key=list(parts).index):
        start = time.monotonic()
        figures = parts[name]()
        figures["seconds"] = round(time.monotonic() - start, 1)
        figures["process_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        found[name] = figures
        write_json(options.output, found)
        print(f"{name}: {figures}", flush=True)
    print(tables({name: found[name] for name in parts if name in found}))


def _parts() -> dict[str, Callable[[], Figures]]:
    svp, vit = svp_resnet.get_config("imagenet"), gelu_vit.get_config("imagenet")
    vit.model.name = "vit_base_patch16_224"
    svp.model.dtype = "bfloat16"
    return {
        "svp_resnet50": lambda: training(svp),
        "vit_b16": lambda: training(vit),
        "vit_b16_fsdp16": lambda: training(vit, fsdp=16),
        "test_svp_resnet50": lambda: testing(svp),
        "gram": gram,
        "decode": decode,
    }


def training(config, fsdp: int = 1) -> Figures:
    """The training step of a configuration, and the size of what a checkpoint holds."""
    task = _task(config, fsdp)
    step: Any = task.train_step()
    batch = _batch(task, config.train.batch_size, {"image": "uint8", "label": "int32"})
    figures = _accounts(step.func.lower(task.like, batch, **step.keywords))
    state = jax.tree.leaves(task.like)
    figures["state_bytes"] = sum(x.size * x.dtype.itemsize for x in state)
    figures["parameters"] = sum(x.size for x in jax.tree.leaves(task.like.params))
    return figures | {"images": config.train.batch_size}


def testing(config) -> Figures:
    """The evaluation step."""
    task = _task(config, 1)
    kinds = {"image": "uint8", "label": "int32", "index": "int32", "mask": "bool"}
    batch = _batch(task, config.eval.batch_size, kinds)
    variables = task.like.variables(averaged=True)
    figures = _accounts(task.classifier.eval_step.lower(variables, batch))
    return figures | {"images": config.eval.batch_size}


def _task(config, fsdp: int):
    pixels = np.broadcast_to(np.zeros((1, 1, 1, 3), np.uint8), (_TRAIN, 224, 224, 3))
    labels = np.broadcast_to(np.zeros(1, np.int32), _TRAIN)
    names = [str(i) for i in range(1000)]
    train, test = ArraySplit(pixels, labels), ArraySplit(pixels[:_TEST], labels[:_TEST])
    tasks.open_source = lambda data: Source("shapes", names, train, test, False, lambda: "")
    config.train.batch_size = config.eval.batch_size = _PER_CHIP * CHIPS
    config.mesh.fsdp = fsdp
    return tasks.Classification(config)


def _batch(task, size: int, kinds: dict[str, str]) -> dict[str, jax.ShapeDtypeStruct]:
    split = batch_sharding(task.classifier.mesh)
    sides = {"image": (224, 224, 3)}
    return {
        name: jax.ShapeDtypeStruct((size, *sides.get(name, ())), kind, sharding=split)
        for name, kind in kinds.items()
    }


def gram() -> Figures:
    """The Gram matrix of a layer whose units lie on all chips (``similarity.gram``)."""
    split = NamedSharding(make_mesh(), PartitionSpec(None, ("data", "fsdp")))
    shape = jax.ShapeDtypeStruct((_STIMULI, _UNITS), jnp.float32, sharding=split)
    return _accounts(jax.jit(_gram).lower(shape)) | {"images": _STIMULI}


def decode() -> Figures:
    """JPEGs that a core of this machine decodes, crops and turns in a second (synthetic ones)."""
    args = argparse.Namespace(threads=0, batch=64, seconds=3.0, repeats=3)
    with tempfile.TemporaryDirectory() as root:
        input_pipeline.write_jpegs(root, 512)
        rows = input_pipeline.measure(
            args, "", source="folder", data_dir=root, image_size=224, augmentation="crop_flip"
        )
    cores = len(os.sched_getaffinity(0))
    return {"cores": cores, "train": rows[0][-1] / cores, "test": rows[1][-1] / cores}


def _accounts(lowered) -> Figures:
    """What XLA says of the compiled program of one device."""
    counted = lowered.cost_analysis()["flops"] / CHIPS
    start = time.monotonic()
    program = lowered.compile()
    memory = program.memory_analysis()
    return {
        "compile_s": round(time.monotonic() - start, 1),
        "arguments": memory.argument_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "outputs": memory.output_size_in_bytes,
        "aliased": memory.alias_size_in_bytes,
        "flops_lowered": counted,
        "flops_compiled": program.cost_analysis()["flops"],
        "collectives": collectives(program.as_text()),
    }


_CALL = re.compile(
    r" = (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
)
_ARRAY = re.compile(r"(\w+?)(\d+)(?:e\d\w*)?\[([\d,]*)\]")


def collectives(text: str) -> Figures:
    """Numbers and bytes of the collectives of a program, by kind; of results, on one device."""
    calls: Counter[str] = Counter()
    total: Counter[str] = Counter()
    small = 0
    for result, kind in _CALL.findall(text):
        size = sum(
            int(bits) // 8 * int(np.prod([int(n) for n in shape.split(",") if n], dtype=int))
            for _, bits, shape in _ARRAY.findall(result)
        )
        calls[kind] += 1
        total[kind] += size
        small += size < _SMALL
    whole = text.partition("\nENTRY ")[2]
    if len(_CALL.findall(whole)) != sum(calls.values()):
        raise SystemExit("collectives stand in a loop: their number of turns is not counted")
    return {"calls": dict(calls), "bytes": dict(total), "small": small}


def seconds_of_collectives(found: Figures, chip: Chip) -> float:
    """Of ring algorithms at the peak rate: what a chip sends, by what it can send."""
    share = (CHIPS - 1) / CHIPS
    sent = {"all-reduce": 2 * share, "all-gather": share, "reduce-scatter": CHIPS * share}
    return sum(n * sent.get(kind, 1) for kind, n in found["bytes"].items()) / chip.all_reduce


def tables(found: Figures) -> str:
    """What docs/scale.md shows, of the parts that are there."""
    return "\n\n".join([_program_table(found), _time_table(found), *_sentences(found)])


def _program_table(found: Figures) -> str:
    head = ("one device", "arguments, MiB", "of these in place", "temporaries, MiB", "GFLOP",
            "compiled", "all-reduce", "all-gather", "below 64 KiB", "compile, s")  # fmt: skip
    rows = []
    for name, part in _programs(found):
        calls, size = part["collectives"]["calls"], part["collectives"]["bytes"]
        other = calls.keys() - {"all-reduce", "all-gather"}
        if other:
            raise SystemExit(f"{name} has {', '.join(other)}, for which the table has no column")
        mib = [f"{part[k] / 2**20:,.0f}" for k in ("arguments", "aliased", "temporaries")]
        gflop = [f"{part[k] / 1e9:,.0f}" for k in ("flops_lowered", "flops_compiled")]
        both = [f"{calls[k]}: {size[k] / 2**20:.1f} MiB" if k in calls else "-"
                for k in ("all-reduce", "all-gather")]  # fmt: skip
        small = str(part["collectives"]["small"])
        rows.append((f"`{name}`", *mib, *gflop, *both, small, f"{part['compile_s']:.0f}"))
    return _markdown(head, rows)


def _time_table(found: Figures) -> str:
    head = ("step", "chip", "compute, ms: peak", "40 %", "collectives, ms", "share",
            "small ones wait, ms", "step, ms", "images/s", "of a host", "cores that decode",
            "epoch, s", "images that fit a chip")  # fmt: skip
    rows = []
    for name, part in _programs(found):
        for label, chip in TPUS.items():
            peak = part["flops_lowered"] / chip.flops
            sent = seconds_of_collectives(part["collectives"], chip)
            wait = part["collectives"]["small"] * 2 * _HOPS * _HOP
            step = peak / _REACHED + sent
            cells = [f"`{name}`", label, f"{1e3 * peak:.2f}", f"{1e3 * peak / _REACHED:.2f}",
                     f"{1e3 * sent:.2f}", f"{100 * sent / step:.0f} %", f"{1e3 * wait:.1f}",
                     f"{1e3 * step:.1f}"]  # fmt: skip
            if "state_bytes" in part:
                rate = part["images"] / step
                host = rate * chip.per_host / CHIPS
                cores = f"{host / found['decode']['train']:.0f}" if "decode" in found else "?"
                fit = _PER_CHIP * (chip.memory - part["arguments"]) / part["temporaries"]
                cells += [f"{rate:,.0f}", f"{host:,.0f}", cores, f"{_TRAIN / rate:.1f}",
                          f"{fit:.0f}"]  # fmt: skip
            rows.append((*cells, *[""] * (len(head) - len(cells))))
    return _markdown(head, rows)


def _sentences(found: Figures) -> list[str]:
    lines = [
        f"{name}: {part['parameters']:,} parameters, checkpoint {part['state_bytes'] / 2**20:,.0f}"
        f" MiB, {_TRAIN // part['images']} steps an epoch"
        for name, part in _programs(found)
        if "state_bytes" in part
    ]
    if "decode" in found:
        rates = found["decode"]
        lines.append(
            f"one of {rates['cores']} cores decodes {rates['train']:.0f} training and "
            f"{rates['test']:.0f} test JPEGs a second"
        )
    most = max(part["process_gib"] for part in found.values())
    return [*lines, f"most memory of this process: {most:.1f} GiB"]


def _programs(found: Figures) -> list[tuple[str, Figures]]:
    return [(name, part) for name, part in found.items() if "flops_lowered" in part]


def _markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
