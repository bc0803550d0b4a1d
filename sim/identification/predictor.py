"""MuJoCo under estimated parameters as a `Predictor`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.control.delay import applied
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.predictor import Prediction, Trajectories
from sim.identification.residual import LinearResidual
from sim.identification.simulations import Simulations
from sim.scenarios.change import Change


class PhysicsPredictor:
    """Simulates B robots from their observations, each under a change and an action delay of its own.

    Args:
        simulations: simulates the robot.
        normalizer: in whose units errors are counted.
        changes: what each robot is believed to be, B of them.
        delay: action delay of each robot [control steps], (B,).
        past: the last actions that were sent, oldest first, (B, D, action_dim).
        std: of what the simulator does not explain, in target stds, (B, obs_dim).
        residual: what is added to every simulated control step; None for nothing.
    """

    def __init__(
        self,
        simulations: Simulations,
        normalizer: Normalizer,
        changes: Sequence[Change],
        delay: NDArray[np.int64],
        past: np.ndarray,
        std: Tensor,
        residual: LinearResidual | None = None,
    ) -> None:
        self._simulations, self._normalizer = simulations, normalizer
        self._changes, self._delay, self._past, self._std = tuple(changes), delay, past, std
        self._residual = residual

    def predict(self, obs: Tensor, action: Tensor) -> Prediction:
        """See `Predictor.predict`; the actions are sent after those that the belief knows of."""
        trajectories = self._futures(obs, action[:, :, None])
        mean = trajectories.next_obs[0, :, :, 0]
        variance = self._std.square()[:, None]
        if self._residual is not None:
            applied = torch.from_numpy(self._applied(action[:, :, None])[:, :, 0])
            variance = variance + self._residual.variance(obs.detach().cpu(), applied).to(variance)
        return Prediction(mean, (variance.sqrt() * self._normalizer.target_std).expand_as(mean))

    def roll_out(self, obs: Tensor, actions: Tensor) -> Trajectories:
        """See `Predictor.roll_out`; next_obs is (1, B, N, H, obs_dim)."""
        return self._futures(obs[:, None].expand(-1, actions.shape[1], -1), actions)

    def features(self, obs: Tensor, action: Tensor) -> Tensor:
        """See `Predictor.features`: a simulator has learned none, so these are observation and action themselves."""
        return torch.cat([obs, action], dim=-1)[None]

    def error(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """See `Predictor.error`."""
        return self._normalizer.error(predicted, observed)

    def shift(self, obs: Tensor, error: Tensor) -> Tensor:
        """See `Predictor.shift`."""
        return self._normalizer.shift(obs, error)

    def to(self, dtype: torch.dtype) -> PhysicsPredictor:
        """See `Predictor.to`: physics has no other precision."""
        return self

    def _futures(self, obs: Tensor, actions: Tensor) -> Trajectories:
        """Trajectories from N observations of each robot, (B, N, obs_dim)."""
        correction = None if self._residual is None else self._residual.correction
        found = self._simulations.futures(self._changes, obs.detach().cpu().numpy(), self._applied(actions), correction)
        shape = (1, *actions.shape[:3])
        return Trajectories(
            torch.from_numpy(found.next_obs.reshape(*shape, -1)).to(actions.device),
            torch.from_numpy(found.alive.reshape(shape)).to(actions.device) if self._simulations.robot.spec.can_end else None,
        )

    def _applied(self, actions: Tensor) -> np.ndarray:
        """The actions that reach the actuators, (B, N, H, action_dim), of those that are sent."""
        return applied(torch.from_numpy(self._past), actions.detach().cpu(), torch.from_numpy(self._delay)).numpy()
