"""The loop keeps its deadlines whatever the planner does; driven step by step, with a controller that waits to be told."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
import torch

from adaptive_mbrl.controller import Command, StepInfo
from adaptive_mbrl.planning import PlannerConfig
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.control.loop import ControlLoop
from robot_bridge.control.plan_ahead import TOO_MANY_MISSES, PlanAhead
from robot_bridge.safety.config import Damper, SafetyConfig
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import Observed, SafetySupervisor

DT = 0.05
SPEC = RobotSpec("cart", DT, (Channel("x", "m/s", "velocity"),), (ActionChannel("push", "N", -10.0, 10.0),))
CONFIG = SafetyConfig({"push": 1e6}, ramp_seconds=0.0, max_missed_deadlines=2, max_age=1.0, recovery_seconds=0.0)


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Asked(NamedTuple):
    """A control step that the controller was asked for."""

    obs: float
    sent: float | None
    pending: list[float]
    after_gap: bool
    latest: float | None
    remaining: float


class Planner:
    """What the loop reads of a planner."""

    config = PlannerConfig()
    least_samples = 8


class Controller:
    """Plans 10 k + 1, 10 k + 2, 10 k + 3 at its k-th step; waits, or fails, when told to."""

    spec, planner, precision, belief_is_frozen = SPEC, Planner(), "float32", False

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.may_finish = threading.Event()
        self.may_finish.set()
        self.error: Exception | None = None
        self.asked: list[Asked] = []
        self.resets = 0

    def step(self, obs, goal, *, after_gap, pending, num_samples, sent=None, latest=None, remaining=1.0) -> Command:
        self.may_finish.wait(10)
        if self.error is not None:
            raise self.error
        plan = (len(self.asked) + np.arange(0.1, 0.4, 0.1, dtype=np.float32))[:, None]
        acted = None if sent is None else round(float(sent[0]), 3)
        newer = None if latest is None else float(latest[0])
        self.asked.append(Asked(float(obs[0]), acted, pending.ravel().round(3).tolist(), after_gap, newer, remaining))
        info = StepInfo(np.zeros(1), np.array([0.5]), np.zeros(1), np.zeros(1), 0.0, 0.0)
        return Command(plan[0], plan, info)

    def reset(self) -> None:
        self.resets += 1


class Robot:
    """What is seen of the robot, and what it was sent."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.x, self.commands, self.age = clock, 0.0, [], 0.0

    def snapshot(self) -> Observed:
        return Observed(np.array([self.x]), np.array([self.clock.now - self.age]))

    def send(self, command: np.ndarray) -> None:
        self.commands.append(round(float(command[0]), 3))


class Parts(NamedTuple):
    loop: ControlLoop
    controller: Controller
    robot: Robot
    clock: Clock

    def step(self) -> State:
        """One control period, at the end of which the planner is ready unless it has been told to wait."""
        self.clock.now += DT
        state = self.loop.act(self.clock.now).state
        self.loop.plan()
        if self.controller.may_finish.is_set():
            self.ready()
        return state

    def take_a_period_for_each_command(self) -> None:
        """From now on time passes whenever a command is sent."""

        def send(command: np.ndarray) -> None:
            self.robot.send(command)
            self.clock.now += DT

        self.loop.send = send

    def plan_late(self, periods: int) -> None:
        """Control periods in which the planner is at work, and ready only after them."""
        self.controller.may_finish.clear()
        for _ in range(periods):
            self.step()
        self.controller.may_finish.set()
        self.ready()

    def ready(self) -> None:
        """Wait for the planner."""
        planning = self.loop.planning
        for work in (planning._pending, planning._replacing):
            if work is not None:
                work.exception(10)


def make(**options) -> Parts:
    clock, controller = Clock(), options.pop("controller", None) or Controller()
    robot = Robot(clock)
    planning = PlanAhead(controller, DT, lead=options.pop("lead", 1.0), on_cpu=options.pop("on_cpu", None))
    supervisor = SafetySupervisor(SPEC, options.pop("config", CONFIG))
    loop = ControlLoop(planning, supervisor, robot, robot.send, clock=clock, **options)
    loop.activate()
    return Parts(loop, controller, robot, clock)


@pytest.fixture
def parts() -> Iterator[Parts]:
    made = make()
    yield made
    made.controller.may_finish.set()
    made.loop.planning.close()


def test_each_plan_is_made_one_period_ahead(parts: Parts):
    for parts.robot.x in (1.0, 2.0, 3.0, 4.0):
        assert parts.step() is State.RUNNING

    # the first plan is for the present period and lends its second action to the next one
    assert parts.robot.commands == [0.1, 0.2, 1.1, 2.1]
    assert parts.loop.statistics.missed_deadlines == 0


def test_the_controller_is_told_what_acted_and_what_will_act_before_its_plan(parts: Parts):
    for parts.robot.x in (1.0, 2.0, 3.0, 4.0):
        parts.step()

    assert [a.obs for a in parts.controller.asked] == [1.0, 2.0, 3.0, 4.0]
    assert [a.sent for a in parts.controller.asked] == [None, None, 0.2, 1.1]
    assert [a.pending for a in parts.controller.asked] == [[], [0.2], [1.1], [2.1]]
    # the first command came in mid-period: what lies around it is no transition
    assert [a.after_gap for a in parts.controller.asked] == [True, True, False, False]


def test_a_robot_with_latency_has_more_actions_on_their_way():
    parts = make(latency=DT)
    for _ in range(5):
        parts.step()
    parts.loop.planning.close()

    assert parts.robot.commands == [0.1, 0.2, 1.1, 2.1, 3.1]
    assert [a.sent for a in parts.controller.asked] == [None, None, 0.1, 0.2, 1.1]
    assert [a.pending for a in parts.controller.asked] == [[], [0.1, 0.2], [0.2, 1.1], [1.1, 2.1], [2.1, 3.1]]


def test_with_a_short_lead_the_plan_begins_from_a_newer_observation_and_learning_keeps_to_the_ticks():
    parts = make(lead=0.25)
    for k in range(1, 4):
        parts.clock.now = k * DT
        parts.robot.x = float(k)
        parts.loop.act(parts.clock.now)
        parts.clock.now += 0.75 * DT
        parts.robot.x += 0.75
        parts.loop.plan()
        parts.ready()
    parts.loop.planning.close()

    assert parts.robot.commands == [0.1, 0.2, 1.1]
    assert [(a.obs, a.latest, pytest.approx(a.remaining)) for a in parts.controller.asked] == [
        (1.0, None, 1.0),
        (2.0, 2.75, 0.25),
        (3.0, 3.75, 0.25),
    ]
    assert [a.sent for a in parts.controller.asked] == [None, None, 0.2]
    assert [a.pending for a in parts.controller.asked] == [[], [0.2], [1.1]]


def test_what_is_old_is_predicted_further_and_learned_from_with_the_commands_that_acted(parts: Parts):
    """Observations of a robot that measures a fifth of a period before the tick."""
    parts.robot.age = 0.2 * DT
    for parts.robot.x in (1.0, 2.0, 3.0, 4.0):
        parts.step()

    assert parts.robot.commands == [0.1, 0.2, 1.1, 2.1]
    assert [a.pending for a in parts.controller.asked] == [[], [0.1, 0.2], [0.2, 1.1], [1.1, 2.1]]
    assert [pytest.approx(a.remaining) for a in parts.controller.asked] == [1.0, 0.2, 0.2, 0.2]
    # a fifth of the period before and four fifths of the last one
    assert [a.sent for a in parts.controller.asked] == [None, None, pytest.approx(0.18), pytest.approx(0.92)]


def test_a_command_that_leaves_late_acts_late(parts: Parts):
    for _ in range(3):
        parts.step()
    send = parts.loop.send

    def slowly(command: np.ndarray) -> None:
        send(command)
        parts.clock.now += 0.1 * DT

    parts.loop.send = slowly
    parts.clock.now += 0.9 * DT
    parts.step()
    parts.loop.send = send

    assert parts.controller.asked[-1].pending == [pytest.approx(0.1 * 1.1 + 0.9 * 2.1)]


def test_with_a_short_lead_an_unusable_newer_observation_is_not_planned_from():
    parts = make(lead=0.25)
    parts.step()
    parts.clock.now += DT
    parts.loop.act(parts.clock.now)
    parts.robot.x = np.nan
    parts.loop.plan()

    assert len(parts.controller.asked) == 1
    assert parts.loop.planning.command is None


def test_a_missed_deadline_goes_on_with_the_previous_plan_and_then_stops(parts: Parts):
    for _ in range(3):
        parts.step()
    parts.controller.may_finish.clear()
    parts.step()

    states = [parts.step() for _ in range(3)]

    assert parts.robot.commands[3:] == [2.1, 2.2, 2.3, 0.0]
    assert states == [State.RUNNING, State.RUNNING, State.HOLD]
    assert parts.loop.statistics.missed_deadlines == 3


def test_a_late_plan_is_used_from_its_second_action_on(parts: Parts):
    for _ in range(3):
        parts.step()
    parts.plan_late(2)

    parts.step()

    assert parts.robot.commands[-2:] == [2.2, 3.2]
    assert parts.loop.statistics.missed_deadlines == 2


def test_a_period_without_a_control_step_is_a_gap(parts: Parts):
    for _ in range(3):
        parts.step()
    parts.plan_late(2)
    for _ in range(3):
        parts.step()

    assert [a.after_gap for a in parts.controller.asked] == [True, True, False, False, True, False, False]


def test_observations_that_are_not_one_period_apart_are_a_gap(parts: Parts):
    for _ in range(3):
        parts.step()
    parts.clock.now += 0.4 * DT
    parts.step()
    parts.clock.now += 0.2 * DT
    parts.step()

    assert [a.after_gap for a in parts.controller.asked] == [True, True, False, True, False]
    assert parts.loop.statistics.gaps == 2


def test_after_an_unusable_observation_everything_begins_anew(parts: Parts):
    for _ in range(3):
        parts.step()
    parts.robot.x = np.nan
    assert parts.step() is State.HOLD
    parts.robot.x = 0.0
    states = [parts.step() for _ in range(3)]

    assert states[-1] is State.RUNNING
    assert [a.after_gap for a in parts.controller.asked] == [True, True, False, True, True, False]
    assert parts.robot.commands[3:] == [0.0, 3.1, 3.2, 4.1]


def test_a_planner_that_fails_gets_the_safe_action_and_a_new_start(parts: Parts):
    for _ in range(3):
        parts.step()
    parts.controller.error = RuntimeError("no such tensor")
    parts.step()

    assert parts.step() is State.HOLD
    assert parts.robot.commands[-1] == 0.0
    assert parts.loop.planning.statistics.last_failure == "RuntimeError: no such tensor"

    parts.controller.error = None
    assert [parts.step() for _ in range(3)][-1] is State.RUNNING
    assert parts.controller.resets == parts.loop.planning.statistics.failures == 2


def test_one_failure_alone_is_answered_with_the_safe_action(parts: Parts):
    for _ in range(3):
        parts.step()
    parts.controller.error = RuntimeError("no such tensor")
    parts.step()
    parts.controller.error = None

    assert parts.step() is State.HOLD
    assert parts.robot.commands[-1] == 0.0


def test_a_plan_that_nobody_asked_for_is_missing(parts: Parts):
    """Whatever keeps the loop from planning, an old plan is not followed for ever."""
    for _ in range(3):
        parts.step()
    states = []
    for _ in range(5):
        parts.clock.now += DT
        states.append(parts.loop.act(parts.clock.now).state)

    assert states[-1] is State.HOLD
    assert parts.robot.commands[-1] == 0.0


def test_while_coming_to_rest_no_plan_is_followed(parts: Parts):
    for _ in range(3):
        parts.step()
    sent, between = parts.robot.send, []

    def send(command: np.ndarray) -> None:
        sent(command)
        if threading.current_thread() is threading.main_thread() and not between:
            between.append(None)
            thread = threading.Thread(target=parts.step)  # the loop goes on meanwhile
            thread.start()
            between.append(thread)

    parts.loop.send = send
    parts.clock.now += DT
    parts.loop.deactivate()
    between[1].join(10)

    assert parts.robot.commands[-1] == 0.0
    assert set(parts.robot.commands[3:]) == {0.0}


def test_time_to_come_to_rest_is_what_the_rate_limits_need(parts: Parts):
    slow = SafetySupervisor(SPEC, SafetyConfig({"push": 2.0}))

    assert slow.rest_seconds == 10.0


def test_when_a_gpu_fails_the_safe_action_is_sent_until_a_controller_on_the_cpu_has_taken_over():
    broken, healthy = Controller("cuda"), Controller()
    parts = make(controller=broken, on_cpu=lambda: (healthy, 0.2, 0.5), lead=0.1)
    parts.step()
    parts.step()
    broken.error = RuntimeError("CUDA error: device lost")
    parts.step()

    assert parts.step() is State.HOLD
    assert parts.robot.commands[-1] == 0.0
    assert [parts.step() for _ in range(3)][-1] is State.RUNNING
    parts.loop.planning.close()
    assert parts.loop.planning.controller is healthy
    assert parts.loop.planning.lead == 1.0  # a CPU needs more time
    assert parts.loop.planning.plan_seconds == 0.2
    assert parts.loop.planning.budget.overhead == 0.5
    assert len(healthy.asked) == 3


def test_a_machine_that_is_slower_than_it_seemed_gets_a_whole_period_for_its_plans():
    parts = make(lead=0.25)
    for _ in range(3):
        parts.step()
    leads = []
    for _ in range(TOO_MANY_MISSES):
        leads.append((parts.loop.planning.lead, parts.loop.statistics.missed_deadlines))
        parts.plan_late(2)
        parts.step()
    parts.loop.planning.close()

    assert [lead for lead, _ in leads] == [0.25 if missed < TOO_MANY_MISSES else 1.0 for _, missed in leads]
    assert parts.loop.planning.lead == 1.0
    assert parts.loop.planning.budget.seconds == pytest.approx(0.9 * DT)


def test_a_controller_that_cannot_be_replaced_says_why():
    def none() -> None:
        raise OSError("no checkpoint")

    parts = make(controller=Controller("cuda"), on_cpu=none)
    parts.step()
    parts.controller.error = RuntimeError("CUDA error")
    parts.step()
    parts.step()
    parts.loop.planning.close()

    assert parts.loop.planning.statistics.last_failure.startswith("RuntimeError: CUDA error; no controller on the CPU: OSError")


def test_the_alarm_looks_at_the_model_that_is_planned_with(parts: Parts):
    parts.step()
    assert parts.loop.planning.model_error == 0.5

    parts.loop.planning.command.info.fell_back[0] = 1
    parts.loop.planning.command.info.prior_error[0] = 0.25

    assert parts.loop.planning.model_error == 0.25


def test_nothing_is_planned_for_an_observation_that_is_not_there(parts: Parts):
    parts.robot.x = np.nan

    assert parts.step() is State.HOLD
    assert parts.controller.asked == []
    assert "'x' is not finite" in parts.loop.faults


def test_nothing_is_planned_or_sent_before_activate_and_after_deactivate(parts: Parts):
    parts.step()
    parts.loop.deactivate()
    sent = list(parts.robot.commands)
    asked = len(parts.controller.asked)

    assert parts.step() is State.INACTIVE
    assert (parts.robot.commands, len(parts.controller.asked)) == (sent, asked)

    parts.loop.activate()
    assert parts.step() is State.RUNNING
    assert parts.controller.asked[-1].after_gap


def test_a_dry_run_plans_but_neither_sends_nor_learns_from_what_it_did_not_send():
    parts = make()
    parts.loop.deactivate()
    parts.robot.commands.clear()
    parts.loop.activate(dry_run=True)
    for _ in range(4):
        assert parts.step() is State.DRY_RUN
    parts.loop.planning.close()

    assert parts.robot.commands == []
    assert [a.after_gap for a in parts.controller.asked] == [True] * 4


def test_an_emergency_stop_is_answered_at_once_and_latched(parts: Parts):
    parts.step()
    parts.clock.now += 0.1 * DT
    parts.loop.estop()

    assert parts.robot.commands == [0.1, 0.0]
    assert parts.step() is State.ESTOP
    parts.loop.activate()
    assert parts.step() is State.ESTOP
    parts.loop.clear_estop()
    assert parts.step() is State.INACTIVE
    parts.loop.activate()
    assert parts.step() is State.RUNNING


def test_the_watchdog_sends_the_safe_action_for_a_loop_that_stands_still(parts: Parts):
    parts.step()
    parts.loop.due = parts.clock.now + DT
    parts.clock.now += 1.4 * DT
    assert not parts.loop.answer_stall()

    parts.clock.now += 0.2 * DT
    assert parts.loop.answer_stall()
    assert not parts.loop.answer_stall()  # once in a period
    parts.clock.now += DT
    assert parts.loop.answer_stall()

    assert parts.robot.commands == [0.1, 0.0, 0.0]
    assert parts.loop.supervisor.state is State.HOLD
    assert parts.loop.statistics.stalls == 2
    assert "the control loop stands still" in parts.loop.faults


def test_a_loop_that_is_late_while_nothing_is_sent_is_no_fault(parts: Parts):
    parts.step()
    parts.loop.deactivate()
    sent = len(parts.robot.commands)
    parts.loop.due = parts.clock.now + DT
    parts.clock.now += 9 * DT

    assert not parts.loop.answer_stall()
    assert parts.loop._current_tick(parts.clock.now - 5.5 * DT) == pytest.approx(parts.clock.now - 0.5 * DT)
    assert (len(parts.robot.commands), parts.loop.statistics.stalls, parts.loop.statistics.overruns) == (sent, 0, 0)

    parts.loop.activate()
    parts.loop._current_tick(parts.clock.now - 5.5 * DT)
    assert parts.loop.statistics.overruns == 5


def test_the_goal_is_that_of_the_moment_at_which_the_plan_acts():
    asked: list[float] = []
    parts = make(latency=0.5 * DT, goal=lambda begin: asked.append(begin / DT))
    for _ in range(3):
        parts.step()
    parts.loop.planning.close()

    # the first plan is for the present period
    assert asked == [pytest.approx(periods) for periods in (1.5, 3.5, 4.5)]


def test_an_error_in_the_loop_does_not_end_it(parts: Parts):
    stop, sent = threading.Event(), parts.robot.send

    def send(command: np.ndarray) -> None:
        parts.clock.now += DT
        if len(parts.robot.commands) == 2:
            parts.robot.commands.append("failed")
            raise OSError("the network is down")
        sent(command)
        if len(parts.robot.commands) == 5:
            stop.set()

    parts.loop.send = send
    parts.loop.run(stop)

    assert parts.loop.statistics.failures == 1
    assert parts.loop.statistics.last_failure == "OSError: the network is down"
    assert len(parts.robot.commands) >= 5


def test_at_the_end_the_actuators_come_to_rest(parts: Parts):
    stop, sent = threading.Event(), parts.robot.send

    def send(command: np.ndarray) -> None:
        sent(command)
        parts.clock.now += DT
        if len(parts.robot.commands) == 5:
            stop.set()

    parts.loop.send = send
    parts.loop.run(stop)

    assert set(parts.robot.commands[5:]) == {0.0}
    assert parts.loop.supervisor.state is State.INACTIVE


@pytest.mark.parametrize("velocity", [5.0, 0.0], ids=["clipped", "still"])
def test_a_damped_robot_is_not_left_with_the_last_damping(velocity: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("robot_bridge.control.loop.DAMPING_SECONDS", 2 * DT)
    config = dataclasses.replace(CONFIG, rate_limits={"push": 100.0}, safe_action="damping", dampers={"push": Damper("x", 3.0)})
    parts = make(config=config)
    parts.take_a_period_for_each_command()
    parts.step()
    parts.robot.x = velocity
    parts.robot.commands.clear()
    parts.loop.deactivate()
    parts.loop.planning.close()

    damping = [-4.9, -9.9, -4.9] if velocity else [0.0, 0.0]
    assert parts.robot.commands == [*damping, 0.0]


def test_an_emergency_stop_is_cleared_at_rest():
    parts = make(config=dataclasses.replace(CONFIG, rate_limits={"push": 1.0}))
    for _ in range(3):
        parts.step()
    parts.take_a_period_for_each_command()
    parts.loop.estop()
    assert parts.robot.commands[-1] != 0.0
    parts.loop.clear_estop()
    parts.loop.planning.close()

    assert parts.robot.commands[-1] == 0.0
    assert parts.loop.supervisor.state is State.INACTIVE


def test_a_command_that_could_not_be_sent_does_not_count_as_sent():
    parts = make(config=dataclasses.replace(CONFIG, rate_limits={"push": 1.0}))
    parts.step()
    sent = parts.robot.commands[-1]

    def fail(command: np.ndarray) -> None:
        raise OSError("the network is down")

    parts.loop.send = fail
    for _ in range(3):
        with pytest.raises(OSError, match="down"):
            parts.step()
    parts.loop.send = parts.robot.send
    parts.step()
    parts.loop.planning.close()

    assert abs(parts.robot.commands[-1] - sent) <= 1.0 * DT + 1e-9


def running(parts: Parts, jump: float) -> list[float]:
    """Commands of a loop whose clock jumps by so much [s] after the third one."""
    stop, sent = threading.Event(), parts.robot.send

    def send(command: np.ndarray) -> None:
        sent(command)
        parts.ready()
        parts.clock.now += DT if len(parts.robot.commands) != 3 else jump
        if len(parts.robot.commands) == 8:
            stop.set()

    parts.loop.send = send
    parts.loop.run(stop)
    return parts.robot.commands


def test_after_a_late_waking_no_plan_for_a_time_long_gone_is_followed(parts: Parts):
    running(parts, 5.5 * DT)

    assert parts.robot.commands[3] == 0.0
    assert parts.loop.statistics.overruns == 4
    assert parts.loop.statistics.missed_deadlines >= 1


def test_a_clock_that_is_set_back_does_not_stop_the_loop(parts: Parts):
    assert len(running(parts, -5.0)) >= 8


def test_a_plan_that_is_a_little_late_is_waited_for(parts: Parts):
    for _ in range(3):
        parts.step()
    parts.controller.may_finish.clear()
    parts.step()
    parts.clock.now += DT
    threading.Timer(0.001, parts.controller.may_finish.set).start()
    parts.loop.act(parts.clock.now + 10.0)  # a tick in the future: there is plenty of time

    assert parts.robot.commands[-1] == 3.1
    assert parts.loop.statistics.missed_deadlines == 0
