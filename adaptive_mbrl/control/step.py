"""The control step as a pure function of tensors of fixed shapes: observe -> adapt -> plan -> act.

State goes in and comes out, all random numbers are an argument, and nothing waits for the device, so that the step can be
compiled (`torch.compile(fullgraph=True)`) or captured as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import Belief, joined, select
from adaptive_mbrl.control.delay import DelayConfig, DelayState, after_sending, applied, initial_delay, weighed_delays
from adaptive_mbrl.control.gate import (
    PRIOR,
    WHOLE,
    GateConfig,
    GateState,
    chosen_belief,
    chosen_length,
    grown,
    initial_gate,
    leading,
    restarted,
    weighed,
)
from adaptive_mbrl.diagnosis import Diagnosis, ReversalDiagnosis
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning.base import IsLate, Plan, Planner, PlanState
from adaptive_mbrl.planning.score import Score
from adaptive_mbrl.predictor import Predictor
from adaptive_mbrl.transitions import Transitions

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class ControlSettings:
    """What does not change from step to step.

    Attributes:
        adapter: turns transitions into a belief, and a belief into a predictor.
        planner: finds the plan.
        score: the objective.
        adapt: False plans under the prior (the frozen arm); errors of the adapted belief are then those of the prior.
        gate: how the prior and the beliefs from more or fewer recent transitions compete for being planned under; None for the
            belief from the whole window at every step.
        precision: number format of the products in the planner's predictions; `bfloat16` is faster on some processors and may
            cost return.
        diagnosis: reads physical parameters out of the belief that is planned under; None reads nothing.
        predicted_steps: number of steps of the chosen plan whose prediction is reported; 0 predicts nothing.
        delay: how the delay of actions is found; None takes them to act at once.
    """

    adapter: Adapter[Any]
    planner: Planner
    score: Score
    adapt: bool = True
    gate: GateConfig | None = GateConfig()
    precision: Precision = "float32"
    diagnosis: Diagnosis | ReversalDiagnosis | None = None
    predicted_steps: int = 0
    delay: DelayConfig | None = None

    def __post_init__(self) -> None:
        if self.delay is not None and not self.adapter.takes_pending:
            raise ConfigError("max_delay: the adapter estimates the action delay itself; allowed: 0")

    @property
    def considered_delay(self) -> DelayConfig | None:
        """How the delay is found: not at all by the frozen arm."""
        return self.delay if self.adapt else None


class ControllerState(NamedTuple):
    """All that is carried from one control step to the next.

    Attributes:
        recent: the last K + D transitions.
        last_obs: (B, obs_dim).
        last_action: the action that is sent since `last_obs`, (B, action_dim).
        started: False before the first step, (B,) bool.
        gate: the beliefs that compete, and what the evidence says of them.
        plan: the planner's.
        delay: what is believed about the delay of actions.
    """

    recent: Transitions
    last_obs: Tensor
    last_action: Tensor
    started: Tensor
    gate: GateState
    plan: PlanState
    delay: DelayState


class StepInputs(NamedTuple):
    """What is known at one control step about B robots.

    Attributes:
        obs: the newest observation that is a control period after the one before, (B, obs_dim).
        begin: the newest observation of all, from which the plan starts, (B, obs_dim); `obs`, or newer by a part of a period.
        goal: (B, goal_dim), or (B, H, goal_dim) when it is known to move.
        sent: the action that the robots really got since the step before, (B, action_dim).
        connected: False where more than one period has passed since the step before, (B,) bool: there is nothing to learn from.
        pending: actions on their way that act before the plan's first one, (B, number, action_dim).
        remaining: share of its control period that the first pending action still acts, (B, 1).
        freeze: whether the belief that is planned under, and those that compete with it, are kept as they are, (B,) bool.
    """

    obs: Tensor
    begin: Tensor
    goal: Tensor
    sent: Tensor
    connected: Tensor
    pending: Tensor
    remaining: Tensor
    freeze: Tensor


class StepNoise(NamedTuple):
    """All random numbers of one control step.

    Attributes:
        plan: the planner's.
        belief: the posterior's, where the belief is sampled from; None otherwise.
    """

    plan: Tensor
    belief: Tensor | None = None


class StepReport(NamedTuple):
    """What happened in one control step, one entry per robot.

    Attributes:
        prior_error: one-step error of the prior about `obs`, RMS over channels in target stds; NaN at first, (B,).
        adapted_error: the same of the belief that the step before planned under, or would have without the prior, (B,).
        fell_back: the plan was made under the prior because beliefs had been predicting worse, (B,) bool.
        run_length: for how many control steps the belief that is planned under has been learning, (B,) int64; 0 is the prior. A
            rule that looks at the window sees the last K of them.
        predicted_return: the best candidate plan's, (B,).
        change: how each channel of `obs` changed since the step before, in target stds; NaN at first, (B, obs_dim).
        innovation: what of this change the belief of `adapted_error` had not predicted; NaN at first, (B, obs_dim).
        diagnosis: mean and std of each physical parameter under the belief that was planned under, (B, 2, L); L is 0
            without a diagnosis.
        predicted: observations along the chosen plan, when it begins to act and after each of its first `predicted_steps`
            actions, by each particle, (B, P, 1 + predicted_steps, obs_dim); (B, 0, 0, obs_dim) without `predicted_steps`.
        delay: by how many control steps actions are believed to act late, (B,) int64.
        sign: +1 for each action, -1 where its motor is believed to be wired backwards, (B, action_dim).
    """

    prior_error: Tensor
    adapted_error: Tensor
    fell_back: Tensor
    run_length: Tensor
    predicted_return: Tensor
    change: Tensor
    innovation: Tensor
    diagnosis: Tensor
    predicted: Tensor
    delay: Tensor
    sign: Tensor


def initial_state(settings: ControlSettings, batch_size: int, window: int, obs_dim: int) -> ControllerState:
    """The state before the first control step of B robots; `window` is K."""
    device = settings.planner.device

    def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(batch_size, *shape, dtype=dtype, device=device)

    action_dim = settings.planner.action_dim
    with torch.no_grad():
        gate = initial_gate(settings.adapter, batch_size, settings.gate if settings.adapt else None, device)
        if not settings.adapt:
            gate = gate._replace(choice=torch.full_like(gate.choice, PRIOR))
        delay = initial_delay(settings.adapter, batch_size, window, settings.considered_delay, device)
    plan, kept = settings.planner.init(batch_size), delay.follows.shape[1]
    recent = Transitions(zeros(kept, obs_dim), zeros(kept, action_dim), zeros(kept, obs_dim), zeros(kept, dtype=torch.bool))
    return ControllerState(recent, zeros(obs_dim), zeros(action_dim), zeros(dtype=torch.bool), gate, plan, delay)


class Adapted(NamedTuple):
    """What the first half of a control step hands to the second.

    Attributes:
        recent: the last K + D transitions, the newest included.
        gate: the beliefs that compete, after the newest transition.
        belief: what is planned under, of B robots.
        run_length: as in `StepReport`.
        started: whether `StepInputs.obs` ends a transition in which it is known what acted, (B,) bool.
        deviations: predicted minus observed by the prior and by each of the R beliefs of the step before [target stds],
            (B, 1 + R, obs_dim).
        diagnosis: as in `StepReport`.
        delay: what is believed about the delay of actions.
        past: the last D actions that were sent, oldest first, (B, D, action_dim).
    """

    recent: Transitions
    gate: GateState
    belief: Belief
    run_length: Tensor
    started: Tensor
    deviations: Tensor
    diagnosis: Tensor
    delay: DelayState
    past: Tensor


def with_newest(state: ControllerState, inputs: StepInputs) -> tuple[Transitions, DelayState, Tensor]:
    """The last K + D transitions and what is believed about the delay, with the newest transition.

    The third is whether there is one in which it is known what acted, (B,) bool: only then a prediction of it is worth something.
    """
    is_valid, is_kept = state.started & inputs.connected, _is_kept(inputs)
    recent = select(is_kept, state.recent, state.recent.append(state.last_obs, inputs.sent, inputs.obs, is_valid))
    delay = state.delay.appended(state.recent, is_valid, is_kept)
    return recent, delay, is_valid & delay.is_known(delay.choice)


def _is_kept(inputs: StepInputs) -> Tensor:
    """Where the window is kept as it is: a robot that is held by hand shows nothing of itself, and is let go again, (B,) bool."""
    return inputs.freeze & ~inputs.connected


@torch.no_grad()
def adapt(state: ControllerState, inputs: StepInputs, settings: ControlSettings) -> Adapted:
    """The first half of a control step: from the newest transition to the belief. The arguments are those of `control_step`."""
    adapter = settings.adapter
    prior = adapter.prior(len(inputs.obs))
    recent, delay, started = with_newest(state, inputs)
    deviations, of_delays = _prequential_deviations(adapter, prior, state, inputs)
    gate, others, is_told = state.gate, None, started & ~inputs.freeze
    if settings.considered_delay is not None:
        # all hypotheses are about the newest transition, or none is
        is_about_all = is_told & delay.is_known(torch.full_like(delay.choice, delay.longest))
        delay = weighed_delays(delay, _rms(of_delays), is_about_all, settings.considered_delay)
        gate = restarted(gate, delay.choice != state.delay.choice, delay.chosen())
        others = (delay.belief, delay.hypotheses(recent))
    acted = delay.acted(recent)
    if settings.adapt:
        if settings.gate is not None:
            gate = weighed(gate, _rms(deviations), is_told, settings.gate)
        gate, beside = grown(gate, adapter, acted, inputs.freeze, prior, others)
        delay = delay._replace(belief=beside)
        gate = gate._replace(length=torch.where(_is_kept(inputs)[:, None], state.gate.length, gate.length))
    belief, run_length = chosen_belief(gate, prior), chosen_length(gate)
    if settings.diagnosis is None:
        diagnosis = inputs.obs.new_zeros(len(inputs.obs), 2, 0)
    else:
        known = acted.newest(run_length).valid.sum(1)
        diagnosis = torch.stack(settings.diagnosis(belief, known), 1)
    past = delay.past(recent)
    return Adapted(recent, gate, belief, run_length, started, deviations, diagnosis, delay, past)


@torch.no_grad()
def plan_under(
    adapted: Adapted,
    state: ControllerState,
    inputs: StepInputs,
    noise: StepNoise,
    settings: ControlSettings,
    is_late: IsLate | None = None,
) -> tuple[ControllerState, Plan, StepReport]:
    """The second half of a control step: from the belief to the plan.

    Args:
        adapted: what the first half has found.
        state: as in `control_step`.
        inputs: as in `control_step`.
        noise: as in `control_step`.
        settings: as in `control_step`.
        is_late: see `Planner.improve`.
    """
    predictor = settings.adapter.condition(adapted.belief, noise.belief)
    begin = when_the_plan_acts(predictor, inputs, adapted)
    past = after_sending(adapted.past, inputs.pending)
    # weights that are cast once make lower precision faster on a CPU, where autocast would cast them at every step
    planned_with = predictor.to(torch.bfloat16) if settings.precision == "bfloat16" else predictor

    def returns(actions: Tensor) -> Tensor:
        futures = planned_with.roll_out(begin, applied(past, actions, adapted.delay.choice))
        return settings.score(futures, actions, begin, inputs.goal)

    plan_state, plan = settings.planner.improve(state.plan, returns, noise.plan, is_late)
    # laid out as in the first state, so that one compiled graph serves all steps
    acts_next = torch.cat([inputs.pending, plan.actions], 1)[:, 0].clone(memory_format=torch.contiguous_format)
    gate, started, deviations = adapted.gate, adapted.started, adapted.deviations
    new_state = ControllerState(adapted.recent, inputs.obs, acts_next, torch.ones_like(started), gate, plan_state, adapted.delay)
    errors, led = _rms(deviations), WHOLE + leading(state.gate)[:, None]
    prior_error, adapted_error = (torch.where(started, e[:, 0], torch.nan) for e in (errors[:, [PRIOR]], errors.gather(1, led)))
    innovation = -deviations.gather(1, led[..., None].expand(-1, -1, deviations.shape[-1]))[:, 0]
    change = predictor.error(inputs.obs, state.last_obs)
    change, innovation = (torch.where(started[:, None], each, torch.nan) for each in (change, innovation))
    sign = settings.adapter.signs(adapted.belief)
    report = StepReport(
        prior_error,
        adapted_error,
        fell_back=(gate.choice == PRIOR) & settings.adapt,
        run_length=adapted.run_length,
        predicted_return=plan.predicted_return,
        change=change,
        innovation=innovation,
        diagnosis=adapted.diagnosis,
        predicted=_along(predictor, begin, applied(past, plan.actions[:, None], adapted.delay.choice), settings.predicted_steps),
        delay=adapted.delay.choice,
        sign=torch.ones_like(inputs.sent) if sign is None else sign,
    )
    return new_state, plan, report


class StepHalves(NamedTuple):
    """The two halves of a control step, as they stand or compiled.

    Attributes:
        adapt: see `adapt`.
        plan: see `plan_under`.
    """

    adapt: Callable[..., Adapted] = adapt
    plan: Callable[..., tuple[ControllerState, Plan, StepReport]] = plan_under


@torch.no_grad()
def control_step(
    state: ControllerState,
    inputs: StepInputs,
    noise: StepNoise,
    settings: ControlSettings,
    mark: Callable[[], None] = lambda: None,
    halves: StepHalves = StepHalves(),  # noqa: B008
    is_late: IsLate | None = None,
) -> tuple[ControllerState, Plan, StepReport]:
    """One control step.

    Args:
        state: the state that the step before returned, or `initial_state`.
        inputs: what is known now.
        noise: this step's random numbers.
        settings: model, planner, objective.
        mark: called before adapting, between adapting and planning, and at the end; for a stopwatch.
        halves: the two halves of the step, as they stand or compiled.
        is_late: see `Planner.improve`.
    """
    mark()
    adapted = halves.adapt(state, inputs, settings)
    mark()
    step = halves.plan(adapted, state, inputs, noise, settings, is_late)
    mark()
    return step


def _rms(deviations: Tensor) -> Tensor:
    """Over channels, (..., obs_dim) -> (...)."""
    return deviations.square().mean(-1).sqrt()


def _along(predictor: Predictor, begin: Tensor, actions: Tensor, steps: int) -> Tensor:
    """The observations that are predicted along a plan whose actions act, (B, 1, H, action_dim), as in `StepReport.predicted`."""
    if not steps:
        return begin.new_zeros(len(begin), 0, 0, begin.shape[-1])
    after = predictor.roll_out(begin, actions[:, :, :steps]).next_obs[:, :, 0].transpose(0, 1)
    return torch.cat([begin[:, None, None].expand(-1, after.shape[1], -1, -1), after], 2)


def _prequential_deviations(
    adapter: Adapter[Any], prior: Belief, state: ControllerState, inputs: StepInputs
) -> tuple[Tensor, Tensor]:
    """By how much the predictions of the prior and of the R beliefs differ from `inputs.obs`, which they had not seen.

    Returns:
        Predicted minus observed [target stds], (B, 1 + R, obs_dim), and the same of the beliefs under each delay, (B, 1 + D,
        obs_dim), or of none where no delay is considered.
    """
    batch_size, number = state.gate.length.shape
    past, delay = state.delay.past(state.recent), state.delay
    acted = applied(past, inputs.sent[:, None, None], delay.choice)[:, 0, 0]
    beliefs = [prior, state.gate.belief]
    # as the beliefs stand: the prior of all robots, then the R beliefs of the first robot, those of the second, ...
    rows = [torch.arange(batch_size, device=acted.device)]
    rows += [rows[0].repeat_interleave(number)]
    sent = [acted, acted[rows[1]]]
    if delay.longest:
        beliefs.append(delay.belief)
        rows.append(rows[0].repeat_interleave(1 + delay.longest))
        # what acts if actions act d control steps late, the newest first
        sent.append(torch.cat([past, inputs.sent[:, None]], 1).flip(1).flatten(0, 1))
    predictor = adapter.condition(joined(*beliefs))
    each = torch.cat(rows)
    mean = predictor.predict(state.last_obs[each][:, None], torch.cat(sent)[:, None]).mean[:, 0]
    deviation = predictor.error(mean, inputs.obs[each])
    of_prior, of_gate, of_delays = deviation.split([batch_size, batch_size * number, len(each) - batch_size * (1 + number)])
    together = torch.cat([of_prior[:, None], of_gate.unflatten(0, (batch_size, number))], 1)
    return together, of_delays.unflatten(0, (batch_size, len(of_delays) // batch_size))


def when_the_plan_acts(predictor: Predictor, inputs: StepInputs, adapted: Adapted) -> Tensor:
    """The observation predicted for the moment at which the plan's first action is sent to act, (B, obs_dim)."""
    obs, share = inputs.begin, inputs.remaining
    for action in applied(adapted.past, inputs.pending[:, None], adapted.delay.choice)[:, 0].unbind(1):
        after = predictor.predict(obs[:, None], action[:, None]).mean[:, 0]
        # the model knows whole control periods; of a part of one, it takes the same part of the change
        part = predictor.shift(obs, share * predictor.error(after, obs))
        obs = torch.where(share == 1.0, after, part)
        share = torch.ones_like(share)
    return obs
