"""Curves of several runs in one plot, a plot for each robot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from adaptive_mbrl.compare.entries import Entry
from adaptive_mbrl.compare.groups import Group
from adaptive_mbrl.pages.svg import COLOURS, as_svg, new_figure
from adaptive_mbrl.training.report.history import History
from adaptive_mbrl.training.report.pictures import SIZE, UNIT, Picture, furthest_step

Points = Sequence[tuple[float, float]]
# those of the palette that stand out on white and on black come first
_ORDER = (0, 4, 2, 3, 1, 5)
_STYLES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1)))
_MARKERS = "osD^vP"


def pictures(groups: Sequence[Group]) -> Iterator[Picture]:
    """All plots for which some run has numbers."""
    for robot in dict.fromkeys(group.robot for group in groups):
        same = [group for group in groups if group.robot == robot]
        for (title, x, y, words), points in _PLOTS.items():
            drawn = _plot(same, points, f"{title}, {robot}", x, y, words)
            if drawn is not None:
                yield drawn


def returns(history: History) -> Points:
    """Mean return of each collection of the controller, over the env steps by then."""
    steps = {r.number: r.record.env_steps for r in history.rounds}
    return [(steps[c.round], float(c.returns.mean())) for c in history.collections if c.source == "policy"]


def validation_loss(history: History) -> Points:
    """Validation loss after adapting, over the outer steps."""
    updates = {r.number: r.record.updates for r in history.rounds}
    return [(updates[number], loss) for number, loss in history.scalars("validation/adapted_loss").items()]


def error_by_round(history: History) -> Points:
    """Held-out error at the furthest step that is recorded, up to 10, over the outer steps."""
    updates = {r.number: r.record.updates for r in history.rounds}
    found = history.scalars(f"validation/adapted_error_{furthest_step(history)}_steps")
    return [(updates[number], error) for number, error in found.items()]


def error_over_horizon(history: History) -> Points:
    """Held-out error at each step ahead, after the last round."""
    found = history.held_out
    return [] if found is None else [*enumerate(map(float, np.array(found.adapted).mean(0)), 1)]


_PLOTS: dict[tuple[str, str, str, str], Callable[[History], Points]] = {
    (
        "collected return",
        "env steps",
        "return of an episode",
        "Mean return of each collection, over the env steps until then, with exploration noise.",
    ): returns,
    (
        "validation loss",
        "outer steps",
        "query loss",
        "Loss after adapting on held-out windows, after each round.",
    ): validation_loss,
    (
        "held-out error",
        "outer steps",
        UNIT,
        "Error after adapting at the furthest step ahead that each round records, up to 10 steps.",
    ): error_by_round,
    (
        "error over the prediction horizon",
        "steps ahead",
        UNIT,
        "Open-loop error after adapting at each step ahead, after the last round.",
    ): error_over_horizon,
}


def _plot(groups: Sequence[Group], points: Callable[[History], Points], title: str, x: str, y: str, words: str) -> Picture | None:
    curves = {group.label: [c for e in group.entries if (c := _of(e, points))] for group in groups}
    if not any(curves.values()):
        return None
    figure, axes = new_figure(*SIZE)
    for number, (label, found) in enumerate(curves.items()):
        _draw(axes, label, found, number)
    axes.set(xlabel=x, ylabel=y)
    if x == "steps ahead":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if y == "query loss" and min(v for found in curves.values() for c in found for _, v in c) > 0:
        axes.set_yscale("log")
    return Picture(as_svg(figure, axes, title), words)


def _draw(axes: Axes, label: str, curves: Sequence[Points], number: int) -> None:
    """Draw the curves of a group: each seed thin, and their mean where they have the same points."""
    colour, style = COLOURS[_ORDER[number % len(_ORDER)]], _STYLES[number % len(_STYLES)]
    marker = _MARKERS[number % len(_MARKERS)]
    several = len(curves) > 1 and len({tuple(x for x, _ in c) for c in curves}) == 1
    for i, curve in enumerate(curves):
        x, y = zip(*curve, strict=True)
        alone = not several
        axes.plot(
            x,
            y,
            color=colour,
            linestyle=style,
            linewidth=1.8 if alone else 0.8,
            alpha=1.0 if alone else 0.5,
            marker=marker if alone and len(x) < 20 else "",
            markersize=4,
            label=label if alone and i == 0 else None,
        )
    if several:
        places, means = [x for x, _ in curves[0]], np.mean([[y for _, y in c] for c in curves], axis=0)
        marker = marker if len(places) < 20 else ""
        axes.plot(places, means, color=colour, linestyle=style, linewidth=2, marker=marker, label=label)


def _of(entry: Entry, points: Callable[[History], Points]) -> Points:
    return [] if entry.history is None else points(entry.history)
