"""Estimated physics with a learned residual as an adapter, for an MJCF that is wrong in a way that no parameter can express.

Both learn from the same transitions, and each explains what the other leaves:

    theta  from  o' - D W^T phi   by the filter of `estimator.py`, from the last few transitions: fast
    W      from  o' - f(o, a; theta)   in all transitions of the memory, simulated again under the newest theta: slow

So a force that comes and goes is a parameter's, and what goes with position, velocity or action for seconds is the residual's.
Where the filter notices a change, theta starts over from the nominal robot, and W stays: a spring that the MJCF lacks is still
missing when a motor has become weak. What the transitions before the change have missed is kept as it was under the parameters
of that time.

Two that explain the same errors can also agree on something wrong. So beside them goes the filter that knows of no residual,
theta_0, and every transition is predicted by both before it is used. With mean squares q of their errors over the channels,

    lead <- k lead + (1 - k) log((q_0 + r^2) / (q + r^2))

The residual is used, and known to the filter, while the lead is more than `least_lead`; else theta is theta_0. A change, which
nobody predicts, leaves the lead nearly as it is.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import map_belief, select
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.transitions import Transitions
from sim.identification.adapter import ParameterEstimate, PhysicsAdapter, PhysicsBelief, one_by_one
from sim.identification.estimator import PhysicsConfig
from sim.identification.predictor import PhysicsPredictor
from sim.identification.residual import LinearResidual, Memory, ResidualConfig
from sim.identification.residuals import Window
from sim.robot.robot import Robot


class HybridBelief(NamedTuple):
    """What is believed about B robots.

    Attributes:
        alone: about their parameters, if the MJCF is right but for them.
        physics: about their parameters, beside the residual; the same as `alone` where that has no lead.
        memory: what the parameters do not explain.
        lead: of the physics with a residual over the physics alone, in one-step predictions, (B,).
    """

    alone: PhysicsBelief
    physics: PhysicsBelief
    memory: Memory
    lead: Tensor


class HybridAdapter(Adapter[HybridBelief]):
    """Estimates the physics of a robot, and learns a linear residual of what it predicts.

    A robot whose observations do not determine its state is refused, as by `PhysicsAdapter`. For all others a rollout can be
    corrected step by step, since a corrected observation is a state to go on from.

    Args:
        robot: the nominal robot, whose MJCF may be wrong.
        normalizer: statistics of data, in whose stds errors are counted.
        window: K, the number of transitions that a controller keeps.
        config: how parameters are estimated.
        residual: how the residual is learned.

    Raises:
        ConfigError: the robot's observations do not determine its state, or the window is too short.
    """

    def __init__(
        self,
        robot: Robot,
        normalizer: Normalizer,
        window: int,
        config: PhysicsConfig = PhysicsConfig(),  # noqa: B008
        residual: ResidualConfig = ResidualConfig(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.physics = PhysicsAdapter(robot, normalizer, window, config)
        self.config = residual
        # kept out of the modules that are moved to another device
        self._on_cpu = (copy.deepcopy(normalizer).cpu(),)

    @property
    def normalizer(self) -> Normalizer:
        return self.physics.normalizer

    @property
    def takes_pending(self) -> bool:
        return self.physics.takes_pending

    def prior(self, batch_size: int) -> HybridBelief:
        spec, delays = self.physics.robot.spec, self.physics.config.max_delay + 1
        memory = Memory.empty(batch_size, self.config, delays, spec.obs_dim, spec.action_dim)
        nothing = self.physics.prior(batch_size)
        return self._belief(nothing, nothing, memory, torch.zeros(batch_size, dtype=torch.float64))

    @torch.no_grad()
    def update(self, belief: HybridBelief, recent: Transitions) -> HybridBelief:
        window, sent = self.physics.window_of(recent)
        new = torch.from_numpy(window.valid[:, -1])
        lead = torch.where(new, self._lead(belief, window), belief.lead.cpu())
        alone = self.physics.update_from(belief.alone, window, sent)
        physics, is_used = alone, lead > self.config.least_lead
        if is_used.any():
            known = self.residual(belief._replace(lead=lead))
            acted = _acted(torch.from_numpy(window.applied), belief.physics)
            explained = known.mean(torch.from_numpy(window.obs), acted).numpy()
            beside = self.physics.update_from(belief.physics, window._replace(next_obs=window.next_obs - explained), sent)
            physics = select(is_used.to(lead.device), beside, alone)
        newest = (torch.from_numpy(x[:, -1]).double() for x in (window.obs, window.applied.swapaxes(1, 2), window.next_obs))
        # the newest transition is the only one that is trusted: the filter has started over
        changed = physics.trusted.cpu() == 1
        memory = map_belief(Tensor.cpu, belief.memory).append(*newest, new, changed, self.config.doubtful)
        applied = memory.under(physics.log_odds.argmax(1).cpu())
        missed = self._missed(physics, memory.obs, applied, memory.next_obs, memory.valid & memory.present)
        return self._belief(alone, physics, memory.explained(missed), lead)

    def infer(self, recent: Transitions) -> HybridBelief:
        """One transition after the other."""
        return one_by_one(self, recent)

    def condition(self, belief: HybridBelief, noise: Tensor | None = None) -> PhysicsPredictor:
        """The simulator under the most probable parameters and delay, corrected after every step; `noise` is not used.

        Where the residual has no lead, nothing is corrected.
        """
        return self.physics.predictor(belief.physics, self.residual(belief))

    def residual(self, belief: HybridBelief) -> LinearResidual:
        """What is believed to be missing in the MJCF: nothing where it has no lead."""
        return self._learned(belief, belief.lead.cpu() > self.config.least_lead)

    def diagnose(self, belief: HybridBelief) -> ParameterEstimate:
        """Names, means and standard deviations of all parameters."""
        return self.physics.diagnose(belief.physics)

    def _learned(self, belief: HybridBelief, is_used: Tensor) -> LinearResidual:
        """The residual; nothing where it is not used, (B,)."""
        physics, memory = (map_belief(Tensor.cpu, x) for x in (belief.physics, belief.memory))
        memory = memory._replace(valid=memory.valid & is_used[:, None])
        return LinearResidual(self._on_cpu[0], memory, physics.log_odds.argmax(1), self.config)

    def _lead(self, belief: HybridBelief, window: Window) -> Tensor:
        """The lead after the newest transition, which the belief does not know yet, (B,)."""
        obs, applied, next_obs = (torch.from_numpy(x[..., -1:, :]) for x in (window.obs, window.applied, window.next_obs))
        learned = self._learned(belief, torch.ones(len(obs), dtype=torch.bool))
        squares = []
        for physics, is_corrected in ((belief.alone, False), (belief.physics, True)):
            acted = _acted(applied, physics)
            error = self._missed(physics, obs, acted, next_obs, torch.from_numpy(window.valid[:, -1:]))
            if is_corrected:
                error = error - learned.mean(obs, acted) / self._on_cpu[0].target_std
            squares.append(error.square().mean((1, 2)) + self.config.noise**2)
        gained = (squares[0] / squares[1]).log().nan_to_num()
        return self.config.lead_memory * belief.lead.cpu() + (1 - self.config.lead_memory) * gained

    def _missed(self, physics: PhysicsBelief, obs: Tensor, applied: Tensor, next_obs: Tensor, rows: Tensor) -> Tensor:
        """What the physics leaves unexplained [target stds] in these N transitions of each robot, (B, N, obs_dim).

        Args:
            physics: what is believed about the robots.
            obs: (B, N, obs_dim).
            applied: (B, N, action_dim).
            next_obs: (B, N, obs_dim).
            rows: which of them are wanted, (B, N) bool; the others are NaN, and those whose simulation broke.
        """
        changes, _ = self.physics.most_probable(physics)
        simulated = self.physics.simulations.step(changes, obs.numpy(), applied.numpy(), rows.numpy())
        return self._on_cpu[0].error(next_obs, torch.from_numpy(simulated))

    def _belief(self, alone: PhysicsBelief, physics: PhysicsBelief, memory: Memory, lead: Tensor) -> HybridBelief:
        device = self.normalizer.target_std.device
        return HybridBelief(alone, physics, map_belief(lambda tensor: tensor.to(device), memory), lead.to(device))


def _acted(applied: Tensor, physics: PhysicsBelief) -> Tensor:
    """Of the actions that acted under each delay, (B, M, N, action_dim), those of the most probable one, (B, N, action_dim)."""
    delay = physics.log_odds.argmax(1).cpu()
    return applied[torch.arange(len(delay)), delay]
