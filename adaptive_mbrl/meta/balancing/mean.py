"""The mean over all windows: every window counts the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.meta.balancing.base import Balancing
from adaptive_mbrl.process import Share


@dataclass(frozen=True)
class MeanConfig:
    """The mean has no settings."""

    TAG: ClassVar[str] = "mean"

    def make(self, adapter: Adapter[Any]) -> MeanBalancing:
        """The balancing, whatever the adapter."""
        return MeanBalancing()


class MeanBalancing(Balancing):
    """The gradient of the mean loss."""

    def balance(self, losses: Tensor, task: Tensor, share: Share) -> None:
        share.mean(losses).backward()
