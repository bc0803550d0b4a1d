"""Curves as SVG that takes over the colour of the text around it, to be read on light and dark pages alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

# only what draws loads it, since that takes half a second
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the colour of the text until the picture is written."""
# after Okabe and Ito, which colour-blind readers can tell apart; without black and yellow, and with a blue for dark pages, too
COLOURS = ("#1f8fd6", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
WIDTH, HEIGHT = 6.4, 3.4
"""Of a picture with one plot [inches]."""
REFERENCES = {"oracle": (0, (5, 2)), "random": (0, (1, 2))}
"""Curves that others are compared with: how their lines are dashed. They have the colour of the text, and no band."""


def new_figure(height: float = HEIGHT, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A picture with one plot, on no background; in a narrower one text is larger [inches]."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(INK)
    axes.tick_params(which="both", colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(True, color=INK, alpha=0.12, linewidth=0.6)
    return figure, axes


def draw_curves(axes: Axes, x: np.ndarray, curves: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw curves with bands.

    Args:
        axes: the plot.
        x: what all curves are over, (X,).
        curves: for each name its `mean`, `low` and `high`, (X,); None or NaN where nothing is known.
    """
    colours = iter(COLOURS * (1 + len(curves) // len(COLOURS)))
    for name, curve in curves.items():
        style = REFERENCES.get(name)
        colour = next(colours) if style is None else INK
        mean, low, high = (np.array(curve[key], dtype=np.float64) for key in ("mean", "low", "high"))
        axes.plot(x, mean, color=colour, linewidth=1.8 if style is None else 1.1, linestyle=style or "-", label=name)
        if style is None:
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def as_svg(figure: Figure, axes: Axes, title: str) -> str:
    """The picture as an element of a page; it is as wide as its place allows.

    Args:
        figure: the picture.
        axes: its plot; the legend names what is drawn there.
        title: what the picture shows, for those who do not see it; another one for each picture of a page.
    """
    import matplotlib

    if axes.get_legend_handles_labels()[0]:
        legend = figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=9)
        for name in legend.get_texts():
            name.set_color(INK)
    content = StringIO()
    # the salt keeps the names of parts of several pictures on one page apart; text stays text
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "font.family": "sans-serif"}):
        figure.savefig(
            content, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = content.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
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
