"""The pictures of a benchmark's report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from adaptive_mbrl.pages.svg import COLOURS, INK, as_svg, draw_curves, new_figure

Report = dict[str, Any]


def recovery_picture(scenario: Report) -> str:
    """Reward around the last change."""
    found = scenario["recovery"]
    figure, axes = new_figure()
    time = np.array(found["steps"]) * scenario["dt"]
    draw_curves(axes, time, found["arms"])
    axes.axvline(0, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="seconds since the last change", ylabel="reward per step, mean of the last 10", xlim=(time[0], time[-1]))
    return as_svg(figure, axes, f"recovery of {scenario['name']}")


def evidence_picture(scenario: Report) -> str:
    """Open-loop error after k transitions."""
    found = scenario["evidence"]
    figure, axes = new_figure()
    _draw_by_transitions(axes, found["transitions"], found["methods"])
    axes.set(ylabel="open-loop error over 10 steps [stds]", ylim=(0, None))
    return as_svg(figure, axes, f"prediction error after k transitions, {scenario['name']}")


def reward_rate_picture(scenario: Report) -> str:
    """Reward after k transitions, between the random policy's and the oracle's."""
    found = scenario["reward_rate"]
    figure, axes = new_figure()
    _draw_by_transitions(axes, found["transitions"], found["arms"])
    axes.axhline(1, color=INK, linewidth=1.0, linestyle=(0, (5, 2)))
    axes.set(ylabel="reward rate, oracle = 1, random = 0")
    return as_svg(figure, axes, f"reward rate after k transitions, {scenario['name']}")


def profile_picture(profiles: Report, title: str) -> str:
    """Performance profiles."""
    figure, axes = new_figure()
    draw_curves(axes, np.array(profiles["score"]), profiles["arms"])
    axes.set(
        xlabel="normalised score",
        ylabel="share of runs above it",
        ylim=(0, 1.02),
        xlim=(profiles["score"][0], profiles["score"][-1]),
    )
    return as_svg(figure, axes, f"performance profiles, {title}")


def improvement_picture(comparisons: Sequence[Report], title: str) -> str:
    """Probability of improvement of each pair of arms."""
    pairs = [pair for pair in comparisons if pair["probability"]["value"] is not None]
    figure, axes = new_figure(height=0.9 + 0.45 * max(len(pairs), 1))
    for row, pair in enumerate(reversed(pairs)):
        value, ends = pair["probability"]["value"], pair["probability"]["ci95"] or [pair["probability"]["value"]] * 2
        axes.plot(ends, [row, row], color=COLOURS[0], linewidth=6, alpha=0.35, solid_capstyle="butt")
        axes.plot([value], [row], marker="o", color=COLOURS[0])
    axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(pairs)), [f"{pair['ours']}\nover {pair['theirs']}" for pair in reversed(pairs)])
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(pairs) - 0.4), xlabel="probability of improvement")
    return as_svg(figure, axes, f"probability of improvement, {title}")


def _draw_by_transitions(axes: Axes, transitions: Sequence[int], curves: Report) -> None:
    """Evenly spaced, since k doubles from point to point, but for 0."""
    draw_curves(axes, np.arange(len(transitions)), curves)
    axes.set_xticks(range(len(transitions)), [str(k) for k in transitions])
    axes.set_xlabel("transitions of the new dynamics, k")
