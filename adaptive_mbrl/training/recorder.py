"""What a training tells of itself: curves for loggers, figures in each round's folder, and lines on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from adaptive_mbrl.config import load_yaml, save_yaml, to_mapping
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.loggers import make_loggers
from adaptive_mbrl.training.rounds import RoundRecord

RECORD_FILE = "round.yaml"
_SHOWN = ("collect/return", "validation", "rank")


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

    def print_round(self, index: int, record: RoundRecord) -> None:
        """Print one line about a finished round."""
        figures = ", ".join(f"{k} {v:.3f}" for k, v in record.scalars.items() if k.startswith(_SHOWN))
        steps = f"{record.env_steps} env, {record.branch_steps} branch, {record.oracle_steps} oracle steps"
        tqdm.write(f"round {index}: {steps}; {record.seconds:.0f} s; {figures}")
