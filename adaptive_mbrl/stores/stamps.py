"""Figures of the measured stamps of a store, and what looks wrong about them: gaps, and times in which nothing was measured."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.stores.warned import Warned

GAP_PERIODS = 3.0
"""Stamps that are more control periods apart than this have a gap between them."""
MANY_REPEATED = 0.05
"""Share of steps without a new measurement that is worth a warning."""


class StampFigures:
    """What is known of the stamps of all episodes so far.

    Args:
        dt: control period [s].
    """

    def __init__(self, dt: float) -> None:
        self.dt = dt
        self.episodes, self.steps, self.gaps, self.repeated, self.backwards = 0, 0, 0, 0, 0
        self.longest = 0.0

    def add(self, episode: Episode) -> None:
        """Count an episode, without its history; one without stamps counts for nothing."""
        if episode.stamps is None:
            return
        apart = np.diff(episode.stamps[episode.history :])
        self.episodes, self.steps = self.episodes + 1, self.steps + len(apart)
        self.gaps += int((apart > GAP_PERIODS * self.dt).sum())
        self.repeated += int((apart == 0).sum())
        self.backwards += int((apart < 0).sum())
        self.longest = max(self.longest, float(np.nanmax(apart, initial=0.0)))

    def merge(self, other: StampFigures) -> None:
        """Count what another one has counted, too."""
        for name in ("episodes", "steps", "gaps", "repeated", "backwards"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.longest = max(self.longest, other.longest)

    def warnings(self) -> Iterator[Warned]:
        """Each thing that looks wrong."""
        if self.gaps:
            which = f"more than {GAP_PERIODS:g} control periods, up to {self.longest:.3g} s"
            yield Warned("gaps", f"stamps jump {_times(self.gaps)} by {which}; measurements are missing there")
        if self.repeated > MANY_REPEATED * self.steps:
            which = f"{100 * self.repeated / self.steps:.0f} % of the steps (their stamps stand still)"
            yield Warned("repeated", f"nothing new was measured in {which}; is 'dt' shorter than the time between two rows?")
        if self.backwards:
            yield Warned("backwards", f"stamps go back {_times(self.backwards)}")


def advances(episode: Episode) -> NDArray[np.bool_] | None:
    """Whether something new was measured in each step, (T,); None if nobody knows."""
    return None if episode.stamps is None else np.asarray(np.diff(episode.stamps) != 0)


def _times(num: int) -> str:
    return "once" if num == 1 else f"{num} times"
