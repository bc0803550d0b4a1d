"""What the command prints: bench.json as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from adaptive_mbrl.bench.cases import Case

Report = Mapping[str, Any]


def tables(report: Report) -> Iterator[Table]:
    """The tables of a report: plans, rules, other libraries."""
    yield _table(
        "adapt and plan: median / p90 / p99 [ms]",
        ("case", "adapt", "plan", "total", "candidates x steps / s", "GFLOP/s", "of the peak", "memory"),
        [_planned(cell) for cell in report["cases"]],
    )
    if report["rules"]:
        about = report["rules"][0]["case"]
        yield _table(
            f"adapt, E = {about['members']}, K = {about['window']} [ms]",
            ("rule", "median", "p90", "p99"),
            [(cell["case"]["rule"], *_three(cell["adapt_ms"])) for cell in report["rules"]],
        )
    if report["peers"]:
        yield _table(
            "plans in turn with another library: how many times faster ours are [95 %]",
            ("case", "precision", "ours [ms]", "library", "its own [ms]", "ratio"),
            [_compared(entry) for entry in report["peers"]],
        )


def name_of(case: Mapping[str, Any]) -> str:
    """A case in words: what differs from the base case."""
    letters = {"samples": "N", "horizon": "H", "width": "width", "layers": "layers", "members": "E", "batch": "B", "window": "K"}
    base = Case()
    different = [f"{letter} = {case[key]}" for key, letter in letters.items() if case[key] != getattr(base, key)]
    return ", ".join([*different, case["precision"]])


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _planned(cell: Report) -> tuple[str, ...]:
    return (
        cell["name"],
        *(" / ".join(_three(cell[f"{part}_ms"])) for part in ("adapt", "plan", "total")),
        f"{cell['samples_per_second']:.3g}",
        f"{cell['flops'] / 1e9:.3g}",
        f"{cell['share_of_peak']:.0%}",
        f"{cell['memory_bytes'] / 1e6:.3g} MB",
    )


def _three(spread: Mapping[str, float]) -> tuple[str, str, str]:
    median, p90, p99 = (_ms(spread[key]) for key in ("median", "p90", "p99"))
    return median, p90, p99


def _ms(value: float) -> str:
    """Three digits, as a number without an exponent."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _compared(entry: Report) -> tuple[str, ...]:
    ratio, low, high = entry["ratio"]
    return (
        entry["name"],
        entry["precision"],
        _ms(entry["ours_ms"]["median"]),
        entry["library"],
        _ms(entry["library_ms"]["median"]),
        f"{ratio:.2f} [{low:.2f}, {high:.2f}]",
    )
