"""The simulation behind a live view: one robot, whoever acts at the moment, and changes by hand. It knows nothing of pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.controller import AdaptiveController, StepInfo
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.predictor import Predictor
from sim.episodes.policies import ControllerPolicy, Obs, Policy
from sim.robot.robot import Robot
from sim.scenarios.change import Change
from sim.scenarios.parameters import with_parameter
from sim.scenarios.scenario import Scenario
from sim.simulation.batch import BatchSimulation
from sim.simulation.course import apply_changes, start

Array = NDArray[np.float64]
GOAL_STEPS = 100_000
"""The goals of so many control steps are drawn; after them they begin again."""


class Actor(Policy, Protocol):
    """A policy that plans, and says what.

    Attributes:
        plan: the last plan, (1, H, action_dim); None before the first step.
    """

    plan: Obs | None

    @property
    def carried(self) -> Tensor | None:
        """The sequences that the next step tries again, (1, any number, H, action_dim); None before the first step."""

    def seed(self, seed: Sequence[int]) -> None:
        """Restart the planner's noise."""


@dataclass(frozen=True)
class Moment:
    """One control step.

    Attributes:
        time: since the episode began [s].
        arm: who acted.
        change: the change in force.
        qpos: joint positions before the action, (nq,).
        obs: the observation before the action, (obs_dim,).
        goal: what is aimed at, (goal_dim,).
        plan: the chosen plan, whose first action was sent, (H, action_dim).
        candidates: other sequences that this step tried, carried over from the step before, (any number, H, action_dim).
        next_obs: the observation after the action without noise, (obs_dim,).
        reward: of the step.
        info: what a controller reports; None for the oracle.
    """

    time: float
    arm: str
    change: Change
    qpos: Array
    obs: Obs
    goal: Obs
    plan: Obs
    candidates: Obs
    next_obs: Obs
    reward: float
    info: StepInfo | None


class Session:
    """One simulated robot that is changed by hand while it moves.

    Nothing of one actor reaches another one: whoever begins to act has the prior, no transitions, no plan, and the noise of the
    seed's beginning. The robot itself goes on from where it is.

    Args:
        robot: the robot.
        scenario: the seed, and the changes that are made by themselves.
        actors: who can act, by name; the first one begins.
    """

    def __init__(self, robot: Robot, scenario: Scenario, actors: Mapping[str, Actor]) -> None:
        self.robot, self.scenario, self.actors = robot, scenario, dict(actors)
        self.simulation = BatchSimulation(robot, 1, num_threads=1, on_unstable="end")
        self.arm = next(iter(self.actors))
        self._sent: Obs | None = None
        self.own_goal: Obs | None = None
        """A goal that is held instead of the episode's own, (goal_dim,); None follows the episode's."""
        self.reset()

    @property
    def change(self) -> Change:
        """The change in force."""
        return self.simulation.changes[0]

    @property
    def steps(self) -> int:
        """Number of control steps since the episode began."""
        return int(self.simulation.episode_steps[0])

    @property
    def ended(self) -> str:
        """Why the episode has ended by itself, and nothing moves; empty while it goes on."""
        if not self.simulation.ended[0]:
            return ""
        return "fell" if self.simulation.instabilities[0] is None else "the physics became unstable"

    @property
    def goal(self) -> Obs:
        """What is aimed at now, (goal_dim,)."""
        return self._goals(0)[0, 0]

    def reset(self, seed: int | None = None) -> None:
        """Begin an episode: the robot and whoever acts start anew, and so does the scenario.

        A scenario without changes of its own leaves the dynamics as they are.

        Args:
            seed: its seed; the last one again if not given.
        """
        if seed is not None:
            self.scenario = self.scenario.episode(0, seed)
        change = self.scenario.change_in_force(0) if self.scenario.changes else self.change
        start(self.simulation, [self.scenario])
        self.set_change(change)
        self._episode_goals = self.simulation.goals(GOAL_STEPS)
        self.switch(self.arm)

    def switch(self, arm: str) -> None:
        """Let somebody else act, who knows nothing of what happened before.

        Raises:
            ConfigError: there is nobody of that name.
        """
        if arm not in self.actors:
            raise ConfigError(f"unknown arm '{arm}'; known arms: {', '.join(self.actors)}")
        self.arm, self._sent = arm, None
        self.actors[arm].seed([self.scenario.seed])
        self.actors[arm].reset(self.simulation)

    def set_change(self, change: Change) -> None:
        """Put a change in force from the next step on, in place of the present one.

        Raises:
            ConfigError: this robot cannot be changed like that; nothing is changed then.
        """
        self.simulation.set_change(0, change)

    def set_parameter(self, name: str, value: float) -> None:
        """Change one parameter from the next step on, named as `sim.scenarios.parameters` does it."""
        self.set_change(with_parameter(self.change, name, value, self.robot.elements))

    def step(self) -> Moment | None:
        """Act and simulate one control step; None if the episode has ended."""
        if self.ended:
            return None
        simulation, actor = self.simulation, self.actors[self.arm]
        apply_changes(simulation, [self.scenario])
        time, change = self.steps * self.robot.spec.dt, self.change
        obs, before, qpos = simulation.obs, simulation.true_obs, simulation.physics.arrays["qpos"][0].copy()
        goals, carried = self._goals(actor.preview), actor.carried
        planned, info = actor.act(obs, goals, self._sent)
        self._sent = action = simulation.clip(planned)
        simulation.step(action)
        true_obs = np.stack([before, simulation.true_obs], axis=1)
        reward = self.robot.rewards(true_obs, action[:, None], goals[:, :1])
        plan = planned[:, None] if actor.plan is None else actor.plan
        return Moment(
            time=time,
            arm=self.arm,
            change=change,
            qpos=qpos,
            obs=obs[0],
            goal=goals[0, 0],
            plan=plan[0],
            candidates=plan[:0] if carried is None else carried[0].numpy(),
            next_obs=true_obs[0, 1],
            reward=float(reward[0, 0]),
            info=info,
        )

    def _goals(self, preview: int) -> Obs:
        """The goals of this step and of `preview` later ones, as far as a planner can know them, (1, preview + 1, goal_dim)."""
        if self.own_goal is not None:
            return np.tile(self.own_goal.astype(np.float32), (1, preview + 1, 1))
        steps = (self.steps + np.arange(preview + 1)) % GOAL_STEPS
        return self.robot.known_goals(self._episode_goals[:, steps], 0, preview)


def controller_of(session: Session, moment: Moment) -> tuple[AdaptiveController, Predictor] | None:
    """Who made a moment's plan, and the dynamics under the belief of the plan; None for an actor without a belief."""
    actor = session.actors[moment.arm]
    if not isinstance(actor, ControllerPolicy) or actor.controller.belief is None:
        return None
    return actor.controller, actor.controller.settings.adapter.condition(actor.controller.belief)
