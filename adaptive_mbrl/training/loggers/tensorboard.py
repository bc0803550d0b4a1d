"""Curves in files for TensorBoard, which `tensorboard --logdir RUN` shows."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import yaml
from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.plugins.text.metadata import create_summary_metadata  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]
from tensorboard.util.tensor_util import make_tensor_proto  # type: ignore[import-untyped]

from adaptive_mbrl.training.loggers.base import LoggedRun


class TensorBoardLogger:
    """Writes one file for each process that trains in a run; TensorBoard joins their curves.

    The file is written directly, because TensorBoard's own writer meets a full disk in a thread, where it cannot be handled.

    Args:
        run: the run.
    """

    def __init__(self, run: LoggedRun) -> None:
        self._folder = run.folder / "tensorboard"
        self._file: RecordWriter | None = None
        self._opened = 0

    def start(self, config: Mapping[str, Any]) -> None:
        """Begin a file; the configuration is its text `config`."""
        # TensorBoard reads the text as Markdown, in which indented lines are shown as they are
        lines = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True).splitlines()
        text = make_tensor_proto(["\n".join(f"    {line}" for line in lines)], dtype="string")
        self._write(Summary(value=[Summary.Value(tag="config", metadata=create_summary_metadata("config", ""), tensor=text)]), 0)

    def scalars(self, values: Mapping[str, float], updates: int) -> None:
        """Add a point to each curve."""
        self._write(Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()]), updates)

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _write(self, summary: Summary, updates: int) -> None:
        if self._file is None:
            self._file = self._open()
        try:
            self._file.write(Event(wall_time=time.time(), step=updates, summary=summary).SerializeToString())
            self._file.flush()
        except OSError:
            # nothing can be read behind half a record: the next one goes into a new file
            with suppress(OSError):
                self.close()
            raise

    def _open(self) -> RecordWriter:
        self._folder.mkdir(parents=True, exist_ok=True)
        # the number tells files of one second apart
        self._opened += 1
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{self._opened}"
        file = RecordWriter((self._folder / name).open("ab"))
        file.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        return file
