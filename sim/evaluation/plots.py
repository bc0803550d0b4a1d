"""recovery.png: how each arm copes with a change, and how well its model predicts meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.storage import write_bytes_atomically
from sim.evaluation.evaluate import Evaluation
from sim.evaluation.performance import performance, performance_label, side_by_side
from sim.evaluation.report import describe
from sim.scenarios.scenario import Scenario

# only what draws loads it, since that takes half a second
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

# the palette of Okabe and Ito, which colour-blind readers can tell apart, too
STYLES: dict[str, dict[str, Any]] = {
    "ppo": {"color": "#CC79A7", "linestyle": ":", "linewidth": 1.6},
    "recurrent_ppo": {"color": "#D55E00", "linestyle": ":", "linewidth": 1.6},
    "sac": {"color": "#56B4E9", "linestyle": ":", "linewidth": 1.6},
    "wrong_physics": {"color": "#999999", "linestyle": ":", "linewidth": 1.6},
    "physics": {"color": "#999999", "linestyle": "-", "linewidth": 1.6},
    "wrong_hybrid": {"color": "#F0E442", "linestyle": ":", "linewidth": 1.8},
    "hybrid": {"color": "#F0E442", "linestyle": "-", "linewidth": 1.8},
    "oracle": {"color": "#000000", "linestyle": (0, (5, 2)), "linewidth": 1.4},
    "multitask": {"color": "#009E73", "linestyle": "-.", "linewidth": 1.6},
    "frozen": {"color": "#E69F00", "linestyle": "-", "linewidth": 1.6},
    "adaptive": {"color": "#0072B2", "linestyle": "-", "linewidth": 2.2},
}
SMOOTHING = 10
_MOST_NAMED = 2


def plot_recovery(evaluation: Evaluation, path: Path) -> None:
    """Write the figure as PNG."""
    content = BytesIO()
    recovery_figure(evaluation).savefig(content, dpi=130)
    write_bytes_atomically(path, content.getvalue())


def recovery_figure(evaluation: Evaluation) -> Figure:
    """Rewarded velocity, or reward, and model error of all arms over the time since the last change."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    robot, scenarios = evaluation.setup.robot, evaluation.scenarios
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    title, label = performance_label(robot)
    for name in STYLES:
        if name in evaluation.arms:
            arm = evaluation.arms[name]
            _draw(above, scenarios, robot.spec.dt, performance(robot, arm.episodes, arm.steps), name)
            if arm.model_error is not None:
                # error t + 1 is about the transition of step t, which reward t is about, too
                errors = [arm.model_error[1 : len(e), i] for i, e in enumerate(arm.episodes)]
                _draw(below, scenarios, robot.spec.dt, side_by_side(errors, max(map(len, arm.episodes))), name)
    above.set(title=f"{scenarios[0].name}: {title}", ylabel=label)
    below.set(
        title="error of the model's one-step predictions, each arm on the states that it visits",
        ylabel="RMS error [target std]",
        xlabel="time since the change [s]",
    )
    below.set_ylim(bottom=0)
    _mark_changes(above, scenarios, robot.spec.dt)
    _mark_changes(below, scenarios, robot.spec.dt, named=False)
    for axes in (above, below):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    handles, names = above.get_legend_handles_labels()
    # above the axes: inside of them it would hide lines or squeeze them
    figure.legend(handles[::-1], names[::-1], loc="outside upper center", ncols=len(names), frameon=False, handlelength=3)
    episodes = len(scenarios)
    note = f"{SMOOTHING}-step mean; line: mean of {episodes} episode{'s' * (episodes > 1)}"
    figure.supxlabel(note + (", band: standard error" if episodes > 1 else ""), fontsize=8, color="0.35")
    return figure


def align(values: Array, changes: Sequence[int]) -> tuple[NDArray[np.int64], Array]:
    """Shift every row so that its change comes at 0.

    Args:
        values: one row per episode, (E, T).
        changes: the column of each row's change, E of them.

    Returns:
        Steps since the change, (S,), and the values with NaN where a row has none, (E, S).
    """
    length = values.shape[1]
    steps = np.arange(-max(changes), length - min(changes))
    aligned = np.full((len(values), len(steps)), np.nan)
    for row, (content, change) in enumerate(zip(values, changes, strict=True)):
        begin = max(changes) - change
        aligned[row, begin : begin + length] = content
    return steps, aligned


def trailing_mean(values: Array, width: int) -> Array:
    """The mean over the last `width` columns, or over those since the row began, (E, T); NaN is left out of the mean."""
    known = np.isfinite(values)
    total = np.cumsum(np.where(known, values, 0.0), axis=1)
    count = np.cumsum(known, axis=1, dtype=np.float64)
    total[:, width:] -= total[:, :-width].copy()
    count[:, width:] -= count[:, :-width].copy()
    return np.divide(total, count, out=np.full_like(total, np.nan), where=known & (count > 0))


def _draw(axes: Axes, scenarios: Sequence[Scenario], dt: float, values: Array, name: str) -> None:
    # each episode is smoothed by itself, before the alignment: no mean may reach across the change of another episode
    steps, aligned = align(trailing_mean(values, SMOOTHING), [s.last_change for s in scenarios])
    count = np.isfinite(aligned).sum(0)
    total = np.where(np.isfinite(aligned), aligned, 0.0).sum(0)
    shown = count > 0
    mean = total[shown] / count[shown]
    seconds = steps[shown] * dt
    axes.plot(seconds, mean, label=name, **STYLES[name])
    if len(values) > 1:
        deviation = np.where(np.isfinite(aligned), aligned, np.nan)[:, shown] - mean
        spread = np.sqrt(np.nansum(deviation**2, axis=0)) / np.maximum(count[shown], 1)
        axes.fill_between(seconds, mean - spread, mean + spread, color=STYLES[name]["color"], alpha=0.15, linewidth=0)


def _mark_changes(axes: Axes, scenarios: Sequence[Scenario], dt: float, named: bool = True) -> None:
    """Mark the changes that all episodes have at the same step, or only the last one, to which the episodes are aligned."""
    if not any(s.changes for s in scenarios):
        return
    last = scenarios[0].last_change
    together = len({tuple(c.at for c in s.changes) for s in scenarios}) == 1
    for at in [c.at for c in scenarios[0].changes if c.at > 0 or c.at == last] if together else [last]:
        steps = at - last
        axes.axvline(steps * dt, color="#CC3311", linewidth=1.2, linestyle=":")
        if named:
            words = list(dict.fromkeys(describe(s.change_in_force(s.last_change + steps)) for s in scenarios))
            axes.annotate(
                "\nor ".join(words) if len(words) <= _MOST_NAMED else ("the last change" if at == last else "a change"),
                (steps * dt, 0.03),
                xycoords=("data", "axes fraction"),
                xytext=(5, 0),
                textcoords="offset points",
                color="#CC3311",
                fontsize=9,
            )
