"""Figures as text in the cells of a table."""

from __future__ import annotations

from typing import Any


def with_interval(value: dict[str, Any], digits: int) -> str:
    """A mean with its interval; a dash where there is none."""
    if value["mean"] is None:
        return "-"
    if value["ci95"] is None:
        return number(value["mean"], digits)
    low, high = value["ci95"]
    return f"{value['mean']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def number(value: float | None, digits: int) -> str:
    """A number; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def named(figure: list[Any]) -> dict[str, Any]:
    """A pair of a mean and its interval, as `with_interval` takes it."""
    return {"mean": figure[0], "ci95": figure[1]}
