"""TensorBoard events, written at once: a queue with a thread would hang where the disk is full."""

import time
from collections.abc import Mapping
from pathlib import Path

_FLUSH_SECONDS = 10.0


class Events:
    """Appends scalars to an event file of its own.

    Args:
        folder: of the run.
        purge_step: TensorBoard forgets what older files say of this step and later ones.

    Raises:
        OSError: from here and from all methods: the disk does not take it.
    """

    def __init__(self, folder: Path, purge_step: int):
        # Imports protobuf: only where it is wanted.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._writer = EventsWriter(str(folder / "events"))
        self._flushed = time.monotonic()
        log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._writer.write_event(self._event(step=purge_step, session_log=log))

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Scalars by tag."""
        values = [self._summary.Value(tag=tag, simple_value=v) for tag, v in numbers.items()]
        summary = self._summary(value=values)
        self._writer.write_event(self._event(wall_time=time.time(), step=step, summary=summary))
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Flushes and closes the file."""
        self._writer.close()
