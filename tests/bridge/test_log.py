"""What the log says about the robot: what happens, at most once a second, and an emergency stop at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from robot_bridge.control.loop import LoopStatistics
from robot_bridge.middleware.messages import LogLevel
from robot_bridge.node.log import EVERY, StateLog
from robot_bridge.safety.states import State


def test_the_log_tells_everything_but_does_not_flood():
    clock, lines = SimpleNamespace(now=0.0), []
    supervisor = SimpleNamespace(state=State.INACTIVE, holds=0, hold_reasons=())
    loop: Any = SimpleNamespace(supervisor=supervisor, statistics=LoopStatistics())
    log = StateLog(lambda level, text: lines.append((level, text)), loop, clock=lambda: clock.now)

    def after(seconds: float, state: State, *reasons: str) -> list[tuple[LogLevel, str]]:
        clock.now += seconds
        supervisor.state = state
        if reasons:
            supervisor.holds, supervisor.hold_reasons = supervisor.holds + 1, reasons
        lines.clear()
        log.look()
        return list(lines)

    assert after(0.0, State.INACTIVE) == []
    assert after(0.1, State.RAMP) == [(LogLevel.INFO, "ramp")]
    assert after(EVERY, State.HOLD, "no plan", "'x' is not finite") == [
        (LogLevel.WARN, "hold, held because no plan; 'x' is not finite")
    ]
    for _ in range(3):
        assert after(0.1, State.RAMP) == after(0.1, State.HOLD, "no plan") == []
    loop.statistics.missed_deadlines += 2
    assert after(0.1, State.RAMP) == []
    assert after(EVERY, State.RAMP) == [(LogLevel.WARN, "ramp, held 3 times, at last because no plan, 2 missed deadlines")]
    assert after(EVERY, State.RAMP) == []
    loop.statistics.stalls += 1
    assert after(0.1, State.RAMP) == [(LogLevel.WARN, "1 stalls")]
    assert after(0.1, State.ESTOP) == [(LogLevel.ERROR, "estop")]
    assert after(EVERY, State.ESTOP) == []
    assert after(EVERY, State.INACTIVE) == [(LogLevel.INFO, "inactive")]


def test_the_log_names_motors_that_are_taken_to_be_reversed():
    lines, motors = [], [()]
    supervisor = SimpleNamespace(state=State.INACTIVE, holds=0, hold_reasons=())
    loop: Any = SimpleNamespace(supervisor=supervisor, statistics=LoopStatistics())
    clock = SimpleNamespace(now=0.0)
    log = StateLog(lambda level, text: lines.append((level, text)), loop, lambda: motors[-1], lambda: clock.now)

    for found in ((), ("bthigh", "ffoot"), ("bthigh", "ffoot"), ()):
        motors.append(found)
        clock.now += EVERY
        log.look()

    said = "motors that are taken to be wired backwards: "
    assert lines == [(LogLevel.WARN, f"{said}bthigh, ffoot"), (LogLevel.WARN, f"{said}none")]
