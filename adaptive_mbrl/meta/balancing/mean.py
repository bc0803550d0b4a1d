"""The mean over all windows: every window counts the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.meta.balancing.base import Balancing


@dataclass(frozen=True)
class MeanConfig:
    """The mean has no settings."""

    TAG: ClassVar[str] = "mean"

    def make(self, adapter: Adapter[Any]) -> MeanBalancing:
        """The balancing, whatever the adapter."""
        return MeanBalancing()


class MeanBalancing(Balancing):
    """The gradient of the mean loss."""

    def backward(self, losses: Tensor, task: Tensor) -> None:
        losses.mean().backward()
