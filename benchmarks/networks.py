"""Forward and training speed of the networks, side by side with plain PyTorch if installed.

    python benchmarks/networks.py --models resnet50 densenet121 --batch 8 --size 224

Prints images per second: the median over rounds in which jaxbio and PyTorch take turns, so that a
busy machine slows both. The training step is forward, backward and SGD with momentum and decay.
"""

import argparse
import itertools
import os
import statistics
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxbio import create_model

try:
    import torch
    from torch import nn
except ImportError:
    torch = None


def jaxbio_runs(name: str, front_end: str, batch: int, size: int, dtype) -> dict[str, Callable]:
    """Functions that run one forward pass and one training step to the end."""
    options = {"noise_mode": "none"} if front_end != "none" else None
    model = create_model(
        name, image_size=size, front_end=front_end, front_end_options=options, dtype=dtype
    )
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((batch, size, size, 3)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 1000, batch))
    variables = jax.jit(model.init)(jax.random.key(0), x[:1])
    forward = jax.jit(lambda variables, x: model.apply(variables, x)[0])
    optimizer = optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(0.01, momentum=0.9))

    def step(params, rest, momentum, x, labels):
        def loss(params):
            rngs = {"dropout": jax.random.key(0)}
            (logits, _), updated = model.apply(
                {"params": params, **rest}, x, True, mutable=["batch_stats"], rngs=rngs
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), {**rest, **updated}

        (_, rest), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, momentum = optimizer.update(gradients, momentum, params)
        return optax.apply_updates(params, updates), rest, momentum

    step = jax.jit(step, donate_argnums=(0, 1, 2))
    copied = jax.tree.map(jnp.copy, variables)  # the steps donate theirs
    params = copied.pop("params")
    state = [params, copied, optimizer.init(params)]

    def train():
        state[:] = jax.block_until_ready(step(*state, x, labels))

    return {"forward": lambda: forward(variables, x).block_until_ready(), "train": train}


if torch is not None:

    class Bottleneck(nn.Module):
        """ResNet's bottleneck block."""

        def __init__(self, channels: int, planes: int, stride: int):
            super().__init__()
            convs = (
                (channels, planes, 1, 1),
                (planes, planes, 3, stride),
                (planes, 4 * planes, 1, 1),
            )
            layers = []
            for c_in, c_out, kernel, s in convs:
                layers.append(nn.Conv2d(c_in, c_out, kernel, s, kernel // 2, bias=False))
                layers += [nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]
            self.main = nn.Sequential(*layers[:-1])
            self.shortcut = nn.Identity()
            if stride != 1 or channels != 4 * planes:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(channels, 4 * planes, 1, stride, bias=False),
                    nn.BatchNorm2d(4 * planes),
                )

        def forward(self, x):
            """Runs the module."""
            return torch.relu(self.main(x) + self.shortcut(x))

    class DenseLayer(nn.Module):
        """A dense layer: appends its output to the list of features."""

        def __init__(self, channels: int, growth: int):
            super().__init__()
            self.main = nn.Sequential(
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels, 4 * growth, 1, bias=False),
                nn.BatchNorm2d(4 * growth),
                nn.ReLU(inplace=True),
                nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
            )

        def forward(self, features):
            """Runs the module."""
            return [*features, self.main(torch.cat(features, 1))]

    class DenseBlock(nn.Module):
        """Dense layers, then one concatenation."""

        def __init__(self, channels: int, layers: int, growth: int):
            super().__init__()
            self.layers = nn.ModuleList(
                DenseLayer(channels + i * growth, growth) for i in range(layers)
            )

        def forward(self, x):
            """Runs the module."""
            features = [x]
            for layer in self.layers:
                features = layer(features)
            return torch.cat(features, 1)

    class Pooled(nn.Module):
        """Mean over the map."""

        def forward(self, x):
            """Runs the module."""
            return x.mean((2, 3))

    class SVPFrontEnd(nn.Module):
        """V1 as published, two dense banks over three colours, and V2."""

        def __init__(self, channels: int = 128):
            super().__init__()
            self.q0, self.q1 = (
                nn.Conv2d(3, 512, 25, 4, 12, bias=False).requires_grad_(False) for _ in range(2)
            )
            self.readout = nn.Conv2d(512, 64, 1, bias=False)
            self.v2 = nn.Conv2d(64, 192, 5, padding=2).requires_grad_(False)
            self.v2_readout = nn.Conv2d(192, channels, 1, bias=False)

        def forward(self, x):
            """Runs the module."""
            q0, q1 = self.q0(x), self.q1(x)
            complex_cells = torch.sqrt(q0[:, 256:] ** 2 + q1[:, 256:] ** 2) / 2**0.5
            x = torch.relu(25 * torch.cat([torch.relu(q0[:, :256]), complex_cells], 1))
            x = torch.relu(self.v2(self.readout(x)))
            return self.v2_readout(nn.functional.max_pool2d(x, 3, 2))

    def stem(channels: int) -> list[nn.Module]:
        conv = nn.Conv2d(3, channels, 7, 2, 3, bias=False)
        return [conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]

    def torch_resnet50(svp: bool) -> nn.Module:
        layers, channels = ([SVPFrontEnd()], 128) if svp else (stem(64), 64)
        for i, blocks in enumerate((3, 4, 6, 3)):
            if svp and i == 0:
                continue
            for b in range(blocks):
                stride = 2 if b == 0 and i > svp else 1
                layers.append(Bottleneck(channels, 64 * 2**i, stride))
                channels = 256 * 2**i
        return nn.Sequential(*layers, Pooled(), nn.Linear(channels, 1000))

    def torch_densenet121(svp: bool) -> nn.Module:
        layers, channels = ([SVPFrontEnd()], 128) if svp else (stem(64), 64)
        blocks = (12, 24, 16) if svp else (6, 12, 24, 16)
        for i, count in enumerate(blocks):
            layers.append(DenseBlock(channels, count, 32))
            channels += 32 * count
            layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            if i < len(blocks) - 1:
                layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
                channels //= 2
        return nn.Sequential(*layers, Pooled(), nn.Linear(channels, 1000))

    def classifier(pixels: int, channels: int) -> list[nn.Module]:
        sizes = (channels * pixels**2, 4096, 4096)
        hidden = [
            layer
            for n, m in itertools.pairwise(sizes)
            for layer in (nn.Linear(n, m), nn.ReLU(inplace=True), nn.Dropout())
        ]
        return [nn.AdaptiveAvgPool2d(pixels), nn.Flatten(), *hidden, nn.Linear(4096, 1000)]

    def torch_alexnet(svp: bool) -> nn.Module:
        relu, pool = partial(nn.ReLU, inplace=True), partial(nn.MaxPool2d, 3, 2)
        first = [nn.Conv2d(3, 64, 11, 4, 2), relu(), pool()]
        first += [nn.Conv2d(64, 192, 5, padding=2), relu(), pool()]
        layers = [SVPFrontEnd(192)] if svp else first
        for n, m in ((192, 384), (384, 256), (256, 256)):
            layers += [nn.Conv2d(n, m, 3, padding=1), relu()]
        return nn.Sequential(*layers, pool(), *classifier(7 if svp else 6, 256))

    def torch_vgg19_bn(svp: bool) -> nn.Module:
        stages = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
        layers, channels = ([SVPFrontEnd()], 128) if svp else ([], 3)
        for width, count in stages[2:] if svp else stages:
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width)]
                layers.append(nn.ReLU(inplace=True))
                channels = width
            layers.append(nn.MaxPool2d(2))
        return nn.Sequential(*layers, *classifier(7, 512))

    TORCH_MODELS = {
        "resnet50": torch_resnet50,
        "densenet121": torch_densenet121,
        "alexnet": torch_alexnet,
        "vgg19_bn": torch_vgg19_bn,
    }

    def torch_runs(name: str, front_end: str, batch: int, size: int) -> dict[str, Callable]:
        """As :func:`jaxbio_runs`, by plain PyTorch in float32 on the CPU."""
        model = TORCH_MODELS[name](front_end == "svp")
        x, labels = torch.randn(batch, 3, size, size), torch.randint(0, 1000, (batch,))
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.SGD(trained, 0.01, momentum=0.9, weight_decay=1e-4)

        def forward():
            model.eval()
            with torch.inference_mode():
                model(x)

        def train():
            model.train()
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(x), labels).backward()
            optimizer.step()

        return {"forward": forward, "train": train}


def compare(runs: dict[str, Callable], rounds: int) -> dict[str, float]:
    """Median wall time of each function, in seconds; the functions take turns."""
    for run in runs.values():
        run()  # compiles, or warms up
    times: dict[str, list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            start = time.perf_counter()
            run()
            times[key].append(time.perf_counter() - start)
    return {key: statistics.median(values) for key, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["resnet50", "densenet121"])
    parser.add_argument("--front_ends", nargs="+", default=["none", "svp"])
    parser.add_argument("--modes", nargs="+", default=["forward", "train"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"{jax.default_backend()}, {os.cpu_count()} cores, load {load:.1f}, batch {options.batch}"
    )
    with_torch = torch is not None and jax.default_backend() == "cpu"
    for name in options.models:
        for front_end in options.front_ends:
            size = (options.batch, options.size)
            dtype = jnp.dtype(options.dtype)
            ours = jaxbio_runs(name, front_end, *size, dtype)
            theirs = {}
            if with_torch and name in TORCH_MODELS and front_end in ("none", "svp"):
                theirs = torch_runs(name, front_end, *size)
            for mode in options.modes:
                runs = {"jaxbio": ours[mode]}
                if theirs:
                    runs["torch"] = theirs[mode]
                seconds = compare(runs, options.rounds)
                row = "  ".join(f"{k} {options.batch / v:7.2f} img/s" for k, v in seconds.items())
                if theirs:
                    row += f"  ratio {seconds['torch'] / seconds['jaxbio']:.2f}"
                print(f"{name:12s} {front_end:5s} {mode:8s} {row}", flush=True)


if __name__ == "__main__":
    main()
