"""The page of a training: `report.html` in its run folder, one file that needs nothing else."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.intervals import mean_and_interval
from adaptive_mbrl.pages.template import render_page
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.training.card import CARD_FILE, summary
from adaptive_mbrl.training.comparison import Comparison
from adaptive_mbrl.training.report.about import about_run, duration, machines
from adaptive_mbrl.training.report.history import History
from adaptive_mbrl.training.report.pictures import comparison_picture, furthest_step, pictures
from adaptive_mbrl.training.report.worst import Film, film_worst
from adaptive_mbrl.training.run_folder import CONFIG_FILE, MULTITASK

REPORT_FILE = "report.html"
Cells = Sequence[str]


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        state: `training`, `stopped` or `done`.
        seconds_left: how long the rest will take [s]; None where nobody knows.
    """

    state: str
    seconds_left: float | None = None


def write_page(history: History, progress: Progress, film: Film | None = None, out: Path | None = None) -> Path:
    """Write the page of a run, and return its path.

    Args:
        history: the run.
        progress: how far it is.
        film: draws the worst validation episode; None where nothing can.
        out: the file; `report.html` in the run folder if not given.
    """
    path = out or history.folder / REPORT_FILE
    write_text_atomically(path, run_page(history, progress, film, path.parent))
    return path


def run_page(history: History, progress: Progress, film: Film | None, folder: Path) -> str:
    """The text of the page, which is to lie in `folder`."""
    done, total = len(history.rounds), history.config.num_rounds
    compared = history.comparison
    return render_page(
        __package__ or "",
        "report.html.j2",
        name=history.name,
        state=_state(history, progress),
        written=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        done=done,
        total=total,
        tiles=[*_tiles(history, progress)],
        pictures=[*pictures(history)],
        episode=film_worst(history, film, folder),
        comparison=None if compared is None else _comparison(compared),
        rounds=_rounds(history),
        about=[*about_run(history)],
        machines=machines(history),
        links=[*_links(history, folder)],
        configuration=yaml.safe_dump(to_mapping(history.config), sort_keys=False),
    )


def _state(history: History, progress: Progress) -> str:
    done, total = len(history.rounds), history.config.num_rounds
    words = f"{progress.state}: {done} of {total} rounds are complete"
    return words if progress.seconds_left is None else f"{words}, about {duration(progress.seconds_left)} left"


def _tiles(history: History, progress: Progress) -> Iterator[tuple[str, str, str]]:
    """The figures that are read first: what it is, the figure, and what to compare it with."""
    controlled = [c for c in history.collections if c.source == "policy"]
    if controlled:
        mean, ends = mean_and_interval(controlled[-1].returns)
        references = [f"{c.source} {c.returns.mean():,.1f}" for c in history.collections if c.source in ("oracle", "random")]
        interval = "" if ends is None else f"[{ends[0]:,.1f}, {ends[1]:,.1f}]"
        yield f"return, round {controlled[-1].round}", f"{mean:,.1f}", "; ".join(part for part in (interval, *references) if part)
    steps, scalars = furthest_step(history), history.last.record.scalars
    if steps:
        adapted, prior = (scalars[f"validation/{name}_error_{steps}_steps"] for name in ("adapted", "prior"))
        yield f"held-out error {steps} steps ahead", f"{adapted:.3f}", f"{prior:.3f} without adapting [target stds]"
    record = history.last.record
    figures = history.last.figures
    speed = None if figures is None else figures.updates_per_second
    yield "outer steps", f"{record.updates:,}", "" if speed is None else f"{speed:,.1f} per second in the last round"
    yield "env steps", f"{record.env_steps:,}", f"{record.branch_steps:,} branch and {record.oracle_steps:,} oracle steps beside"
    left = "" if progress.seconds_left is None else f"about {duration(progress.seconds_left)} left"
    yield "computing time", duration(record.seconds), left


def _rounds(history: History) -> tuple[Cells, Sequence[Cells]]:
    """A table with one row for each round."""
    steps = furthest_step(history)
    names = {
        "training loss": "train/query_loss",
        "validation loss, adapted": "validation/adapted_loss",
        "validation loss, prior": "validation/prior_loss",
        f"error at {steps} steps, adapted": f"validation/adapted_error_{steps}_steps",
        f"error at {steps} steps, prior": f"validation/prior_error_{steps}_steps",
        "cosine of gradients": "gradient/cosine",
    }
    present = {label: name for label, name in names.items() if history.scalars(name)}
    returns = {c.round: mean_and_interval(c.returns) for c in history.collections if c.source == "policy"}
    speeds = [None if r.figures is None else r.figures.updates_per_second for r in history.rounds]
    header = ["round", "outer steps", "env steps", "seconds", *(["return [95 %]"] if returns else []), *present]
    header += ["outer steps/s"] if any(speeds) else []
    rows, before = [], 0.0
    for r, speed in zip(history.rounds, speeds, strict=True):
        row = [str(r.number), f"{r.record.updates:,}", f"{r.record.env_steps:,}", f"{r.record.seconds - before:,.0f}"]
        before = r.record.seconds
        if returns:
            row.append("" if r.number not in returns else _with_interval(*returns[r.number]))
        row += [_number(r.record.scalars.get(name)) for name in present.values()]
        row += [_number(speed)] if any(speeds) else []
        rows.append(row)
    return header, rows


def _comparison(compared: Comparison) -> dict[str, object]:
    means = [*compared.adaptive.mean(0), compared.multitask.mean()]
    situations = sorted(set(compared.situations))
    rows = []
    for name in situations if 1 < len(situations) < len(compared.situations) else ():
        chosen = np.array([situation == name for situation in compared.situations])
        ours, theirs = compared.adaptive[chosen, -1].mean(), compared.multitask[chosen].mean()
        rows.append((name, str(int(chosen.sum())), f"{ours:.3f}", f"{theirs:.3f}"))
    return {
        "summary": summary(compared),
        "picture": comparison_picture(compared),
        "shots": (
            ("transitions seen", *map(str, compared.shots), "multi-task model"),
            [("error", *(f"{value:.3f}" for value in means))],
        ),
        "situations": (("held-out situation", "episodes", "adaptive", "multi-task"), rows),
    }


def _links(history: History, folder: Path) -> Iterator[tuple[str, str]]:
    if folder.resolve() != history.folder.resolve():
        return
    for path, words in (
        (f"checkpoint/{CARD_FILE}", "the model card"),
        (f"{MULTITASK}/{REPORT_FILE}", "the report of the multi-task model"),
        (CONFIG_FILE, "the configuration"),
    ):
        if (history.folder / path).is_file():
            yield path, words


def _with_interval(mean: float, ends: tuple[float, float] | None) -> str:
    return f"{mean:,.1f}" + ("" if ends is None else f" [{ends[0]:,.1f}, {ends[1]:,.1f}]")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
