"""Curves of a benchmark as SVG that takes over the colour of the text around it, to be read on light and dark pages alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Report = dict[str, Any]

_INK = "#010203"
"""Stands for the colour of the text until the picture is written."""
# after Okabe and Ito, which colour-blind readers can tell apart; without black and yellow, and with a blue for dark pages, too
_COLOURS = ("#1f8fd6", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_SIZE = (6.4, 3.4)


def recovery_picture(scenario: Report) -> str:
    """Reward around the last change."""
    found = scenario["recovery"]
    figure, axes = _figure()
    time = np.array(found["steps"]) * scenario["dt"]
    _draw(axes, time, found["arms"])
    axes.axvline(0, color=_INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="seconds since the last change", ylabel="reward per step, mean of the last 10", xlim=(time[0], time[-1]))
    return _svg(figure, axes, f"recovery of {scenario['name']}")


def evidence_picture(scenario: Report) -> str:
    """Open-loop error after k transitions."""
    found = scenario["evidence"]
    figure, axes = _figure()
    _draw_by_transitions(axes, found["transitions"], found["methods"])
    axes.set(ylabel="open-loop error over 10 steps [stds]", ylim=(0, None))
    return _svg(figure, axes, f"prediction error after k transitions, {scenario['name']}")


def reward_rate_picture(scenario: Report) -> str:
    """Reward after k transitions, between the random policy's and the oracle's."""
    found = scenario["reward_rate"]
    figure, axes = _figure()
    _draw_by_transitions(axes, found["transitions"], found["arms"])
    axes.axhline(1, color=_INK, linewidth=1.0, linestyle=(0, (5, 2)))
    axes.set(ylabel="reward rate, oracle = 1, random = 0")
    return _svg(figure, axes, f"reward rate after k transitions, {scenario['name']}")


def profile_picture(profiles: Report, title: str) -> str:
    """Performance profiles."""
    figure, axes = _figure()
    _draw(axes, np.array(profiles["score"]), profiles["arms"])
    axes.set(
        xlabel="normalised score",
        ylabel="share of runs above it",
        ylim=(0, 1.02),
        xlim=(profiles["score"][0], profiles["score"][-1]),
    )
    return _svg(figure, axes, f"performance profiles, {title}")


def improvement_picture(comparisons: Sequence[Report], title: str) -> str:
    """Probability of improvement of each pair of arms."""
    pairs = [pair for pair in comparisons if pair["probability"]["value"] is not None]
    figure, axes = _figure(height=0.9 + 0.45 * max(len(pairs), 1))
    for row, pair in enumerate(reversed(pairs)):
        value, ends = pair["probability"]["value"], pair["probability"]["ci95"] or [pair["probability"]["value"]] * 2
        axes.plot(ends, [row, row], color=_COLOURS[0], linewidth=6, alpha=0.35, solid_capstyle="butt")
        axes.plot([value], [row], marker="o", color=_COLOURS[0])
    axes.axvline(0.5, color=_INK, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(pairs)), [f"{pair['ours']}\nover {pair['theirs']}" for pair in reversed(pairs)])
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(pairs) - 0.4), xlabel="probability of improvement")
    return _svg(figure, axes, f"probability of improvement, {title}")


def _figure(height: float = _SIZE[1]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_SIZE[0], height), layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(_INK)
    axes.tick_params(colors=_INK)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    axes.grid(True, color=_INK, alpha=0.12, linewidth=0.6)
    return figure, axes


def _draw(axes: Axes, x: np.ndarray, curves: Report) -> None:
    colours = iter(_COLOURS * (1 + len(curves) // len(_COLOURS)))
    for name, curve in curves.items():
        style = {"oracle": (0, (5, 2)), "random": (0, (1, 2))}.get(name)
        colour = next(colours) if style is None else _INK
        mean, low, high = (np.array(curve[key], dtype=np.float64) for key in ("mean", "low", "high"))
        axes.plot(x, mean, color=colour, linewidth=1.8 if style is None else 1.1, linestyle=style or "-", label=name)
        if style is None:
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def _draw_by_transitions(axes: Axes, transitions: Sequence[int], curves: Report) -> None:
    """Evenly spaced, since k doubles from point to point, but for 0."""
    _draw(axes, np.arange(len(transitions)), curves)
    axes.set_xticks(range(len(transitions)), [str(k) for k in transitions])
    axes.set_xlabel("transitions of the new dynamics, k")


def _svg(figure: Figure, axes: Axes, title: str) -> str:
    """The picture as an element of a page; it is as wide as its place allows."""
    if axes.get_legend_handles_labels()[0]:
        legend = figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=9)
        for name in legend.get_texts():
            name.set_color(_INK)
    content = StringIO()
    # the salt keeps the names of parts of several pictures on one page apart; text stays text
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "font.family": "sans-serif"}):
        figure.savefig(
            content, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = content.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    width, height = figure.get_size_inches()
    head = f'<svg role="img" aria-label="{_escaped(title)}" viewBox="0 0 {72 * width:g} {72 * height:g}"'
    text = re.sub(
        r"<svg[^>]*>", f'{head} xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">', text, count=1
    )
    return re.sub(
        r' id="(?:figure|axes|patch|line2d|text|legend|matplotlib\.axis|xtick|ytick|FillBetweenPolyCollection)_\d+"', "", text
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
