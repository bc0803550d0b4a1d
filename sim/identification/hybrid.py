"""Estimated physics with a learned residual as an adapter, for an MJCF that is wrong in a way that no parameter can express.

Both learn from the same transitions, and each explains what the other leaves:

    theta  from  o' - D W^T phi   by the filter of `estimator.py`, from the last few transitions: fast
    W      from  o' - f(o, a; theta)   in all transitions of the memory, simulated again under the newest theta: slow

So a force that comes and goes is a parameter's, and what goes with position, velocity or action for seconds is the residual's.
Where the filter notices a change, theta starts over from the nominal robot, and W stays: a spring that the MJCF lacks is still
missing when a motor has become weak. What the transitions before the change have missed is kept as it was under the parameters
of that time.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import map_belief
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.transitions import Transitions
from sim.identification.adapter import ParameterEstimate, PhysicsAdapter, PhysicsBelief, one_by_one
from sim.identification.estimator import PhysicsConfig
from sim.identification.predictor import PhysicsPredictor
from sim.identification.residual import LinearResidual, Memory, ResidualConfig
from sim.robot.robot import Robot


class HybridBelief(NamedTuple):
    """What is believed about B robots.

    Attributes:
        physics: about their parameters.
        memory: what the parameters do not explain.
    """

    physics: PhysicsBelief
    memory: Memory


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
        return self._belief(self.physics.prior(batch_size), memory)

    @torch.no_grad()
    def update(self, belief: HybridBelief, recent: Transitions) -> HybridBelief:
        window, sent = self.physics.window_of(recent)
        delay = belief.physics.log_odds.argmax(1).cpu()
        applied = torch.from_numpy(window.applied)
        known = self.residual(belief).mean(torch.from_numpy(window.obs), applied[torch.arange(len(delay)), delay])
        unexplained = window._replace(next_obs=window.next_obs - known.numpy())
        physics = self.physics.update_from(belief.physics, unexplained, sent)
        newest = (torch.from_numpy(x[:, -1]).double() for x in (window.obs, window.applied.swapaxes(1, 2), window.next_obs))
        new = torch.from_numpy(window.valid[:, -1])
        # the newest transition is the only one that is trusted: the filter has started over
        memory = map_belief(Tensor.cpu, belief.memory).append(*newest, new, physics.trusted.cpu() == 1)
        return self._belief(physics, memory.explained(self._missed(physics, memory)))

    def infer(self, recent: Transitions) -> HybridBelief:
        """One transition after the other."""
        return one_by_one(self, recent)

    def condition(self, belief: HybridBelief, noise: Tensor | None = None) -> PhysicsPredictor:
        """The simulator under the most probable parameters and delay, corrected after every step; `noise` is not used."""
        return self.physics.predictor(belief.physics, self.residual(belief))

    def residual(self, belief: HybridBelief) -> LinearResidual:
        """What is believed to be missing in the MJCF."""
        physics, memory = map_belief(Tensor.cpu, belief)
        return LinearResidual(self._on_cpu[0], memory, physics.log_odds.argmax(1), self.config)

    def diagnose(self, belief: HybridBelief) -> ParameterEstimate:
        """Names, means and standard deviations of all parameters."""
        return self.physics.diagnose(belief.physics)

    def _missed(self, physics: PhysicsBelief, memory: Memory) -> Tensor:
        """What the physics leaves unexplained in the transitions since the last change [target stds], NaN elsewhere."""
        changes, delay = self.physics.most_probable(physics)
        applied = memory.under(torch.from_numpy(delay)).numpy()
        rows = (memory.valid & memory.present).numpy()
        simulated = self.physics.simulations.step(changes, memory.obs.numpy(), applied, rows)
        return self._on_cpu[0].error(memory.next_obs, torch.from_numpy(simulated))

    def _belief(self, physics: PhysicsBelief, memory: Memory) -> HybridBelief:
        device = self.normalizer.target_std.device
        return HybridBelief(physics, map_belief(lambda tensor: tensor.to(device), memory))
