"""bench.png: how the time of a plan grows with each setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from adaptive_mbrl.bench.cases import VALUES, Case
from adaptive_mbrl.control.step import PRECISIONS
from adaptive_mbrl.options.bench import Sweep
from adaptive_mbrl.pages.svg import COLOURS

NAMES: dict[Sweep, str] = {
    "samples": "candidates N",
    "horizon": "steps H",
    "width": "width of three layers",
    "members": "members E",
    "batch": "robots B",
}


def draw_sweeps(cells: Sequence[Mapping[str, Any]], sweeps: Sequence[Sweep], path: Path) -> None:
    """Write the picture.

    Args:
        cells: measured cases, as in bench.json.
        sweeps: the settings that were varied.
        path: the PNG file.
    """
    figure = Figure(figsize=(3.0 * len(sweeps), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(sweeps), sharey=True, squeeze=False)[0], sweeps, strict=True):
        for colour, precision in zip(COLOURS, PRECISIONS, strict=False):
            _draw(axes, [cell for cell in cells if cell["case"]["precision"] == precision], name, colour, precision)
        axes.set(xlabel=NAMES[name], xscale="log", yscale="log")
        axes.grid(True, which="both", alpha=0.2)
    figure.axes[0].set_ylabel("time of a plan [ms]")
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=120)


def _draw(axes: Axes, cells: Sequence[Mapping[str, Any]], name: Sweep, colour: str, label: str) -> None:
    """One precision: the median with the range up to p90, and what strict proportion to the base case would be."""
    base = Case()
    found = {
        cell["case"][name]: cell["plan_ms"]
        for cell in cells
        if all(cell["case"][other] == getattr(base, other) for other in VALUES if other != name)
    }
    values = sorted(found)
    median, p90 = (np.array([found[value][key] for value in values]) for key in ("median", "p90"))
    axes.plot(values, median, color=colour, marker="o", markersize=3, label=label)
    axes.fill_between(values, median, p90, color=colour, alpha=0.2, linewidth=0)
    own = getattr(base, name)
    if own in found:
        power = 2 if name == "width" else 1
        axes.plot(values, found[own]["median"] * (np.array(values) / own) ** power, color=colour, linewidth=0.8, linestyle=":")
