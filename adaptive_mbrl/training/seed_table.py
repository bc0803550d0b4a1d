"""Figures over the seeds of a training: mean and 95 % interval of each.

The interval is Student's, which suits few seeds: it says where the mean over many seeds lies if the figures of the seeds are
about normally distributed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.console import make_console
from adaptive_mbrl.training.recorder import RECORD_FILE
from adaptive_mbrl.training.rounds import RoundRecord
from adaptive_mbrl.training.run_folder import MULTITASK

SEEDS_FILE = "seeds.yaml"
_SHOWN = ("collect/return", "validation/")


@dataclass(frozen=True)
class SeedFigure:
    """One figure over n seeds.

    Attributes:
        seeds: names of the run folders that have it.
        values: its value in each of them.
        mean: their mean.
        low: lower end of the 95 % interval of the mean; None for a single seed.
        high: its upper end.
    """

    seeds: tuple[str, ...]
    values: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None


def print_seeds(run: Path, folders: Sequence[Path]) -> None:
    """Print the figures over seeds as a table, and write them into `seeds.yaml`.

    Args:
        run: the folder of all seeds.
        folders: their run folders, complete.
    """
    figures = figures_over(folders)
    save_yaml(run / SEEDS_FILE, figures)
    table = Table(box=SIMPLE)
    for i, column in enumerate(("figure", "seeds", "mean", "95 % interval", "least", "most")):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for name, figure in figures.items():
        interval = "" if figure.low is None else f"[{figure.low:.3f}, {figure.high:.3f}]"
        ends = (f"{min(figure.values):.3f}", f"{max(figure.values):.3f}")
        table.add_row(name, str(len(figure.values)), f"{figure.mean:.3f}", interval, *ends)
    console = make_console()
    console.print(table)
    console.print(f"Written: {run / SEEDS_FILE}", markup=False, soft_wrap=True)


def figures_over(folders: Sequence[Path]) -> dict[str, SeedFigure]:
    """The figures of the last rounds over all runs; those of their multi-task models follow, as `multitask ...`."""
    found: dict[str, dict[str, float]] = {}
    for prefix, inner in (("", "."), (f"{MULTITASK} ", MULTITASK)):
        for folder in folders:
            for name, value in _last_figures(folder / inner).items():
                if prefix and "/prior_" in name:
                    # a model that does not adapt has the same figures once more
                    continue
                found.setdefault(f"{prefix}{name}", {})[folder.name] = value
    return {name: summary(values) for name, values in found.items()}


def summary(values: dict[str, float]) -> SeedFigure:
    """One figure from its value in each run."""
    # loading it takes as long as half of torch
    from scipy.stats import t as student

    numbers = np.array([*values.values()])
    mean, n = float(numbers.mean()), len(numbers)
    half = float(student.ppf(0.975, n - 1) * numbers.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    ends = (None, None) if half is None else (mean - half, mean + half)
    return SeedFigure(tuple(values), tuple(map(float, numbers)), mean, *ends)


def _last_figures(run: Path) -> dict[str, float]:
    """The newest value of each figure that is shown: the last round collects nothing."""
    figures: dict[str, float] = {}
    for path in sorted((run / "rounds").glob(f"[0-9]*/{RECORD_FILE}")):
        figures |= {k: v for k, v in load_yaml(path, RoundRecord).scalars.items() if k.startswith(_SHOWN)}
    return figures
