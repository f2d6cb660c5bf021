"""Attacks beside the peers, on one network with the same weights, and their speed.

    python -m venv peers && peers/bin/pip install torch foolbox torchattacks
    python benchmarks/attacks.py --peers=peers/bin/python   # success beside Foolbox, torchattacks
    python benchmarks/attacks.py --speed                    # PGD-20 against 20 gradients

The first trains a SqueezeNet on scikit-learn's digits in the peers' environment, reads its file
through ``jaxbio.weights`` and attacks the same test images in both; in its column "rescaled" our
PGD projects as Foolbox does. The second compares the compiled attack with as many calls of a
compiled gradient; ``--parts`` says how often.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

CLASSES = 10
SIZE = 32
# method, norm, epsilon, steps, step relative to epsilon, loss, random start
CASES = (
    ("pgd", "linf", 0.02, 20, 0.125, "ce", False),
    ("pgd", "linf", 0.02, 20, 0.125, "ce", True),
    ("pgd", "l2", 0.6, 20, 0.125, "ce", False),
    ("pgd", "l2", 0.6, 20, 0.125, "ce", True),
    ("pgd", "l1", 16.0, 20, 0.25, "ce", False),
    ("pgd", "l1", 16.0, 20, 0.25, "ce", True),
    ("apgd", "linf", 0.02, 50, 0.0, "ce", True),
    ("apgd", "linf", 0.02, 50, 0.0, "dlr", True),
    ("apgd", "l2", 0.6, 50, 0.0, "ce", True),
)


def digits(folder: Path) -> None:
    """Writes the digits, enlarged to 32 px and coloured, as images in [0, 1]."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = np.kron(images.reshape(-1, 8, 8) / 16, np.ones((1, 4, 4))).astype(np.float32)
    images = np.repeat(images[..., None], 3, 3)
    order = np.random.default_rng(0).permutation(len(images))
    np.savez(folder / "digits.npz", images=images[order], labels=labels[order])


def squeezenet():
    """SqueezeNet 1.1 in PyTorch, with torchvision's names."""
    from torch import cat, nn, relu

    class Fire(nn.Module):
        def __init__(self, inputs: int, squeeze: int, expand: int):
            super().__init__()
            self.squeeze = nn.Conv2d(inputs, squeeze, 1)
            self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
            self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

        def forward(self, x):
            x = relu(self.squeeze(x))
            return cat([relu(self.expand1x1(x)), relu(self.expand3x3(x))], 1)

    class SqueezeNet(nn.Module):
        def __init__(self):
            super().__init__()
            pool = nn.MaxPool2d(3, 2, ceil_mode=True)
            self.features = nn.Sequential(
                nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool, Fire(64, 16, 64), Fire(128, 16, 64), pool,
                Fire(128, 32, 128), Fire(256, 32, 128), pool, Fire(256, 48, 192),
                Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
            )  # fmt: skip
            self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(512, CLASSES, 1), nn.ReLU())

        def forward(self, x):
            return self.classifier(self.features(x)).mean((2, 3))

    return SqueezeNet()


def peers(folder: Path, count: int, epochs: int) -> None:
    """In the peers' environment: trains, attacks, writes ``net.pt`` and ``peers.json``."""
    import foolbox
    import torch
    import torchattacks

    torch.manual_seed(0)
    data = np.load(folder / "digits.npz")
    images = torch.from_numpy(data["images"]).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(data["labels"])
    net = squeezenet()
    for layer in net.modules():  # as torchvision does: PyTorch's default leaves dead units
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_uniform_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    torch.nn.init.normal_(net.classifier[1].weight, 0.0, 0.01)
    optimizer = torch.optim.Adam(net.parameters(), 3e-4)
    for _ in range(epochs):
        for rows in torch.randperm(len(images) - count).split(64):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(
                net(images[rows + count]), labels[rows + count]
            )
            loss.backward()
            optimizer.step()
    net.eval()
    torch.save(net.state_dict(), folder / "net.pt")
    images, labels = images[:count], labels[:count]
    foolbox_model = foolbox.PyTorchModel(net, bounds=(0, 1))
    kinds = {"linf": "LinfPGD", "l2": "L2PGD", "l1": "L1PGD"}
    rows = []
    for method, norm, epsilon, steps, step, loss, random_start in CASES:
        begin = time.perf_counter()
        if method == "pgd":
            attack = getattr(foolbox.attacks, kinds[norm])(
                rel_stepsize=step, steps=steps, random_start=random_start
            )
            attacked, _, _ = attack(foolbox_model, images, labels, epsilons=epsilon)
        else:
            name = {"linf": "Linf", "l2": "L2"}[norm]
            attack = torchattacks.APGD(net, norm=name, eps=epsilon, steps=steps, loss=loss)
            attacked = attack(images, labels)
        seconds = time.perf_counter() - begin
        with torch.no_grad():
            wrong = (net(attacked).argmax(1) != labels).numpy()
        rows.append({"wrong": wrong.tolist(), "seconds": seconds})
    with torch.no_grad():
        logits = net(images).numpy().tolist()
    (folder / "peers.json").write_text(json.dumps({"attacks": rows, "logits": logits}))


def rescaled(x, images, epsilon, norm):
    """Foolbox's projection to an L1 or L2 ball: all values scaled alike, then cut by the box."""
    import jax.numpy as jnp

    d = x - images
    length = jnp.linalg.norm(d.reshape(len(d), -1), ord={"l1": 1, "l2": 2}[norm], axis=1)
    scale = jnp.minimum(1.0, epsilon / jnp.maximum(length, 1e-12))
    return jnp.clip(images + d * scale.reshape(-1, 1, 1, 1), 0.0, 1.0)


def compare(python: str, count: int, epochs: int) -> None:
    """Runs the peers, then the same attacks here, and prints both."""
    import jax

    from jaxbio import create_model
    from jaxbio.attacks import apgd, ball, pgd
    from jaxbio.weights import load_torch

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digits(folder)
        arguments = [f"--inside={folder}", f"--count={count}", f"--epochs={epochs}"]
        subprocess.run([python, __file__, *arguments], check=True)
        theirs = json.loads((folder / "peers.json").read_text())
        size = {"num_classes": CLASSES, "image_size": SIZE}
        net = create_model("squeezenet1_1", **size)
        variables = load_torch("squeezenet1_1", folder / "net.pt", **size)
        data = np.load(folder / "digits.npz")
        images, labels = data["images"][:count], data["labels"][:count]
    logits = jax.jit(net.apply)(variables, images)[0]
    off = float(np.abs(np.asarray(logits) - np.asarray(theirs["logits"])).max())
    clean = float((np.asarray(logits).argmax(1) == labels).mean())
    print(f"{count} digits, clean accuracy {100 * clean:.1f} %, logits differ by {off:.1e}")
    print(
        "attack       eps    start   ours %  rescaled  peer %  points  same image %  s ours  s peer"
    )
    for case, row in zip(CASES, theirs["attacks"], strict=True):
        method, norm, epsilon, steps, step, loss, random_start = case
        options = {"norm": norm, "steps": steps, "loss": loss}
        if method == "pgd":
            options |= {"step": step, "random_start": random_start, "keep": "last"}
        function = {"pgd": pgd, "apgd": apgd}[method]

        def attacked(variables, images, labels, epsilon=epsilon, run=function, options=options):
            def model(x):
                return net.apply(variables, x)[0]

            return run(model, images, labels, jax.random.key(0), epsilon, **options).fooled

        other = "-"
        if method == "pgd" and norm != "linf":
            with mock.patch.object(ball, "project", rescaled):
                other = f"{100 * np.mean(jax.jit(attacked)(variables, images, labels)):.1f}"
        attack = jax.jit(lambda *arguments, attacked=attacked: attacked(*arguments))
        jax.block_until_ready(attack(variables, images, labels))
        begin = time.perf_counter()
        wrong = np.asarray(attack(variables, images, labels))
        seconds = time.perf_counter() - begin
        peer = np.asarray(row["wrong"])
        print(
            f"{method:4} {loss:3} {norm:4} {epsilon:<6} {'random' if random_start else 'image':6} "
            f"{100 * wrong.mean():7.1f} {other:>9} {100 * peer.mean():7.1f} "
            f"{100 * (wrong.mean() - peer.mean()):7.1f} {100 * (wrong == peer).mean():11.1f} "
            f"{seconds:9.1f} {row['seconds']:7.1f}",
            flush=True,
        )


def speed(name: str, batch: int, steps: int, norm: str, parts: int) -> None:
    """Prints the share of an attack's time that its gradients alone would take."""
    import jax
    import jax.numpy as jnp
    import optax

    from jaxbio import create_model
    from jaxbio.attacks import pgd

    net = create_model(name, num_classes=CLASSES, image_size=SIZE)
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.random((batch, SIZE, SIZE, 3)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, CLASSES, batch))
    variables = jax.jit(net.init)(jax.random.key(0), images[:1])

    @jax.jit
    def attack(variables, images, labels):
        def model(x):
            return net.apply(variables, (x - 0.5) / 0.25)[0]

        epsilon = {"linf": 8 / 255, "l2": 0.5, "l1": 12.0}[norm]
        return pgd(model, images, labels, jax.random.key(0), epsilon, steps=steps, norm=norm).images

    @jax.jit
    def gradient(variables, images, labels):
        def loss(x):
            logits = net.apply(variables, (x - 0.5) / 0.25)[0]
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).sum()

        return jax.grad(loss)(images)

    def seconds(function, times: int) -> float:
        begin = time.perf_counter()
        for _ in range(times):
            jax.block_until_ready(function(variables, images, labels))
        return time.perf_counter() - begin

    begin = time.perf_counter()
    attack = attack.lower(variables, images, labels).compile()
    compiled = time.perf_counter() - begin
    seconds(attack, 1), seconds(gradient, 1)
    ratios, attacks = [], []
    for _ in range(parts):  # by turns: a busy machine is busy for both
        alone, whole = seconds(gradient, steps), seconds(attack, 1)
        ratios.append(alone / whole)
        attacks.append(whole)
    print(
        f"{name}, {batch} images of {SIZE} px, PGD-{steps} {norm}: "
        f"{statistics.median(attacks):.2f} s, compiled in {compiled:.1f} s; {steps} gradients / "
        f"attack: {statistics.median(ratios):.3f} ({', '.join(f'{r:.3f}' for r in ratios)})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peers", help="Python of an environment with the peers")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--count", type=int, default=500, help="images that are attacked")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--norm", default="linf")
    parser.add_argument("--parts", type=int, default=3)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.inside:
        peers(Path(flags.inside), flags.count, flags.epochs)
    if flags.peers:
        compare(flags.peers, flags.count, flags.epochs)
    if flags.speed:
        speed(flags.model, flags.batch, flags.steps, flags.norm, flags.parts)


if __name__ == "__main__":
    main()
