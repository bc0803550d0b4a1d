"""The sub-command `runs`: which trainings there are, how far they are, and what they reach."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.console import make_console
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.file_lock import LOCK_FILE, is_held
from adaptive_mbrl.options import RunsOptions
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.recorder import RECORD_FILE
from adaptive_mbrl.training.rounds import RoundRecord
from adaptive_mbrl.training.run_folder import CONFIG_FILE

COLUMNS = ("run", "state", "rounds", "updates", "env steps", "min", "return", "error", "prior", "changed")

EXPLANATION = (
    "return: mean of the last collection, with exploration.",
    "error, prior: on held-out episodes, with and without adapting, up to 10 steps ahead [target stds].",
)


@dataclass(frozen=True)
class Run:
    """A training, as its folder tells.

    Attributes:
        folder: the run folder.
        state: `training` while a process holds it, `done`, or `stopped`; `of another kind` if it is a baseline's or of
            another version.
        rounds: number of complete rounds; `total` is that of all.
        record: the figures of the last complete round; None before the first.
        collected: mean return of the last collection with a controller; None before one.
        changed: when something was last written, since the epoch [s].
    """

    folder: Path
    state: str
    rounds: int
    total: int
    record: RoundRecord | None
    collected: float | None
    changed: float


def runs(options: RunsOptions) -> None:
    """Print one line for each run below a folder.

    Raises:
        ConfigError: there is no run.
    """
    found = list(find_runs(options.folder))
    if not found:
        raise ConfigError(f"{options.folder}: no run is there; a run is a folder that 'adaptive-mbrl train' wrote")
    console = make_console()
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for i, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if i < 2 else "right", overflow="fold")
    for run in found:
        table.add_row(*map(Text, row_of(run, options.folder, time.time())))
    console.print(table)
    for line in EXPLANATION:
        console.print(line, markup=False, soft_wrap=True)


def find_runs(folder: Path) -> Iterator[Run]:
    """The runs in a folder and below it, by their names."""
    for config in sorted(folder.rglob(CONFIG_FILE)):
        if (config.parent / LOCK_FILE).is_file():
            try:
                yield _read(config.parent)
            except ConfigError:
                # a baseline's, or of another version
                changed = config.stat().st_mtime
                yield Run(config.parent, "of another kind", len(_rounds(config.parent)), 0, None, None, changed)


def row_of(run: Run, root: Path, now: float) -> Sequence[str]:
    """The cells of a run's line, in the order of `COLUMNS`."""
    name = str(run.folder.relative_to(root)) if run.folder != root else run.folder.name
    rounds, ago = f"{run.rounds}/{run.total}" if run.total else str(run.rounds or ""), _ago(now - run.changed)
    if run.record is None:
        return (name, run.state, rounds, "", "", "", "", "", "", ago)
    scalars = run.record.scalars
    steps = [int(key.split("_")[-2]) for key in scalars if key.startswith("validation/adapted_error_")]
    furthest = max((s for s in steps if s <= 10), default=0)
    errors = [scalars.get(f"validation/{which}_error_{furthest}_steps") for which in ("adapted", "prior")]
    figures = [_number(run.collected, 1), *(_number(e, 3) for e in errors)]
    counts = (f"{run.record.updates:,}", f"{run.record.env_steps:,}", f"{run.record.seconds / 60:.0f}")
    return (name, run.state, rounds, *counts, *figures, ago)


def state_of(folder: Path) -> str:
    """Whether a run is `done`, `training` (a process holds it) or `stopped`."""
    return "done" if (folder / "checkpoint").is_dir() else "training" if is_held(folder) else "stopped"


def _read(folder: Path) -> Run:
    config = load_yaml(folder / CONFIG_FILE, TrainConfig)
    done = _rounds(folder)
    records = [load_yaml(path / RECORD_FILE, RoundRecord) for path in done]
    returns = [r.scalars["collect/return"] for r in records if "collect/return" in r.scalars]
    changed = max(
        path.stat().st_mtime for path in (folder, *done, *folder.glob("tensorboard/*"), *folder.glob("episodes/[0-9]*"))
    )
    record, collected = records[-1] if records else None, returns[-1] if returns else None
    return Run(folder, state_of(folder), len(done), config.num_rounds, record, collected, changed)


def _rounds(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / "rounds").glob("[0-9]*") if (p / RECORD_FILE).is_file())


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"
