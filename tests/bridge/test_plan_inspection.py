"""What is found in a plan is known before its first command is sent, and belongs to that plan alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from adaptive_mbrl.controller import Command
from robot_bridge.control.loop import ControlLoop
from robot_bridge.control.plan_ahead import PlanAhead
from robot_bridge.safety.faults import Fault, FaultKind
from robot_bridge.safety.plan_limits import PlanLimits, Violations
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import SafetySupervisor
from tests.bridge.loop_parts import CONFIG, DT, SPEC, Clock, Controller, Parts, Robot
from tests.bridge.test_plan_limits import command as plan_of

LEAVES = (Fault("plan_leaves_workspace", "the plan leaves"),)


class Inspector:
    """Finds a fault in the plans that a test says, by the tens of their actions."""

    def __init__(self) -> None:
        self.bad: set[int] = set()
        self.error: Exception | None = None

    def __call__(self, command: Command) -> tuple[Fault, ...]:
        if self.error is not None:
            raise self.error
        return LEAVES if int(command.action[0]) in self.bad else ()


@pytest.fixture
def inspected() -> Iterator[tuple[Parts, Inspector]]:
    clock, controller, inspector = Clock(), Controller(), Inspector()
    robot = Robot(clock)
    planning = PlanAhead(controller, DT, inspect=inspector)
    loop = ControlLoop(
        planning,
        SafetySupervisor(SPEC, CONFIG),
        robot,
        robot.send,
        clock=clock,
        checks=lambda now, observed, command: planning.faults,
    )
    loop.activate()
    yield Parts(loop, controller, robot, clock), inspector
    controller.may_finish.set()
    planning.close()


def test_a_plan_at_fault_is_not_sent_and_the_next_good_one_is(inspected: tuple[Parts, Inspector]):
    parts, inspector = inspected
    inspector.bad = {3, 4}

    states = [parts.step() for _ in range(8)]

    assert State.HOLD in states
    sent = [command for command in parts.robot.commands if command]
    assert sent
    # plans number 3 and 4 begin with 3.1 and 4.1
    assert not {int(command) for command in sent} & {3, 4}
    assert states[-1] is State.RUNNING


def test_a_plan_that_is_followed_for_longer_keeps_what_was_found_in_it(inspected: tuple[Parts, Inspector]):
    parts, inspector = inspected
    parts.step()
    parts.step()
    inspector.bad = {2, 3}
    parts.step()
    parts.step()
    assert parts.loop.planning.faults == LEAVES

    # the fourth plan is not ready, so the one before goes on
    parts.controller.may_finish.clear()
    for _ in range(3):
        parts.step()
        assert parts.loop.planning.faults == LEAVES
    parts.loop.planning.forget()
    assert parts.loop.planning.faults == ()


def test_a_look_that_fails_leaves_no_plan_and_the_loop_goes_on(inspected: tuple[Parts, Inspector]):
    parts, inspector = inspected
    parts.step()
    inspector.error = RuntimeError("no such geom")

    states = [parts.step() for _ in range(3)]

    assert states[-1] is State.HOLD
    assert "no such geom" in parts.loop.planning.statistics.last_failure
    inspector.error = None
    assert [parts.step() for _ in range(4)][-1] is State.RUNNING


class Looks:
    """Finds what a test says, or raises it."""

    def __init__(self, kind: FaultKind, found: object) -> None:
        self.kind, self._found = kind, found

    def __call__(self, predicted: np.ndarray) -> Sequence[Violations]:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found  # type: ignore[return-value]


def of_particles(kind: FaultKind, *by: bool) -> Looks:
    return Looks(kind, [Violations(np.array(by), kind, "", "")])


BROKEN = ZeroDivisionError("a geom of size zero")


@pytest.mark.parametrize("found", [BROKEN, None])
def test_limits_never_raise_whatever_a_look_does(found: object):
    (fault,) = PlanLimits([Looks("plan_collides", found)], 0.0)(plan_of(np.zeros((1, 2, 3))))
    assert fault.words.startswith("the plan could not be checked: ")
    (fault,) = PlanLimits([Looks("plan_collides", [])], 0.0)(Command(None, None, None))  # type: ignore[arg-type]
    assert fault.words.startswith("the plan could not be checked: ")


def test_a_look_that_fails_has_its_own_kind_and_hides_no_other():
    looks = [
        Looks("plan_collides", BROKEN),
        of_particles("plan_leaves_workspace", True, True),
        of_particles("plan_collides", True, False),
    ]
    faults = PlanLimits(looks, 0.0)(plan_of(np.zeros((2, 2, 3))))

    assert [fault.kind for fault in faults] == ["plan_collides", "plan_collides", "plan_leaves_workspace"]
    assert "a geom of size zero" in faults[0].words


def test_the_share_is_of_the_particles_that_violate_in_any_respect():
    apart = [of_particles("plan_leaves_workspace", True, False), of_particles("plan_leaves_workspace", False, True)]
    same = [of_particles("plan_leaves_workspace", True, False), of_particles("plan_leaves_workspace", True, False)]
    of_two_kinds = [of_particles("plan_leaves_workspace", True, False), of_particles("plan_collides", False, True)]

    found = [len(PlanLimits(looks, 0.5)(plan_of(np.zeros((2, 2, 3))))) for looks in (apart, same, of_two_kinds)]
    assert found == [2, 0, 0]
