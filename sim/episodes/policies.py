"""What can choose actions for a batch of simulated robots: random noise, the oracle, a learned controller."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.checkpoint import read_description
from adaptive_mbrl.controller import AdaptiveController, StepInfo, StepOptions
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning import PlannerConfig, PlanState, Score, make_planner
from adaptive_mbrl.planning.sampling import coloured_noise_matrix
from adaptive_mbrl.process import SINGLE, Share
from adaptive_mbrl.spec import RobotSpec
from sim.robot.task import RobotTask
from sim.simulation.base import Simulation
from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OraclePredictor

Obs = NDArray[np.float32]

NO_ORACLE = "the oracle simulates its candidates from the robot's own state, and an environment cannot be put back into a state"
_NOISE_BLOCK = 512  # the matrix that colours the noise grows with the square of this


class Policy(Protocol):
    """Chooses actions.

    Attributes:
        preview: number of steps after the present one whose goals the policy wants to know.
    """

    preview: int

    def reset(self, simulation: Simulation) -> None:
        """New episodes begin on every robot."""

    def act(self, obs: Obs, goal: Obs, sent: Obs | None) -> tuple[Obs, StepInfo | None]:
        """Choose the actions of one control step.

        Args:
            obs: the present observations, (B, obs_dim).
            goal: the goals of the present and the next steps, (B, preview + 1, goal_dim).
            sent: the actions that the robots really got at the step before, (B, action_dim); None at the first step.

        Returns:
            Actions, (B, action_dim), and what a controller reports; None for a policy that reports nothing.
        """


class RandomPolicy:
    """Coloured noise that fills the action range.

    Noise is drawn in independent blocks of at most 512 steps, so that an episode can have any length.

    Args:
        spec: the robot's spec.
        seed: seed of the noise, or one seed for each robot.
        steps: number of control steps of an episode.
        beta: exponent of the noise's spectrum within a block; 0 is white noise.
        share: which of the robots that have one seed are simulated by this process; all of them if not given.
    """

    preview = 0

    def __init__(
        self, spec: RobotSpec, seed: int | Sequence[int], steps: int, beta: float = 1.0, share: Share | None = None
    ) -> None:
        self._low = np.array([a.low for a in spec.action])
        self._high = np.array([a.high for a in spec.action])
        self._colour = coloured_noise_matrix(min(steps, _NOISE_BLOCK), beta).numpy()
        self._rngs = [np.random.default_rng(s) for s in ([seed] if isinstance(seed, int) else seed)]
        self._is_shared, self._share = isinstance(seed, int), share
        self._noise = np.zeros((0, 0, 0))
        self._step = 0

    def reset(self, simulation: Simulation) -> None:
        self._noise = self._block(simulation.num_robots)
        self._step = 0

    def act(self, obs: Obs, goal: Obs, sent: Obs | None) -> tuple[Obs, None]:
        if self._step == len(self._colour):
            self._noise = self._block(len(self._noise))
            self._step = 0
        noise = self._noise[:, self._step]
        self._step += 1
        unit = np.clip(0.5 + 0.4 * noise, 0, 1)
        return (self._low + unit * (self._high - self._low)).astype(np.float32), None

    def _block(self, num_robots: int) -> NDArray[np.float64]:
        """Noise of unit variance, (B, steps of a block, action_dim)."""
        if not self._is_shared and num_robots != len(self._rngs):
            raise ValueError(f"random policy: it has seeds for {len(self._rngs)} robots, got {num_robots}")
        share = self._share or SINGLE.share(num_robots)
        shape = (share.total if self._is_shared else 1, len(self._colour), len(self._low))
        white = np.concatenate([rng.standard_normal(shape) for rng in self._rngs])[share.slice]
        return np.einsum("hk,bka->bha", self._colour, white)


class OraclePolicy:
    """The planner on the true dynamics of the moment: the upper bound that every return is compared with.

    Args:
        spec: the robot's spec.
        planner: settings of the planner.
        seed: seed of the planner's noise, which all robots share, or one seed for each robot.
        shaping: whether it maximises the robot's shaping terms too.
    """

    def __init__(self, spec: RobotSpec, planner: PlannerConfig, seed: int | Sequence[int], *, shaping: bool = True) -> None:
        self.preview = planner.horizon - 1
        self.steps_simulated = 0
        self._shaping = shaping
        self._planner = make_planner(spec, planner)
        self._planner.seed(seed)
        if self._planner.needs_gradient:
            raise ConfigError(
                f"planner '{planner.TAG}': the oracle's physics has no derivative to plan with; allowed: a sampling planner, "
                "such as icem, or no oracle (evaluate --no-oracle, data.oracle_episodes: 0)"
            )
        self._oracle: OraclePredictor | None = None
        self._state: PlanState | None = None
        self.plan: Obs | None = None
        """The last plan, (B, H, action_dim); None before the first step."""

    def seed(self, seed: int | Sequence[int]) -> None:
        """Restart the planner's noise; as for `Planner.seed`."""
        self._planner.seed(seed)

    @property
    def carried(self) -> Tensor | None:
        """The sequences that the next step tries again, (B, any number, H, action_dim); None before the first step."""
        return None if self._state is None else self._state.elites

    def reset(self, simulation: Simulation) -> None:
        if not isinstance(simulation, BatchSimulation):
            raise ConfigError(NO_ORACLE)
        if self._oracle is None or self._oracle.simulation is not simulation:
            self._oracle = OraclePredictor(simulation, self._planner.num_samples)
        self._planner.require_batch(simulation.num_robots)
        self._state, self.plan = self._planner.init(simulation.num_robots), None

    def act(self, obs: Obs, goal: Obs, sent: Obs | None) -> tuple[Obs, None]:
        if self._oracle is None or self._state is None:
            raise RuntimeError("reset comes before act")
        self._oracle.sync()
        before = self._oracle.steps_simulated
        oracle, at, goals = self._oracle, torch.from_numpy(obs), torch.from_numpy(goal)
        objective = oracle.simulation.robot.objective_to_plan(self._shaping)
        score = Score(objective, self._planner.uncertainty_penalty, risk=self._planner.risk)

        def returns(actions: Tensor) -> Tensor:
            return score(oracle.roll_out(at, actions), actions, at, goals)

        self._state, plan = self._planner.improve(self._state, returns, self._planner.draw_noise())
        self.steps_simulated += self._oracle.steps_simulated - before
        self.plan = plan.actions.numpy()
        return self.plan[:, 0], None


def load_controller(checkpoint: str | Path, robot: RobotTask, **settings: Any) -> AdaptiveController:
    """A checkpoint's controller for a simulated robot, which maximises shaping terms if the checkpoint was trained with them.

    Args:
        checkpoint: folder of the checkpoint, or name of a shipped one.
        robot: the robot; a checkpoint of another one is refused.
        settings: further arguments of `AdaptiveController.load`.
    """
    objective = robot.objective_to_plan(read_description(checkpoint).shaping)
    return AdaptiveController.load(checkpoint, spec=robot.spec, objective=objective, termination=robot.termination, **settings)


class ControllerPolicy:
    """An `AdaptiveController` as a policy.

    Args:
        controller: the controller, for any number of robots.
    """

    def __init__(self, controller: AdaptiveController) -> None:
        self.controller = controller
        self.preview = controller.settings.planner.horizon - 1
        self.plan: Obs | None = None
        """The last plan, (B, H, action_dim); None before the first step."""

    def seed(self, seed: int | Sequence[int]) -> None:
        """Restart the planner's noise; as for `Planner.seed`."""
        self.controller.settings.planner.seed(seed)

    @property
    def carried(self) -> Tensor | None:
        """The sequences that the next step tries again, (B, any number, H, action_dim); None before the first step."""
        state = self.controller.plan_state
        return None if state is None else state.elites

    def reset(self, simulation: Simulation) -> None:
        self.controller.reset()
        self.plan = None

    def act(self, obs: Obs, goal: Obs, sent: Obs | None) -> tuple[Obs, StepInfo]:
        command = self.controller.step(obs, goal, StepOptions(sent=sent))
        self.plan = command.plan
        return command.action, command.info
