"""What a sweep has found: the best configuration as a file, and the best trials as a table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from adaptive_mbrl.console import make_console
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.sweeps.space import SweepConfig
from adaptive_mbrl.sweeps.study import WHY, SweepError, Trials, folder_number
from adaptive_mbrl.training.run_folder import CONFIG_FILE

BEST_FILE = "best.yaml"
MOST_SHOWN = 10
_STATES = {"COMPLETE": "complete", "PRUNED": "given up early", "FAIL": "failed"}


def write_best(folder: Path, config: SweepConfig, trials: Trials) -> str:
    """Write the configuration of the best trial so far, as `train` takes it.

    Args:
        folder: the folder of the sweep.
        config: the file of the sweep.
        trials: the trials so far.

    Returns:
        The best trial in words, for a line about another one; empty before there is one.
    """
    best = trials.best()
    if best is None:
        return ""
    number, value = folder_number(best), best.values[0]
    resolved = (folder / f"trial_{number:04d}" / CONFIG_FILE).read_text(encoding="utf-8")
    about = f"# The best of {len(trials.ended())} trials, trial {number}: {config.objective} {value:.6g}\n"
    write_text_atomically(folder / BEST_FILE, about + resolved)
    return f" (best {value:.4g}, trial {number})"


def print_result(folder: Path, config: SweepConfig, trials: Trials) -> None:
    """Print the best trials, how many there are, and where the best configuration is.

    Raises:
        SweepError: no trial has reached its end.
    """
    ended = trials.ended()
    states = Counter(t.state.name for t in ended)
    counts = ", ".join(f"{states[name]} {words}" for name, words in _STATES.items() if states[name])
    best = trials.best()
    if best is None:
        failed = next((t for t in ended if WHY in t.user_attrs), None)
        first = "" if failed is None else f", the first because: {failed.user_attrs[WHY]}"
        raise SweepError(f"{folder}: no trial has reached its end; {len(ended)} of {trials.num} ended: {counts or 'none'}{first}")
    sign = 1 if config.direction == "minimise" else -1
    complete = sorted((t for t in ended if t.state.name == "COMPLETE"), key=lambda t: sign * t.values[0])
    table = Table(box=SIMPLE)
    table.add_column("trial", justify="right")
    table.add_column("figure", justify="right")
    # one column for all settings, because a sweep may have many of them with long names
    table.add_column("settings", overflow="fold")
    for trial in complete[:MOST_SHOWN]:
        settings = ", ".join(f"{key} {shown(value)}" for key, value in trial.params.items())
        table.add_row(str(folder_number(trial)), f"{trial.values[0]:.4g}", Text(settings))
    console = make_console()
    console.print(table)
    lines = [
        f"figure: {config.objective}, the {'smaller' if sign == 1 else 'larger'} the better",
        f"Trials: {len(ended)} of {trials.num} ended: {counts}",
        f"Best configuration: {folder / BEST_FILE}",
        f"Train it with other seeds: adaptive-mbrl train --config {folder / BEST_FILE} --seeds 1..5",
    ]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def shown(value: Any) -> str:
    """A setting in a table."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
