"""The state in large letters. It covers itself up when the page gets no news any more, whatever the reason."""

from __future__ import annotations

import html
from itertools import count
from typing import TYPE_CHECKING

from adaptive_mbrl.viewing.colours import BAD, GOOD, NEUTRAL, WARNING
from robot_bridge.viewing.state import Shown

if TYPE_CHECKING:
    import viser

COVERED_SECONDS = 3.0
"""Time without news after which the browser itself covers the state [s]; the page is drawn several times a second."""
_COLOURS = {"normal": NEUTRAL, "good": GOOD, "warning": WARNING, "bad": BAD}


class Banner:
    """The state on a page.

    Args:
        gui: viser's elements of the page.
        shown: what is shown at first.
    """

    def __init__(self, gui: viser.GuiApi, shown: Shown) -> None:
        self._drawn = count()
        self._element = gui.add_html(banner_html(shown, next(self._drawn)))

    def show(self, shown: Shown) -> None:
        """Show this state, and that it is news: even the same one again is sent, which uncovers the banner."""
        self._element.content = banner_html(shown, next(self._drawn))


def banner_html(shown: Shown, drawn: int) -> str:
    """The banner as HTML.

    The browser shows the cover by itself, `COVERED_SECONDS` after it got the banner. So a page whose program has died or hangs,
    or whose network is gone, does not go on showing the last state.

    Args:
        shown: the state.
        drawn: a number that differs from that of the banner before, so that the browser begins to count anew.
    """
    name = f"cover{drawn % 2}"
    return (
        f"<style>@keyframes {name} {{from {{opacity:0}} to {{opacity:1}}}}</style>"
        f'<div data-drawn="{drawn}" style="position:relative;margin:6px 10px;border-radius:6px;overflow:hidden;color:white">'
        f'<div id="state" style="background:{_COLOURS[shown.level]};padding:10px 12px">'
        f'<div style="font-size:22px;font-weight:700;overflow-wrap:anywhere">{html.escape(shown.title)}</div>'
        f'<div style="font-size:13px;min-height:18px;overflow-wrap:anywhere">{html.escape(shown.reason)}</div></div>'
        f'<div id="cover" style="position:absolute;inset:0;background:{BAD};padding:10px 12px;opacity:0;pointer-events:none;'
        f'animation:{name} 0.01s linear {COVERED_SECONDS:g}s forwards">'
        '<div style="font-size:18px;font-weight:700">this page gets no news</div>'
        '<div style="font-size:13px">The state is not known. Its program has ended or hangs.</div></div></div>'
    )
