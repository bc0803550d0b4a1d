"""The loop keeps its deadlines whatever the planner does; driven step by step, with a planner that waits to be told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from adaptive_mbrl.controller import Command
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.control_loop import ControlLoop
from robot_bridge.safety_config import SafetyConfig
from robot_bridge.states import State
from robot_bridge.supervisor import Observed, SafetySupervisor

DT = 0.05
SPEC = RobotSpec("cart", DT, (Channel("x", "m"),), (ActionChannel("push", "N", -10.0, 10.0),))
CONFIG = SafetyConfig({"push": 1e6}, ramp_seconds=0.0, max_missed_deadlines=2, max_age=1.0, recovery_seconds=0.0)


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Planner:
    """Plans 1, 2, 3, ... from the first action on; waits, or fails, when told to."""

    spec = SPEC

    def __init__(self) -> None:
        self.may_finish = threading.Event()
        self.may_finish.set()
        self.error: Exception | None = None
        self.seen: list[tuple[float, float | None]] = []
        self.gaps: list[bool] = []
        self.resets = 0

    def step(self, obs: np.ndarray, goal: np.ndarray | None, *, sent: np.ndarray | None, after_gap: bool) -> Command:
        self.may_finish.wait(10)
        if self.error is not None:
            raise self.error
        self.seen.append((float(obs[0]), None if sent is None else float(sent[0])))
        self.gaps.append(after_gap)
        plan = np.arange(1.0, 4.0, dtype=np.float32)[:, None]
        return Command(plan[0], plan, SimpleNamespace(adapted_error=np.array([0.5])))

    def reset(self) -> None:
        self.resets += 1


class Robot:
    """What is seen of the robot, and what it was sent."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.x, self.commands = clock, 0.0, []

    def snapshot(self) -> Observed:
        return Observed(np.array([self.x]), np.array([self.clock.now]))

    def send(self, command: np.ndarray) -> None:
        self.commands.append(float(command[0]))


@pytest.fixture
def parts() -> Iterator[tuple[ControlLoop, Planner, Robot, Clock]]:
    clock, planner = Clock(), Planner()
    robot = Robot(clock)
    loop = ControlLoop(planner, SafetySupervisor(SPEC, CONFIG), robot, robot.send, deadline=0.8, clock=clock)
    loop.supervisor.activate(0.0)
    yield loop, planner, robot, clock
    planner.may_finish.set()
    loop.close()


def step(loop: ControlLoop, clock: Clock) -> State:
    clock.now += DT
    return loop.step(clock.now).state


def test_plans_in_time_are_sent_and_reported_back(parts):
    loop, planner, robot, clock = parts

    for robot.x in (0.1, 0.2, 0.3):
        assert step(loop, clock) is State.RUNNING

    assert robot.commands == [1.0, 1.0, 1.0]
    assert planner.seen == [(0.1, None), (0.2, 1.0), (0.3, 1.0)]
    assert loop.statistics.missed_deadlines == 0


def test_a_missed_deadline_goes_on_with_the_previous_plan_and_then_stops(parts):
    loop, planner, robot, clock = parts
    step(loop, clock)
    planner.may_finish.clear()

    states = [step(loop, clock) for _ in range(3)]

    assert robot.commands == [1.0, 2.0, 3.0, 0.0]
    assert states == [State.RUNNING, State.RUNNING, State.HOLD]
    assert loop.statistics.missed_deadlines == 3


def test_the_controller_is_told_of_gaps(parts):
    loop, planner, robot, clock = parts
    step(loop, clock)
    robot.x = np.nan
    step(loop, clock)
    robot.x = 0.0
    step(loop, clock)
    step(loop, clock)
    planner.may_finish.clear()
    step(loop, clock)
    planner.may_finish.set()
    loop._pending.result(10)
    step(loop, clock)  # takes the late plan
    step(loop, clock)

    assert planner.gaps == [False, True, False, False, True]


def test_a_late_plan_is_used_from_its_second_action_on(parts):
    loop, planner, robot, clock = parts
    planner.may_finish.clear()
    step(loop, clock)
    planner.may_finish.set()
    loop._pending.result(10)

    step(loop, clock)

    assert robot.commands[-1] == 2.0
    assert loop.statistics.missed_deadlines == 2


def test_a_planner_that_fails_gets_the_safe_action_and_a_new_start(parts):
    loop, planner, robot, clock = parts
    step(loop, clock)
    planner.error = RuntimeError("CUDA error: device lost")

    assert step(loop, clock) is State.HOLD
    assert robot.commands[-1] == 0.0
    assert loop.statistics.last_failure == "RuntimeError: CUDA error: device lost"
    assert planner.resets == 1

    planner.error = None
    assert [step(loop, clock) for _ in range(2)][-1] is State.RUNNING


def test_nothing_is_planned_for_an_observation_that_is_not_there(parts):
    loop, planner, robot, clock = parts
    robot.x = np.nan

    assert step(loop, clock) is State.HOLD
    assert planner.seen == []
    assert "'x' is not finite" in loop.report()


def test_at_the_end_the_actuators_come_to_rest(parts):
    loop, _, robot, clock = parts
    step(loop, clock)
    sent = robot.send

    def send(command: np.ndarray) -> None:
        sent(command)
        clock.now += DT

    loop.send = send
    clock.now += DT
    loop.come_to_rest()

    assert robot.commands == [1.0, 0.0]
    assert loop.supervisor.state is State.INACTIVE


def test_running_ends_with_stop_and_at_rest(parts):
    loop, _, robot, clock = parts
    stop = threading.Event()
    sent = robot.send

    def send(command: np.ndarray) -> None:
        sent(command)
        clock.now += DT
        if len(robot.commands) == 5:
            stop.set()

    loop.send = send
    loop.run(stop)

    assert robot.commands[:5] == [0.0, *[1.0] * 4]  # no time has passed at the first, so nothing may change
    assert robot.commands[5] == 0.0
    assert loop.supervisor.state is State.INACTIVE
