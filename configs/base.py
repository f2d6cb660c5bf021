"""An experiment's configuration before it says what differs: every key that its task reads.

The keys stand with defaults, meanings and ranges where they are read:

- ``classification``: jaxbio/tasks/classification/config.py (model, data, train, optimizer, arr)
- ``rdm``: jaxbio/tasks/rdm/config.py (rdm, teachers)
- ``stdp``: jaxbio/tasks/stdp/config.py and jaxbio/spiking/settings.py (spiking, population)
- all: jaxbio/runs/config.py (schedule, eval, checkpoint, log, mesh), jaxbio/data/settings.py (data)

Durations come as two keys with a suffix, ``*_epochs`` and ``*_steps``: set one; ``_steps`` wins if
both are set. ``None`` means "not set".
"""

from ml_collections import ConfigDict

from jaxbio.tasks.config import new_config


def get_config(task: str = "classification") -> ConfigDict:
    """All keys of a task with their defaults; setting any other key is an error."""
    return new_config(task)
