"""The ladder of reactions: the most severe one wins, people may decide in time, and a stop that does not work is followed up."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from robot_bridge.safety.config import Damper, Range, SafetyConfig
from robot_bridge.safety.faults import FAULT_KINDS, Fault
from robot_bridge.safety.limiter import CommandLimiter
from robot_bridge.safety.reactions import ReactionConfig, Reactions
from robot_bridge.safety.states import State
from robot_bridge.safety.stopping import StoppingConfig
from robot_bridge.safety.supervisor import Decision, Observed, SafetySupervisor
from tests.bridge.test_supervisor import DT, PLAN, SPEC

CONFIG = SafetyConfig(
    rate_limits={"hip": 1000.0, "knee": 1000.0},
    ramp_seconds=0.0,
    recovery_seconds=0.1,
    dampers={"hip": Damper("hip_velocity", 1.0)},
    posture={"hip": -1.0, "knee": 2.0},
    posture_seconds=1.0,
    slow_share=0.25,
)
STILL, MOVING = np.array([0.1, 0.0, 0.0]), np.array([0.1, 1.0, 0.0])
GOAL, DRIFT, JUMP = Fault("goal_lost", "lost"), Fault("drift", "drifts"), Fault("jump", "jumped")


class Driven:
    """A supervisor that runs, one control period after the other."""

    def __init__(self, **changes: Any) -> None:
        self.guard = SafetySupervisor(SPEC, dataclasses.replace(CONFIG, **changes))
        self.now = 0.0
        self.guard.activate(0.0)
        for _ in range(3):
            self.step()
        assert self.guard.state is State.RUNNING

    def step(self, *faults: Fault, values: np.ndarray = STILL) -> Decision:
        self.now += DT
        return self.guard.decide(self.now, Observed(values, np.full(3, self.now)), PLAN, others=faults)

    def steps(self, number: int, *faults: Fault, values: np.ndarray = STILL) -> list[Decision]:
        return [self.step(*faults, values=values) for _ in range(number)]


def reactions(**chosen: str) -> dict[str, ReactionConfig]:
    return {kind: ReactionConfig(action) for kind, action in chosen.items()}


def test_a_warning_is_told_and_the_plan_goes_on():
    decision = Driven(reactions=reactions(goal_lost="warn")).step(GOAL)

    assert (decision.state, decision.reaction, decision.faults) == (State.RUNNING, "warn", ("lost",))
    np.testing.assert_array_equal(decision.command, PLAN)


def test_slow_takes_a_part_of_the_plan_and_of_the_rate_limits():
    driven = Driven(reactions=reactions(goal_lost="slow"), rate_limits={"hip": 4.0, "knee": 1000.0})
    driven.steps(20)

    decision = driven.step(GOAL)

    assert (decision.state, decision.plan_share) == (State.RUNNING, 0.25)
    np.testing.assert_allclose(decision.command, [1.0 - 0.25 * 4.0 * DT, 0.25 * PLAN[1]])
    assert driven.step().plan_share == 1.0


@pytest.mark.parametrize(
    ("reaction", "values", "expected"),
    [("hold", STILL, PLAN), ("damping", MOVING, [-1.0, 0.0]), ("zero", MOVING, [0.0, 0.0])],
)
def test_each_reaction_that_stops_sends_its_own_command(reaction: str, values: np.ndarray, expected: np.ndarray):
    driven = Driven(reactions=reactions(jump=reaction))

    decision = driven.step(JUMP, values=values)

    assert (decision.state, decision.reaction, decision.plan_share) == (State.HOLD, reaction, 0.0)
    np.testing.assert_allclose(decision.command, expected)


def test_the_way_to_the_posture_is_smooth_and_ends_there():
    driven = Driven(reactions=reactions(jump="return"))

    commands = np.array([decision.command for decision in driven.steps(25, JUMP)])

    np.testing.assert_allclose(commands[-1], [-1.0, 2.0])
    way = np.vstack([PLAN, commands])
    speed = np.diff(way[:, 0]) / DT
    assert (speed <= 1e-9).all()  # it never turns back
    assert abs(speed[0]) < 0.1 * abs(speed).max()
    assert np.abs(np.diff(speed)).max() < 0.4 * abs(speed).max()
    # the fastest point of the way with the least jerk is at 15/8 of its mean speed
    np.testing.assert_allclose(abs(speed).max(), 15 / 8 * 2.0, rtol=0.02)


def test_the_most_severe_reaction_wins_and_stays_until_all_is_well():
    driven = Driven(reactions=reactions(goal_lost="hold", jump="zero"))

    found = [driven.step(GOAL), driven.step(GOAL, JUMP), driven.step(GOAL), driven.step()]

    assert [decision.reaction for decision in found] == ["hold", "zero", "zero", "zero"]
    assert driven.step().state is State.HOLD
    assert driven.step().state is State.RAMP


def test_without_an_entry_faults_get_the_safe_action_and_what_is_adapted_to_a_warning():
    found = {kind: Reactions({}, "damping").severest([Fault(kind, "")], DT) for kind in FAULT_KINDS}

    warned_of = {kind for kind, reaction in found.items() if reaction == "warn"}
    adapted_to = {"drift", "actuator_weak", "actuator_dead", "actuator_reversed", "sign_turned", "belief_oscillates"}
    assert warned_of == adapted_to | {"battery_low", "hot", "high_load", "falling", "monitor_warning"}
    assert {found[kind] for kind in set(FAULT_KINDS) - warned_of} == {"damping"}


def test_a_fault_with_a_delay_is_warned_of_first():
    driven = Driven(reactions={"goal_lost": ReactionConfig("zero", after=2.5 * DT)})

    assert [decision.reaction for decision in driven.steps(5, GOAL)] == ["warn", "warn", "warn", "zero", "zero"]


def test_a_fault_that_was_gone_for_a_moment_gets_its_whole_delay_again():
    driven = Driven(reactions={"goal_lost": ReactionConfig("zero", after=1.5 * DT)})
    driven.steps(2, GOAL)
    driven.step()

    assert [decision.reaction for decision in driven.steps(3, GOAL)] == ["warn", "warn", "zero"]


def test_a_person_can_decide_in_time_to_go_on_until_the_fault_comes_again():
    driven = Driven(reactions={"goal_lost": ReactionConfig("zero", after=1.5 * DT)})
    driven.step(GOAL)
    assert driven.guard.waiting == (("goal_lost", ""),)

    assert driven.guard.override() == (("goal_lost", ""),)

    assert {decision.reaction for decision in driven.steps(10, GOAL)} == {"warn"}
    assert driven.guard.waiting == ()
    driven.steps(3)  # gone for as long as its delay
    assert [decision.reaction for decision in driven.steps(3, GOAL)] == ["warn", "warn", "zero"]


def test_nobody_overrides_what_is_not_waiting():
    driven = Driven()
    driven.step(JUMP)

    assert driven.guard.override() == ()
    assert driven.step(JUMP).reaction == "zero"


def test_a_fault_that_flickers_is_not_warned_of_for_ever():
    driven = Driven(reactions={"jump": ReactionConfig("zero", after=5 * DT)})

    found = [driven.step(*([JUMP] if step % 5 else [])) for step in range(25)]

    assert found[-1].reaction == "zero"


def test_a_decision_is_about_one_actuator_and_ends_with_the_control():
    driven = Driven(reactions={"actuator_dead": ReactionConfig("zero", after=2.5 * DT)})
    hip, knee = (Fault("actuator_dead", f"{name} does nothing", name) for name in ("hip", "knee"))
    driven.step(hip)
    assert driven.guard.override() == (("actuator_dead", "hip"),)

    assert {decision.reaction for decision in driven.steps(6, hip)} == {"warn"}
    assert driven.steps(6, hip, knee)[-1].reaction == "zero"
    driven.guard.deactivate()
    assert driven.guard.override() == ()
    driven.guard.activate(driven.now)
    assert driven.steps(6, hip)[-1].reaction == "zero"


def test_a_missing_plan_does_not_overrule_what_is_done_about_a_stale_observation():
    driven = Driven(safe_action="zero", reactions=reactions(stale="hold"))

    for _ in range(3):
        driven.now += DT
        decision = driven.guard.decide(driven.now, Observed(STILL, np.full(3, driven.now - 1.0)), None)

    assert decision.reaction == "hold"
    assert decision.faults[0].startswith("'hip_angle' is 1.000 s old")


def test_an_emergency_stop_makes_nothing_milder():
    driven = Driven(safe_action="hold", reactions=reactions(jump="zero"), rate_limits={"hip": 1.0, "knee": 1.0})
    driven.steps(40)
    driven.step(JUMP)
    driven.guard.estop()

    found = driven.steps(40)

    assert {decision.reaction for decision in found} == {"zero"}
    np.testing.assert_array_equal(found[-1].command, [0.0, 0.0])


def test_an_emergency_stop_with_dampers_damps_although_there_is_no_plan():
    driven = Driven(safe_action="damping", reactions=reactions(no_plan="zero"))
    driven.guard.estop()

    driven.now += DT
    decision = driven.guard.decide(driven.now, Observed(MOVING, np.full(3, driven.now)), None)

    assert decision.reaction == "damping"
    np.testing.assert_allclose(decision.command, [-1.0, 0.0])


def test_a_slow_plan_does_not_pull_the_robot_to_its_posture():
    driven = Driven(safe_action="return", reactions=reactions(goal_lost="slow"))
    driven.steps(5)

    np.testing.assert_allclose(driven.steps(10, GOAL)[-1].command, PLAN)


# --- does the robot come to rest? ---------------------------------------------------------------------------------------------

STOPPING = StoppingConfig(at_rest={"hip_velocity": 0.2}, seconds=2.5 * DT, then=("damping", "zero"))


def test_a_stop_that_works_is_said_to_succeed():
    driven = Driven(safe_action="hold", stopping=STOPPING)

    found = [*driven.steps(2, JUMP, values=MOVING), *driven.steps(4, JUMP, values=STILL)]

    assert [decision.outcome for decision in found] == ["under_way"] * 4 + ["succeeded"] * 2
    assert {decision.reaction for decision in found} == {"hold"}


def test_a_stop_that_does_not_work_goes_up_the_ladder_and_then_fails():
    driven = Driven(safe_action="hold", stopping=STOPPING)

    found = driven.steps(12, JUMP, values=MOVING)

    assert [decision.reaction for decision in found] == ["hold"] * 2 + ["damping"] * 3 + ["zero"] * 7
    assert [decision.outcome for decision in found] == ["under_way"] * 8 + ["failed"] * 4
    np.testing.assert_allclose(found[1].command, PLAN)
    np.testing.assert_allclose(found[2].command, [-1.0, 0.0])
    np.testing.assert_allclose(found[-1].command, [0.0, 0.0])


def test_a_speed_that_is_not_known_is_no_rest():
    driven = Driven(safe_action="hold", stopping=STOPPING)

    for _ in range(12):
        driven.now += DT
        decision = driven.guard.decide(driven.now, Observed(STILL, np.full(3, driven.now - 1.0)), PLAN)

    assert (decision.reaction, decision.outcome) == ("zero", "failed")


def test_a_robot_that_moves_again_is_stopped_again():
    driven = Driven(safe_action="hold", stopping=STOPPING)
    assert driven.steps(4, JUMP, values=STILL)[-1].outcome == "succeeded"

    found = driven.steps(4, JUMP, values=MOVING)

    assert [decision.outcome for decision in found] == ["under_way"] * 4
    assert found[-1].reaction == "damping"


def test_a_robot_that_swings_is_not_at_rest_where_it_turns():
    driven = Driven(safe_action="hold", stopping=dataclasses.replace(STOPPING, seconds=1.0, then=("zero",)))
    swing = [np.array([0.1, 3.0 * math.sin(2 * math.pi * 0.7 * step * DT), 0.0]) for step in range(100)]

    found = [driven.step(JUMP, values=values) for values in swing]

    assert "succeeded" not in {decision.outcome for decision in found}
    assert found[-1].reaction == "zero"


def test_an_emergency_stop_is_watched_as_well():
    driven = Driven(safe_action="hold", stopping=STOPPING)
    driven.guard.estop()

    found = driven.steps(12, values=MOVING)

    assert {decision.state for decision in found} == {State.ESTOP}
    assert (found[-1].reaction, found[-1].outcome) == ("zero", "failed")


def test_the_ladder_begins_anew_with_the_next_stop():
    driven = Driven(safe_action="hold", stopping=STOPPING)
    driven.steps(12, JUMP, values=MOVING)
    driven.steps(10)
    assert driven.guard.state is State.RUNNING

    decision = driven.step(JUMP, values=MOVING)

    assert (decision.reaction, decision.outcome) == ("hold", "under_way")


# --- configuration ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reactions": reactions(goal_lst="warn")}, r"safety.reactions': unknown fault 'goal_lst' .did you mean 'goal_lost'"),
        ({"reactions": reactions(stale="slow")}, r"safety.reactions.stale': no plan can be followed.*allowed: hold, return"),
        ({"reactions": {"no_plan": ReactionConfig("zero", 1.0)}}, r"safety.reactions.no_plan'.*without 'after'"),
        ({"posture": {"hip": 1.0}}, r"safety.posture'.*missing channel 'knee'"),
        ({"posture": {"hip": 1.0, "knee": 9.0}}, r"safety.posture.knee': 9 is out of range; allowed: -1 to 3"),
        ({"stopping": StoppingConfig({"hip_angle": 1.0})}, r"safety.stopping.at_rest.hip_angle': 'hip_angle' is no velocity"),
        ({"posture": {}, "safe_action": "return"}, r"key 'posture': missing with the reaction 'return'"),
        ({"acceleration_limits": {"toe": 1.0}}, r"safety.acceleration_limits'.*unknown channel 'toe'"),
    ],
)
def test_what_does_not_fit_the_robot_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        SafetySupervisor(SPEC, dataclasses.replace(CONFIG, **changes))


@pytest.mark.parametrize("then", [("zero", "hold"), ("warn",), ("zero", "zero")])
def test_a_ladder_goes_up(then: tuple[str, ...]):
    with pytest.raises(ConfigError, match=r"key 'then'.*in this order"):
        StoppingConfig(at_rest={"hip_velocity": 0.1}, then=then)


# --- limits of acceleration and jerk ------------------------------------------------------------------------------------------


def test_commands_keep_their_limits_of_acceleration_and_jerk():
    limits = {
        "rate_limits": {"hip": 3.0, "knee": 2.0},
        "acceleration_limits": {"hip": 15.0, "knee": 8.0},
        "jerk_limits": {"hip": 200.0},
        "action_limits": {"hip": Range(-1.5, 1.5)},
    }
    guard = SafetySupervisor(SPEC, dataclasses.replace(CONFIG, posture={}, **limits))
    guard.activate(0.0)
    generator = np.random.default_rng(0)
    now, sent, plan = 0.0, [np.zeros(2)], PLAN
    for step in range(2000):
        now += DT
        if step % 7 == 0:
            plan = generator.uniform([-4, -3], [4, 5])
        values = np.array([0.0, 9.0, 0.0]) if generator.random() < 0.02 else STILL
        faults = [JUMP] if generator.random() < 0.05 else []
        sent.append(guard.decide(now, Observed(values, np.full(3, now)), plan, others=faults).command)

    commands = np.array(sent)
    speed = np.diff(commands, axis=0) / DT
    acceleration = np.diff(speed, axis=0) / DT
    jerk = np.diff(acceleration[:, 0]) / DT
    assert (commands >= [-1.5, -1.0]).all()
    assert (commands <= [1.5, 3.0]).all()
    assert (np.abs(speed) <= np.array([3.0, 2.0]) + 1e-9).all()
    assert (np.abs(acceleration) <= np.array([15.0, 8.0]) * (1 + 1e-6)).all()
    assert np.abs(jerk).max() <= 200.0 * (1 + 1e-6)
    assert np.abs(speed).max(0) == pytest.approx([3.0, 2.0])
    assert math.isclose(np.abs(acceleration[:, 1]).max(), 8.0, rel_tol=1e-6)


@pytest.mark.parametrize(("rate", "acceleration"), [(2.0, 3.0), (10.0, 15.0), (1.0, 0.2), (40.0, 100.0)])
def test_limits_of_acceleration_alone_are_kept_whatever_is_wanted_for_however_long(rate: float, acceleration: float):
    generator, dt = np.random.default_rng(1), 0.04
    one, unlimited = np.ones(1), np.full(1, np.inf)
    limiter = CommandLimiter(-one, one, rate * one, acceleration * one, unlimited)
    sent, wanted = [0.0], one
    for step in range(3000):
        if step % 40 in (0, 1, 2, 13):
            wanted = generator.choice([0.0, 1.0]) * generator.uniform(-1.5, 1.5, 1)
        sent.append(float(limiter.approach(wanted, dt)[0]))

    speed = np.diff(sent) / dt
    assert np.abs(sent).max() <= 1.0
    assert np.abs(speed).max() <= rate * (1 + 1e-9)
    assert np.abs(np.diff(speed)).max() / dt <= acceleration * (1 + 1e-6)


def test_a_smooth_command_arrives_exactly():
    guard = SafetySupervisor(SPEC, dataclasses.replace(CONFIG, acceleration_limits={"hip": 15.0, "knee": 8.0}))
    guard.activate(0.0)
    for step in range(1, 80):
        command = guard.decide(step * DT, Observed(STILL, np.full(3, step * DT)), PLAN).command

    np.testing.assert_array_equal(command, PLAN)
    for step in range(80, 80 + math.ceil(guard.rest_seconds / DT)):
        command = guard.approach(step * DT, guard.rest)
    np.testing.assert_array_equal(command, [0.0, 0.0])
