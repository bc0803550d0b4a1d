"""AdaptiveController: at every control step observe -> adapt -> plan -> act. All that a simulator or a robot needs."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import Belief
from adaptive_mbrl.adaptation.reversal import ReversalAdapter, ReversalConfig, with_reversals
from adaptive_mbrl.canary import recorded_error
from adaptive_mbrl.checkpoint import Description, load_checkpoint, require_robot
from adaptive_mbrl.control.calibration import STATES, Calibration, action_error, time_share
from adaptive_mbrl.control.compiled import CompileMode, compile_no_more, step_halves
from adaptive_mbrl.control.deadline import Deadline
from adaptive_mbrl.control.delay import LONGEST_DELAY, DelayConfig, applied
from adaptive_mbrl.control.dump import StepDump
from adaptive_mbrl.control.gate import GateConfig, chosen_belief
from adaptive_mbrl.control.inputs import InputChecker, StepOptions
from adaptive_mbrl.control.step import (
    PRECISIONS,
    ControllerState,
    ControlSettings,
    Precision,
    StepHalves,
    StepNoise,
    control_step,
    initial_state,
)
from adaptive_mbrl.control.stopwatch import make_stopwatch
from adaptive_mbrl.diagnosis import Diagnosis, ReversalDiagnosis
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.objective import Objective, RewardFunction
from adaptive_mbrl.planning import PlannerConfig, PlanState, Score, make_planner
from adaptive_mbrl.planning.score import Termination
from adaptive_mbrl.predictor import Predictor
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.transitions import Transitions

_LOG = logging.getLogger(__name__)

__all__ = ["AdaptiveController", "Command", "StepInfo", "StepOptions"]


@dataclass(frozen=True)
class StepInfo:
    """What happened in one control step; arrays have one entry per robot.

    Attributes:
        prior_error: one-step error of the prior about the newest observation, RMS over channels in target stds; NaN at first.
        adapted_error: the same of the belief that the step before planned under, or would have without the prior.
        fell_back: the prior was used because adaptation had been predicting worse.
        run_length: for how many control steps the belief that is planned under has been learning; 0 is the prior. A rule that
            looks at the window sees the last K of them.
        predicted_return: the best candidate plan's return.
        change: how each channel changed since the step before, in target stds; NaN at first, (B, obs_dim).
        innovation: what of this change the belief of `adapted_error` had not predicted, (B, obs_dim).
        diagnosis: mean and std of each physical parameter that `AdaptiveController.diagnosis_names` names, under the belief that
            was planned under, (B, 2, L); L is 0 if the checkpoint has no diagnosis.
        adapt_seconds: time spent on adaptation [s].
        plan_seconds: time spent on planning [s].
        predicted: observations along the plan by each particle, from when it begins to act on, (B, P, 1 + number, obs_dim), after
            `AdaptiveController.with_predicted_steps(number)`; otherwise (B, 0, 0, obs_dim).
        delay: by how many control steps actions are believed to act late, see `AdaptiveController.with_max_delay`.
        sign: +1 for each action, -1 where its motor is believed to be wired backwards, (B, action_dim).
    """

    prior_error: np.ndarray
    adapted_error: np.ndarray
    fell_back: np.ndarray
    run_length: np.ndarray
    predicted_return: np.ndarray
    change: np.ndarray
    innovation: np.ndarray
    diagnosis: np.ndarray
    adapt_seconds: float
    plan_seconds: float
    predicted: np.ndarray = field(default_factory=lambda: np.zeros((1, 0, 0, 0)))
    delay: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))
    sign: np.ndarray = field(default_factory=lambda: np.ones((1, 1), np.float32))

    def reversed_actions(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the actions with these names whose motors are believed to be wired backwards, of the first robot."""
        return tuple(name for name, sign in zip(names, self.sign[0], strict=True) if sign < 0)


@dataclass(frozen=True)
class Command:
    """What to send, and what is known about it.

    Attributes:
        action: within limits, (action_dim,) or (B, action_dim).
        plan: the action and those that would follow it, (H, action_dim) or (B, H, action_dim).
        info: what happened in this control step.
    """

    action: np.ndarray
    plan: np.ndarray
    info: StepInfo


class AdaptiveController:
    """Adapts a dynamics model and plans under it at every control step.

    Args:
        spec: the robot.
        settings: model, rule, planner and objective.
        window: K, the number of transitions that are kept.
        dump: where a step whose prediction is not finite is written for a replay; None writes nothing.
        expected_error: one-step error to expect of the adapted model on a robot like those that it was trained on [target stds];
            NaN where it is not known.
        compile: whether the control step is compiled, see `adaptive_mbrl.control.compiled`.

    Raises:
        ConfigError: this machine cannot compile in that way.
    """

    def __init__(
        self,
        spec: RobotSpec,
        settings: ControlSettings,
        window: int,
        dump: StepDump | None = None,
        expected_error: float = math.nan,
        compile: CompileMode = "off",
    ) -> None:
        settings.adapter.eval()
        self.spec, self.settings, self.window, self.dump = spec, settings, window, dump
        self.expected_error = expected_error
        self.device = settings.planner.device
        self.compile, self._halves = compile, step_halves(compile, self.device)
        goal_dim, horizon = settings.score.reward.goal_dim, settings.planner.horizon
        self._checker = InputChecker(spec, goal_dim, horizon, self.device)
        self._state: ControllerState | None = None

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        spec: RobotSpec | None = None,
        objective: RewardFunction | None = None,
        termination: Termination | None = None,
        planner: PlannerConfig | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        adapt: bool = True,
        gate: GateConfig | None = GateConfig(),  # noqa: B008
        max_delay: int = DelayConfig.max_delay,
        reversals: ReversalConfig | None = ReversalConfig(),  # noqa: B008
        dump_folder: Path | None = None,
        dump_in_background: bool = False,
    ) -> AdaptiveController:
        """Controller of a checkpoint.

        Args:
            path: checkpoint folder or name of a shipped checkpoint.
            spec: the robot at hand; a checkpoint of another robot is refused.
            objective: replaces the checkpoint's; the checkpoint's terminal value is used only if the terms are the same.
            termination: tells the planner with which transitions an episode ends; the checkpoint's by default.
            planner: replaces the checkpoint's planner settings.
            seed: fixes the planner's noise.
            device: where to compute.
            adapt: False keeps the prior.
            gate: how beliefs compete for being planned under; None for the belief from the whole window at every step.
            max_delay: the longest delay of actions that is considered [control steps]; 0 takes actions to act at once, as every
                checkpoint that does not adapt does.
            reversals: how motors that are wired backwards are found; None takes all motors to be right, as every checkpoint that
                does not adapt does.
            dump_folder: where a step whose prediction is not finite is written for a replay; None writes nothing.
            dump_in_background: write it on a thread of its own, where control steps have a deadline.

        Raises:
            CheckpointError: the checkpoint is missing, damaged or of another robot.
            ConfigError: a delay that is too long, or settings that the checkpoint's robot does not fit.
        """
        checkpoint = load_checkpoint(path, device)
        if spec is not None:
            require_robot(checkpoint, spec, str(path))
        about = checkpoint.description
        made = make_planner(about.spec, planner or about.planner, seed, device)
        try:
            reward = checkpoint.reward if objective is None else objective
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
        value = checkpoint.value
        if value is not None and reward is not checkpoint.learned_reward and not _is_of(about, reward):
            _LOG.warning("%s: its terminal value is not used: it was fitted to another objective than the one given here", path)
            value = None
        score = Score(reward, made.uncertainty_penalty, value, termination or checkpoint.termination, made.risk)
        dump = None
        if dump_folder is not None:
            used = dataclasses.replace(about, planner=planner or about.planner)
            dump = StepDump(dump_folder, used, in_background=dump_in_background)
        delay = None if about.is_multitask else _delays(max_delay)
        adapter: Adapter[Any] = checkpoint.adapter
        diagnosis: Diagnosis | ReversalDiagnosis | None = checkpoint.diagnosis
        if adapt and reversals is not None and not about.is_multitask:
            adapter = with_reversals(adapter, about.spec, reversals)
            if checkpoint.diagnosis is not None and isinstance(adapter, ReversalAdapter):
                diagnosis = ReversalDiagnosis(checkpoint.diagnosis, [channel.name for channel in about.spec.action])
        settings = ControlSettings(adapter, made, score, adapt=adapt, gate=gate, diagnosis=diagnosis, delay=delay)
        recorded = None if checkpoint.canary is None else recorded_error(checkpoint.adapter, checkpoint.canary)
        return cls(about.spec, settings, about.window, dump, math.nan if recorded is None else recorded)

    @property
    def diagnosis_names(self) -> tuple[str, ...]:
        """The physical parameters that `StepInfo.diagnosis` is about; none if the checkpoint has no diagnosis."""
        return () if self.settings.diagnosis is None else self.settings.diagnosis.names

    def with_precision(self, precision: Precision | Literal["auto"]) -> AdaptiveController:
        """The same controller before its first step, with predictions for planning in another number format.

        Args:
            precision: a number format, or `auto` for the one that `calibrate` finds best on this machine.

        Raises:
            RuntimeError: this controller has taken a step since the last reset.
        """
        if precision == "auto":
            found = self.calibrate()
            _LOG.info("precision: %s", found)
            precision = found.precision
        return self._with("with_precision", precision=precision)

    def calibrate(self) -> Calibration:
        """Measure on this machine how much faster plans are in bfloat16, and how much they differ.

        It takes a second or a few; a controller that is compiled is compiled for both number formats before, which takes minutes.
        The time is that of one robot.

        Raises:
            RuntimeError: this controller has taken a step since the last reset.
        """
        self._require_no_step("calibrate")
        normalizer, planner = self.settings.adapter.normalizer, self.settings.planner
        mean, std = (statistic.cpu().numpy() for statistic in (normalizer.obs_mean, normalizer.obs_std))
        states = mean + std * np.random.default_rng(0).standard_normal((STATES, self.spec.obs_dim), dtype=np.float32)
        goal = np.zeros(self.settings.score.reward.goal_dim)
        settings = {p: dataclasses.replace(self.settings, precision=p) for p in PRECISIONS}
        # without a dump, which is for failures on a robot
        made = {p: AdaptiveController(self.spec, s, self.window, compile=self.compile) for p, s in settings.items()}
        # many robots at once, which nobody would compile for
        uncompiled = {p: AdaptiveController(self.spec, s, self.window) for p, s in settings.items()}

        def plan(precision: Precision, seeds: list[int]) -> np.ndarray:
            planner.seed(seeds)
            uncompiled[precision].reset()
            return uncompiled[precision].step(states, np.tile(goal, (STATES, 1))).action

        noise = planner.generators, planner.has_own_noise
        try:
            error = action_error(plan, planner.half_range.cpu().numpy())
            planner.seed(0)
            return Calibration(time_share(lambda precision: made[precision].step(states[0], goal)), error)
        finally:
            # the planner's own noise goes on as if nothing had been planned
            planner.generators, planner.has_own_noise = noise

    def with_compile(self, mode: CompileMode) -> AdaptiveController:
        """The same controller before its first step, whose control step is compiled; see `adaptive_mbrl.control.compiled`.

        Raises:
            RuntimeError: this controller has taken a step since the last reset.
            ConfigError: this machine cannot compile in that way.
        """
        return self._with("with_compile", mode)

    def compile_no_more(self) -> None:
        """From now on, a step for which nothing was compiled yet is made as it stands, because a robot waits for it."""
        compile_no_more(self._halves)

    def with_predicted_steps(self, number: int) -> AdaptiveController:
        """The same controller before its first step, which reports what it predicts of each plan.

        Args:
            number: number of the plan's steps that are predicted; at most its horizon counts.

        Raises:
            RuntimeError: this controller has taken a step since the last reset.
        """
        return self._with("with_predicted_steps", predicted_steps=min(number, self.settings.planner.horizon))

    def with_max_delay(self, steps: int) -> AdaptiveController:
        """The same controller before its first step, which finds out by how many control steps actions act late.

        Its beliefs are then formed of the actions that acted, and plans begin with what was sent before. Adapting takes longer.
        The frozen arm, which believes nothing of what it sees, takes actions to act at once.

        Args:
            steps: the longest delay that is considered [control steps]; 0 takes actions to act at once.

        Raises:
            RuntimeError: this controller has taken a step since the last reset.
            ConfigError: a delay that is too long, or the adapter estimates it itself.
        """
        return self._with("with_max_delay", delay=_delays(steps))

    def _with(self, what: str, mode: CompileMode | None = None, **changes: Any) -> AdaptiveController:
        self._require_no_step(what)
        settings = dataclasses.replace(self.settings, **changes)
        return AdaptiveController(self.spec, settings, self.window, self.dump, self.expected_error, mode or self.compile)

    def _require_no_step(self, what: str) -> None:
        if self._state is not None:
            raise RuntimeError(f"{what}: the controller has taken a step; reset it first")

    def reset(self) -> None:
        """Forget transitions, belief and plan; call it when a new episode begins."""
        self._state = None

    @property
    def belief(self) -> Belief | None:
        """What the last plan was made under, a value of the adapter's own kind; None before the first step."""
        if self._state is None:
            return None
        return chosen_belief(self._state.gate, self.settings.adapter.prior(len(self._state.last_obs)))

    @property
    def plan_state(self) -> PlanState | None:
        """What the planner carries to the next step; None before the first one."""
        return None if self._state is None else self._state.plan

    def acting(self, actions: Tensor) -> Tensor:
        """The actions that act if these are sent from now on: late by the delay that is believed, after what was sent before.

        Args:
            actions: N candidates of each of B robots, (B, N, H, action_dim).
        """
        if self._state is None:
            return actions
        return applied(self._state.delay.past(self._state.recent), actions, self._state.delay.choice)

    def predictor(self, recent: Transitions) -> Predictor:
        """The dynamics that this controller would believe in, knowing nothing but `recent`; for diagnostics.

        No delay is looked for: the actions of `recent` are taken to be those that acted.

        Args:
            recent: K transitions of each of B robots.
        """
        adapter = self.settings.adapter
        return adapter.condition(adapter.infer(recent) if self.settings.adapt else adapter.prior(len(recent.obs)))

    def step(self, obs: np.ndarray, goal: np.ndarray | None = None, options: StepOptions = StepOptions()) -> Command:  # noqa: B008
        """One control step.

        Args:
            obs: SI units, (obs_dim,) for one robot or (B, obs_dim).
            goal: the objective's goal, (goal_dim,) or (B, goal_dim), or with a leading horizon axis before the last one if it is
                known to move, (B, H, goal_dim); may be left out when the objective has none.
            options: what else is known; see `StepOptions`.

        Raises:
            ObservationError: wrong size or not finite; nothing is changed then.
            ConfigError: actions are pending, and the adapter does not take any, or there is a deadline that cannot be kept;
                nothing is changed then.
        """
        last_action = None if self._state is None else self._state.last_action
        inputs = self._checker.inputs(obs, goal, options, last_action)
        if inputs.pending.shape[1] and not self.settings.adapter.takes_pending:
            raise ConfigError(
                "pending: the adapter estimates the action delay itself and takes no pending actions; allowed: none"
            )
        deadline = self._deadline(options)
        state = self._state or initial_state(self.settings, len(inputs.obs), self.window, self.spec.obs_dim)
        self.settings.planner.require_batch(len(inputs.obs))
        noise = self._draw_noise(state, options.num_samples)

        watch = make_stopwatch(self.device)

        def mark() -> None:
            watch.mark()
            if deadline is not None:
                deadline.begin()

        new_state, plan, report = control_step(state, inputs, noise, self.settings, mark, self._halves, deadline)
        # here, for the first time, the host waits for the device
        actions = plan.actions.cpu().numpy().copy()
        about = {name: value.cpu().numpy() for name, value in report._asdict().items()}
        info = StepInfo(**about, adapt_seconds=watch.seconds(0), plan_seconds=watch.seconds(1))
        self._state = new_state
        if self.dump is not None:
            self.dump.check(self.settings, state, inputs, noise, info.adapted_error, info.predicted_return)
        if np.ndim(obs) == 2:
            return Command(actions[:, 0].copy(), actions, info)
        return Command(actions[0, 0].copy(), actions[0], info)

    def _deadline(self, options: StepOptions) -> Deadline | None:
        if options.deadline is None:
            return None
        if not math.isfinite(options.deadline):
            raise ConfigError(f"deadline: got {options.deadline}; allowed: a time of time.perf_counter() [s]")
        if self.device.type != "cpu" or self._halves != StepHalves():
            raise ConfigError("deadline: a step that is compiled or runs on a GPU cannot be cut short; allowed: none")
        return Deadline(options.deadline)

    def _draw_noise(self, state: ControllerState, num_samples: int | None) -> StepNoise:
        """The random numbers of one control step: those that all robots share, or each robot's own."""
        planner, adapter = self.settings.planner, self.settings.adapter
        drawn = [adapter.draw_noise(state.gate.belief, generator) for generator in planner.generators]
        own = [noise for noise in drawn if noise is not None]
        belief_noise = (torch.stack(own, dim=1) if planner.has_own_noise else own[0]) if own else None
        return StepNoise(planner.draw_noise(num_samples), belief_noise)


def _delays(longest: int) -> DelayConfig | None:
    """How delays of at most so many control steps are found; None for 0."""
    if not 0 <= longest <= LONGEST_DELAY:
        raise ConfigError(f"max_delay: got {longest}; allowed: 0 to {LONGEST_DELAY}")
    return DelayConfig(longest) if longest else None


def _is_of(about: Description, reward: RewardFunction) -> bool:
    """Whether a reward is the checkpoint's own, which its terminal value was fitted to."""
    return isinstance(reward, Objective) and (reward.terms, reward.goal_names) == (about.terms, about.goal_names)
