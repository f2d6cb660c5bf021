"""Every table by name."""

import importlib

from jaxbio.errors import InputError, suggest
from jaxbio.reproduce.table import Table

# Each is the module of that name in jaxbio.reproduce, whose TABLE it is.
TABLES = (
    "spiking",
    "spiking_networks",
    "saunders2019",
    "sit",
    "svm",
    "rdm_finetuning",
    "kriegeskorte2008",
    "cornet",
    "brainscore_i2n",
    "dnrt",
    "vonenet",
    "imagenet_c",
)


def open_table(name: str) -> Table:
    """The table of a name.

    Raises:
        InputError: there is none.
    """
    if name not in TABLES:
        raise InputError(f"unknown table '{name}': {suggest(name, TABLES)}")
    return importlib.import_module(f"jaxbio.reproduce.{name}").TABLE
