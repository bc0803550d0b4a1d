"""Plans that are late, missing or failed, and a controller whose GPU fails; seen through the loop that follows the plans."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from robot_bridge.control.loop import LATE_PLAN_GRACE
from robot_bridge.control.plan_ahead import TOO_MANY_MISSES
from robot_bridge.control.sample_budget import SampleBudget
from robot_bridge.control.warm_up import WarmedUp
from robot_bridge.safety.states import State
from tests.bridge.loop_parts import DT, Controller, Parts, make


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
    # and it knows nothing of what was observed at the tick before
    assert not parts.loop.planning.is_timely
    for _ in range(3):
        parts.step()
    assert parts.loop.planning.is_timely


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


def test_a_planner_that_hangs_is_waited_for_at_the_tick_of_its_plan_alone(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    """The safe action that follows too many misses must not be late as well."""
    for _ in range(3):
        parts.step()
    parts.controller.may_finish.clear()
    parts.step()
    waits: list[float] = []
    monkeypatch.setattr(parts.loop.planning, "wait", lambda seconds: bool(waits.append(seconds)))

    states = [parts.step() for _ in range(3)]

    assert states[-1] is State.HOLD
    assert waits == [pytest.approx(LATE_PLAN_GRACE * DT)]


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


def test_when_a_gpu_fails_the_safe_action_is_sent_until_a_controller_on_the_cpu_has_taken_over():
    broken, healthy, may_load = Controller("cuda"), Controller(), threading.Event()

    def load() -> tuple[Controller, float, float]:
        may_load.wait(10)
        return healthy, 0.2, 0.5

    parts = make(controller=broken, on_cpu=load, lead=0.1)
    parts.step()
    parts.step()
    broken.error = RuntimeError("CUDA error: device lost")
    parts.step()

    assert parts.period() is State.HOLD
    may_load.set()
    parts.ready()
    assert parts.robot.commands[-1] == 0.0
    assert [parts.step() for _ in range(3)][-1] is State.RUNNING
    parts.loop.planning.close()
    assert parts.loop.planning.controller is healthy
    assert parts.loop.planning.lead == 1.0  # a CPU needs more time
    assert parts.loop.planning.plan_seconds == 0.2
    assert parts.loop.planning.budget.overhead == 0.5
    assert len(healthy.asked) == 3


def test_another_controller_is_taken_up_in_a_period_without_a_plan_or_never():
    parts, other = make(), Controller()
    planning = parts.loop.planning
    parts.step()

    assert not planning.take_up(WarmedUp(other, 0.3, 0.1), 0.5, None, seconds=0.0)
    parts.step()
    assert planning.controller is parts.controller

    planning.forget()
    planning.close()
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(planning.take_up, WarmedUp(other, 0.3, 0.1), 0.5, None, 10.0)
        while not taken.done():
            planning.next_period()
        assert taken.result()
    assert planning.controller is other
    assert (planning.lead, planning.plan_seconds, planning.overhead) == (0.5, 0.3, 0.1)


def test_a_controller_that_is_being_taken_up_when_the_wait_ends_is_in_use(monkeypatch: pytest.MonkeyPatch):
    parts, other, answers = make(), Controller(), list[Future[bool]]()
    planning = parts.loop.planning
    make_budget = planning._new_budget

    def wait_for_the_answer() -> SampleBudget:
        """It must not come before the controller is taken up, so this wait ends with its time."""
        wait(answers, 0.2)
        return make_budget()

    monkeypatch.setattr(planning, "_new_budget", wait_for_the_answer)
    with ThreadPoolExecutor(1) as pool:
        answers.append(pool.submit(planning.take_up, WarmedUp(other, 0.3, 0.1), 0.5, None, 0.02))
        while planning._successor is None and not answers[0].done():
            pass
        planning.next_period()
    planning.close()

    assert answers[0].result() == (planning.controller is other)


def test_a_controller_on_the_cpu_is_prepared_when_the_safe_action_has_been_sent(monkeypatch: pytest.MonkeyPatch):
    parts = make(controller=Controller("cuda"), on_cpu=lambda: (Controller(), 0.2, 0.5))
    planning, sent = parts.loop.planning, []
    submit = planning._thread.submit

    def submitted(work: Callable[..., Any], *args: Any) -> Any:
        if work == planning._replace:
            sent.append((parts.robot.commands[-1], parts.loop.statistics.steps, len(parts.robot.commands)))
        return submit(work, *args)

    monkeypatch.setattr(planning._thread, "submit", submitted)
    parts.step()
    parts.step()
    parts.controller.error = RuntimeError("CUDA error")
    for _ in range(3):
        parts.step()
    planning.close()

    ((command, steps, commands),) = sent
    assert (command, commands) == (0.0, steps)


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


def test_the_alarm_looks_at_the_model_that_is_planned_with(parts: Parts):
    parts.step()
    assert parts.loop.planning.model_error == 0.5

    parts.loop.planning.command.info.fell_back[0] = 1
    parts.loop.planning.command.info.prior_error[0] = 0.25

    assert parts.loop.planning.model_error == 0.25
