"""What a round records for the report of its run, beside the figures of `rounds.py`: curves, speeds and the machine."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.training.report.held_out import HeldOutErrors

FIGURES_FILE = "figures.json"
"""In the folder of a round, beside the files of the checkpoint."""
POINTS_PER_ROUND = 50
"""Of the curve of the training loss."""


@dataclass(frozen=True)
class Machine:
    """What a round was computed on.

    Attributes:
        cpu: name of the processor.
        cores: number of cores that the process could use.
        device: where the model was trained: the name of a GPU, or cpu.
        processes: number of processes that trained together.
        torch: version of torch.
    """

    cpu: str
    cores: int
    device: str
    processes: int
    torch: str


@dataclass(frozen=True)
class RoundFigures:
    """What a round records.

    Attributes:
        machine: what it was computed on.
        fit_seconds: time of the fit with its validation [s].
        collect_seconds: time in which its episodes were collected, or waited for [s]; None where it collected none.
        updates_per_second: outer steps per second [1/s]; None where that was not measured.
        losses: the curve of the training loss: numbers of outer steps, and the mean loss since the point before.
        held_out: errors on held-out episodes; None without any.
    """

    machine: Machine
    fit_seconds: float
    collect_seconds: float | None
    updates_per_second: float | None
    losses: tuple[tuple[float, float], ...]
    held_out: HeldOutErrors | None


def this_machine(device: torch.device | str, processes: int) -> Machine:
    """The machine of this process."""
    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    return Machine(cpu_model(), len(os.sched_getaffinity(0)), name, processes, torch.__version__)


def loss_curve(losses: Sequence[float], updates: int) -> tuple[tuple[float, float], ...]:
    """The curve of the losses of a fit, which ended after `updates` outer steps; losses of skipped steps are NaN."""
    points, end = [], updates - len(losses)
    for part in np.array_split(np.asarray(losses, dtype=np.float64), max(1, min(POINTS_PER_ROUND, len(losses)))):
        end += len(part)
        if np.isfinite(part).any():
            points.append((float(end), float(f"{np.nanmean(part[np.isfinite(part)]):.6g}")))
    return tuple(points)


def save_figures(folder: Path, figures: RoundFigures) -> None:
    """Write the figures of a round into its folder."""
    write_text_atomically(folder / FIGURES_FILE, json.dumps(asdict(figures), allow_nan=False) + "\n")


def load_figures(folder: Path) -> RoundFigures | None:
    """Read what `save_figures` wrote; None for a round of an earlier version.

    Raises:
        ConfigError: the file is damaged.
    """
    path = folder / FIGURES_FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: damaged: {error}") from error
    return from_mapping(RoundFigures, content, source=str(path))
