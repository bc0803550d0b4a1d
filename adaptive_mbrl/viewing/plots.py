"""Numbers over time, as lines of the last seconds that move while they come in."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import viser

HEIGHT = 135
"""Of a plot [pixels]."""
DECIMALS = 9
"""Of the numbers that are drawn."""


@dataclass(frozen=True)
class Line:
    """One line of a plot.

    Attributes:
        name: what the legend says.
        colour: as CSS writes it.
        dashed: whether the line is dashed.
    """

    name: str
    colour: str
    dashed: bool = False


class LivePlot:
    """Lines over the last seconds.

    `append` is cheap and may be called at every control step. `draw` sends the lines to the browsers, a few times a second.

    Args:
        gui: viser's elements of the page.
        title: what is plotted, with its unit.
        lines: the lines.
        seconds: how much time is kept [s].
    """

    def __init__(self, gui: viser.GuiApi, title: str, lines: Sequence[Line], seconds: float = 20.0) -> None:
        self._seconds = seconds
        self._rows: deque[tuple[float, ...]] = deque()
        self._width = 1 + len(lines)
        # a line without points, which would make it thicker than it is
        series = ({"label": "s"}, *({"label": x.name, "stroke": x.colour, "width": 2, **_dash(x), **_NO_POINTS} for x in lines))
        self._element = gui.add_uplot(
            self.columns(),
            series,  # type: ignore[arg-type]
            title=title,
            scales={"x": {"time": False}},
            axes=({"stroke": "#888888", "size": 28}, {"stroke": "#888888", "size": 44}),
            legend={"show": len(lines) > 1, "live": False},
            height=HEIGHT,
            padding=(4, 12, 0, 0),
        )

    def append(self, time: float, values: Sequence[float]) -> None:
        """Add one point to every line.

        Args:
            time: [s], never before that of the last point.
            values: one number per line; NaN where there is none, which the line passes over.
        """
        self._rows.append((time, *values))
        while self._rows[0][0] < time - self._seconds:
            self._rows.popleft()

    def clear(self) -> None:
        """Forget all points; time may begin anew."""
        self._rows.clear()

    def columns(self) -> tuple[NDArray[np.float64], ...]:
        """The points: their times, and the numbers of each line.

        They begin where some line has a number. A line that has none there yet has its first one, since the browser takes the
        range of an axis from the first point on; a line that never has one borrows its first point from another line.
        """
        rows = np.array(self._rows, dtype=np.float64).reshape(len(self._rows), self._width)
        # a range of rounding errors alone is too narrow for the browser to divide it
        rows[:, 1:] = rows[:, 1:].round(DECIMALS)
        known = np.isfinite(rows[:, 1:])
        rows, known = (x[int(known.any(1).argmax()) :] if known.any() else x[:0] for x in (rows, known))
        for line in range(self._width - 1) if len(rows) else ():
            if known[:, line].any():
                first = int(known[:, line].argmax())
                rows[:first, 1 + line] = rows[first, 1 + line]
            else:
                # one point shows nothing, and without any number the browser would find no range
                rows[0, 1 + line] = rows[0, 1:][known[0]][0]
        return tuple(np.ascontiguousarray(column) for column in rows.T)

    def draw(self) -> None:
        """Show the points in every browser that has the page open."""
        self._element.data = self.columns()


_NO_POINTS = {"points": {"show": False}}


def _dash(line: Line) -> dict[str, tuple[int, int]]:
    return {"dash": (6, 4)} if line.dashed else {}
