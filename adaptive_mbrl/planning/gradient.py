"""Planning by gradient: follow the derivative of the predicted return through the model, from several starts at once.

Normalised gradient ascent on a few sequences around the nominal one (the warm start), each clipped to the limits after every
step. The plan is the best of all that were scored on the way: a step may overshoot, or lead to where predictions break. It needs
few candidates, but a return that is smooth in the actions: contacts and angles far off make local optima. As in shooting with
differentiable dynamics (for example Bharadhwaj et al. 2020, arXiv 2003.09460).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from adaptive_mbrl.config import bounded
from adaptive_mbrl.planning.base import HorizonConfig, IsLate, Plan, Planner, PlanState, Returns
from adaptive_mbrl.spec import RobotSpec


@dataclass(frozen=True)
class GradientPlannerConfig(HorizonConfig):
    """Settings of the gradient planner.

    Attributes:
        num_samples: N, sequences that are improved side by side; the first one starts at the nominal sequence itself.
        num_iterations: gradient steps per control step.
        step_size: largest change of an action in one gradient step [half ranges].
        sigma: standard deviation of the other starts around the nominal sequence [half ranges].
    """

    TAG: ClassVar[str] = "gradient"

    num_samples: int = bounded(8, low=1)
    num_iterations: int = bounded(5, low=1)
    step_size: float = bounded(0.2, low=1e-4, high=2.0)
    sigma: float = bounded(0.3, low=0.0, high=10.0)

    def make(self, spec: RobotSpec, seed: int, device: torch.device | str) -> GradientPlanner:
        """The planner for a robot."""
        return GradientPlanner(spec, self, seed, device)


class GradientPlanner(Planner):
    """Gradient ascent from several starts.

    Args:
        spec: gives the action limits.
        config: the settings.
        seed: fixes the starts.
        device: where plans are made.
    """

    needs_gradient = True

    def __init__(self, spec: RobotSpec, config: GradientPlannerConfig, seed: int = 0, device: torch.device | str = "cpu") -> None:
        super().__init__(spec, config, seed, device)
        self.config = config

    @property
    def num_samples(self) -> int:
        return self.config.num_samples

    @property
    def least_samples(self) -> int:
        return 1

    def init(self, batch_size: int) -> PlanState:
        mean = self.center.repeat(batch_size, self.horizon, 1)
        return PlanState(mean, torch.zeros_like(mean), mean.new_zeros(batch_size, 0, self.horizon, self.action_dim))

    def draw_from(self, generator: torch.Generator, num_samples: int) -> Tensor:
        """How far the starts but the first are from the nominal sequence, (N - 1, H, action_dim)."""
        shape = (num_samples - 1, self.horizon, self.action_dim)
        white = torch.randn(shape, generator=generator, device=generator.device)
        return self.config.sigma * self.half_range * white

    def perturbations(self, num: int, generator: torch.Generator) -> Tensor:
        return self.draw_from(generator, num + 1)

    def improve(self, state: PlanState, returns: Returns, noise: Tensor, is_late: IsLate | None = None) -> tuple[PlanState, Plan]:
        nominal = state.mean[:, None]
        actions = self.clip(torch.cat([nominal, nominal + noise], dim=1))
        best, mean = state.mean.new_full(state.mean.shape[:1], -torch.inf), state.mean
        for _ in range(self.config.num_iterations):
            scores, slope = _scores_and_slope(returns, actions)
            best, mean = _better(best, mean, scores, actions)
            direction = slope.nan_to_num() * self.half_range
            largest = direction.abs().amax(dim=(2, 3), keepdim=True).clamp(min=1e-12)
            actions = self.clip(actions + self.config.step_size * self.half_range * direction / largest)
            if is_late is not None and is_late():
                break
        else:
            # no derivative is wanted here, but a compiler needs predictions of one kind throughout
            with torch.set_grad_enabled(torch.compiler.is_compiling()):
                scores = returns(actions).detach()
            best, mean = _better(best, mean, scores, actions)
        return state._replace(mean=self.shifted(mean)), Plan(mean, best)


def _scores_and_slope(returns: Returns, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Return of each candidate, (B, N), and its derivative, (B, N, H, action_dim)."""
    # only torch.func can be followed by a compiler; without one, the other way takes half the time
    if torch.compiler.is_compiling():

        def total(candidates: Tensor) -> tuple[Tensor, Tensor]:
            scores = returns(candidates)
            return scores.sum(), scores

        slope, scores = torch.func.grad(total, has_aux=True)(actions)
        return scores, slope
    with torch.enable_grad():
        candidates = actions.detach().requires_grad_()
        scores = returns(candidates)
        return scores.detach(), torch.autograd.grad(scores.sum(), candidates)[0]


def _better(best: Tensor, mean: Tensor, scores: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """The best return so far, (B,), and its sequence, (B, H, action_dim), after one more round of scored candidates."""
    highest, index = scores.max(1)
    sequence = actions[torch.arange(len(actions), device=actions.device), index]
    return torch.maximum(best, highest), torch.where((highest > best)[:, None, None], sequence, mean)
