"""What an evaluation shows in the terminal: a bar for each arm while it runs, and a table at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from adaptive_mbrl.intervals import Interval
from sim.evaluation.arms import BeginArm
from sim.evaluation.plain_progress import PlainProgress
from sim.evaluation.summary import COMPARED_WITH, Report, compared_with

FEW_EPISODES = 5


@contextmanager
def live_progress(console: Console) -> Iterator[BeginArm]:
    """A bar for each arm while it runs, or plain lines where there is no terminal."""
    if not console.is_terminal:
        plain = PlainProgress(lambda line: console.print(line, markup=False, soft_wrap=True))
        yield plain.begin
        plain.end()
        return
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:

        def begin(name: str, steps: int) -> Callable[[], None]:
            task = progress.add_task(name, total=steps)
            return lambda: progress.advance(task)

        yield begin


def print_report(report: Report, console: Console) -> None:
    """A table of the arms and the comparisons, at most 100 characters wide."""
    console.print(_table(report))
    for entry in report["left_out"]:
        where = f"episode {entry['episode']} (seed {entry['seed']})"
        when = f"in arm {entry['arm']} at control step {entry['step']} under {entry['change'] or 'no change'}"
        console.print(f"Left out of all arms: {where}, unstable {when}", markup=False, soft_wrap=True)
    ends = {name: sum(e is not None for e in arm["ended_after"]) for name, arm in report["arms"].items()}
    if any(ends.values()):
        counts = ", ".join(f"{name} {count}" for name, count in ends.items())
        console.print(f"Episodes that ended early, with reward 0 from then on: {counts}", markup=False, soft_wrap=True)
    if len(report["scenarios"]) < FEW_EPISODES:
        console.print(f"Intervals of fewer than {FEW_EPISODES} episodes say little.")
    for other in compared_with(report["arms"]):
        difference = report["summary"][f"adaptive_minus_{other}"]["return_after_change"]
        if difference["mean"] is not None:
            console.print(
                f"Return after the change, adaptive - {other}: {difference['mean']:+.1f} {_interval(difference['ci95'], 1)}"
            )
        change = report["summary"][f"adaptive_minus_{other}"]["after_minus_before"]
        if change["mean"] is not None:
            console.print(f"  more than before the change: {change['mean']:+.1f} {_interval(change['ci95'], 1)}")
    error = report["summary"]["open_loop_10"]
    if error is not None:
        names = ", ".join(f"{name} {error[name]:.3f}" for name in ("adaptive", *COMPARED_WITH) if name in error)
        console.print(f"Open-loop error over 10 steps [target stds]: {names}", markup=False)


def _table(report: Report) -> Table:
    episodes = len(report["scenarios"])
    # brackets in a plain string would be read as markup
    table = Table(title=f"{report['scenario']}, {episodes} episode{'s' * (episodes > 1)}", box=SIMPLE, title_style="bold")
    table.add_column("arm")
    for header in (
        "return",
        "after\nchange",
        "normalised\n(95 % interval)",
        "steps to 80 %\nof oracle",
        "model\nerror",
        "adapt\nms",
        "plan\nms",
    ):
        table.add_column(header, justify="right")
    for name in ("adaptive", *compared_with(report["arms"]), "oracle", "random"):
        if name in report["arms"]:
            table.add_row(
                *_row(name, report["arms"][name], report["summary"][name]), style="bold" if name == "adaptive" else None
            )
    return table


def _row(name: str, arm: Report, summary: Report) -> list[str]:
    score = summary["normalized_after_change"]
    normalized = "" if score["mean"] is None else f"{score['mean']:.2f} {_interval(score['ci95'], 2)}"
    return [
        name,
        _number(summary["return"]["mean"], 1),
        _number(summary["return_after_change"]["mean"], 1),
        normalized,
        _steps(summary["steps_to_oracle"]),
        _number(summary["model_error_after_change"], 2),
        _number(arm["adapt_ms"]["median"], 1),
        _number(arm["plan_ms"]["median"], 1),
    ]


def _steps(steps: Report) -> str:
    """The median, and in how many episodes the level was never reached."""
    never = f" ({steps['never']} never)" if steps["never"] else ""
    return f"{_number(steps['median'], 0)}{never}".strip()


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _interval(ends: Interval | None, digits: int) -> str:
    return "" if ends is None else f"({ends[0]:.{digits}f} to {ends[1]:.{digits}f})"
