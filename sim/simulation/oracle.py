"""The true dynamics as a model: candidate plans are rolled out in MuJoCo, under the change in force on each robot."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from adaptive_mbrl.angles import wrap_angle
from adaptive_mbrl.control.delay import applied
from adaptive_mbrl.errors import ObservationError
from adaptive_mbrl.predictor import Prediction, Trajectories
from sim.scenarios.change import Change
from sim.simulation.batch import BatchSimulation
from sim.simulation.futures import simulate_futures
from sim.simulation.physics import Physics


class OraclePredictor:
    """A `Predictor` that simulates N candidates for each of B robots, under the changes that are in force *now*.

    It does not know the changes that are still to come. It starts from the true states at the last `sync`, not from an
    observation: a simulator's state is more than that.

    Args:
        simulation: the B robots.
        num_samples: N, the number of candidates for each robot.
        num_threads: number of worker threads; 0 follows `adaptive_mbrl.runtime.num_threads`.
    """

    def __init__(self, simulation: BatchSimulation, num_samples: int, num_threads: int = 0) -> None:
        self.simulation = simulation
        self.num_samples = num_samples
        self.steps_simulated = 0
        self.valid_steps = np.zeros((simulation.num_robots, num_samples), dtype=int)
        """Number of steps of each candidate of the last prediction until its episode ended or its physics broke, (B, N)."""
        self._physics = Physics(simulation.robot, simulation.num_robots * num_samples, num_threads)
        self._changes = [Change()] * simulation.num_robots
        self._is_angle = torch.tensor([c.kind == "angle" for c in simulation.robot.spec.obs])
        self.sync()

    def sync(self) -> None:
        """Take over the robots' present states and changes; call it before planning at every control step."""
        for index, change in enumerate(self.simulation.changes):
            if change != self._changes[index]:
                rows = np.arange(index * self.num_samples, (index + 1) * self.num_samples)
                self._physics.set_change(rows, change)
                self._changes[index] = change
        self._start = self.simulation.physics.state.copy()
        self._obs = self.simulation.obs
        self._past = self.simulation.past_actions()
        self._delay = self.simulation.delay.copy()

    def roll_out(self, obs: Tensor, actions: Tensor) -> Trajectories:
        """See `Predictor.roll_out`; from the states of the last `sync`, whatever `obs` says.

        A candidate whose physics breaks keeps its last observation: that is the simulator's failure, not the end of an episode.

        Args:
            obs: not used.
            actions: the candidates, (B, N, H, action_dim); they are clipped to the limits.

        Returns:
            Next observations without noise, (1, B, N, H, obs_dim) float32 on the actions' device, and where the candidates'
            episodes go on.
        """
        robots, samples, spec = self.simulation.num_robots, self.num_samples, self.simulation.robot.spec
        if actions.shape[:2] != (robots, samples) or actions.shape[3:] != (spec.action_dim,):
            expected = f"({robots}, {samples}, H, {spec.action_dim})"
            raise ObservationError(f"actions: expected shape {expected}, got {tuple(actions.shape)}")
        horizon = actions.shape[2]
        sent = torch.from_numpy(self.simulation.clip(actions.detach().cpu().numpy()))
        acting = applied(torch.from_numpy(self._past), sent, torch.from_numpy(self._delay)).flatten(0, 1).numpy()
        self._physics.state.reshape(robots, samples, -1)[:] = self._start[:, None]
        next_obs, alive, valid_steps = simulate_futures(self._physics, acting, self._obs.repeat(samples, axis=0))
        self.steps_simulated += robots * samples * horizon
        self.valid_steps = valid_steps.reshape(robots, samples)
        shape = (1, robots, samples, horizon)
        return Trajectories(
            torch.from_numpy(next_obs.reshape(*shape, spec.obs_dim)).to(actions.device),
            torch.from_numpy(alive.reshape(shape)).to(actions.device) if spec.can_end else None,
        )

    def predict(self, obs: Tensor, action: Tensor) -> Prediction:
        """See `Predictor.predict`; N must be that of the candidates, and the std is zero."""
        mean = self.roll_out(obs, action[:, :, None]).next_obs[0, :, :, 0]
        return Prediction(mean, torch.zeros_like(mean))

    def features(self, obs: Tensor, action: Tensor) -> Tensor:
        """See `Predictor.features`: a simulator has learned none, so these are observation and action themselves."""
        return torch.cat([obs, action], dim=-1)[None]

    def error(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """See `Predictor.error`; in the channels' own units, since no data gave the oracle others."""
        return torch.where(self._is_angle, wrap_angle(predicted - observed), predicted - observed)

    def shift(self, obs: Tensor, error: Tensor) -> Tensor:
        """See `Predictor.shift`."""
        return torch.where(self._is_angle, wrap_angle(obs + error), obs + error)

    def to(self, dtype: torch.dtype) -> OraclePredictor:
        """See `Predictor.to`: physics has no other precision."""
        return self
