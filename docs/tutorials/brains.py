# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Networks beside recordings
#
# Which layer of a network arranges pictures as a brain area does? The recordings here are **synthetic** (rendered
# objects, a simulated population), so that the page runs anywhere: the scores say how the tools work, and nothing
# about brains. With your own recordings ([formats](../neural.md)) the lines stay the same. Under a minute on two cores.

# %%
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image

import jaxbio
from jaxbio.neural.synthetic import synthetic_recordings
from jaxbio.plotting.saving import png_bytes
from jaxbio.plotting.similarity import plot_rdms

recordings = synthetic_recordings(views=1, image_size=64)
pictures = recordings.stimuli.read_images(64)
print(f"{len(pictures)} pictures, responses {recordings.responses.shape}: stimulus, site, time bin")

# %%
figure, axes = plt.subplots(1, 7, figsize=(10, 1.6))
for axis, picture in zip(axes, pictures[::7], strict=False):
    axis.imshow(picture)
    axis.axis("off")

# %% [markdown]
# ## Dissimilarity matrices
#
# Two layers of an untrained network, and the population, each as 1 minus the correlation of every two pictures.

# %%
model = jaxbio.load_model("squeezenet1_1", image_size=64, num_classes=10)
activity = model.features(pictures, ["pool1", "penultimate"])
sites = np.asarray(recordings.responses[:, :, -1])
rdm = jaxbio.similarity.rdm
rdms = {name: np.asarray(rdm(a.reshape(len(a), -1))) for name, a in activity.items()}
rdms["synthetic IT"] = np.asarray(rdm(sites))
figure = plot_rdms(rdms)
Image(png_bytes(figure))

# %% [markdown]
# ## Scores
#
# Five pretended subjects, each with a fifth of the sites. `jaxbio.rsa` compares by Spearman's correlation and
# resamples subjects and pictures for the interval; the noise ceiling is what a perfect model could reach.

# %%
subjects = np.stack([rdm(part) for part in np.array_split(sites, 5, axis=1)])
for layer, score in jaxbio.rsa(activity, subjects, n_bootstrap=200).items():
    print(layer, score)

# %% [markdown]
# Next: [similarity](../similarity.md) for PLS, ridge, SIT, CKA, SVMs and learning from recordings,
# [neural data](../neural.md) for files of your own, [Brain-Score](../brainscore.md).
