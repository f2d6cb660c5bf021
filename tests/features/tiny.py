"""A network in miniature with every kind of endpoint, and images for it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

SIZE = 16
TRACES: list[int] = []  # batch sizes, in the order in which the network is traced or run
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


class Tiny(nn.Module):
    """A map, an area with three time steps, whose image arrives at step 1, and a vector."""

    num_classes: int = 3
    noisy: bool = False

    @property
    def arrival_steps(self) -> dict[str, int]:
        return {"area": 1}

    @nn.compact
    def __call__(self, x, train=False):
        TRACES.append(len(x))
        if self.noisy:
            x = x + jax.random.normal(self.make_rng("noise"), x.shape)
        stem = nn.relu(nn.Conv(6, (3, 3), strides=2, name="stem")(x))
        steps = [jnp.zeros_like(stem), stem, jnp.tanh(stem)]
        pooled = steps[-1].mean((1, 2))
        logits = nn.Dense(self.num_classes, name="fc")(pooled)
        endpoints = {"stem": stem, "area": jnp.stack(steps), "penultimate": pooled}
        return logits, {**endpoints, "logits": logits}


def make(**options):
    """(model, variables)."""
    model = Tiny(**options)
    keys = {"params": jax.random.key(1), "noise": jax.random.key(2)}
    return model, model.init(keys, jnp.zeros((1, SIZE, SIZE, 3)))


def pictures(count, seed=0, size=SIZE):
    """uint8 ``[count, size, size, 3]``."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def write_images(folder, count, seed=0):
    """JPEGs of several sizes, some of them in a folder below."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        pixels = rng.integers(0, 256, (20 + i % 3, 24, 3)).astype(np.uint8)
        path = folder / ("below" if i % 4 == 1 else "") / f"picture{i:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=95)
    return folder
