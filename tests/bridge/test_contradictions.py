"""Two publishers of one topic: what they contradict each other about is told, and one of them can be pinned."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
from cyclonedds.domain import DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.topic import Topic
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_bridge.control.inputs import Inputs
from robot_bridge.control.pinned import Pinned
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.endpoints import Sender
from robot_bridge.middleware.messages import Float64MultiArray, Header, JointState, Time
from robot_bridge.middleware.ros_nodes import TOPIC, Gid, NodeEntities, ParticipantEntities, discovery_qos
from robot_bridge.safety.contradictions import MESSAGES, Contradictions, returns
from tests.bridge.test_dds import DOMAIN
from tests.bridge.test_inputs import CONFIG, SPEC, Wire
from tests.bridge.waiting import wait_until

REACH = np.array([0.5, 0.5])
PERIOD = 0.01


def found(messages: list[tuple[float, float]], is_angle: bool = False) -> list[str]:
    """What is told of one channel after (value, stamp) of each message."""
    seen = Contradictions(("hip", "knee"), REACH, np.array([is_angle, False]))
    for i, (value, stamp) in enumerate(messages):
        seen.add([0], [value], stamp, i * PERIOD)
    return [fault.words for fault in seen.look(len(messages) * PERIOD)]


def stamped(values: Any, stamps: Any = None) -> list[tuple[float, float]]:
    return [(float(v), i * PERIOD if stamps is None else float(stamps[i])) for i, v in enumerate(values)]


def interleaved(periods: tuple[int, int], number: int = 60) -> list[int]:
    """Which of two publishers sends each message, if they send every so many ticks."""
    return [who for tick in range(number) for who in (0, 1) if tick % periods[who] == 0]


@pytest.mark.parametrize("periods", [(1, 1), (2, 2), (1, 2), (2, 3)])
def test_two_publishers_of_other_values_are_told_whatever_their_rates(periods: tuple[int, int]):
    values = [(0.1, 0.9)[who] + 0.01 * math.sin(i) for i, who in enumerate(interleaved(periods))]

    (words,) = found(stamped(values))
    assert re.match(r"'hip' jumps to and fro by 0\.(79|80|81)\d* from message to message, as of two publishers", words)


def test_a_second_robot_that_moves_is_told_too():
    time = np.arange(60) * PERIOD
    first, second = np.sin(5 * time), 2 + np.sin(3 * time)

    assert found(stamped([x for pair in zip(first, second, strict=True) for x in pair]))


def test_an_angle_jumps_on_its_circle():
    turned = [math.pi - 0.01, -math.pi + 0.01] * 30
    assert found(stamped(turned), is_angle=True) == []
    assert found(stamped(turned), is_angle=False)


@pytest.mark.parametrize("first", [0.0, 1.0, -math.pi / 2, math.pi, 7.0])
def test_two_publishers_of_opposite_angles_are_told(first: float):
    """Half a turn is as far to and fro; if it had the same sign both ways, it would be a turn in one direction."""
    (words,) = found(stamped([first, first - math.pi] * 30), is_angle=True)

    assert words.startswith("'hip' jumps to and fro by 3.14 from message to message")


@pytest.mark.parametrize("turns", [1, -3])
def test_angles_that_differ_by_whole_turns_are_the_same(turns: int):
    assert found(stamped([0.3, 0.3 + 2 * math.pi * turns] * 30), is_angle=True) == []


@given(
    amplitude=st.floats(0, 20),
    hertz=st.floats(0.1, 10),
    noise=st.floats(0, 0.1),
    seed=st.integers(0, 100),
    step=st.integers(0, 59),
    height=st.floats(-20, 20),
)
@settings(max_examples=200, deadline=None)
def test_motion_noise_and_a_blow_are_none(amplitude: float, hertz: float, noise: float, seed: int, step: int, height: float):
    time = np.arange(60) * PERIOD
    values = amplitude * np.sin(2 * np.pi * hertz * time) + noise * np.random.default_rng(seed).standard_normal(60)
    values[step:] += height

    assert found(stamped(values)) == []


def test_stamps_of_two_clocks_go_to_and_fro():
    ahead = [i * PERIOD + (0.3 if who else 0.0) for i, who in enumerate(interleaved((1, 1)))]

    (words,) = found(stamped(np.zeros(len(ahead)), ahead))
    assert words == "stamps of messages about 'hip' go to and fro, as of two publishers"


@pytest.mark.parametrize(
    "stamps",
    [np.zeros(60), np.arange(60) * PERIOD - 5.0 * (np.arange(60) > 30), np.full(60, math.nan)],
    ids=["frozen", "clock set back once", "none"],
)
def test_other_stamps_do_not(stamps: np.ndarray):
    assert found(stamped(np.zeros(60), stamps)) == []


def test_drivers_of_other_joints_may_share_a_topic_and_what_is_old_is_over():
    seen = Contradictions(("hip", "knee"), REACH, np.zeros(2, dtype=bool))
    for i in range(60):
        seen.add([i % 2], [3.0 * (i % 2)], i * PERIOD, i * PERIOD)
    assert seen.look(0.6) == []

    for i in range(MESSAGES):
        seen.add([0], [3.0 * (i % 2)], math.nan, 1.0)
    assert len(seen.look(1.0)) == 1
    assert seen.look(2.1) == []
    seen.forget()
    assert seen.look(1.0) == []


def test_a_value_that_is_not_finite_is_no_jump():
    assert found(stamped([math.nan, 0.0] * 30)) == []
    assert returns(np.diff(np.array([0.0, 1.0, 0.0, 1.0])), 0.5) == 2


def test_the_inputs_notice_what_their_messages_contradict():
    wire = Wire()
    inputs = Inputs(SPEC, CONFIG, wire, np.full(SPEC.obs_dim, 1.0))
    for i, position in zip(range(MESSAGES), itertools.cycle([0.0, 2.0])):
        message = JointState(Header(Time.of(1.0 + i * PERIOD)), ["hip_joint", "knee_joint"], [0.0, position], [0.0, 0.0])
        wire.receivers["/joint_states"](message, 5.0 + i * PERIOD)

    assert inputs.contradictions is not None
    assert [fault.about for fault in inputs.contradictions.look(5.3)] == ["knee"]
    inputs.forget_delays()
    assert inputs.contradictions.look(5.3) == []
    assert Inputs(SPEC, CONFIG, Wire()).contradictions is None


# --- pinning ------------------------------------------------------------------------------------------------------------------


def test_messages_of_others_are_dropped_counted_and_named():
    pinned = Pinned("driver")

    assert pinned(Sender("ab" * 16, "driver"))
    assert [pinned(s) for s in (Sender("cd" * 16, "impostor"), Sender("cd" * 16, "impostor"), Sender("ef" * 16))] == [False] * 3
    assert pinned.words == f"1 of {'ef' * 16}, 2 of impostor"


@pytest.mark.parametrize("by", ["node", "guid"])
def test_over_dds_only_the_publisher_that_is_pinned_is_heard(by: str):
    listener, senders = DdsTransport(DOMAIN), [DdsTransport(DOMAIN, name=name) for name in ("driver", "impostor")]
    topic = f"/pinned_by_{by}"
    publish = [each.publisher(topic, Float64MultiArray) for each in senders]
    heard: list[float] = []
    seen: set[Sender] = set()
    pinned: list[Pinned] = []

    def look(sender: Sender) -> bool:
        seen.add(sender)
        return False

    def both() -> None:
        for value, say in enumerate(publish):
            say(Float64MultiArray(data=[float(value)]))

    def both_seen() -> bool:
        both()
        return len(seen) == 2

    def both_came() -> bool:
        both()
        return len(heard) > 3 and sum(pinned[0].dropped.values()) > 3

    listener.subscribe(topic, Float64MultiArray, lambda message, at: None, reliable=True, accept=look)
    wait_until(both_seen)
    driver = next(sender for sender in seen if sender.node == "driver")
    pinned.append(Pinned(driver.node if by == "node" else driver.guid[:32]))
    listener.subscribe(
        topic, Float64MultiArray, lambda message, at: heard.append(message.data[0]), reliable=True, accept=pinned[0]
    )
    wait_until(both_came)
    for each in (listener, *senders):
        each.close()

    assert set(heard) == {0.0}
    assert list(pinned[0].dropped) == ["impostor"]


def test_a_node_of_ros_2_is_known_by_the_name_that_it_tells():
    """ROS 2's nodes tell the GUIDs of their publishers on a topic of their own; one is imitated here."""
    listener, other = DdsTransport(DOMAIN), DdsTransport(DOMAIN)
    publish = other.publisher("/of_a_node", Float64MultiArray)
    seen: list[Sender] = []
    listener.subscribe(
        "/of_a_node", Float64MultiArray, lambda message, at: None, reliable=True, accept=lambda s: not seen.append(s)
    )

    def came(named: bool) -> bool:
        publish(Float64MultiArray(data=[1.0]))
        return bool(seen) and bool(seen[-1].node) == named

    wait_until(lambda: came(named=False))
    participant = DomainParticipant(DOMAIN)
    writer = DataWriter(participant, Topic(participant, TOPIC, ParticipantEntities), discovery_qos())
    own = [NodeEntities("/arm", "driver", [], [Gid(list(bytes.fromhex(seen[-1].guid)))])]
    writer.write(ParticipantEntities(Gid([0] * 16), own))
    wait_until(lambda: came(named=True))
    for each in (listener, other):
        each.close()

    assert seen[-1].node == "arm/driver"
    assert seen[-1].is_called("/arm/driver")
