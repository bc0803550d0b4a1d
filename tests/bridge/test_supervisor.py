"""The safety supervisor: what it promises holds for every stream of messages, and each fault leads to the safe action."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.safety.config import Damper, Range, SafetyConfig
from robot_bridge.safety.states import TRANSITIONS, Event, State, after
from robot_bridge.safety.supervisor import Decision, Observed, SafetySupervisor, TrainingRange

DT = 0.05
SPEC = RobotSpec(
    "two_joints",
    DT,
    (
        Channel("hip_angle", "rad", "angle"),
        Channel("hip_velocity", "rad/s", "velocity"),
        Channel("knee_velocity", "rad/s", "velocity"),
    ),
    (ActionChannel("hip", "N m", -2.0, 2.0), ActionChannel("knee", "N m", -1.0, 3.0)),
)
CONFIG = SafetyConfig(
    rate_limits={"hip": 10.0, "knee": 40.0},
    action_limits={"knee": Range(-1.0, 2.0)},
    obs_limits={"hip_velocity": Range(-5.0, 5.0)},
    margin=0.05,
    max_age=0.1,
    max_age_of={"knee_velocity": 0.2},
    max_missed_deadlines=2,
    max_model_error=3.0,
    model_error_steps=2,
    ramp_seconds=0.2,
    recovery_seconds=0.14,
    dampers={"hip": Damper("hip_velocity", 1.0)},
)
LOW, HIGH = np.array([-1.8, -0.85]), np.array([1.8, 1.85])
RATE = np.array([10.0, 40.0])
CALM = np.array([0.1, 0.5, 0.0])
PLAN = np.array([1.0, 0.5])


def supervisor(**changes: Any) -> SafetySupervisor:
    return SafetySupervisor(SPEC, dataclasses.replace(CONFIG, **changes))


def fresh(now: float, values: np.ndarray = CALM) -> Observed:
    return Observed(values, np.full(3, now))


def run(guard: SafetySupervisor, start: float, steps: int, **options: Any) -> list[Decision]:
    """Calm control steps, one per control period, the first one period after `start`."""
    times = [start + DT * (i + 1) for i in range(steps)]
    return [guard.decide(t, fresh(t), PLAN, **options) for t in times]


def running() -> tuple[SafetySupervisor, float]:
    guard = supervisor()
    guard.activate(0.0)
    run(guard, 0.0, 20)
    assert guard.state is State.RUNNING
    return guard, 20 * DT


# --- what holds for every stream ----------------------------------------------------------------------------------------------

anything = st.floats(allow_nan=True, allow_infinity=True)
sensible = st.floats(-3, 3)
clock_steps = st.one_of(st.just(DT), st.floats(0, 0.2), st.sampled_from([0.0, -0.01, -100.0, 1000.0, math.nan, math.inf]))
plans = st.one_of(
    st.none(),
    st.lists(sensible, min_size=2, max_size=2),
    st.lists(anything, min_size=2, max_size=2),
    st.lists(sensible, min_size=0, max_size=3),
)
steps = st.fixed_dictionaries(
    {
        "call": st.sampled_from(["", "", "", "", "", "activate", "dry_run", "deactivate", "estop", "clear_estop", "rest"]),
        "clock": clock_steps,
        "age": st.lists(st.one_of(st.just(0.0), st.floats(-0.1, 0.3), anything), min_size=3, max_size=3),
        "obs": st.one_of(st.just(list(CALM)), st.lists(st.one_of(sensible, anything), min_size=3, max_size=3)),
        "plan": plans,
        "missed": st.integers(0, 4),
        "model_error": st.one_of(st.just(0.5), anything),
    }
)
CALM_STEP = {
    "call": "",
    "clock": DT,
    "age": [0.0] * 3,
    "obs": list(CALM),
    "plan": [1.0, 0.5],
    "missed": 0,
    "model_error": 0.5,
}


def call(guard: SafetySupervisor, name: str, now: float) -> None:
    if name in ("activate", "dry_run"):
        guard.activate(now, dry_run=name == "dry_run")
    elif name and name != "rest":
        getattr(guard, name)()


@given(stream=st.lists(steps, max_size=60), safe_action=st.sampled_from(["hold", "zero", "damping"]))
@example(stream=[CALM_STEP | {"call": "activate"}, *[CALM_STEP] * 30], safe_action="zero")
@example(stream=[CALM_STEP | {"call": "activate"}, *[CALM_STEP | {"plan": [50.0, -50.0]}] * 30], safe_action="hold")
@settings(max_examples=400, deadline=None)
def test_in_no_sequence_does_a_command_break_its_promises(stream: list[dict[str, Any]], safe_action: str):
    guard = supervisor(safe_action=safe_action)
    now, previous, previous_time, stopped, silent = 0.0, np.zeros(2), -math.inf, False, True
    for step in stream:
        before = guard.state
        call(guard, step["call"], now)
        if step["call"] == "estop" and before is not State.ESTOP:
            silent = before in (State.INACTIVE, State.DRY_RUN)  # where nothing was sent, nothing is
        if before is State.INACTIVE and guard.state in (State.RAMP, State.DRY_RUN):
            previous_time = now
        stopped = (stopped or step["call"] == "estop") and step["call"] != "clear_estop"
        now = now + step["clock"] if math.isfinite(now + step["clock"]) else step["clock"]
        with np.errstate(invalid="ignore"):
            observed = Observed(np.array(step["obs"]), now - np.array(step["age"]))
        plan = None if step["plan"] is None else np.array(step["plan"])

        if step["call"] == "rest":
            decision = Decision(guard.approach(now, guard.rest), guard.state)
        else:
            decision = guard.decide(now, observed, plan, missed=step["missed"], model_error=step["model_error"])

        if stopped:
            assert decision.state is State.ESTOP
        if decision.state in (State.INACTIVE, State.DRY_RUN) or (decision.state is State.ESTOP and silent):
            assert decision.command is None
        else:
            command = decision.command
            assert (command >= LOW).all()
            assert (command <= HIGH).all()
            passed = now - previous_time if math.isfinite(now) else 0.0
            allowed = RATE * min(max(passed, 0.0), DT)
            assert (np.abs(command - previous) <= allowed + 1e-9).all()
            if decision.plan_share > 0:
                assert decision.state in (State.RAMP, State.RUNNING)
                assert plan.shape == (2,)
                assert np.isfinite(plan).all()
                assert np.isfinite(observed.values).all()
                age = now - observed.received
                assert (age >= 0).all()
                assert (age <= [0.1, 0.1, 0.2]).all()
                assert abs(observed.values[1]) <= 4.5
            elif safe_action == "zero":
                np.testing.assert_allclose(command, np.clip(0.0, previous - allowed, previous + allowed), atol=1e-12)
            previous = command
        if math.isfinite(now):
            previous_time = now
        else:
            now = previous_time


# --- states -------------------------------------------------------------------------------------------------------------------


def test_an_emergency_stop_ends_by_clearing_and_activating_alone():
    for state in State:
        assert after(state, Event.ESTOP) is State.ESTOP
    leaving = {event for (state, event), then in TRANSITIONS.items() if state is State.ESTOP and then is not State.ESTOP}
    assert leaving == {Event.CLEAR_ESTOP}
    assert after(State.ESTOP, Event.CLEAR_ESTOP) is State.INACTIVE


def test_every_state_can_be_reached_and_left():
    reached = {State.INACTIVE}
    for _ in State:
        reached |= {then for (state, _), then in TRANSITIONS.items() if state in reached}
    assert reached == set(State)
    assert all(any(state is s and then is not s for (s, _), then in TRANSITIONS.items()) for state in State)


def test_the_ramp_takes_its_time_and_then_the_plan_is_sent():
    guard = supervisor()
    guard.activate(0.0)

    decisions = run(guard, 0.0, 10)

    assert [round(d.plan_share, 6) for d in decisions[:5]] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert [d.state for d in decisions[:5]] == [State.RAMP] * 3 + [State.RUNNING] * 2
    np.testing.assert_allclose(decisions[0].command, 0.25 * PLAN)
    np.testing.assert_allclose(decisions[-1].command, PLAN)


def test_without_a_ramp_the_plan_is_sent_at_once_also_after_a_fault():
    guard = supervisor(ramp_seconds=0.0, recovery_seconds=0.0)
    guard.activate(0.0)
    assert guard.decide(DT, fresh(DT), None).state is State.HOLD

    assert [d.plan_share for d in run(guard, DT, 2)] == [1.0, 1.0]


def test_a_dry_run_reports_and_sends_nothing():
    guard = supervisor()
    guard.activate(0.0, dry_run=True)

    decision = guard.decide(DT, fresh(DT, np.array([0.0, 9.0, 0.0])), PLAN)

    assert decision == Decision(None, State.DRY_RUN, ("'hip_velocity' is 9; allowed: -4.5 to 4.5",))


def test_the_start_is_where_the_actuators_are():
    guard = supervisor(rate_limits={"hip": 1.0, "knee": 1.0})
    guard.activate(0.0, present=np.array([1.0, np.nan]))

    command = guard.decide(DT, fresh(DT), None).command

    np.testing.assert_allclose(command, [1.0 - DT, 0.0])


# --- faults -------------------------------------------------------------------------------------------------------------------

FAULTS = {
    "stale": (Observed(CALM, np.array([1.0, 0.94, 1.05])), PLAN, {}, "'hip_velocity' is 0.110 s old, allowed: 0.1 s"),
    "never came": (Observed(CALM, np.array([1.05, 1.05, -np.inf])), PLAN, {}, "'knee_velocity' was never received"),
    "from the future": (Observed(CALM, np.full(3, 1.06)), PLAN, {}, "'hip_angle' is -0.010 s old"),
    "nan": (fresh(1.05, np.array([np.nan, 0.0, 0.0])), PLAN, {}, "'hip_angle' is not finite"),
    "too fast": (fresh(1.05, np.array([0.0, 4.6, 0.0])), PLAN, {}, "'hip_velocity' is 4.6; allowed: -4.5 to 4.5"),
    "no plan": (fresh(1.05), None, {}, "no plan"),
    "plan of another size": (fresh(1.05), np.zeros(3), {}, "the plan is not 2 finite numbers"),
    "infinite plan": (fresh(1.05), np.array([np.inf, 0.0]), {}, "the plan is not 2 finite numbers"),
}


@pytest.mark.parametrize(("observed", "plan", "options", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_holds_the_robot_until_it_has_been_gone_for_a_while(observed: Observed, plan, options: dict, fault: str):
    guard, now = running()

    decision = guard.decide(now + DT, observed, plan, **options)

    assert decision.state is State.HOLD
    assert decision.faults[0].startswith(fault)
    np.testing.assert_allclose(decision.command, [0.5, 0.0])  # towards zero, as fast as is allowed
    states = [d.state for d in run(guard, now + DT, 8)]
    assert states[:2] == [State.HOLD] * 2
    assert states[2] is State.RAMP
    assert states[-1] is State.RUNNING


def test_a_long_fault_is_not_forgotten_the_moment_it_ends():
    guard, now = running()
    for i in range(20):
        guard.decide(now + DT * (i + 1), fresh(now), PLAN)
    assert guard.state is State.HOLD

    states = [d.state for d in run(guard, now + 20 * DT, 3)]

    assert states == [State.HOLD, State.HOLD, State.RAMP]


def test_holds_are_counted_with_what_each_began_with():
    guard, now = running()
    assert guard.holds == 0

    for step in range(1, 5):
        guard.decide(now + step * DT, fresh(now + step * DT), None)
    assert (guard.holds, guard.hold_reasons) == (1, ("no plan",))

    run(guard, now + 4 * DT, 20)
    guard.decide(now + 25 * DT, fresh(now + 25 * DT, np.array([np.nan, 0.0, 0.0])), PLAN)
    assert (guard.holds, guard.hold_reasons) == (2, ("'hip_angle' is not finite",))


def test_deadlines_may_be_missed_a_few_times():
    guard, now = running()

    decisions = run(guard, now, 3, missed=True)

    assert [d.state for d in decisions] == [State.RUNNING, State.RUNNING, State.HOLD]
    assert decisions[2].faults == ("3 deadlines missed in a row; allowed: 2",)


def test_periods_that_were_left_out_count_as_missed():
    guard, now = running()

    decision = guard.decide(now + DT, fresh(now + DT), PLAN, missed=4)

    assert decision.faults == ("4 deadlines missed in a row; allowed: 2",)


def test_a_model_that_is_wrong_again_and_again_is_an_alarm():
    guard, now = running()

    decisions = run(guard, now, 2, model_error=3.5)

    assert [d.state for d in decisions] == [State.RUNNING, State.HOLD]
    assert decisions[1].faults == ("model error 3.50 target stds, above 3 for 2 steps",)


@pytest.mark.parametrize(
    ("safe_action", "expected"), [("hold", PLAN), ("zero", [0.5, 0.0]), ("damping", [0.5, 0.0])], ids=lambda value: str(value)
)
def test_the_safe_action_is_the_configured_one(safe_action: str, expected: np.ndarray):
    guard = supervisor(safe_action=safe_action)
    guard.activate(0.0)
    run(guard, 0.0, 20)

    np.testing.assert_allclose(guard.decide(21 * DT, fresh(21 * DT), None).command, expected)


def test_a_robot_that_goes_on_is_damped_when_it_is_led_to_rest():
    guard = supervisor(safe_action="damping", ramp_seconds=10.0)
    guard.activate(0.0, present=np.array([1.5, 0.5]), goes_on=True)
    moving = np.array([0.0, -1.0, 0.0])

    for t in np.arange(1, 6) * DT:
        command = guard.decide(t, fresh(t, moving), None, is_planned=False).command
    np.testing.assert_allclose(command, [1.0, 0.0])


def test_damping_works_against_the_velocity_and_is_zero_where_that_is_not_known():
    guard = supervisor(safe_action="damping")
    guard.activate(0.0)
    moving = np.array([0.0, -1.0, 0.0])

    for t in np.arange(1, 6) * DT:
        command = guard.decide(t, fresh(t, moving), None).command
    np.testing.assert_allclose(command, [1.0, 0.0])

    for t in np.arange(6, 12) * DT:
        command = guard.decide(t, Observed(moving, np.array([t, t - 0.3, t])), None).command
    np.testing.assert_allclose(command, [0.0, 0.0])


# --- configuration ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate_limits": {"hip": 1.0}}, r"safety.rate_limits'.*missing channel 'knee'"),
        ({"rate_limits": {"hip": 1.0, "knee": 1.0, "toe": 1.0}}, r"unknown channel 'toe'; known channels: hip, knee"),
        ({"obs_limits": {"speed": Range(0, 1)}}, r"safety.obs_limits'.*unknown channel 'speed'"),
        ({"action_limits": {"hip": Range(-3, 1)}}, r"safety.action_limits.hip': -3 to 1; allowed: within -2 to 2"),
        ({"action_limits": {"hip": Range(0.5, 1)}}, r"safety.action_limits.hip': 0.5 to 1; allowed: with zero in it"),
        ({"dampers": {"hip": Damper("speed", 1.0)}}, r"safety.dampers'.*unknown channel 'speed'"),
        ({"dampers": {"hip": Damper("hip_angle", 1.0)}}, r"safety.dampers.hip.velocity': 'hip_angle' is no velocity"),
        ({"dampers": {}, "safe_action": "damping"}, r"key 'dampers': missing with the reaction 'damping'"),
        ({"max_age_of": {"hip_angle": 150.0}}, r"key 'max_age_of.hip_angle': 150 is out of range; allowed: at most 10"),
    ],
)
def test_names_and_limits_that_do_not_fit_the_robot_are_refused(changes: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        supervisor(**changes)


def test_a_rate_limit_of_zero_is_refused():
    with pytest.raises(ConfigError, match=r"rate_limits.hip'.*allowed: above 0"):
        SafetyConfig(rate_limits={"hip": 0.0})


def test_the_documentation_shows_the_table_of_transitions():
    text = (Path(__file__).resolve().parents[2] / "docs" / "robot_safety.md").read_text()
    section = text.partition("## The safety supervisor")[2].partition("\n## ")[0]
    rows = {tuple(cell.strip() for cell in line.split("|")[1:4]) for line in section.splitlines() if line.count("|") == 4}
    shown = {row for row in rows if row[0] in {state.value for state in State}}

    assert shown == {(s.value, e.value, then.value) for (s, e), then in TRANSITIONS.items() if s is not then}


def test_what_no_robot_of_the_training_data_did_is_a_fault():
    training = TrainingRange(np.array([0.0, 1.0, 0.0]), np.array([0.5, 0.5, 0.5]))
    changes = {"obs_limits": {}, "max_training_stds": 6.0}
    values = {"calm": CALM, "too fast": np.array([0.1, 5.0, 0.0]), "turned": np.array([50.0, 0.5, 0.0])}

    def faults(training: TrainingRange | None, name: str, **others: Any) -> tuple[str, ...]:
        guard = SafetySupervisor(SPEC, dataclasses.replace(CONFIG, **changes | others), training)
        guard.activate(0.0)
        return guard.decide(DT, fresh(DT, values[name]), PLAN).faults

    assert faults(training, "calm") == ()
    assert faults(training, "too fast") == ("'hip_velocity' is 5, 8 stds from the training data; allowed: 6",)
    # an angle may have counted turns
    assert faults(training, "turned") == ()
    assert faults(training, "too fast", max_training_stds=0.0) == faults(None, "too fast") == ()


def test_damping_does_not_brake_by_a_value_that_is_impossible():
    training = TrainingRange(np.zeros(3), np.ones(3))
    config = dataclasses.replace(CONFIG, obs_limits={}, safe_action="damping", rate_limits={"hip": 1e3, "knee": 1e3})

    def commanded(velocity: float) -> float:
        guard = SafetySupervisor(SPEC, config, training)
        guard.activate(0.0)
        decision = guard.decide(DT, fresh(DT, np.array([0.1, velocity, 0.0])), None)
        assert decision.command is not None
        return float(decision.command[0])

    assert commanded(1.0) == pytest.approx(-1.0)
    assert commanded(1e6) == 0.0
