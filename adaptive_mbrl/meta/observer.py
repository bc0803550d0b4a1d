"""What a fit tells whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from adaptive_mbrl.errors import DivergenceError


class FitObserver:
    """Does nothing; a subclass overrides what it wants to know. What it raises ends the fit."""

    def report(self, updates: int, scalars: Mapping[str, float]) -> None:
        """Some figures are known.

        Args:
            updates: outer steps of this fit so far.
            scalars: the figures, by name.
        """

    def updated(self, losses: Tensor) -> None:
        """An outer step is done; the trainer is between two steps, as it can be saved.

        Args:
            losses: the mean loss of each outer step of this fit so far, (updates,); NaN where the step was skipped.
        """

    def skipped(self, error: DivergenceError) -> None:
        """An outer step was not taken, because its gradient is not finite, and the fit goes on.

        Args:
            error: says when, and holds the windows.
        """
