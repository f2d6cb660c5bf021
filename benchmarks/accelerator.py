"""What one accelerator does with jaxbio, in eight minutes: a JSON and rows for docs/results.md.

    python benchmarks/accelerator.py             # on whatever JAX finds
    python benchmarks/accelerator.py --tiny      # every part at toy size, on a CPU: does it run?
    python benchmarks/accelerator.py --parts=machine,train_vit_tiny,corruption

Every part's result is written when it ends; the same command goes on after what is there (a file of
another device, size or JAX is refused). A name in --parts takes all parts that begin with it.
Nothing begins after --minutes. All data are synthetic, in memory, and made from seeds; TensorFlow
is not needed.

images/s are medians over repeats, each waited for. TFLOP/s of training count the operations of the
lowered program, and the share is that of the measured product of bfloat16 matrices. A network that
does not fit is tried with half the batch.
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxlib import _jax

import jaxbio
from jaxbio import create_model, similarity
from jaxbio.attacks import pgd
from jaxbio.configs import cornet_s, dnrt_resnet, dnrt_vit, svp_resnet
from jaxbio.corruptions import corrupt, corruption_names
from jaxbio.data import resident
from jaxbio.data.settings import read_settings
from jaxbio.data.types import ArraySplit, Source
from jaxbio.errors import InputError
from jaxbio.files import read_json, write_json
from jaxbio.ops.encoding import make_encoder
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.mesh import batch_sharding, make_mesh, replicated
from jaxbio.spiking.network import Network, Parameters
from jaxbio.spiking.population import Member, member_parameters, population_mesh
from jaxbio.spiking.presentation import EVERYTHING
from jaxbio.tasks.classification.build import create_state
from jaxbio.tasks.classification.optimizers import make_optimizer
from jaxbio.tasks.classification.step import make_train_step
from jaxbio.tasks.stdp.state import new_state
from jaxbio.tasks.stdp.step import make_step

Figures = dict[str, Any]
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How large the work is."""

    matrix: int = 8192
    copy: int = 2**30  # bytes
    image: int = 224
    batch: int = 256  # at 224 px; by the device's memory up to four times as much
    small_batch: int = 1024  # at 32 px
    corrupted: int = 64
    populations: tuple[int, ...] = (1, 16, 256)
    spiking_images: int = 40
    attacked: int = 512
    attack_steps: int = 20
    stimuli: tuple[int, int] = (49, 40)  # objects, images of each
    units: int = 50_000
    sites: int = 168
    splits: int = 100
    examples: int = 50_000
    seconds: float = 2.0  # of repeats, at least
    networks: tuple[str, ...] = ("vit_tiny_patch4_32", "resnet50", "cornet_s")
    small_network: str = "resnet18"


TINY = Sizes(
    matrix=256, copy=2**20, image=32, batch=2, small_batch=4, corrupted=2, populations=(1, 2),
    spiking_images=2, attacked=2, attack_steps=2, stimuli=(5, 16), units=300, sites=6, splits=3,
    examples=64, seconds=0.0, networks=("vit_mini_patch8_32", "squeezenet1_1", "cornet_z"),
    small_network="squeezenet1_1",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="", help="names or their beginnings, with commas")
    parser.add_argument("--tiny", action="store_true", help="toy sizes: whether every part runs")
    parser.add_argument("--minutes", type=float, default=8.0, help="no part begins after these")
    parser.add_argument("--output", type=Path, default=Path("accelerator.json"))
    options = parser.parse_args()
    sizes = TINY if options.tiny else _by_memory(Sizes())
    parts = _chosen(_parts(sizes), options.parts)
    about = {
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "jax": jax.__version__,
        "tiny": options.tiny,
    }
    record = _opened(options.output, about)
    began = time.monotonic()
    for name, part in parts.items():
        if name in record["parts"]:
            continue
        if time.monotonic() - began > 60 * options.minutes:
            print(f"{name} and what follows are left for the next call", flush=True)
            break
        start = time.monotonic()
        figures = part(record)
        figures["seconds"] = round(time.monotonic() - start, 1)
        record["parts"][name] = figures
        write_json(options.output, record)
        print(f"{name}: {figures}", flush=True)
        jax.clear_caches()  # programs hold device memory
    print(rows(record))


def _by_memory(sizes: Sizes) -> Sizes:
    """Batches for the device's memory: 256 images of 224 px for every 40 GiB."""
    limit = (jax.devices()[0].memory_stats() or {}).get("bytes_limit", 0)
    times = max(1, min(4, limit // (40 * 2**30)))
    times = 1 << (int(times).bit_length() - 1)
    return dataclasses.replace(sizes, batch=256 * times, small_batch=1024 * times)


def _parts(sizes: Sizes) -> dict[str, Callable[[Figures], Figures]]:
    """The parts in their order: what the others are measured by, then what matters most."""
    vit, recipe = dnrt_vit.get_config("cifar10"), svp_resnet.get_config("imagenet")
    train = {
        "vit_tiny": (sizes.networks[0], "none", vit, 32),
        "resnet50": (sizes.networks[1], "none", recipe, sizes.image),
        "svp_resnet50": (sizes.networks[1], "svp", recipe, sizes.image),
        "cornet_s": (sizes.networks[2], "none", cornet_s.get_config("imagenet"), sizes.image),
    }
    parts: dict[str, Callable[[Figures], Figures]] = {"machine": partial(machine, sizes)}
    parts |= {f"train_{name}": partial(training, sizes, *rest) for name, rest in train.items()}
    parts |= {"epochs": partial(epochs, sizes), "v1": partial(front_end, sizes)}
    parts |= {
        f"spiking_{members}": partial(spiking, sizes, members) for members in sizes.populations
    }
    parts |= {"attack": partial(attack, sizes)}
    parts |= {
        f"similarity_{name}": partial(brain, sizes, measure)
        for name, measure in (("rsa", _rsa), ("sit", _sit), ("ridge", _ridge), ("pls", _pls))
    }
    return parts | {
        f"corruption_{name}": partial(corruption, sizes, name) for name in corruption_names("all")
    }


def _chosen(parts: dict[str, Any], wanted: str) -> dict[str, Any]:
    words = [word for word in wanted.split(",") if word]
    for word in words:
        if not any(name.startswith(word) for name in parts):
            raise SystemExit(f"--parts: no part begins with {word!r}: use {', '.join(parts)}")
    return {n: p for n, p in parts.items() if not words or any(n.startswith(w) for w in words)}


def _opened(output: Path, about: Figures) -> Figures:
    """What earlier calls have measured, on this device."""
    if not output.exists():
        return {"about": about, "parts": {}}
    try:
        record = read_json(output)
    except InputError as error:
        raise SystemExit(str(error)) from None
    if record.get("about") != about:
        raise SystemExit(f"{output} is of {record.get('about')}, this is {about}: use --output")
    return record


def rate(run: Callable[[], Any], count: float, seconds: float) -> float:
    """``count`` per second: the median of repeats, after one that compiles.

    A repeat is as many calls as take a twentieth of ``seconds``, waited for together: devices work
    through a queue, and a wait takes as long as a small program.
    """

    def repeat(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            last = run()
        jax.block_until_ready(last)
        return (time.perf_counter() - start) / calls

    repeat(1)
    once = repeat(1)
    calls = max(1, min(100, int(seconds / 20 / once)))
    times = [repeat(calls)]
    while calls * sum(times) < seconds and len(times) < 50:
        times.append(repeat(calls))
    return count / statistics.median(times)


def machine(sizes: Sizes, record: Figures) -> Figures:
    """Products of square matrices, TFLOP/s, and copies, GB/s read and written."""
    del record
    n, found, product = sizes.matrix, {}, jax.jit(jnp.matmul)
    key = jax.random.key(0)
    for dtype in (jnp.bfloat16, jnp.float32):
        a = jax.random.normal(key, (n, n), dtype)  # products of ones are faster
        found[f"matmul_{jnp.dtype(dtype).name}_tflops"] = (
            2 * n**3 * rate(lambda a=a: product(a, a), 1, sizes.seconds) / 1e12
        )
    x = jnp.zeros(sizes.copy // 4, jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    found["copy_gb_s"] = rate(lambda: copy(x), 2 * x.nbytes / 1e9, sizes.seconds)
    return found


def training(
    sizes: Sizes, name: str, front_end: str, config, size: int, record: Figures
) -> Figures:
    """A training step in bfloat16 on images that are on the device."""
    batch = sizes.small_batch if size == 32 and name.startswith("vit") else sizes.batch
    while True:
        try:
            return _training(sizes, name, front_end, config, size, batch, record)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error) or batch == 1:
                raise
        batch //= 2


def _training(sizes, name, front_end, config, size, batch, record) -> Figures:
    step, state = _step(name, front_end, config, size)
    rng = np.random.default_rng(0)
    data = {
        "image": jnp.asarray(rng.integers(0, 256, (batch, size, size, 3), np.uint8)),
        "label": jnp.asarray(rng.integers(0, 10, batch)),
    }
    lowered = jax.jit(step, donate_argnums=0).lower(state, data)
    flops = operations(lowered)
    start = time.perf_counter()
    program = lowered.compile()
    compiled = time.perf_counter() - start
    kept = [state]

    def run() -> Any:
        new, metrics = program(kept.pop(), data)
        kept.append(new)
        return metrics

    images = rate(run, batch, sizes.seconds)
    found = {
        "batch": batch,
        "images_per_s": images,
        "tflops": images * flops / batch / 1e12,
        "compile_s": compiled,
    }
    memory = program.memory_analysis()
    if memory:
        found["gib"] = (memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 2**30
    peak = record["parts"].get("machine", {}).get("matmul_bfloat16_tflops")
    return found | ({"share_of_matmul": found["tflops"] / peak} if peak else {})


def operations(lowered: jax.stages.Lowered) -> float:
    """Floating-point operations of a program as it stands, before it is compiled."""
    # Clients of plugins cannot count: `Lowered.cost_analysis` is None there, and of compiled
    # programs they leave out what the vendor's libraries compute.
    module = lowered.compiler_ir("hlo").as_hlo_module()
    return _jax.hlo_module_cost_analysis(jax.devices("cpu")[0].client, module)["flops"]


def _step(name: str, front_end: str, config, size: int):
    """A training step of a recipe, in bfloat16, and the state it begins with."""
    options = {"noise_mode": "none"} if front_end != "none" else None
    model = create_model(
        name, num_classes=10, image_size=size, front_end=front_end, front_end_options=options,
        dtype=jnp.bfloat16,
    )  # fmt: skip
    optimizer = make_optimizer(config.optimizer)
    step = make_train_step(
        model, Preprocessing(size, *_HALF), optimizer, lambda step: jnp.float32(1e-3), seed=0
    )
    make = partial(create_state, model, optimizer, image_shape=(size, size, 3))
    return step, _filled(jax.eval_shape(make, jax.random.key(0)))


def _filled(shapes: Any) -> Any:
    """Arrays of these shapes: kernels random, of He's scale; initialisers take long to compile."""
    rng = np.random.default_rng(0)

    def fill(path, leaf) -> jax.Array:
        last = getattr(path[-1], "key", "")
        if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.ndim > 1:
            x = rng.standard_normal(leaf.shape, np.float32)
            return jnp.asarray(x * np.sqrt(2 / np.prod(leaf.shape[:-1])), leaf.dtype)
        return jnp.full(leaf.shape, last in ("scale", "var"), leaf.dtype)

    return jax.tree_util.tree_map_with_path(fill, shapes)


def epochs(sizes: Sizes, record: Figures) -> Figures:
    """Steps of ResNet-18 on 50,000 images of 32 px that stay on the device, cropped there."""
    del record
    config = dnrt_resnet.get_config("cifar10")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (sizes.examples, 32, 32, 3), np.uint8)
    split = ArraySplit(images, rng.integers(0, 10, sizes.examples).astype(np.int32))
    source = Source("synthetic", [str(i) for i in range(10)], split, split, True, lambda: "")
    batch, mesh = min(sizes.small_batch, sizes.examples), make_mesh()
    batches = resident.train_batches(
        source, read_settings(config.data), global_batch_size=batch, rows=slice(0, batch), seed=0,
        start_step=0, num_steps=None, whole=replicated(mesh), split=batch_sharding(mesh),
    )  # fmt: skip
    step, state = _step(sizes.small_network, "none", config, 32)
    step = jax.jit(step, donate_argnums=0)
    steps, kept = max(2, sizes.examples // batch // 4), [state]

    def run() -> Any:
        for _ in range(steps):
            new, metrics = step(kept.pop(), next(batches))
            kept.append(new)
        return metrics

    fed = rate(run, steps * batch, sizes.seconds)
    given = next(batches)

    def bare() -> Any:
        for _ in range(steps):
            new, metrics = step(kept.pop(), given)
            kept.append(new)
        return metrics

    alone = rate(bare, steps * batch, sizes.seconds)
    batches.close()
    return {"batch": batch, "images_per_s": fed, "bare_step_images_per_s": alone}


def front_end(sizes: Sizes, record: Figures) -> Figures:
    """V1, bfloat16: how near reading images and writing maps once is to a copy's speed."""
    model = create_model(
        "resnet18", image_size=sizes.image, front_end="vone", dtype=jnp.bfloat16,
        front_end_options={"noise_mode": "none"},
    )  # fmt: skip
    x = jax.random.normal(jax.random.key(0), (sizes.batch, sizes.image, sizes.image, 3))
    variables = jax.jit(model.v1.init)(jax.random.key(0), x[:1])
    program = jax.jit(lambda variables, x: model.v1.apply(variables, x)[0])
    moved = x.nbytes + program(variables, x).nbytes
    images = rate(lambda: program(variables, x), len(x), sizes.seconds)
    found = {"batch": len(x), "images_per_s": images, "gb_s": moved * images / len(x) / 1e9}
    copy = record["parts"].get("machine", {}).get("copy_gb_s")
    return found | ({"share_of_copy": found["gb_s"] / copy} if copy else {})


def corruption(sizes: Sizes, name: str, record: Figures) -> Figures:
    """One kind at severity 3, uint8 in and out on the device."""
    del record
    rng = np.random.default_rng(0)
    shape = (sizes.corrupted, sizes.image, sizes.image, 3)
    images, key = jnp.asarray(rng.integers(0, 256, shape, np.uint8)), jax.random.key(0)
    program = jax.jit(lambda x, key: corrupt(x, name, 3, key))
    return {"images_per_s": rate(lambda: program(images, key), len(images), sizes.seconds / 4)}


def spiking(sizes: Sizes, members: int, record: Figures) -> Figures:
    """STDP of networks of 25 channels, side by side; encoding, 250 steps and learning."""
    del record
    network, people = Network(filters=25), [Member(seed, {}) for seed in range(members)]
    parameters = member_parameters(Parameters(), people)
    keys = jnp.stack([jax.random.key(member.seed) for member in people])
    encoder = make_encoder("renewal", np.arange(256) * 0.5, 250)
    step = make_step(network, parameters, keys, encoder, population_mesh(members), EVERYTHING)
    kept = [new_state(network, parameters, people, two_step=False)]
    rng = np.random.default_rng(0)
    strokes = rng.uniform(size=(sizes.spiking_images, members, 400)) < 0.2  # as bright as digits
    images = (strokes * rng.integers(100, 256, strokes.shape)).astype(np.uint8)

    def run() -> Any:
        new, metrics = step(kept.pop(), images)
        kept.append(new)
        return metrics

    return {"images_per_s": rate(run, sizes.spiking_images * members, sizes.seconds)}


def attack(sizes: Sizes, record: Figures) -> Figures:
    """PGD, L-infinity 8/255, of ResNet-18 at 32 px in bfloat16 with random weights."""
    del record
    model = create_model(sizes.small_network, num_classes=10, image_size=32, dtype=jnp.bfloat16)
    images = jax.random.uniform(jax.random.key(1), (sizes.attacked, 32, 32, 3))
    labels = jnp.zeros(sizes.attacked, int)
    variables = _filled(jax.eval_shape(model.init, jax.random.key(0), images[:1]))
    prepared = Preprocessing(32, *_HALF)

    @jax.jit
    def attacked(variables, images, labels):
        def logits(x):
            return model.apply(variables, prepared.normalise(255 * x))[0]

        key = jax.random.key(2)
        return pgd(logits, images, labels, key, 8 / 255, steps=sizes.attack_steps)

    images_per_s = rate(lambda: attacked(variables, images, labels), len(images), sizes.seconds)
    return {"steps": sizes.attack_steps, "images_per_s": images_per_s}


def brain(sizes: Sizes, measure: Callable, record: Figures) -> Figures:
    """A layer of 50,000 units against 168 sites, 1,960 images; second run, all work included."""
    del record
    rng = np.random.default_rng(0)
    objects = np.repeat(np.arange(sizes.stimuli[0]), sizes.stimuli[1])
    signal = rng.standard_normal((len(objects), 40), np.float32)
    mixing = [rng.standard_normal((40, n), np.float32) for n in (sizes.units, sizes.sites)]
    features, responses = (
        signal @ m + 4 * rng.standard_normal((len(objects), m.shape[1]), np.float32) for m in mixing
    )
    on_device = jax.device_put(features), jax.device_put(responses)
    run = partial(measure, sizes, *on_device, objects)
    jax.block_until_ready(run())
    start = time.perf_counter()
    jax.block_until_ready(run())
    return {"units": sizes.units, "images": len(objects), "run_s": time.perf_counter() - start}


def _rsa(sizes: Sizes, features, responses, objects):
    del sizes, objects
    upper = [similarity.upper(similarity.rdm(x)) for x in (features, responses)]
    return similarity.compare(*upper, "spearman")


def _sit(sizes: Sizes, features, responses, objects):
    key = jax.random.key(0)
    return similarity.sit(features, responses, objects, key, n_splits=sizes.splits).scores


def _ridge(sizes: Sizes, features, responses, objects):
    del sizes
    return similarity.predictivity(features, responses, objects, "ridge-cv").score


def _pls(sizes: Sizes, features, responses, objects):
    components = min(25, sizes.stimuli[0])
    return similarity.predictivity(
        features, responses, objects, "pls", n_components=components
    ).score


def rows(record: Figures) -> str:
    """The rows of docs/results.md."""
    about = record["about"]
    lines = [
        f"`python benchmarks/accelerator.py`: {about['devices']} x {about['device']}, jax "
        f"{about['jax']}, jaxbio {jaxbio.__version__}{', toy sizes' * about['tiny']}.",
        "",
        "| part | figures |",
        "|---|---|",
    ]
    for name, figures in record["parts"].items():
        told = ", ".join(f"{key} {_short(value)}" for key, value in figures.items())
        lines.append(f"| {name} | {told} |")
    return "\n".join(lines)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
