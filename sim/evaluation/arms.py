"""The arms of an evaluation: who controls the robots, and what each of them did.

random     coloured noise: the zero of the normalised score
adaptive   the checkpoint as it is
frozen     the same checkpoint, belief = prior at every step
multitask  a model trained without adaptation, if one is given, under the adaptive checkpoint's planner
oracle     the same planner on the true dynamics of the moment, always with the robot's shaping terms and without a terminal
           value: the one of the normalised score
physics        the same planner in MuJoCo, whose parameters are estimated from the same transitions; with the shaping terms and
               without a terminal value, like the oracle
hybrid         the same with a residual that is learned on top
wrong_physics, wrong_hybrid    both with a model that is wrong on purpose
ppo, sac, recurrent_ppo    baselines that `train-baseline` trained, if they are given
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.dump import DUMP_FOLDER
from sim.episodes.policies import ControllerPolicy, OraclePolicy, Policy, RandomPolicy
from sim.episodes.recorded import ControllerLog
from sim.episodes.run import run_scenarios
from sim.evaluation.setup import Setup
from sim.scenarios.scenario import Scenario
from sim.simulation.base import Simulation
from sim.simulation.batch import BatchSimulation
from sim.simulation.instability import Instability

Array = NDArray[np.float64]
BeginArm = Callable[[str, int], Callable[[], None]]
"""Progress: called with an arm and its number of control steps; what it returns is called once per control step."""

TIMED_STEPS = 50
WARM_UP_STEPS = 5


@dataclass(frozen=True)
class Timing:
    """Computing time of a controller.

    Attributes:
        robots: number of robots that it steps at once.
        adapt_seconds: time for adaptation in each control step [s], (steps,).
        plan_seconds: time for planning in each control step [s], (steps,).
    """

    robots: int
    adapt_seconds: Array
    plan_seconds: Array


@dataclass(frozen=True)
class Arm:
    """What one arm did: E episodes of at most T control steps.

    Arrays over T have entries for every episode; those after an episode's end say nothing.

    Attributes:
        episodes: E episodes; one that ended by itself, because the robot fell, is shorter than the others.
        steps: number of control steps that the scenarios give an episode.
        qpos: MuJoCo's joint positions before every control step, (T, E, nq); nq is 0 for a robot that is an environment.
        instabilities: how the physics of each episode became unstable, None where it did not, E of them.
        model_error: one-step error of the belief, (T, E): how far its prediction was from the observation that a step starts
            with, RMS over channels in target stds of the arm's own model. The belief is that of the step before, even where the
            planner fell back to the prior. NaN on the first step; None for an arm without a model.
        prior_error: one-step error of the prior in the same units, (T, E).
        fell_back: whether a step used the prior because adaptation had been predicting worse, (T, E) bool.
        batch_timing: computing time while all robots ran side by side.
        single_timing: computing time with one robot alone, as on a real one.
        simulated_steps: number of control steps that the oracle simulated to choose its actions.
        diagnosis: mean and std of each physical parameter that the arm's controller names, (T, E, 2, L); None for an
            arm without a controller.
    """

    episodes: tuple[Episode, ...]
    steps: int
    qpos: Array
    instabilities: tuple[Instability | None, ...]
    model_error: Array | None = None
    prior_error: Array | None = None
    fell_back: NDArray[np.bool_] | None = None
    batch_timing: Timing | None = None
    single_timing: Timing | None = None
    simulated_steps: int = 0
    diagnosis: Array | None = None

    @property
    def rewards(self) -> tuple[Array, ...]:
        """The rewards of each episode, one array of `steps` entries per episode; 0 after its end."""
        return tuple(np.pad(e.reward.astype(np.float64), (0, self.steps - len(e))) for e in self.episodes)

    def select(self, episodes: Sequence[int]) -> Arm:
        """The arm with some of its episodes; computing times stay those of all."""
        rows = list(episodes)
        if rows == list(range(len(self.episodes))):
            return self
        return replace(
            self,
            episodes=tuple(self.episodes[i] for i in rows),
            qpos=self.qpos[:, rows],
            instabilities=tuple(self.instabilities[i] for i in rows),
            model_error=None if self.model_error is None else self.model_error[:, rows],
            prior_error=None if self.prior_error is None else self.prior_error[:, rows],
            fell_back=None if self.fell_back is None else self.fell_back[:, rows],
            diagnosis=None if self.diagnosis is None else self.diagnosis[:, rows],
        )


def make_policies(setup: Setup) -> dict[str, Policy]:
    """The policy of each arm that the setup asks for, by the arm's name."""
    spec, seeds = setup.robot.spec, setup.noise_seeds
    policies: dict[str, Policy] = {"random": RandomPolicy(spec, seeds, setup.scenarios[0].steps)}
    policies |= {name: ControllerPolicy(controller) for name, controller in (setup.controllers | setup.physics).items()}
    policies |= setup.baselines
    if setup.oracle:
        policies["oracle"] = OraclePolicy(spec, setup.planner, seeds, shaping=True)
    return policies


def run_arm(setup: Setup, name: str, policy: Policy, begin_arm: BeginArm) -> Arm:
    """Run all episodes of one arm side by side.

    Args:
        setup: robot, scenarios and seed.
        name: name of the arm.
        policy: chooses the arm's actions.
        begin_arm: reports progress.
    """
    if isinstance(policy, ControllerPolicy):
        # the controllers outlive an evaluation, and their noise would go on from the last one
        policy.controller.settings.planner.seed(setup.noise_seeds)
    advance = begin_arm(name, setup.scenarios[0].steps)
    qpos: list[Array] = []

    def hook(step: int, simulation: Simulation) -> None:
        if isinstance(simulation, BatchSimulation):
            qpos.append(simulation.physics.arrays["qpos"].copy())
        advance()

    source = name if name in ("random", "oracle") else "policy"
    recorded = run_scenarios(setup.robot, setup.scenarios, policy, source=source, hook=hook, dump_folder=DUMP_FOLDER)
    steps, nothing = setup.scenarios[0].steps, np.zeros((len(setup.scenarios), 0))
    arm = Arm(recorded.episodes, steps, np.stack(qpos or [nothing] * steps), recorded.instabilities)
    if isinstance(policy, OraclePolicy):
        return replace(arm, simulated_steps=policy.steps_simulated)
    if recorded.log is None:
        return arm
    return replace(
        arm,
        model_error=recorded.log.adapted_error,
        prior_error=recorded.log.prior_error,
        fell_back=recorded.log.fell_back,
        diagnosis=recorded.log.diagnosis,
        batch_timing=_timing(recorded.log, 0, len(setup.scenarios)),
        single_timing=_time_one_robot(setup, policy),
    )


def _time_one_robot(setup: Setup, policy: Policy) -> Timing | None:
    """Computing times with one robot alone: a batch shares its arithmetic, so its time divided by E would be too short."""
    steps = min(WARM_UP_STEPS + TIMED_STEPS, setup.scenarios[0].steps)
    scenario = Scenario(setup.scenarios[0].robot, steps, setup.seed)
    if isinstance(policy, ControllerPolicy):
        policy.controller.settings.planner.seed(setup.seed)
    log = run_scenarios(setup.robot, [scenario], policy, source="policy").log
    return None if log is None else _timing(log, min(WARM_UP_STEPS, len(log.plan_seconds) - 1), 1)


def _timing(log: ControllerLog, first: int, robots: int) -> Timing:
    return Timing(robots, log.adapt_seconds[first:], log.plan_seconds[first:])
