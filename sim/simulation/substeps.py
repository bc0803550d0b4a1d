"""One robot that advances by single physics steps, for commands and observations that do not keep to the control period."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ObservationError
from sim.robot.robot import Robot
from sim.scenarios.change import MAX_ACTION_DELAY, Change, scale_vector
from sim.scenarios.scenario import Scenario
from sim.simulation.instability import SimulationError, unstable_at
from sim.simulation.physics import Physics

Array = NDArray[np.float64]
Obs = NDArray[np.float32]


class SubstepSimulation:
    """Runs a scenario by single physics steps.

    With each action held for a control period, its numbers are those of `BatchSimulation`, bit for bit.

    What `BatchSimulation` counts in control steps is time here: a change at step t is made at t * dt, an action delay of n steps
    lasts n * dt, and a mean over the control period is the mean over the last dt, whenever it is read. An unstable physics is a
    `SimulationError`.

    Args:
        robot: the nominal robot.
        scenario: the seed, and the changes that are made while it runs.
    """

    def __init__(self, robot: Robot, scenario: Scenario) -> None:
        self.robot, self.scenario = robot, scenario
        self.sim_dt = float(robot.model.opt.timestep)
        self.substep = 0
        """Number of physics steps since the start."""
        self.physics = Physics(robot, 1, num_threads=1)
        self._set_change(scenario.change_in_force(0))
        qpos, qvel = robot.initial.sample(scenario.seed)
        self.physics.reset(qpos[None], qvel[None])
        rest = np.clip(np.zeros(robot.spec.action_dim), robot.action_low, robot.action_high)
        length = MAX_ACTION_DELAY * robot.substeps + 1
        self._sent = deque([rest] * length, maxlen=length)
        self._past_qpos = deque([self.physics.arrays["qpos"].copy()] * robot.substeps, maxlen=robot.substeps)
        self._grid_obs = [self.observe()]
        self._period_sums: list[Array] = []

    @property
    def total_substeps(self) -> int:
        """Number of physics steps of the whole scenario."""
        return self.scenario.steps * self.robot.substeps

    @property
    def step_index(self) -> int:
        """Number of control periods that are over."""
        return self.substep // self.robot.substeps

    @property
    def noise_std(self) -> Array:
        """Standard deviation of the sensor noise, (obs_dim,), in the channels' units; `observe` adds no noise."""
        return self._noise_std

    def observe(self) -> Obs:
        """The present observation without noise, (obs_dim,)."""
        return self.physics.observe(self._past_qpos[0])[0]

    def advance(self, action: NDArray[np.floating]) -> None:
        """Simulate one physics step under an action, (action_dim,), which is clipped to the limits."""
        spec, substeps = self.robot.spec, self.robot.substeps
        if np.shape(action) != (spec.action_dim,) or not np.isfinite(action).all():
            raise ObservationError(f"action: expected {spec.action_dim} finite numbers, got shape {np.shape(action)}")
        step, within = divmod(self.substep, substeps)
        if within == 0:
            change = self.scenario.change_beginning(step)
            if change is not None:
                self._set_change(change)
            self._period_sums.append(np.zeros(spec.action_dim))
        # rounded to float32, as the actions of a batch are
        sent = np.clip(action, self.robot.action_low, self.robot.action_high).astype(np.float32).astype(np.float64)
        self._sent.append(sent)
        self._period_sums[-1] += sent
        self._past_qpos.append(self.physics.arrays["qpos"].copy())
        self.physics.step(self._sent[-1 - self._delay][None], num_steps=1)
        if self.physics.unstable().any():
            what = unstable_at(step, self.scenario.change_in_force(step))
            raise SimulationError(f"'{self.robot.name}': {what}")
        self.substep += 1
        if self.substep % substeps == 0:
            self._grid_obs.append(self.observe())

    def rewards(self) -> Array:
        """The rewards of the control periods that are over, (T,), each for the mean of the actions within it.

        They are 0 after the period in which the robot's episode ends, for example because it fell.
        """
        steps = self.step_index
        if not steps:
            return np.zeros(0)
        obs = np.stack(self._grid_obs)[None]
        actions = (np.stack(self._period_sums[:steps])[None] / self.robot.substeps).astype(np.float32)
        goals = self.robot.goals(self.scenario.seed, self.scenario.steps)[None, :steps]
        rewards = self.robot.rewards(obs, actions, goals)[0].astype(np.float64)
        ended = np.logical_or.accumulate(self.robot.has_ended(obs[0, 1:]))
        rewards[1:][ended[:-1]] = 0.0
        return rewards

    def _set_change(self, change: Change) -> None:
        self.physics.set_change(np.array([0]), change)
        self._delay = change.action_delay * self.robot.substeps
        self._noise_std = scale_vector(change.obs_noise, self.robot.spec.obs_dim, self.robot.elements.channels, default=0.0)
