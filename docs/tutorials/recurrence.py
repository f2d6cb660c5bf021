# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # A ventral stream in time
#
# CORnet's areas V1, V2, V4 and IT are recurrent: an image arrives at IT only after some steps, and the answer
# goes on changing. Here a CORnet-RT learns real digits, and each area's geometry is followed over time.
# About two minutes on two cores, offline.

# %%
import jax
import jax.numpy as jnp
import numpy as np
from IPython.display import Image
from sklearn.datasets import load_digits

import jaxbio
from jaxbio.plotting.recurrence import plot_rdms_over_time
from jaxbio.plotting.saving import png_bytes
from jaxbio.similarity import rdm

# %% [markdown]
# ## Time is an axis
#
# Endpoints of areas have time in front. `arrival_steps` says when the image reaches an area: before, its
# activity is zero.

# %%
model = jaxbio.create_model("cornet_rt", num_classes=10, image_size=32, readout="all")
variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
logits, endpoints = jax.jit(model.apply)(variables, jnp.ones((2, 32, 32, 3)))
print({name: value.shape for name, value in endpoints.items()})
print(model.arrival_steps)

# %% [markdown]
# ## Training

# %%
run = jaxbio.train(
    "cornet_rt",
    {"train.total_epochs": None, "train.total_steps": 60, "data.image_size": 32},
    workdir="runs/tutorial_recurrence",
)
run.results

# %% [markdown]
# ## When does the digit appear?
#
# Twenty digits, two of each kind. A representational dissimilarity matrix (RDM) holds 1 minus the correlation of
# the activity of every two pictures: dark blocks on the diagonal mean that pictures of one digit look alike.

# %%
digits = load_digits()
order = np.concatenate([np.flatnonzero(digits.target == label)[:2] for label in range(10)])
pictures = np.kron(digits.images[order] * 15, np.ones((1, 4, 4))).astype(np.uint8)
features = run.features(pictures[..., None], ["V1", "IT"])
{layer: value.shape for layer, value in features.items()}

# %%
arrival = model.arrival_steps
rdms = {
    layer: np.stack(
        [rdm(value[:, step].reshape(len(value), -1)) for step in range(arrival[layer], 5)]
    )
    for layer, value in features.items()
}
figure = plot_rdms_over_time(rdms)
Image(png_bytes(figure))

# %% [markdown]
# Next: [CORnet](../cornet.md) for the four models and the published weights, [similarity](../similarity.md) to compare
# such matrices with recorded ones.
