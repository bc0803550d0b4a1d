"""Model-predictive control: what every planner is.

At every control step, from the present state s_0, find the action sequence that maximises the predicted return

    J(a_0 .. a_{H-1}),   low <= a_h <= high             (see `planning.score` for J)

send a_0, shift the sequence by one, repeat. A planner sees J alone, a function from candidates to returns: which model predicts,
what is rewarded and what comes after the horizon is not its business. It may ask for the gradient of J.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from adaptive_mbrl.config import bounded
from adaptive_mbrl.planning.risk import MeanRiskConfig, RiskConfig
from adaptive_mbrl.spec import RobotSpec

Returns = Callable[[Tensor], Tensor]
"""J: candidates (B, N, H, action_dim) within the limits -> their returns (B, N), finite."""


IsLate = Callable[[], bool]
"""Whether there is no time for more."""


@dataclass(frozen=True)
class HorizonConfig:
    """What every planner has.

    Attributes:
        horizon: H, control steps.
        uncertainty_penalty: weight of the particles' spread of returns, subtracted from the return.
        risk: how a candidate's returns under the particles become one: `mean`, `cvar` or `worst`.
    """

    horizon: int = bounded(15, low=1, high=500)
    uncertainty_penalty: float = bounded(0.0, low=0.0)
    risk: RiskConfig = MeanRiskConfig()


class PlanState(NamedTuple):
    """What a planner carries from one control step to the next, for B robots.

    Attributes:
        mean: nominal action sequence, (B, H, action_dim).
        std: standard deviation of the sampling distribution, (B, H, action_dim).
        elites: good sequences that are tried again, (B, number kept, H, action_dim).
    """

    mean: Tensor
    std: Tensor
    elites: Tensor


class Plan(NamedTuple):
    """The chosen action sequence.

    Attributes:
        actions: within limits, (B, H, action_dim); the first is to be sent.
        predicted_return: the best-scored candidate's return, (B,).
    """

    actions: Tensor
    predicted_return: Tensor


class Planner(ABC):
    """Base of all planners: action limits, noise and the shift of a plan by one step.

    By default, noise is drawn once per control step and shared by all robots, which is cheap. After `seed` with a list of seeds,
    each robot has noise of its own, so that the luck of one draw does not count for all of them. Either way, a robot plans in a
    batch exactly as it would alone.

    Args:
        spec: gives the action limits.
        config: the settings.
        seed: fixes the noise that all robots share.
        device: where plans are made.
    """

    def __init__(self, spec: RobotSpec, config: HorizonConfig, seed: int = 0, device: torch.device | str = "cpu") -> None:
        self.horizon, self.uncertainty_penalty, self.risk = config.horizon, config.uncertainty_penalty, config.risk
        self.action_dim = spec.action_dim
        self.low = torch.tensor([a.low for a in spec.action], device=device)
        self.high = torch.tensor([a.high for a in spec.action], device=device)
        self.center = (self.low + self.high) / 2
        self.half_range = (self.high - self.low) / 2
        self.generators: tuple[torch.Generator, ...] = ()
        self.has_own_noise = False
        self.seed(seed)

    needs_gradient: ClassVar[bool] = False
    """Whether `improve` takes the derivative of the returns, which a simulator does not have."""

    @property
    def device(self) -> torch.device:
        """Where plans are made."""
        return self.low.device

    def seed(self, seed: int | Sequence[int]) -> None:
        """Restart the noise: with one number that of all robots, with a list of B numbers one stream for each of B robots."""
        self.has_own_noise = not isinstance(seed, int)
        seeds = [seed] if isinstance(seed, int) else list(seed)
        self.generators = tuple(torch.Generator(self.device).manual_seed(int(number)) for number in seeds)

    def require_batch(self, batch_size: int) -> None:
        """Refuse a number of robots that is not the number of the robots' own seeds.

        Raises:
            ValueError: each robot has its own noise, and there are more or fewer robots than seeds.
        """
        if self.has_own_noise and batch_size != len(self.generators):
            raise ValueError(f"planner: it has seeds for {len(self.generators)} robots, got {batch_size}; call seed first")

    @property
    @abstractmethod
    def num_samples(self) -> int:
        """Number of candidates that are scored at once."""

    @property
    @abstractmethod
    def least_samples(self) -> int:
        """The smallest number of candidates that a control step can be made with."""

    @abstractmethod
    def init(self, batch_size: int) -> PlanState:
        """State before the first control step of B robots."""

    def draw_noise(self, num_samples: int | None = None) -> Tensor:
        """All random numbers of one control step, for `improve`.

        Args:
            num_samples: candidates of this step, where time does not allow the configured number; at least `least_samples`.

        Returns:
            The noise that all robots share, (..., N, H, action_dim), or each robot's own, (..., B, N, H, action_dim).
        """
        samples = max(num_samples or self.num_samples, self.least_samples)
        drawn = [self.draw_from(generator, samples) for generator in self.generators]
        return torch.stack(drawn, dim=-4) if self.has_own_noise else drawn[0]

    @abstractmethod
    def draw_from(self, generator: torch.Generator, num_samples: int) -> Tensor:
        """The random numbers of one control step with `num_samples` candidates, (..., N, H, action_dim)."""

    @abstractmethod
    def perturbations(self, num: int, generator: torch.Generator) -> Tensor:
        """How candidates scatter around the nominal sequence, (num, H, action_dim) in the actions' units.

        Args:
            num: number of candidates.
            generator: the source of the noise, on the planner's device; the planner's own noise goes on as if nobody had asked.
        """

    @abstractmethod
    def improve(self, state: PlanState, returns: Returns, noise: Tensor, is_late: IsLate | None = None) -> tuple[PlanState, Plan]:
        """Plan one control step.

        Args:
            state: the state that the last control step returned, or `init`.
            returns: J, to maximise.
            noise: from `draw_noise`.
            is_late: asked now and then, but not before `least_samples` candidates are scored; once it says so, the plan is made
                of what has been scored. None plans to the end.

        Returns:
            The state for the next control step (already shifted by one) and the plan.
        """

    def clip(self, actions: Tensor) -> Tensor:
        """Actions within the limits, (..., action_dim)."""
        return torch.clamp(actions, self.low, self.high)

    @staticmethod
    def shifted(state: Any) -> Any:
        """A state or a tensor (..., H, action_dim) one control step later: without its first action, its last one twice."""
        if isinstance(state, Tensor):
            return torch.cat([state[..., 1:, :], state[..., -1:, :]], dim=-2)
        return PlanState(Planner.shifted(state.mean), state.std, Planner.shifted(state.elites))
