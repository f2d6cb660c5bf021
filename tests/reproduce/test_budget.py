"""A budget asks a training to stop as SIGTERM does, and leaves signals as they were."""

import signal
import time

import pytest

from jaxbio.reproduce.run import stopping_at
from jaxbio.reproduce.table import Context, OutOfTimeError
from jaxbio.runs.interrupts import Interrupts


def test_a_training_is_asked_to_stop(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    context = Context(None, tmp_path, deadline=time.monotonic() + 0.05)
    with stopping_at(context), Interrupts() as interrupts:
        interrupts.arm()
        end = time.monotonic() + 10
        while not interrupts.stop_requested(0):
            assert time.monotonic() < end
            time.sleep(0.01)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_spent_budget_begins_nothing(tmp_path):
    context = Context(None, tmp_path, deadline=time.monotonic() - 1)
    with pytest.raises(OutOfTimeError), stopping_at(context):
        pytest.fail("nothing may begin")


def test_without_a_budget_there_is_no_end(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with stopping_at(Context(None, tmp_path)):
        assert signal.getsignal(signal.SIGTERM) is before
