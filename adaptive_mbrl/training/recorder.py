"""What a training tells of itself: curves for TensorBoard, figures in each round's folder, and a line on the screen."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]
from tqdm import tqdm

from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.training.rounds import RoundRecord

RECORD_FILE = "round.yaml"
_SHOWN = ("collect/return", "collect/staleness", "validation", "rank")


class Recorder:
    """Writes the figures of one run.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run / "tensorboard"
        self._curves: RecordWriter | None = None

    def scalars(self, values: Mapping[str, float], updates: int) -> None:
        """Add a point to each curve.

        Args:
            values: the new value of each curve, by its name.
            updates: number of outer steps so far.
        """
        if self._curves is None:
            # only when there is something to write, so that a finished run is left alone
            self._curves = self._open()
        summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        self._curves.write(Event(wall_time=time.time(), step=updates, summary=summary).SerializeToString())
        self._curves.flush()

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._curves is not None:
            self._curves.close()
            self._curves = None

    def _open(self) -> RecordWriter:
        """Begin a file for TensorBoard.

        It is written directly, because TensorBoard's own writer meets a full disk in a thread, where it cannot be handled.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
        curves = RecordWriter((self._folder / name).open("ab"))
        curves.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        return curves

    def save_record(self, folder: Path, record: RoundRecord) -> None:
        """Write the figures of a round into the folder of that round."""
        save_yaml(folder / RECORD_FILE, record)

    def load_record(self, folder: Path) -> RoundRecord:
        """Read the figures of a round from the folder of that round."""
        return load_yaml(folder / RECORD_FILE, RoundRecord)

    def print_round(self, index: int, record: RoundRecord) -> None:
        """Print one line about a finished round."""
        figures = ", ".join(f"{k} {v:.3f}" for k, v in record.scalars.items() if k.startswith(_SHOWN))
        steps = f"{record.env_steps} env, {record.branch_steps} branch, {record.oracle_steps} oracle steps"
        tqdm.write(f"round {index}: {steps}; {record.seconds:.0f} s; {figures}")
