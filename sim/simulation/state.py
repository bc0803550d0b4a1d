"""Snapshots of a simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.scenarios.change import Change
from sim.simulation.instability import Instability

Array = NDArray[np.float64]
Obs = NDArray[np.float32]


@dataclass(frozen=True)
class SimulationState:
    """A snapshot of B robots. It is a copy that later steps do not touch.

    Attributes:
        physics: MuJoCo's integration states, (B, nstate).
        changes: the change in force on each robot, B of them.
        seeds: the seed of each robot's episode, B of them.
        step: number of control steps since the reset.
        begun: the value of `step` at which each robot's episode began, (B,).
        sent: recent actions on their way to the actuators, (B, MAX_ACTION_DELAY + 1, action_dim).
        obs: the last observation given out, (B, obs_dim).
        true_obs: the same without noise, (B, obs_dim).
        instabilities: how the physics of each robot became unstable, None where it did not, B of them.
        fallen: after how many control steps each robot's episode ended because it was not healthy, None where it did not, B of
            them.
    """

    physics: Array
    changes: tuple[Change, ...]
    seeds: tuple[int, ...]
    step: int
    begun: NDArray[np.int64]
    sent: Array
    obs: Obs
    true_obs: Obs
    instabilities: tuple[Instability | None, ...]
    fallen: tuple[int | None, ...]

    @classmethod
    def joined(cls, parts: Sequence[SimulationState]) -> SimulationState:
        """One snapshot of the robots of several, taken at the same step."""
        return cls(
            physics=np.concatenate([p.physics for p in parts]),
            changes=tuple(change for p in parts for change in p.changes),
            seeds=tuple(seed for p in parts for seed in p.seeds),
            step=parts[0].step,
            begun=np.concatenate([p.begun for p in parts]),
            sent=np.concatenate([p.sent for p in parts]),
            obs=np.concatenate([p.obs for p in parts]),
            true_obs=np.concatenate([p.true_obs for p in parts]),
            instabilities=tuple(instability for p in parts for instability in p.instabilities),
            fallen=tuple(after for p in parts for after in p.fallen),
        )

    def select(self, robots: Sequence[int]) -> SimulationState:
        """The snapshot of some of the robots, as if there had never been others."""
        rows = list(robots)
        return SimulationState(
            physics=self.physics[rows],
            changes=tuple(self.changes[i] for i in rows),
            seeds=tuple(self.seeds[i] for i in rows),
            step=self.step,
            begun=self.begun[rows],
            sent=self.sent[rows],
            obs=self.obs[rows],
            true_obs=self.true_obs[rows],
            instabilities=tuple(self.instabilities[i] for i in rows),
            fallen=tuple(self.fallen[i] for i in rows),
        )
