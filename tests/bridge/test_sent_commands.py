"""What acted and what will act, from when commands were sent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_bridge.control.sent_commands import NEGLIGIBLE, SentCommands

DT = 0.05


def sent(*commands: tuple[float, float | None], latency: float = 0.0) -> SentCommands:
    """Times in control periods, values of the only actuator."""
    made = SentCommands(DT, latency * DT, memory=1.0)
    for at, value in commands:
        made.add(at * DT, None if value is None else np.array([value]))
    return made


def mean(commands: SentCommands, begin: float, end: float) -> float | None:
    found = commands.mean(begin * DT, end * DT)
    return None if found is None else pytest.approx(found.item())


def pending(commands: SentCommands, measured: float, effect: float) -> tuple[list[float], float]:
    actions, remaining = commands.pending(measured * DT, effect * DT)
    return pytest.approx([a.item() for a in actions]), pytest.approx(remaining)


def test_a_command_acts_until_the_next_one():
    commands = sent((1, 10.0), (2, 20.0), (3, 30.0))

    assert mean(commands, 1, 2) == 10.0
    assert mean(commands, 1.5, 2.5) == 15.0
    assert mean(commands, 1.9, 3.4) == (0.1 * 10 + 20 + 0.4 * 30) / 1.5
    assert mean(commands, 5, 6) == 30.0


def test_latency_shifts_everything():
    assert mean(sent((1, 10.0), (2, 20.0), latency=1.5), 3, 4) == 15.0


def test_what_is_not_known_is_not_made_up():
    commands = sent((1, 10.0), (2, None), (3, 30.0))

    assert mean(commands, 0.5, 1.5) is None
    assert mean(commands, 1.5, 2.5) is None
    assert mean(commands, 2.5, 3.5) is None
    assert mean(sent(), 0, 1) is None
    # but a jitter of the loop is no unknown command
    assert mean(commands, 1 - 0.5 * NEGLIGIBLE, 2) == 10.0


def test_a_clock_that_is_set_back_begins_anew():
    commands = sent((5, 10.0), (6, 20.0), (1, 30.0))

    assert mean(commands, 1, 2) == 30.0
    assert mean(commands, 5, 6) == 30.0


def test_a_plan_is_made_for_after_what_is_on_its_way():
    commands = sent((1, 10.0), (2, 20.0), (3, 30.0))

    assert pending(commands, 3, 4) == ([30.0], 1.0)
    assert pending(commands, 3.75, 4) == ([30.0], 0.25)
    assert pending(commands, 2.8, 4) == ([20.0, 30.0], 0.2)
    assert pending(commands, 1.5, 4) == ([10.0, 20.0, 30.0], 0.5)
    assert pending(commands, 4, 4) == ([], 1.0)
    assert pending(commands, 4 - 0.5 * NEGLIGIBLE, 4) == ([], 1.0)


def test_before_the_first_command_nothing_is_on_its_way():
    commands = sent((2, None), (3, 30.0))

    assert pending(commands, 1.5, 4) == ([30.0], 1.0)
    assert pending(sent(), 1.5, 4) == ([], 1.0)


@given(st.lists(st.tuples(st.floats(0, 0.2), st.floats(-1, 1) | st.none()), max_size=50), st.floats(0, 3), st.floats(0, 1))
def test_a_mean_lies_within_what_was_sent(steps: list[tuple[float, float | None]], begin: float, duration: float):
    commands = SentCommands(DT, 0.1, memory=0.5)
    now = 0.0
    for pause, value in steps:
        now += pause
        commands.add(now, None if value is None else np.array([value]))

    found = commands.mean(begin, begin + duration)

    values = [value for _, value in steps if value is not None]
    assert found is None or min(values) - 1e-9 <= found.item() <= max(values) + 1e-9


def test_it_remembers_as_long_as_anybody_asks_and_no_longer():
    commands = SentCommands(DT, 0.1, memory=0.5)
    for step in range(10_000):
        commands.add(DT * step, np.array([float(step)]))

    now = DT * 9_999
    assert len(commands._sent) <= (0.5 + 0.1) / DT + 3
    # what acts from half a second ago was sent a tenth of a second earlier
    assert commands.mean(now - 0.5, now - 0.5 + DT) == pytest.approx([9_999 - 12])
