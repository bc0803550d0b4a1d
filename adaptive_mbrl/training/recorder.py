"""What a training tells of itself: curves for loggers, figures in each round's folder, and lines on the screen."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from adaptive_mbrl.config import load_yaml, save_yaml, to_mapping
from adaptive_mbrl.console import WIDTH
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.loggers import make_loggers
from adaptive_mbrl.training.rounds import RoundRecord

RECORD_FILE = "round.yaml"
_SHOWN = ("collect/return", "collect/staleness", "validation", "rank", "reward", "termination")


class Recorder:
    """Writes the figures of one run.

    Args:
        run: the run folder.
        config: the configuration of the run.
        loggers: names of the loggers that get its curves.
    """

    def __init__(self, run: Path, config: TrainConfig, loggers: Sequence[str]) -> None:
        self._loggers = make_loggers(loggers, run, to_mapping(config))

    def scalars(self, values: Mapping[str, float], updates: int) -> None:
        """Add a point to each curve.

        Args:
            values: the new value of each curve, by its name.
            updates: number of outer steps so far.
        """
        for logger in self._loggers:
            logger.scalars(values, updates)

    def close(self) -> None:
        """Close the loggers."""
        for logger in self._loggers:
            logger.close()

    def save_record(self, folder: Path, record: RoundRecord) -> None:
        """Write the figures of a round into the folder of that round."""
        save_yaml(folder / RECORD_FILE, record)

    def load_record(self, folder: Path) -> RoundRecord:
        """Read the figures of a round from the folder of that round."""
        return load_yaml(folder / RECORD_FILE, RoundRecord)

    def print_round(self, name: str, record: RoundRecord, status: str = "") -> None:
        """Print a few lines about a finished round.

        Args:
            name: the number of the round, such as ``2/8``.
            record: its figures.
            status: how fast it was, and how long the rest will take.
        """
        steps = f"{record.env_steps} env, {record.branch_steps} branch, {record.oracle_steps} oracle steps"
        tqdm.write("; ".join(part for part in (f"round {name}: {steps}", f"{record.seconds:.0f} s", status) if part))
        # a name and its figure stay together
        figures = (f"{k}\xa0{v:.3f}" for k, v in record.scalars.items() if k.startswith(_SHOWN))
        for line in textwrap.wrap(", ".join(figures), WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False):
            tqdm.write(line.replace("\xa0", " "))
