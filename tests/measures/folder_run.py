"""A run for tests of measures that bring their own pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from configs import svp_resnet
from jaxbio.tasks import loop
from jaxbio.tasks.classification import opened as session
from tests.tasks.tiny import Tiny


@contextmanager
def folder_run(data: Path, run: Path) -> Iterator[Path]:
    """A tiny network that learned the classes of a folder for a moment; it can be opened inside."""
    config = svp_resnet.get_config()
    config.update_from_flattened_dict(
        {
            "data.source": "folder",
            "data.data_dir": str(data),
            "train.batch_size": 16,
            "train.total_steps": 2,
            "eval.batch_size": 32,
            "eval.every_epochs": 0.0,
            "checkpoint.every_epochs": 0.0,
            "log.tensorboard": False,
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "build_model", lambda arguments: Tiny(arguments["num_classes"]))
        loop.train(config, str(run))
        yield run
