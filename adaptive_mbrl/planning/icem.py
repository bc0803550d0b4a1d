"""iCEM: sample-efficient cross-entropy method for real-time planning (Pinneri et al. 2020, arXiv 2008.06389). The default.

On top of CEM: noise that may be coloured (`noise_beta`), elites kept from one iteration to the next and from one control step to
the next, and the mean itself among the candidates. The number of samples stays the same in every iteration (fixed shapes), and
the plan is the mean of the elites, not the best candidate, which a learned model would reward for exploiting its errors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_mbrl.planning.base import PlanState
from adaptive_mbrl.planning.cem import CEM, elite_sequences


class ICEM(CEM):
    """CEM with memory."""

    def sample(self, state: PlanState, noise: Tensor, iteration: int) -> Tensor:
        fresh = super().sample(state, noise[self.config.num_elites_kept + 1 :], iteration)
        return torch.cat([state.mean[:, None], state.elites, fresh], dim=1)

    def update(self, state: PlanState, actions: Tensor, returns: Tensor) -> PlanState:
        kept = elite_sequences(actions, returns, self.config.num_elites_kept) if self.config.num_elites_kept else state.elites
        return super().update(state, actions, returns)._replace(elites=kept)
