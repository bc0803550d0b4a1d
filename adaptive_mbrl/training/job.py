"""A training that runs as a process of its own, beside others or after them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from adaptive_mbrl.checkpoint import DESCRIPTION_FILE
from adaptive_mbrl.config import load_yaml, read_mapping
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.run_folder import CONFIG_FILE

FINISHED = f"checkpoint/{DESCRIPTION_FILE}"
"""What a run folder has when its training is done."""


class JobState(NamedTuple):
    """How far a training is.

    Attributes:
        rounds: number of finished rounds.
        seconds: how long they took [s].
        expected: how long all rounds will have taken [s], in proportion to the updates; None before the first round.
    """

    rounds: int
    seconds: float
    expected: float | None


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        folder: its run folder.
        config: its configuration.
        command: the program and its arguments; it goes on where an earlier process stopped.
        kind: trainings of one kind take about equally long.
        asked_for: the configuration in words, for messages.
        source: run folder of another job whose episodes it takes; None if it waits for no job.
        finished: the file in the run folder that is written last.
    """

    folder: Path
    config: TrainConfig
    command: tuple[str, ...]
    kind: str
    asked_for: str
    source: Path | None = None
    finished: str = FINISHED

    @property
    def label(self) -> str:
        """The training in words."""
        return label_of(self.folder)

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder.with_suffix(".log")

    @property
    def is_done(self) -> bool:
        """Whether everything that it writes is there."""
        return (self.folder / self.finished).is_file()

    def state(self) -> JobState:
        """How far it is, from the last round that it finished."""
        rounds = sorted((self.folder / "rounds").glob(f"[0-9]*/{DESCRIPTION_FILE}"))
        if not rounds:
            return JobState(0, 0.0, None)
        about = read_mapping(rounds[-1])["provenance"]
        updates = sum(self.config.updates_of(index) for index in range(self.config.num_rounds))
        seconds = float(about["seconds"])
        return JobState(len(rounds), seconds, seconds * updates / max(about["updates"], 1))

    def check(self) -> None:
        """Refuse a run folder that was trained with another configuration, which must not count as done."""
        stored = self.folder / CONFIG_FILE
        if stored.is_file() and load_yaml(stored, TrainConfig) != self.config:
            raise ConfigError(
                f"{stored}: this run was trained with another configuration than {self.asked_for}; "
                "delete it, or choose another folder"
            )


def label_of(folder: Path) -> str:
    """The training of a run folder in words."""
    return f"{folder.parent.name} {folder.name.replace('_', ' ')}"
