"""Every table by name."""

import difflib
import importlib

from jaxbio.errors import InputError
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
        close = difflib.get_close_matches(name, TABLES, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]}?" if close else f"use {', '.join(TABLES)}"
        raise InputError(f"unknown table '{name}': {hint} (jaxbio reproduce --list has all)")
    return importlib.import_module(f"jaxbio.reproduce.{name}").TABLE
