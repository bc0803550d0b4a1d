"""iCEM: sample-efficient cross-entropy method for real-time planning (Pinneri et al. 2020, arXiv 2008.06389). The default.

On top of CEM: noise that may be coloured (`noise_beta`), elites kept from one iteration to the next and from one control step to
the next, and the mean itself among the candidates. The number of samples stays the same in every iteration (fixed shapes), and
the plan is the mean of the elites, not the best candidate, which a learned model would reward for exploiting its errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning.base import PlanState
from adaptive_mbrl.planning.cem import CEM, CEMConfig, elite_sequences
from adaptive_mbrl.spec import RobotSpec


@dataclass(frozen=True)
class ICEMConfig(CEMConfig):
    """Settings of iCEM.

    Attributes:
        num_elites_kept: elites carried over to the next iteration and control step.
    """

    TAG: ClassVar[str] = "icem"

    num_elites_kept: int = bounded(3, low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_elites_kept > self.num_elites:
            raise ConfigError(f"num_elites_kept {self.num_elites_kept} must not exceed num_elites {self.num_elites}")
        if self.num_elites_kept + 1 >= self.num_samples:
            raise ConfigError(
                f"num_elites_kept {self.num_elites_kept} must leave fresh samples of num_samples {self.num_samples}"
            )

    def make(self, spec: RobotSpec, seed: int, device: torch.device | str) -> ICEM:
        """The planner for a robot."""
        return ICEM(spec, self, seed, device)


class ICEM(CEM):
    """CEM with memory."""

    def __init__(self, spec: RobotSpec, config: ICEMConfig, seed: int = 0, device: torch.device | str = "cpu") -> None:
        super().__init__(spec, config, seed, device)
        self._num_kept = config.num_elites_kept

    @property
    def num_kept(self) -> int:
        return self._num_kept

    @property
    def least_samples(self) -> int:
        return max(super().least_samples, self._num_kept + 2)

    def sample(self, state: PlanState, noise: Tensor, iteration: int) -> Tensor:
        fresh = super().sample(state, noise[:, self._num_kept + 1 :], iteration)
        return torch.cat([state.mean[:, None], state.elites, fresh], dim=1)

    def update(self, state: PlanState, actions: Tensor, returns: Tensor) -> PlanState:
        kept = elite_sequences(actions, returns, self._num_kept) if self._num_kept else state.elites
        return super().update(state, actions, returns)._replace(elites=kept)
