"""Faults over real sockets, a process for the sensors and one for the node: each ends in the safe action within a control period.

That is counted in commands, not in seconds: of those that the node sends after the plan must not be followed any more, at most
the one that was decided just before may follow it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bridge.faults import BRIDGE, NODE, SENSORS, Rig, rig

# real time over real sockets: a starved machine, as many tests at once make it, is a fault of its own
pytestmark = pytest.mark.slow

DOMAIN = 61 + os.getpid() % 50


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("faults")
    bridge = folder / "bridge.yaml"
    bridge.write_text(BRIDGE.format(checkpoint=make_checkpoint(folder / "checkpoint"), rate=100.0))
    with rig(DOMAIN, bridge) as made:
        yield made


@pytest.mark.parametrize("fault", [*SENSORS, *NODE])
def test_a_fault_is_answered_with_the_safe_action_and_survived(fault: str, parts: Rig):
    sent, got = parts.strike(fault)

    print(f"{fault}: {sent.periods:.2f} control periods to the safe action, {got.periods:.2f} at the actuators")
    assert sent.followed <= 1
    assert sent.safe >= 2
    assert got.safe >= 2


def assert_it_is_followed(parts: Rig) -> None:
    """From now on, for longer than the oldest observation may be acted on."""
    begin = len(parts.actuators.commands)
    for _ in range(20):
        parts.actuators.wait_for(lambda value: True)
    assert all(value != 0.0 for _, value in parts.actuators.commands[begin:])


def test_stamps_of_a_clock_that_is_set_ahead_by_an_hour_go_on_being_followed(parts: Rig):
    parts.run()
    parts.robot.ask("clock ahead")
    assert_it_is_followed(parts)


def test_a_clock_that_is_set_back_by_an_hour_is_believed_after_a_hold(parts: Rig):
    parts.run()
    parts.robot.ask("clock ahead")
    parts.run()
    parts.robot.ask("good")

    parts.actuators.wait_for(lambda value: value == 0.0)
    parts.run()
    assert_it_is_followed(parts)


def test_a_monotonic_clock_that_is_set_back_is_not_waited_for(parts: Rig):
    parts.run()
    parts.node.ask("monotonic back")

    parts.run()
    assert_it_is_followed(parts)
