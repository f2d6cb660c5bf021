"""Cost of response-adaptive activations and of ARR in a ViT training step, and PyTorch's step.

    python benchmarks/dnrt.py                                # RAA against GELU and PyTorch
    python benchmarks/dnrt.py --compare arr --batch 256      # ARR against plain cross-entropy
    python benchmarks/dnrt.py --dtype bfloat16 --batch 1024  # on an accelerator

A step is forward, backward, clipping and AdamW, compiled, on images that are on the device. The
candidates take turns, so that a busy machine slows all of them; printed are medians over the rounds
and the median of each round's ratio to the first candidate.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio import create_model
from jaxbio.configs import dnrt_vit
from jaxbio.ops.images import Preprocessing
from jaxbio.tasks.classification.arr import make_regulariser
from jaxbio.tasks.classification.build import create_state
from jaxbio.tasks.classification.optimizers import make_optimizer
from jaxbio.tasks.classification.step import make_train_step

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError:
    torch = None

CLASSES = 100


def jaxbio_step(activation: str, coefficient: float, args: argparse.Namespace) -> Callable:
    """Runs one training step of jaxbio to its end."""
    dtype = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}[args.dtype]
    model = create_model(
        args.model, num_classes=CLASSES, image_size=args.size, activation=activation, dtype=dtype
    )
    config = dnrt_vit.get_config("cifar100")
    config.arr.coefficient = coefficient
    regulariser = make_regulariser(config.arr, model, args.size)
    optimizer = make_optimizer(config.optimizer)
    step = make_train_step(
        model,
        Preprocessing(args.size, config.data.mean, config.data.std),
        optimizer,
        lambda step: jnp.float32(1e-4),
        seed=0,
        regulariser=regulariser,
    )
    step = jax.jit(step, donate_argnums=0)
    make = partial(
        create_state,
        model,
        optimizer,
        image_shape=(args.size, args.size, 3),
        regulariser=regulariser,
    )
    images, labels = data(args)
    batch = {"image": jnp.asarray(images), "label": jnp.asarray(labels)}
    kept = [jax.jit(make)(jax.random.key(0))]

    def run() -> None:
        state, metrics = step(kept.pop(), batch)
        kept.append(state)
        jax.block_until_ready((state, metrics))

    return run


def data(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Random uint8 images, NHWC, and labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (args.batch, args.size, args.size, 3), np.uint8)
    return images, rng.integers(0, CLASSES, args.batch).astype(np.int32)


if torch is not None:

    class TorchBlock(nn.Module):
        """Pre-norm block with plain attention."""

        def __init__(self, width: int, heads: int):
            super().__init__()
            self.heads = heads
            self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            """Tokens to tokens."""
            b, n, c = x.shape
            qkv = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, c // self.heads)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            weights = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
            x = x + self.proj((weights @ v).transpose(1, 2).reshape(b, n, c))
            return x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))

    class TorchViT(nn.Module):
        """The same network as jaxbio's, with GELU."""

        def __init__(self, model, size: int):
            super().__init__()
            width, patch = model.width, model.patch
            self.embed = nn.Conv2d(3, width, patch, patch)
            self.cls = nn.Parameter(torch.zeros(1, 1, width))
            self.pos = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2 + 1, width))
            self.blocks = nn.Sequential(
                *(TorchBlock(width, model.heads) for _ in range(model.depth))
            )
            self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, CLASSES)

        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            """Images to logits."""
            x = self.embed(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
            return self.head(self.norm(self.blocks(x)[:, 0]))


def torch_step(args: argparse.Namespace) -> Callable:
    """Runs one training step of PyTorch to its end."""
    device = "cuda" if torch.cuda.is_available() and jax.default_backend() == "gpu" else "cpu"
    torch.manual_seed(0)
    model = TorchViT(create_model(args.model, num_classes=CLASSES), args.size).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=0.05)
    images, labels = data(args)
    x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    labels = torch.from_numpy(labels).long().to(device)

    def run() -> None:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=args.dtype == "bfloat16"):
            logits = model((x.float() / 255 - 0.5) / 0.25)
        functional.cross_entropy(logits.float(), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def candidates(args: argparse.Namespace) -> dict[str, Callable]:
    """What is compared, the reference first."""
    if args.compare == "arr":
        return {
            "plain": jaxbio_step("raa", 0.0, args),
            "ARR": jaxbio_step("raa", 20.0, args),
        }
    runs = {name: jaxbio_step(name.lower(), 0.0, args) for name in ("GELU", "RAA", "ReLU")}
    if torch is not None:
        runs["PyTorch"] = torch_step(args)
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compare", choices=("activations", "arr"), default="activations")
    parser.add_argument("--model", default="vit_tiny_patch4_32")
    parser.add_argument("--size", type=int, default=32, help="pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    runs = candidates(args)
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    first = next(iter(times))
    print(f"{args.model}, {args.size} px, batch {args.batch}, {args.dtype}, {args.rounds} rounds")
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, times[first], strict=True))
        median = statistics.median(seconds)
        print(f"{name:8} {1e3 * median:9.1f} ms  {args.batch / median:8.1f} images/s  x{ratio:.3f}")


if __name__ == "__main__":
    main()
