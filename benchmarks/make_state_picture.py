"""Draw the supervisor's states and events, from the table in the code, into docs/images/supervisor.svg.

Usage: python benchmarks/make_state_picture.py [FILE]
"""

from __future__ import annotations

import sys
from collections import defaultdict
from io import StringIO
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

from adaptive_mbrl.storage import write_text_atomically
from robot_bridge.safety.states import TRANSITIONS, Event, State

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "supervisor.svg"
PLACES = {
    State.INACTIVE: (0.0, 0.0),
    State.DRY_RUN: (0.0, 2.0),
    State.RAMP: (2.6, 0.0),
    State.RUNNING: (5.2, 0.0),
    State.HOLD: (3.9, 2.0),
    State.ESTOP: (0.0, -1.8),
}
COLOURS = {State.HOLD: "#e69f00", State.ESTOP: "#d55e00", State.RUNNING: "#009e73"}
BEND = 0.16
"""Arrows between two states bend apart, so that each can carry its events."""


def main(picture: Path = PICTURE) -> None:
    """Draw it."""
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "adaptive-mbrl", "font.family": "sans-serif"})
    figure, axis = plt.subplots(figsize=(9.0, 5.0), layout="constrained")
    axis.set(xlim=(-1.4, 6.0), ylim=(-2.2, 2.4), aspect="equal")
    axis.axis("off")
    for (before, then), events in arrows().items():
        _draw_arrow(axis, PLACES[before], PLACES[then], "\n".join(events))
    x, y = PLACES[State.ESTOP]
    axis.text(x + 0.75, y, FROM_EVERY_STATE, va="center", fontsize=9, color="0.15")
    for state, (x, y) in PLACES.items():
        box = {"boxstyle": "round,pad=0.5", "facecolor": COLOURS.get(state, "#f2f2f2"), "edgecolor": "0.3"}
        axis.text(x, y, state.value, ha="center", va="center", fontsize=12, bbox=box, zorder=3)
    text = StringIO()
    figure.savefig(text, format="svg", facecolor="white", metadata={"Date": None})
    plt.close(figure)
    write_text_atomically(picture, text.getvalue())


FROM_EVERY_STATE = f"{Event.ESTOP.value}: from every state, also while nothing is sent"


def arrows() -> dict[tuple[State, State], list[str]]:
    """The events that lead from one state to another one, but for the emergency stop, which every state has."""
    found: dict[tuple[State, State], list[str]] = defaultdict(list)
    for (before, event), then in TRANSITIONS.items():
        if before is not then and event is not Event.ESTOP:
            found[before, then].append(event.value)
    return found


def _draw_arrow(axis: plt.Axes, start: tuple[float, float], end: tuple[float, float], text: str) -> None:
    style = {"arrowstyle": "-|>", "color": "0.35", "shrinkA": 26, "shrinkB": 26, "connectionstyle": f"arc3,rad={BEND}"}
    axis.annotate("", end, start, arrowprops=style)
    across = (end[1] - start[1], start[0] - end[0])
    # beside an arrow that stands upright a text needs more room than above one that lies
    aside = 1.6 if abs(across[0]) > abs(across[1]) else 0.62
    at = (0.5 * (start[i] + end[i]) + BEND * aside * across[i] for i in range(2))
    around = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    axis.text(*at, text, ha="center", va="center", fontsize=9, color="0.15", bbox=around, zorder=2)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
