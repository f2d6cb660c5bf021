# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # A spiking network that learns digits without labels
#
# Leaky integrate-and-fire neurons with local fields learn by spike-timing-dependent plasticity (STDP) and compete by
# inhibition. Labels are used afterwards only, to see which neuron stands for which digit. About a minute on two
# cores, offline, on scikit-learn's small digits.

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import jaxbio
from jaxbio.ops.encoding import make_encoder

# %% [markdown]
# ## From grey levels to spikes
#
# A pixel fires the more often the brighter it is.

# %%
picture = load_digits().images[3].repeat(2, 0).repeat(2, 1) * 15
encoder = make_encoder("poisson", rates=np.arange(256) * 0.5, steps=250)
spikes = np.asarray(jax.jit(encoder)(jax.random.key(0), picture.astype(np.uint8)))
figure, axes = plt.subplots(1, 3, figsize=(10, 2.6))
axes[0].imshow(picture, cmap="gray")
axes[0].set_title("grey levels")
axes[1].imshow(spikes.sum(0), cmap="magma")
axes[1].set_title("spikes in 250 steps")
axes[2].imshow(spikes.reshape(250, -1).T, aspect="auto", cmap="gray_r", interpolation="none")
_ = axes[2].set(xlabel="step", ylabel="pixel", title="raster")

# %% [markdown]
# ## Learning

# %%
run = jaxbio.train("lc_snn", {"spiking.train_images": 400}, workdir="runs/tutorial_spiking")
run.results["accuracy"]

# %% [markdown]
# ## What the filters became

# %%
from IPython.display import Image

Image("runs/tutorial_spiking/report/weights.png")

# %% [markdown]
# Next: [spiking networks](../spiking.md) for populations, trained competition and the published tables,
# [readouts and tools](../spiking_readouts.md).
