"""Several processes of one job: when one of them is gone, the others have to end too."""

import os
import re
import sys
import threading
from typing import NoReturn

import jax

from jaxbio.errors import InputError
from jaxbio.files.reading import reason

_STATUS = re.compile(r"[A-Z_]+: ")  # how XLA begins what it raises as ValueError, too
_PARTING = 10.0  # seconds in which the others come to their own last words


class ProcessLostError(InputError):
    """A computation that all processes share has failed."""

    exit_code = 1

    def __init__(self, error: BaseException):
        super().__init__(
            f"process {jax.process_index()} of {jax.process_count()} cannot go on "
            f"({reason(error)}): another one has probably ended; start all of them again, and the "
            "run goes on from its newest checkpoint"
        )


def shared_failure(error: BaseException | None) -> BaseException | None:
    """An error, or what caused it, if it is that of a computation among several processes."""
    if jax.process_count() == 1:
        return None
    while error is not None:
        text = str(error)
        if isinstance(error, jax.errors.JaxRuntimeError) or (
            type(error) in (ValueError, RuntimeError)
            and _STATUS.match(text)
            and "os_error_code" not in text  # TensorStore's, of a disk
        ):
            return error
        error = error.__cause__
    return None


def end_alone(code: int) -> NoReturn:
    """Ends this process of several, without the minutes that JAX would wait for the others."""
    sys.stdout.flush()
    sys.stderr.flush()
    parting = threading.Thread(target=jax.distributed.shutdown, daemon=True)
    parting.start()
    parting.join(_PARTING)
    os._exit(code)
