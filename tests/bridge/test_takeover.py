"""Starts and takeovers of a node whose clock and network are in the hands of the test."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl.errors import BridgeError
from robot_bridge.bridge_config import BridgeConfig, OutputConfig
from robot_bridge.control.owned_loop import OwnedLoop
from robot_bridge.middleware.messages import String
from robot_bridge.node.adaptive_mpc import AdaptiveMpc
from robot_bridge.node.owning import Owning
from robot_bridge.ownership.claims import Claim, Role
from robot_bridge.ownership.config import OwnershipConfig
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import TrainingRange
from tests.bridge.loop_parts import DT
from tests.bridge.test_owned_loop import CONFIG, other_node, parts_of, steps

OWNER = Claim("0", "first", Role.OWNS, 3)
STOPPED = Claim("0", "first", Role.OWNS, 3, is_stopped=True)


class Network:
    """Nobody else is on it but for what a test says."""

    def publisher(self, *arguments: object, **options: object) -> Callable[[object], None]:
        return lambda message: None

    def subscribe(self, *arguments: object, **options: object) -> None:
        pass

    def serve(self, *arguments: object) -> None:
        pass

    def log(self, *arguments: object) -> None:
        pass


class Node:
    """A node that stands by, or starts, with a control loop in virtual time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parts, self.log = parts_of(), []
        config = BridgeConfig("cart", {}, {}, OutputConfig("/commands"), CONFIG, ownership=OwnershipConfig(mode="refuse"))
        training = TrainingRange(np.zeros(1), np.ones(1))
        self.loop: OwnedLoop = self.parts.loop
        about = (config, self.loop.supervisor, training, Network(), "second", lambda level, words: self.log.append(words))
        self.owning = Owning(*about, stands_by=True)
        self.owning.attach(self.loop)
        self.loop.ownership = self.ownership = self.owning.ownership
        self.loop.on_release = self.owning.release
        self.ownership._clock = self.parts.clock
        monkeypatch.setattr("robot_bridge.node.owning.time", SimpleNamespace(monotonic=self.parts.clock))

    def hear(self, claim: Claim) -> None:
        self.ownership.hear(String(claim.words), self.parts.clock.now)

    def stand_by_beside(self, claim: Claim) -> None:
        """Stand by, and hear another node command for a while."""
        self.owning.stand_by()
        other_node(self.parts, [2.0] * 6)
        self.hear(claim)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    made = Node(monkeypatch)
    yield made
    made.loop.planning.close()


# --- standing by --------------------------------------------------------------------------------------------------------------


def test_it_takes_over_from_an_owner_that_has_fallen_silent(node: Node):
    node.stand_by_beside(OWNER)
    assert node.owning._owner_heard() == node.parts.clock.now
    node.parts.clock.now += 2 * DT
    node.owning._take_over()

    assert node.ownership.role is Role.OWNS
    assert node.loop.supervisor.state is State.RAMP
    assert node.log == ["node 'first' has fallen silent; this one takes over"]


def test_an_owner_in_an_emergency_stop_is_not_taken_over_from(node: Node):
    node.stand_by_beside(STOPPED)

    assert [node.owning._owner_heard() for _ in range(3)] == [-math.inf] * 3
    assert node.log == ["node 'first' is in an emergency stop; this one does not take over from it"]
    node.hear(OWNER)
    assert node.owning._owner_heard() == node.parts.clock.now


def test_an_owner_that_died_before_it_stood_by_is_not_taken_over_from(node: Node):
    node.hear(OWNER)
    node.parts.clock.now += 10.0
    node.owning.stand_by()
    other_node(node.parts, [2.0] * 3)

    assert node.owning._owner_heard() == -math.inf


def test_an_old_command_is_none_to_go_on_from(node: Node):
    node.stand_by_beside(OWNER)
    node.parts.clock.now += 5.0
    node.owning._take_over()
    node.owning._take_over()

    assert node.ownership.role is Role.STANDBY
    assert node.parts.robot.commands == []
    assert node.log == [
        "node 'first' has fallen silent, and its last command is too old to go on from; this one does not take over"
    ]


def test_a_takeover_that_fails_leaves_no_claim_behind(node: Node, monkeypatch: pytest.MonkeyPatch):
    def fail(**options: object) -> bool:
        raise RuntimeError("no memory")

    node.stand_by_beside(OWNER)
    since = node.ownership.stands_by_since
    monkeypatch.setattr(node.loop, "take_over", fail)
    with pytest.raises(RuntimeError):
        node.owning._take_over()

    assert node.ownership.role is Role.STANDBY
    assert node.ownership.stands_by_since == since


def test_a_robot_that_is_commanded_without_being_owned_is_let_go(node: Node):
    node.stand_by_beside(OWNER)
    node.owning._take_over()
    # as if a takeover and its loss had come at the same time
    node.ownership.stand_by()
    node.owning._look(node.ownership, [])

    assert node.loop.is_standby
    assert node.ownership.role is Role.STANDBY


# --- where a start goes on from -----------------------------------------------------------------------------------------------


def test_a_position_that_no_driver_tells_is_the_observed_one(node: Node):
    node.owning._present = lambda: np.array([0.5, np.nan])

    start = node.owning.start(np.array([0.1, 0.2]))
    np.testing.assert_array_equal(start.present, [0.5, 0.2])
    assert start.goes_on
    # a robot without positions keeps what is not known
    assert np.isnan(node.owning.start(None).present[1])


# --- starts that are ended ----------------------------------------------------------------------------------------------------


def starting(node: Node, meanwhile: Callable[[AdaptiveMpc], object], present: Any = None) -> AdaptiveMpc:
    """A node that is ready for its start, during which something happens while it waits whether the robot is free."""
    made = AdaptiveMpc(Network())
    node.parts.robot.forget_delays = lambda: None
    config = SimpleNamespace(newest_at_activate=False)
    made._configured = SimpleNamespace(config=config, loop=node.loop, owning=node.owning, present=lambda: present)

    def require_free() -> None:
        node.ownership._claims.claim()
        meanwhile(made)

    node.owning.require_free = require_free
    return made


def estop_and_clear(mpc: AdaptiveMpc) -> None:
    mpc.estop()
    mpc.clear_estop()


@pytest.mark.parametrize(
    ("meanwhile", "message"),
    [
        (AdaptiveMpc.deactivate, "the node was deactivated meanwhile"),
        (estop_and_clear, "the node was deactivated meanwhile"),
        (AdaptiveMpc.estop, "an emergency stop came meanwhile"),
    ],
    ids=["deactivated", "stopped and cleared", "stopped"],
)
def test_a_start_that_is_ended_while_it_waits_does_not_move_the_robot(node: Node, meanwhile: Callable, message: str):
    mpc = starting(node, meanwhile)
    with pytest.raises(BridgeError, match=f"cannot activate: {message}"):
        mpc.activate()

    assert steps(node.parts, 3) == []
    assert node.ownership.role is Role.IDLE


def test_where_the_joints_are_is_looked_at_after_the_robot_was_found_free(node: Node):
    position = np.array([0.3])
    mpc = starting(node, lambda mpc: position.fill(np.nan), position)
    with pytest.raises(BridgeError, match="where the joints are is not observed"):
        mpc.activate()

    assert node.loop.supervisor.state is State.INACTIVE
    assert node.ownership.role is Role.IDLE


def test_a_start_that_nobody_ends_has_the_robot(node: Node):
    mpc = starting(node, lambda mpc: None, np.array([0.3]))
    mpc.activate()

    assert node.loop.supervisor.state is State.RAMP
    np.testing.assert_array_equal(node.loop.supervisor.sent, [0.3])
    assert node.ownership.role is Role.OWNS
