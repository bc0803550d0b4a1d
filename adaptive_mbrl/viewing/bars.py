"""Named values as bars, each with an interval of uncertainty and, where it is known, the truth."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adaptive_mbrl.viewing.colours import ESTIMATE, LEVELS, TRUTH

if TYPE_CHECKING:
    import viser

_COLOURS = {"normal": ESTIMATE, **LEVELS}


@dataclass(frozen=True)
class Bar:
    """One named value on an axis of its own.

    Attributes:
        name: what it is.
        value: the number; NaN where it is not known.
        low: left end of the axis.
        high: right end of the axis.
        interval: lower and upper end of where the value is believed to be; None without.
        truth: what the value really is; None or NaN where nobody knows.
        unit: unit behind the number.
        level: `normal`, `good`, `warning` or `bad`, which is the bar's colour.
    """

    name: str
    value: float
    low: float
    high: float
    interval: tuple[float, float] | None = None
    truth: float | None = None
    unit: str = ""
    level: str = "normal"


class BarPanel:
    """Bars on a page.

    Args:
        gui: viser's elements of the page.
        bars: what is shown at first.
        note: a sentence below the bars, for example what the marks mean.
    """

    def __init__(self, gui: viser.GuiApi, bars: Sequence[Bar] = (), note: str = "") -> None:
        self._note = note
        self._element = gui.add_html(bars_html(bars, note))

    def show(self, bars: Sequence[Bar], note: str | None = None) -> None:
        """Show these bars instead; the note stays if none is given."""
        self._note = self._note if note is None else note
        content = bars_html(bars, self._note)
        # every browser would lay the same text out again
        if content != self._element.content:
            self._element.content = content


def bars_html(bars: Sequence[Bar], note: str = "") -> str:
    """The bars as HTML: name, axis with interval, value and truth, and the number."""
    rows = "".join(_row(bar) for bar in bars)
    return (
        '<div style="padding:2px 10px 6px 10px;font-size:13px;line-height:1.3">'
        '<div style="display:grid;grid-template-columns:max-content 1fr max-content;gap:3px 10px;align-items:center">'
        f"{rows}</div>"
        f'<div style="opacity:0.7;padding-top:6px;font-size:12px">{html.escape(note)}</div></div>'
    )


def _row(bar: Bar) -> str:
    colour, marks = _COLOURS[bar.level], ""
    if bar.interval is not None and all(map(math.isfinite, bar.interval)):
        left, right = (_place(bar, end) for end in bar.interval)
        marks += _mark(left, f"width:{right - left:.1f}%;top:3px;bottom:3px;background:{colour};opacity:0.35;border-radius:3px")
    if math.isfinite(bar.value):
        marks += _mark(_place(bar, bar.value), f"width:4px;margin-left:-2px;top:0;bottom:0;background:{colour}")
    if bar.truth is not None and math.isfinite(bar.truth):
        place = _place(bar, bar.truth)
        marks += _mark(place, f"width:0;margin-left:-1px;top:-2px;bottom:-2px;border-left:2px dashed {TRUTH}")
    track = (
        '<div style="position:relative;height:16px;border-radius:3px;background:rgba(128,128,128,0.18)">'
        f"{_mark(_place(bar, 0.0), 'top:0;bottom:0;border-left:1px solid rgba(128,128,128,0.6)')}{marks}</div>"
    )
    number = f"{bar.value:.2f}" if math.isfinite(bar.value) else "–"
    unit = f" {html.escape(bar.unit)}" if bar.unit else ""
    return (
        f"<div>{html.escape(bar.name)}</div>{track}"
        f'<div style="text-align:right;font-variant-numeric:tabular-nums">{number}{unit}</div>'
    )


def _place(bar: Bar, value: float) -> float:
    """Where a value is on the axis [percent]; what lies outside is at its end."""
    share = (value - bar.low) / (bar.high - bar.low) if bar.high > bar.low else 0.5
    return 100 * min(max(share, 0.0), 1.0)


def _mark(place: float, style: str) -> str:
    return f'<span style="position:absolute;left:{place:.1f}%;{style}"></span>'
