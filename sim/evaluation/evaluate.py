"""Run the arms of an evaluation on the same episodes.

    random     coloured noise: the zero of the normalised score
    adaptive   the checkpoint as it is
    frozen     the same checkpoint, belief = prior at every step
    multitask  a model trained without adaptation, if one is given, under the adaptive checkpoint's planner
    oracle     the same planner on the true, current dynamics: the one of the normalised score

All N episodes of an arm run side by side. Seeds, changes, planner settings and planner seed are the same for every arm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.controller import AdaptiveController, StepInfo
from adaptive_mbrl.data.episodes import Episode
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.planning import PlannerConfig
from sim.episodes.policies import ControllerPolicy, OraclePolicy, Policy, RandomPolicy
from sim.episodes.run import run_scenarios
from sim.evaluation.open_loop import OpenLoop, open_loop_errors
from sim.robot.robot import Robot, load_robot
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario
from sim.simulation.batch import BatchSimulation

Array = NDArray[np.float64]
BeginArm = Callable[[str, int], Callable[[], None]]
"""Progress: called with an arm and its number of control steps; what it returns is called once per control step."""

TIMED_STEPS = 50
WARM_UP_STEPS = 5


@dataclass(frozen=True)
class Setup:
    """Everything that an evaluation needs, loaded and checked before anything runs.

    Attributes:
        robot: the scenario's.
        scenarios: one per episode.
        controllers: of the arms that have one: adaptive, frozen and perhaps multitask.
        planner: settings of all planners.
        seed: of the first episode, the planners' noise and the random policy.
        oracle: whether that arm runs.
        checkpoints: as the user named them, by arm.
    """

    robot: Robot
    scenarios: tuple[Scenario, ...]
    controllers: dict[str, AdaptiveController]
    planner: PlannerConfig
    seed: int
    oracle: bool
    checkpoints: dict[str, str]


@dataclass(frozen=True)
class Timing:
    """Computing time of each control step [s] of a controller that steps `robots` robots at once."""

    robots: int
    adapt_seconds: Array
    plan_seconds: Array


@dataclass(frozen=True)
class Arm:
    """What one arm did; E episodes of T control steps.

    Attributes:
        episodes: E of them.
        qpos: MuJoCo's joint positions before every control step, (T, E, nq).
        model_error: one-step error, about the observation that a step starts with, of the belief adapted at the step before,
            whether or not the planner fell back to the prior; NaN on the first step, (T, E); RMS over channels in target stds
            of the arm's own model. None without a model.
        prior_error: the same of the prior.
        fell_back: whether a step used the prior because adaptation had been predicting worse, (T, E) bool.
        batch_timing: while all E robots ran side by side.
        single_timing: one robot alone, as on a real one.
        simulated_steps: control steps that the oracle simulated to choose its actions.
    """

    episodes: tuple[Episode, ...]
    qpos: Array
    model_error: Array | None = None
    prior_error: Array | None = None
    fell_back: NDArray[np.bool_] | None = None
    batch_timing: Timing | None = None
    single_timing: Timing | None = None
    simulated_steps: int = 0

    @property
    def rewards(self) -> Array:
        """(E, T)."""
        return np.stack([e.reward for e in self.episodes]).astype(np.float64)


@dataclass(frozen=True)
class Evaluation:
    """Arms by name, and how the models predict along the data that all of them left behind."""

    setup: Setup
    arms: dict[str, Arm]
    open_loop: OpenLoop | None


def prepare(
    checkpoint: str | Path,
    scenario: str | Path,
    *,
    episodes: int,
    seed: int | None = None,
    multitask: str | Path | None = None,
    oracle: bool = True,
    device: torch.device | str = "cpu",
) -> Setup:
    """Load checkpoints, scenario and robot.

    Args:
        checkpoint: folder or name of a shipped checkpoint.
        scenario: file or name, see `load_scenario`.
        episodes: E.
        seed: of the first episode; the scenario's own if None.
        multitask: checkpoint trained without adaptation.
        oracle: also run the oracle.
        device: where the models run.

    Raises:
        CheckpointError: a checkpoint is missing, damaged or of another robot, or the multi-task one adapts.
        ConfigError: the scenario is missing or wrong.
    """
    about = load_checkpoint(checkpoint, device).description
    named = {"adaptive": str(checkpoint), "frozen": str(checkpoint)}
    if multitask is not None:
        named["multitask"] = str(multitask)
        rule = load_checkpoint(multitask, device).description.adaptation.rule
        if rule != "none":
            raise CheckpointError(f"{multitask}: not a multi-task checkpoint: its adaptation rule is '{rule}'; allowed: none")
    course = load_scenario(scenario)
    robot = load_robot(course.robot)
    first = course.seed if seed is None else seed
    controllers = {
        arm: AdaptiveController.load(
            path,
            spec=robot.spec,
            objective=robot.planning_objective,
            planner=about.planner,
            seed=first,
            device=device,
            adapt=arm != "frozen",
        )
        for arm, path in named.items()
    }
    return Setup(robot, tuple(course.episodes(episodes, first)), controllers, about.planner, first, oracle, named)


def evaluate(setup: Setup, begin_arm: BeginArm = lambda arm, steps: lambda: None) -> Evaluation:
    """Run every arm; the same setup gives the same episodes again, however often it is run.

    Args:
        setup: see `prepare`.
        begin_arm: for progress bars.
    """
    arms = {name: _run_arm(setup, name, policy, begin_arm) for name, policy in _policies(setup).items()}
    # the random policy's states say nothing about control
    episodes = [arm.episodes for name, arm in arms.items() if name != "random"]
    changes = [s.last_change for s in setup.scenarios]
    return Evaluation(setup, arms, open_loop_errors(setup.controllers, episodes, changes))


def _policies(setup: Setup) -> dict[str, Policy]:
    spec = setup.robot.spec
    policies: dict[str, Policy] = {"random": RandomPolicy(spec, setup.seed, setup.scenarios[0].steps)}
    policies |= {name: ControllerPolicy(controller) for name, controller in setup.controllers.items()}
    if setup.oracle:
        policies["oracle"] = OraclePolicy(spec, setup.planner, setup.seed)
    return policies


def _run_arm(setup: Setup, name: str, policy: Policy, begin_arm: BeginArm) -> Arm:
    if isinstance(policy, ControllerPolicy):
        # the controllers outlive an evaluation, and their noise would go on from the last one
        policy.controller.planner.seed(setup.seed)
    advance = begin_arm(name, setup.scenarios[0].steps)
    qpos: list[Array] = []

    def hook(step: int, simulation: BatchSimulation) -> None:
        qpos.append(simulation.physics.arrays["qpos"].copy())
        advance()

    source = name if name in ("random", "oracle") else "policy"
    recorded = run_scenarios(setup.robot, setup.scenarios, policy, source=source, hook=hook)
    arm = Arm(recorded.episodes, np.stack(qpos))
    if isinstance(policy, OraclePolicy):
        return replace(arm, simulated_steps=policy.steps_simulated)
    if not recorded.infos:
        return arm
    return replace(
        arm,
        model_error=np.stack([i.adapted_error for i in recorded.infos]),
        prior_error=np.stack([i.prior_error for i in recorded.infos]),
        fell_back=np.stack([i.fell_back for i in recorded.infos]),
        batch_timing=_timing(recorded.infos, len(setup.scenarios)),
        single_timing=_time_one_robot(setup, policy),
    )


def _time_one_robot(setup: Setup, policy: Policy) -> Timing:
    """A batch shares its arithmetic, so that dividing its time by E would flatter: one robot is timed alone."""
    steps = min(WARM_UP_STEPS + TIMED_STEPS, setup.scenarios[0].steps)
    scenario = Scenario(setup.scenarios[0].robot, steps, setup.seed)
    infos = run_scenarios(setup.robot, [scenario], policy, source="policy").infos
    return _timing(infos[min(WARM_UP_STEPS, steps - 1) :], 1)


def _timing(infos: tuple[StepInfo, ...], robots: int) -> Timing:
    return Timing(robots, np.array([i.adapt_seconds for i in infos]), np.array([i.plan_seconds for i in infos]))
