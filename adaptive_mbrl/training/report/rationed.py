"""Films that take only a small share of a training's time, however short its rounds are."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.errors import AdaptiveMBRLError
from adaptive_mbrl.training.report.worst import Film

LARGEST_SHARE = 0.05


class TooSoonError(AdaptiveMBRLError):
    """There is no time for a film."""


class RationedFilm:
    """A `Film` that refuses to draw until the training has gone on for long enough since its last one.

    Args:
        film: draws an episode.
        clock: the time [s].
    """

    def __init__(self, film: Film, clock: Callable[[], float] = time.monotonic) -> None:
        self._film, self._clock = film, clock
        self._took, self._ended = 0.0, clock()

    def __call__(self, episode: Episode, path: Path) -> None:
        """Draw an episode.

        Raises:
            TooSoonError: the last film took more than `LARGEST_SHARE` of the time since then.
        """
        begun = self._clock()
        if self._took > LARGEST_SHARE * (begun - self._ended):
            raise TooSoonError(
                f"drawing the last one took {self._took:.0f} s, and videos may take {LARGEST_SHARE:.0%} of a training's time; "
                "the page of the last round has one, and so does that of 'adaptive-mbrl report'"
            )
        try:
            self._film(episode, path)
        finally:
            self._ended = self._clock()
            self._took = self._ended - begun
