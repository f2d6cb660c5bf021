# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # A primate's V1 in front of a network
#
# SVP puts a fixed V1 (Gabor filters with the parameters of macaque neurons) and a fixed V2 in front of
# an ordinary network. Here: what the V1 answers, a short training on real digits, and how the
# network does when the digits are disturbed. Everything runs offline, in about two minutes on two cores.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import jaxbio

digits = load_digits()
digit = np.kron(digits.images[4] * 15, np.ones((8, 8))).astype(np.uint8)  # 64 px, 0..240
images = jnp.asarray(np.repeat(digit[None, :, :, None], 3, axis=3))

# %% [markdown]
# ## What V1 answers
#
# Every network returns its logits and its endpoints: each layer's activity by name. `v1` has 256 simple and
# 256 complex cells at every place; the first are phase-sensitive, the second are not.

# %%
model = jaxbio.create_model("resnet18", front_end="svp", num_classes=10, image_size=64)
variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
logits, endpoints = jax.jit(model.apply)(variables, (images / 255.0 - 0.5) / 0.5)
v1 = np.asarray(endpoints["v1"][0])
print({name: value.shape for name, value in endpoints.items()})

# %%
best = np.argsort(v1.max((0, 1)))
simple, complex_ = best[best < 256][-4:], best[best >= 256][-4:]
figure, axes = plt.subplots(1, 9, figsize=(13, 1.8))
axes[0].imshow(digit, cmap="gray")
axes[0].set_title("image")
for axis, cell in zip(axes[1:], [*simple, *complex_], strict=True):
    axis.imshow(v1[:, :, cell], cmap="magma")
    axis.set_title(f"{'simple' if cell < 256 else 'complex'} {cell}", fontsize=8)
for axis in axes:
    axis.axis("off")

# %% [markdown]
# ## Training
#
# `jaxbio.train` takes the name of an experiment and the keys to change. The run directory is the same as that
# of `jaxbio train svp_resnet` in a shell: repeat the line after an interruption and it goes on exactly.

# %%
run = jaxbio.train(
    "svp_resnet",
    {"train.total_epochs": None, "train.total_steps": 60},
    workdir="runs/tutorial_front_end",
)
run.results

# %% [markdown]
# ## Under disturbances
#
# Nineteen corruptions in five severities exist; two of them here. The figures are top-1 accuracies on the exact
# test set; chance is 10 %.

# %%
result = run.evaluate("robustness", corruptions=["gaussian_noise", "contrast"], severities=[1, 3])
result["scores"]["mean_error"]

# %%
from jaxbio.corruptions import corrupt

shown = [np.asarray(images[0])]
for kind in ("gaussian_noise", "contrast", "fog"):
    shown.append(np.asarray(corrupt(images, kind, 3, jax.random.key(0), indices=jnp.arange(1))[0]))
figure, axes = plt.subplots(1, 4, figsize=(8, 2.2))
for axis, picture, title in zip(
    axes, shown, ("clean", "gaussian noise", "contrast", "fog"), strict=True
):
    axis.imshow(picture)
    axis.set_title(f"{title}, severity 3" if title != "clean" else title, fontsize=9)
    axis.axis("off")

# %% [markdown]
# Next: [robustness](../robustness.md) for the protocols and the mCE, [physiology](../physiology.md) to record from
# the V1 as from a monkey's, [attacks](../attacks.md).
