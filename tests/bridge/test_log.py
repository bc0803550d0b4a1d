"""What the log says about the robot: every change of the state, at most once a second, an emergency stop at once."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from robot_bridge.middleware.messages import LogLevel
from robot_bridge.node.log import EVERY, StateLog
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import Decision


def test_the_log_names_states_and_faults_and_does_not_flood():
    clock, lines = SimpleNamespace(now=0.0), []
    log = StateLog(lambda level, text: lines.append((level, text)), clock=lambda: clock.now)

    def after(seconds: float, state: State, *faults: str, missed: int = 0) -> list[tuple[LogLevel, str]]:
        clock.now += seconds
        lines.clear()
        log(Decision(np.zeros(1), state, faults), missed)
        return list(lines)

    assert after(0.0, State.INACTIVE) == []
    assert after(0.1, State.RAMP) == [(LogLevel.INFO, "ramp")]
    assert after(EVERY, State.HOLD, "'x' is not finite", "no plan") == [(LogLevel.WARN, "hold; 'x' is not finite; no plan")]
    for _ in range(4):
        assert after(0.1, State.RAMP) == after(0.1, State.HOLD, "no plan") == []
    assert after(0.1, State.RAMP) == []
    assert after(EVERY, State.RAMP) == [(LogLevel.INFO, "ramp (after 8 other changes)")]
    assert after(0.1, State.ESTOP) == [(LogLevel.ERROR, "estop")]
    assert after(0.1, State.ESTOP) == []


def test_missed_deadlines_are_summed_up():
    clock, lines = SimpleNamespace(now=0.0), []
    log = StateLog(lambda level, text: lines.append((level, text)), clock=lambda: clock.now)

    for step in range(1, 21):
        clock.now = 0.11 * step
        log(Decision(np.zeros(1), State.INACTIVE), step)

    assert lines == [(LogLevel.WARN, "1 missed deadline"), (LogLevel.WARN, "10 missed deadlines")]
