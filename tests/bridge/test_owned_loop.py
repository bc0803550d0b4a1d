"""The control loop whose robot may have other owners, with a clock and a controller in the hands of the test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from robot_bridge.control.owned_loop import OwnedLoop
from robot_bridge.control.plan_ahead import PlanAhead
from robot_bridge.middleware.messages import String
from robot_bridge.ownership.arbiter import Arbiter
from robot_bridge.ownership.claims import Claim, Role
from robot_bridge.ownership.config import CommandSource, OwnershipConfig
from robot_bridge.ownership.memory import CommandMemory
from robot_bridge.ownership.ownership import Ownership
from robot_bridge.safety.config import SafetyConfig
from robot_bridge.safety.faults import Fault
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import SafetySupervisor
from tests.bridge.loop_parts import DT, SPEC, Clock, Controller, Parts, Robot

TELEOP = {"teleop": CommandSource("/teleop", 100, 0.12)}
CONFIG = SafetyConfig({"push": 20.0}, ramp_seconds=4 * DT, max_missed_deadlines=2, max_age=1.0, recovery_seconds=0.0)
STEP = 20.0 * DT
"""Largest change of a command in a control period."""


class Silent:
    """A network on which nobody else is."""

    def publisher(self, *arguments: object, **options: object):
        return lambda message: None

    def subscribe(self, *arguments: object, **options: object) -> None:
        pass


def parts_of(ownership: Ownership | None = None, memory: CommandMemory | None = None) -> Parts:
    clock, controller = Clock(), Controller()
    robot = Robot(clock)
    planning = PlanAhead(controller, DT)
    loop = OwnedLoop(
        planning,
        SafetySupervisor(SPEC, CONFIG),
        robot,
        robot.send,
        clock=clock,
        arbiter=Arbiter(TELEOP, 50, 1, CONFIG.ramp_seconds),
        ownership=ownership,
        memory=memory,
    )
    return Parts(loop, controller, robot, clock)


@pytest.fixture
def parts() -> Iterator[Parts]:
    made = parts_of()
    yield made
    made.loop.planning.close()


def steps(parts: Parts, number: int, command: float | None = None) -> list[float]:
    """Control periods, in each of which teleop says something; returns what was sent."""
    begin = len(parts.robot.commands)
    for _ in range(number):
        if command is not None:
            parts.loop.arbiter.hear("teleop", np.array([command]), parts.clock.now + DT)
        parts.step()
    return parts.robot.commands[begin:]


def largest_change(commands: list[float]) -> float:
    return max(abs(b - a) for a, b in itertools.pairwise(commands))


def test_another_owner_has_the_robot_and_every_change_keeps_the_rate_limit(parts: Parts):
    parts.loop.activate()
    steps(parts, 8)
    assert parts.loop.decision.state is State.RUNNING

    others = steps(parts, 16, -7.0)
    assert parts.loop.arbiter.owner == "teleop"
    assert others[-1] == -7.0
    back = steps(parts, 12)
    assert parts.loop.arbiter.owner == "planner"

    assert largest_change(parts.robot.commands) <= STEP + 1e-9
    # held for teleop's timeout of more than two periods, and then a ramp that begins where teleop ended
    assert back[:3] == [-7.0, -7.0, -7.0]
    assert back[3] < -5.0


def test_the_belief_learns_from_what_was_really_sent(parts: Parts):
    parts.loop.activate()
    steps(parts, 6)
    steps(parts, 10, -3.0)

    sent = [step.sent for step in parts.controller.asked[-3:]]
    assert sent == [-3.0] * 3
    assert len(parts.controller.asked) == 16
    assert not parts.controller.asked[-1].after_gap


def test_a_planner_that_fails_is_no_fault_of_teleop(parts: Parts):
    parts.loop.activate()
    steps(parts, 6)
    parts.controller.error = RuntimeError("a matrix is singular")

    assert steps(parts, 12, 2.0)[-1] == 2.0
    assert parts.loop.decision.state is State.RUNNING
    steps(parts, 4)
    assert parts.loop.decision.state is State.HOLD


def test_what_is_wrong_with_the_plan_alone_does_not_hold_teleop(parts: Parts):
    kinds = ("plan_collides", "plan_leaves_workspace", "belief_oscillates", "model_error", "missed_deadlines", "no_plan")
    parts.loop.checks = lambda now, observed, command: tuple(Fault(kind, kind) for kind in kinds)
    parts.loop.activate()
    assert steps(parts, 12, 2.0)[-1] == 2.0
    assert parts.loop.decision.faults == ()

    parts.loop.checks = lambda now, observed, command: (Fault("fallen", "the robot has fallen"),)
    steps(parts, 1, 2.0)
    assert parts.loop.decision.state is State.HOLD


def test_an_emergency_stop_stops_teleop_as_well(parts: Parts):
    parts.loop.activate()
    steps(parts, 12, 5.0)
    parts.loop.estop()

    assert steps(parts, 8, 5.0)[-1] == 0.0
    assert parts.loop.decision.state is State.ESTOP


# --- standing by --------------------------------------------------------------------------------------------------------------


def other_node(parts: Parts, commands: list[float]) -> None:
    """Control periods in which another node commands."""
    for command in commands:
        parts.clock.now += DT / 2
        parts.loop.hear_command(np.array([command]), parts.clock.now)
        parts.clock.now += DT / 2
        parts.loop.act(parts.clock.now)
        parts.loop.plan()
        parts.ready()


def test_a_node_that_stands_by_sends_nothing_and_learns_from_the_others_commands(parts: Parts):
    parts.loop.stand_by()
    other_node(parts, [4.0] * 6)

    assert parts.robot.commands == []
    assert parts.controller.asked[-1].sent == 4.0
    assert parts.loop.is_standby


@pytest.mark.parametrize("at_once", [False, True], ids=["by a ramp", "at once"])
def test_a_takeover_goes_on_from_the_last_command_of_the_other_node(parts: Parts, at_once: bool):
    parts.loop.stand_by()
    other_node(parts, [2.0] * 6)

    parts.clock.now += DT
    assert parts.loop.take_over(at_once=at_once)
    steps(parts, 6)
    following = parts.robot.commands

    assert abs(following[0] - 2.0) <= STEP
    assert largest_change(following) <= STEP + 1e-9
    assert not parts.loop.is_standby
    assert parts.loop.takeovers == 1
    # the plan is at 4.1, and grows by one in each period
    assert parts.controller.asked[5].sent == 2.0
    if at_once:
        assert following[0] == pytest.approx(2.0 + STEP)
    else:
        # the ramp is four periods long, and does not go by way of the safe action
        assert 2.0 < following[0] < 2.9
        assert min(following) > 2.0
    # it does not take over twice
    assert not parts.loop.take_over(at_once=at_once)


def test_a_node_in_an_emergency_stop_does_not_take_over(parts: Parts):
    parts.loop.stand_by()
    other_node(parts, [4.0] * 3)
    parts.loop.estop()

    assert not parts.loop.take_over(at_once=True)
    assert parts.robot.commands == []


def test_without_a_command_to_go_on_from_nothing_is_taken_over(parts: Parts):
    parts.loop.stand_by()
    parts.loop.hear_command(np.array([np.nan]), 0.0)
    parts.loop.hear_command(np.array([1.0, 2.0]), 0.0)

    assert parts.loop.heard_command is None
    assert not parts.loop.take_over(at_once=True)


def test_a_takeover_does_not_follow_a_plan_that_collides(parts: Parts):
    parts.loop.stand_by()
    other_node(parts, [2.0] * 6)
    parts.loop.planning.faults = (Fault("plan_collides", "the arm would hit the table"),)

    assert parts.loop.take_over(at_once=True)
    assert parts.loop.decision.state is State.HOLD
    assert parts.robot.commands[0] < 2.0


def test_a_takeover_gives_the_robot_to_a_source_that_speaks(parts: Parts):
    parts.loop.stand_by()
    other_node(parts, [2.0] * 6)
    parts.loop.arbiter.hear("teleop", np.array([1.5]), parts.clock.now)

    assert parts.loop.take_over(at_once=True)
    assert parts.loop.arbiter.owner == "teleop"
    assert parts.robot.commands[0] == 1.5


def test_a_source_that_spoke_before_the_takeover_makes_no_ramp(parts: Parts):
    parts.loop.stand_by()
    other_node(parts, [2.0] * 6)
    parts.loop.arbiter.hear("teleop", np.array([9.0]), parts.clock.now)
    other_node(parts, [2.0])
    parts.clock.now += 3 * DT

    assert parts.loop.take_over(at_once=True)
    assert parts.robot.commands[0] == pytest.approx(2.0 + STEP)


def test_a_command_from_before_it_stood_by_is_none_to_go_on_from(parts: Parts):
    parts.loop.hear_command(np.array([4.0]), 0.0)
    parts.loop.stand_by()

    assert parts.loop.heard_command is None


def test_a_node_that_lost_the_robot_while_it_took_over_sends_nothing():
    ownership = Ownership(OwnershipConfig(mode="refuse"), "/commands", DT, Silent(), Claim("1", "node"))
    parts = parts_of(ownership)
    parts.loop.stand_by()
    other_node(parts, [2.0] * 3)
    ownership.take()
    ownership.hear(String(Claim("0", "other", Role.OWNS, 9).words), 0.0)
    has_taken_over = parts.loop.take_over(at_once=True)
    parts.loop.planning.close()

    assert not has_taken_over
    assert parts.robot.commands == []


def test_commands_in_an_emergency_stop_say_so():
    ownership = Ownership(OwnershipConfig(mode="refuse"), "/commands", DT, Silent(), Claim("1", "node"), Clock())
    parts = parts_of(ownership)
    ownership.take()
    parts.loop.activate()
    steps(parts, 2)
    assert not ownership._claims.own.is_stopped
    parts.loop.estop()
    parts.loop.planning.close()

    assert ownership._claims.own.is_stopped


def test_a_node_that_lost_the_robot_sends_nothing_from_then_on(parts: Parts):
    parts.loop.activate()
    steps(parts, 3)
    parts.loop.let_go()

    assert steps(parts, 3) == []
    assert parts.loop.supervisor.state is State.INACTIVE


def test_a_command_that_may_not_be_sent_is_not_taken_for_one_that_was():
    ownership = Ownership(OwnershipConfig(mode="refuse"), "/commands", DT, Silent(), Claim("1", "node"))
    parts = parts_of(ownership)
    parts.loop.activate()
    ownership.release()
    steps(parts, 5)
    parts.loop.planning.close()

    assert parts.robot.commands == []
    assert parts.loop.supervisor.sent == [0.0]
    assert ownership.held_back == 5


def test_commands_say_who_has_the_robot_and_are_kept(tmp_path: Path):
    clock = Clock()
    ownership = Ownership(OwnershipConfig(mode="refuse"), "/commands", DT, Silent(), Claim("1", "node"), clock)
    memory = CommandMemory(tmp_path / "command.bin", 1)
    parts = parts_of(ownership, memory)
    ownership.take()
    parts.loop.activate()
    steps(parts, 3)

    assert ownership.role is Role.OWNS
    assert memory.last(parts.clock.now, DT) == parts.loop.supervisor.sent
    parts.take_a_period_for_each_command()
    parts.loop.planning.close()
    parts.loop.come_to_rest()
    # at rest there is nothing to go on from
    assert memory.last(parts.clock.now, 10.0) is None
