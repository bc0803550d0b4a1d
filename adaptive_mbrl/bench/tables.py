"""bench.json as tables, which the command prints and docs/ shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from adaptive_mbrl.bench.cases import Case

Report = Mapping[str, Any]


class Table(NamedTuple):
    """A table of text.

    Attributes:
        title: what it is about.
        columns: heads of the columns.
        rows: one text for each column.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(report: Report) -> Iterator[Table]:
    """The tables of a report: plans, rules, other libraries."""
    yield Table(
        "adapt and plan: median / p90 / p99 [ms]",
        ("case", "adapt", "plan", "total", "candidates x steps / s", "GFLOP/s", "of the peak", "memory"),
        tuple(_planned(cell) for cell in report["cases"]),
    )
    if report["adapting"]:
        about = report["adapting"][0]["case"]
        yield Table(
            f"adapt, E = {about['members']}, K = {about['window']}{compiled_words(about)}: median / p90 / p99 [ms]",
            ("rule", "alone", "with the gate"),
            tuple(_adapted(report["adapting"])),
        )
    if report["peers"]:
        yield Table(
            "plans in turn with another library: how many times faster ours are [95 %]",
            ("case", "precision", "ours [ms]", "library", "its own [ms]", "ratio"),
            tuple(_compared(entry) for entry in report["peers"]),
        )


def name_of(case: Mapping[str, Any]) -> str:
    """A case in words: what differs from the base case."""
    letters = {"samples": "N", "horizon": "H", "width": "width", "layers": "layers", "members": "E", "batch": "B", "window": "K"}
    base = Case()
    different = [f"{letter} = {case[key]}" for key, letter in letters.items() if case[key] != getattr(base, key)]
    return ", ".join([*different, case["precision"]]) + compiled_words(case)


def compiled_words(case: Mapping[str, Any]) -> str:
    """What is added to a name where the control step is compiled."""
    return "" if case.get("compile", "off") == "off" else ", compiled"


def _adapted(cells: Sequence[Report]) -> Iterator[tuple[str, str, str]]:
    spreads: dict[str, dict[bool, str]] = {}
    for cell in cells:
        spreads.setdefault(cell["case"]["rule"], {})[cell["case"].get("gate", True)] = " / ".join(_three(cell["adapt_ms"]))
    for rule, times in spreads.items():
        yield rule, times.get(False, ""), times.get(True, "")


def _planned(cell: Report) -> tuple[str, ...]:
    return (
        cell["name"],
        *(" / ".join(_three(cell[f"{part}_ms"])) for part in ("adapt", "plan", "total")),
        f"{cell['samples_per_second']:.3g}",
        f"{cell['flops'] / 1e9:.3g}",
        f"{cell['share_of_peak']:.0%}",
        "-" if cell["memory_bytes"] is None else f"{cell['memory_bytes'] / 1e6:.3g} MB",
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
