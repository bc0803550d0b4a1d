"""Physics as an adapter: the belief is a posterior over MuJoCo's parameters, and what plans are made in is MuJoCo itself."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter, BeliefT
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions
from sim.identification.estimator import Estimate, Estimator, PhysicsConfig
from sim.identification.parameters import Parameters
from sim.identification.predictor import PhysicsPredictor
from sim.identification.residual import LinearResidual
from sim.identification.residuals import Error, Window
from sim.identification.simulations import Simulations
from sim.robot.robot import Robot
from sim.scenarios.change import Change


class PhysicsBelief(NamedTuple):
    """A posterior about B robots: the fields of an `Estimate` as float64 tensors, and what is on its way.

    Attributes:
        theta: (B, M, n).
        covariance: (B, M, n, n).
        information: (B, M, n, n).
        linear: (B, M, n).
        log_odds: (B, M).
        noise: (B, obs_dim).
        trusted: (B,).
        sent: the last D actions that were sent, oldest first, (B, D, action_dim).
    """

    theta: Tensor
    covariance: Tensor
    information: Tensor
    linear: Tensor
    log_odds: Tensor
    noise: Tensor
    trusted: Tensor
    sent: Tensor


class ParameterEstimate(NamedTuple):
    """What a belief says about the robots.

    Attributes:
        names: of the parameters, n + 1 of them; the last one is ``action_delay`` [control steps].
        mean: (B, n + 1).
        std: (B, n + 1).
    """

    names: tuple[str, ...]
    mean: Tensor
    std: Tensor


class PhysicsAdapter(Adapter[PhysicsBelief]):
    """Estimates the physics of a robot by simulating it.

    It sees observations and actions only. It has no meta-parameters to train. Wherever beliefs and predictions are, it simulates
    and estimates on the CPU; a control step with it is not one graph that could be compiled.

    Args:
        robot: the nominal robot, whose MJCF may be wrong.
        normalizer: statistics of data, in whose stds errors are counted.
        window: K, the number of transitions that a controller keeps.
        config: the settings.

    Raises:
        ConfigError: the robot's observations do not determine its state, or the window is too short.
    """

    def __init__(self, robot: Robot, normalizer: Normalizer, window: int, config: PhysicsConfig = PhysicsConfig()) -> None:  # noqa: B008
        super().__init__()
        if window <= config.max_delay:
            raise ConfigError(f"physics: a window of {window} transitions is too short for a delay of {config.max_delay} steps")
        self.robot, self.config = robot, config
        self._normalizer = normalizer
        self._lag = min(config.lag, window - config.max_delay)
        self._rest = np.clip(0.0, robot.action_low, robot.action_high)
        self.physical = Parameters(robot, config.kinds)
        self.simulations = Simulations(robot)
        self._estimator = Estimator(self.simulations, self.physical, _error_on_cpu(normalizer), config)

    @property
    def normalizer(self) -> Normalizer:
        return self._normalizer

    @property
    def takes_pending(self) -> bool:
        """Only where there is no delay to estimate, and so no action that was sent before a belief and acts after it."""
        return self.config.max_delay == 0

    def prior(self, batch_size: int) -> PhysicsBelief:
        spec = self.robot.spec
        sent = np.tile(self._rest, (batch_size, self.config.max_delay, 1))
        return self._belief(self._estimator.prior(batch_size, spec.obs_dim), sent)

    @torch.no_grad()
    def update(self, belief: PhysicsBelief, recent: Transitions) -> PhysicsBelief:
        return self.update_from(belief, *self.window_of(recent))

    def window_of(self, recent: Transitions) -> tuple[Window, np.ndarray]:
        """The last W transitions, and what is on its way: the last D actions that were sent, (B, D, action_dim)."""
        obs, action, next_obs, valid = (x.cpu().numpy() for x in recent.finite())
        # what was sent before the first step is known: nothing was
        sent = np.where(valid[..., None], action, self._rest)
        longest, lag = self.config.max_delay, self._lag
        applied = np.stack([sent[:, len(sent[0]) - lag - d : len(sent[0]) - d] for d in range(longest + 1)], axis=1)
        return Window(obs[:, -lag:], applied, next_obs[:, -lag:], valid[:, -lag:]), sent[:, sent.shape[1] - longest :]

    def update_from(self, belief: PhysicsBelief, window: Window, sent: np.ndarray) -> PhysicsBelief:
        """`update`, of what `window_of` returns."""
        found = self._estimator.update(Estimate(*(x.cpu().numpy() for x in belief[:-1])), window)
        return self._belief(found, sent)

    def infer(self, recent: Transitions) -> PhysicsBelief:
        """One transition after the other."""
        return one_by_one(self, recent)

    def condition(self, belief: PhysicsBelief, noise: Tensor | None = None) -> PhysicsPredictor:
        """The simulator under the most probable parameters and delay; `noise` is not used."""
        return self.predictor(belief)

    def predictor(self, belief: PhysicsBelief, residual: LinearResidual | None = None) -> PhysicsPredictor:
        """The simulator under the most probable parameters and delay, and what is added to each of its steps."""
        changes, delay = self.most_probable(belief)
        std = belief.noise.sqrt().to(self._normalizer.target_std)
        past = belief.sent.cpu().numpy()
        return PhysicsPredictor(self.simulations, self._normalizer, changes, delay, past, std, residual)

    def most_probable(self, belief: PhysicsBelief) -> tuple[list[Change], NDArray[np.int64]]:
        """What each robot is believed to be, B of them, and its action delay [control steps], (B,)."""
        theta, delay = self._most_probable(belief)
        return [self.physical.change(row) for row in theta.cpu().numpy()], delay.cpu().numpy()

    def diagnose(self, belief: PhysicsBelief) -> ParameterEstimate:
        """Names, means and standard deviations of all parameters."""
        theta, delay = (x.cpu().numpy() for x in self._most_probable(belief))
        rows = np.arange(len(delay))
        covariance = belief.covariance.cpu().numpy()[rows, delay]
        std = self.physical.stds(theta, np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)))
        share = torch.softmax(belief.log_odds, dim=1).cpu().numpy()
        steps = np.arange(share.shape[1])
        mean = share @ steps
        spread = np.sqrt(np.maximum(share @ steps**2 - mean**2, 0.0))
        return ParameterEstimate(
            (*self.physical.names, "action_delay"),
            torch.from_numpy(np.column_stack([self.physical.values(theta), mean])),
            torch.from_numpy(np.column_stack([std, spread])),
        )

    def _most_probable(self, belief: PhysicsBelief) -> tuple[Tensor, Tensor]:
        """Coordinates (B, n) and delay (B,)."""
        delay = belief.log_odds.argmax(1)
        return belief.theta[torch.arange(len(delay), device=delay.device), delay], delay

    def _belief(self, estimate: Estimate, sent: np.ndarray) -> PhysicsBelief:
        device = self._normalizer.target_std.device
        return PhysicsBelief(
            *(torch.as_tensor(np.ascontiguousarray(x, dtype=np.float64), device=device) for x in (*estimate, sent))
        )


def _error_on_cpu(normalizer: Normalizer) -> Error:
    """Differences in the stds that the normalizer has now; a copy of it stays on the CPU when the adapter is moved."""
    on_cpu = copy.deepcopy(normalizer).cpu()

    def error(predicted: np.ndarray, observed: np.ndarray) -> np.ndarray:
        return on_cpu.error(torch.from_numpy(predicted), torch.from_numpy(observed)).numpy()

    return error


def one_by_one(adapter: Adapter[BeliefT], recent: Transitions) -> BeliefT:
    """What an adapter believes after one transition after the other."""
    belief = adapter.prior(len(recent.obs))
    recent = recent.finite()
    seen = Transitions(*map(torch.zeros_like, recent))
    for k in range(recent.obs.shape[1]):
        seen = seen.append(*(x[:, k] for x in recent))
        belief = adapter.update(belief, seen)
    return belief
