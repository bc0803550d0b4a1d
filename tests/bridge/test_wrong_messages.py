"""Messages that are wrong in every way: decoded or refused, they never leave an observation that is no observation."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bridge_stage import LIMIT, unsafe
from benchmarks.fuzz_bridge import fuzzed
from benchmarks.fuzz_packets import Packets
from benchmarks.fuzz_payloads import Payloads, encoded, joint_state
from benchmarks.rtps import data, packet
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, OutputConfig, TopicConfig
from robot_bridge.control.inputs import Inputs
from robot_bridge.middleware.dds import from_wire, idl_type
from robot_bridge.middleware.messages import JointState
from robot_bridge.safety.config import SafetyConfig
from robot_bridge.safety.observation_checks import ObservationChecks
from sim.robot.robot import load_robot

SPEC = load_robot("cartpole").spec
FIELDS = {
    "cart_position": ("position", "slider"),
    "pole_angle": ("position", "hinge_1"),
    "cart_velocity": ("velocity", "slider"),
    "pole_velocity": ("velocity", "hinge_1"),
}
CONFIG = BridgeConfig(
    checkpoint="cartpole",
    inputs={"joints": TopicConfig("/joint_states", JointState.ros_type)},
    obs={name: ChannelInput("joints", *where) for name, where in FIELDS.items()},
    output=OutputConfig("/commands"),
    safety=SafetyConfig({"slide": 40.0}),
)


class Wire:
    """Takes the subscription; messages are delivered by hand."""

    def subscribe(self, topic: str, message_type: type, receive: object, **options: object) -> None:
        self.receive = receive


def delivered(wire: Wire, content: bytes, received: float) -> None:
    """What the transport does with the bytes of a message."""
    with suppress(Exception):
        wire.receive(from_wire(idl_type(JointState).deserialize(content), JointState), received)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 60))
def test_whatever_is_decoded_nothing_is_known_that_is_no_number_or_from_the_future(seed: int, count: int):
    wire, now = Wire(), 1000.0
    inputs, checks = Inputs(SPEC, CONFIG, wire), ObservationChecks(SPEC, CONFIG.safety, None)
    wrong = Payloads(random.Random(seed), lambda: now)
    for _ in range(count):
        now += 0.001
        delivered(wire, wrong()[1], now)
        observed = inputs.snapshot()
        known = checks.is_known(now, observed)

        assert observed.values.shape == observed.received.shape == (4,)
        assert np.isfinite(observed.values[known]).all()
        # nothing counts as measured after it came, but for how exact a stamp is
        assert (observed.received <= now + 1e-6).all()


def test_a_right_message_is_understood_after_wrong_ones():
    wire, now, draw = Wire(), 1000.0, random.Random(0)
    inputs, wrong = Inputs(SPEC, CONFIG, wire), Payloads(draw, lambda: now)
    for _ in range(2000):
        now += 0.001
        delivered(wire, wrong()[1], now)
    for _ in range(300):
        now += 0.01
        delivered(wire, bytes(encoded(joint_state(draw, now))), now)

    observed = inputs.snapshot()
    assert np.isfinite(observed.values).all()
    assert now - observed.received.min() < 0.1


def test_each_way_to_be_wrong_is_taken_and_is_different():
    wrong, packets = Payloads(random.Random(1)), Packets(random.Random(1), bytes(12), b"\0\0\1\3", [7411])

    for made in (wrong, packets):
        seen = dict(made() for _ in range(2000))
        assert set(seen) == set(made.kinds)
        assert len(set(seen.values())) > 0.8 * len(seen)


def test_a_packet_is_as_the_standard_says():
    made = packet(b"p" * 12, data(b"\x00\x00\x01\x03", 7, b"\x00\x01\x00\x00abcd"))

    assert made == (
        b"RTPS\x02\x01\x01\x10" + b"p" * 12 + b"\x15\x05\x1c\x00\x00\x00\x10\x00" + bytes(4) + b"\x00\x00\x01\x03"
        b"\x00\x00\x00\x00\x07\x00\x00\x00\x00\x01\x00\x00abcd"
    )


def test_unsafe_commands_are_counted():
    step = 0.25

    assert unsafe(np.array([0.75, LIMIT, LIMIT - step, 0.5]), step) == 0
    assert unsafe(np.array([0.0, np.nan, 0.0]), step) == 2
    assert unsafe(np.array([LIMIT, LIMIT + 0.01]), step) == 1
    assert unsafe(np.array([LIMIT, LIMIT - step - 0.01]), step) == 1


@pytest.mark.slow
def test_a_bridge_survives_a_storm_of_wrong_messages_and_controls_again(tmp_path: Path):
    seen = fuzzed(tmp_path, 161 + os.getpid() % 70, messages=6000, seed=1, rate=1000.0, burst=3000)

    assert seen["is_alive"]
    assert seen["unsafe"] == 0
    assert seen["commands"] > 20
    # the storm has really come: some messages were decoded and some refused
    assert seen["refused"] > 30
    assert seen["taken"] > 300
    assert seen["visits"] > 2
    # a line for each wrong packet would fill the disk
    assert seen["log_kib"] < 200
    assert max(seen["peak_mib"]) < seen["quiet"]["peak_mib"] + 200
