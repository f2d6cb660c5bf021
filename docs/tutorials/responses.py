# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Neurons that tune their response
#
# Dynamic neural response tuning (DNRT) has two parts. A response-adaptive activation (RAA) shifts its curve by what
# the layer sees as a whole; aggregated response regularisation (ARR) pulls the responses to a picture towards the mean
# of its class. Both in about two minutes on two cores, offline.

# %%
import jax.numpy as jnp
import numpy as np
from IPython.display import Image

import jaxbio
from jaxbio.ops.response import arr_loss, new_memory, raa, update_memory
from jaxbio.plotting.responses import plot_activation_curves
from jaxbio.plotting.saving import png_bytes

# %% [markdown]
# ## The activation
#
# `x * Phi(x + shift)`: GELU where the shift is 0; the shift is a learned linear function of the pooled input.

# %%
x = np.linspace(-4, 3, 200, dtype=np.float32)
curves = {"RAA": {s: np.asarray(raa(jnp.asarray(x), jnp.full(1, s))) for s in (-1.0, 0.0, 1.0)}}
figure = plot_activation_curves(x, curves)
Image(png_bytes(figure))

# %% [markdown]
# ## The regulariser
#
# A running mean of each class' responses is the target of the next ones.

# %%
rng = np.random.default_rng(0)
labels = jnp.asarray(np.arange(64) % 4)
responses = jnp.asarray(rng.normal(size=(64, 8)), jnp.float32) + labels[:, None]
memory = new_memory(num_classes=4, widths={"block0": 8})
targets, memory = update_memory(memory, {"block0": responses}, labels)
print(f"loss {float(arr_loss([responses], [targets['block0']])):.3f} of unrelated responses,")
print(f"{float(arr_loss([targets['block0']], [targets['block0']])):.3f} of those at their mean")

# %% [markdown]
# ## In a vision transformer
#
# The same little transformer with GELU and with RAA and ARR, a few steps each: enough to see both run, not to rank
# them ([results](../results.md) has trained ones).

# %%
short = {"train.total_epochs": None, "train.total_steps": 30}
tops = {}
for name in ("gelu_vit", "dnrt_vit"):
    run = jaxbio.train(name, short, workdir=f"runs/tutorial_{name}")
    tops[name] = run.results["top1"]
tops

# %% [markdown]
# Next: [DNRT](../dnrt.md) for the experiments of the paper and the tools that show what the shifts do.
