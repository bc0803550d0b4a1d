"""Which of several nodes has the robot: one at most once they have heard each other, and none that may have been replaced."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adaptive_mbrl.errors import BridgeError
from robot_bridge.middleware.endpoints import Sender
from robot_bridge.middleware.messages import Message, String
from robot_bridge.ownership.claims import MOST_CLAIMS, Claim, Claims, OwnershipError, Role
from robot_bridge.ownership.config import OwnershipConfig
from robot_bridge.ownership.memory import CommandMemory, memory_path
from robot_bridge.ownership.ownership import Ownership
from robot_bridge.ownership.present import moves_fast
from robot_bridge.ownership.standby import LONGEST_WAIT, Standby
from robot_bridge.ownership.strangers import GRACE_SECONDS, LOOK_SECONDS, Strangers

DT = 0.05
REFUSE = OwnershipConfig(mode="refuse")


class Net:
    """A network of nodes with one clock. Messages arrive when `deliver` is called, unless their receiver stands still."""

    def __init__(self, number: int) -> None:
        self.now = 0.0
        self.frozen: set[int] = set()
        self._queues: list[list[Message]] = [[] for _ in range(number)]
        self._receive: list[Callable[[Any, float], None]] = []
        self.nodes = [
            Ownership(REFUSE, "/commands", DT, _End(self, i), Claim(f"{i}", f"node{i}"), lambda: self.now) for i in range(number)
        ]
        self.commands: list[tuple[float, int]] = []

    def put(self, sender: int, message: Message) -> None:
        for queue in self._queues:
            queue.append(message)

    def deliver(self) -> None:
        for i, receive in enumerate(self._receive):
            while self._queues[i] and i not in self.frozen:
                receive(self._queues[i].pop(0), self.now)

    def period(self, seconds: float = DT) -> list[int]:
        """A control period, in which each node that has the robot sends a command; returns who has sent one."""
        self.now += seconds
        for node in self.nodes:
            node.look([], self.now)
        sent = []
        for i, node in enumerate(self.nodes):
            if i in self.frozen:
                continue
            node.say()
            if node.role is Role.OWNS and node.may_send(self.now):
                sent.append(i)
                node.sent(self.now)
        self.deliver()
        return sent

    def start(self, i: int) -> None:
        """Node i claims the robot, and takes it if it may."""
        self.nodes[i].require_free(lambda seconds: self.period(seconds))
        self.nodes[i].take()

    def take_over(self, i: int) -> None:
        self.nodes[i].take()


class _End:
    """What a node has of the network."""

    def __init__(self, net: Net, number: int) -> None:
        self._net, self._number = net, number

    def publisher(self, topic: str, message_type: type[Message], *, reliable: bool = True) -> Callable[[Any], None]:
        return lambda message: self._net.put(self._number, message)

    def subscribe(self, topic: str, message_type: type[Message], receive: Any, **options: Any) -> None:
        self._net._receive.append(receive)


# --- one node out of several --------------------------------------------------------------------------------------------------

acts = st.tuples(
    st.sampled_from(["start", "take over", "release", "freeze", "wake", "stand by", "run", "run"]), st.integers(0, 2)
)


@given(sequence=st.lists(acts, max_size=40))
@example(sequence=[("start", 0), ("stand by", 1), ("run", 0), ("freeze", 0), ("take over", 1), ("run", 0), ("wake", 0)])
@example(sequence=[("take over", 0), ("take over", 1), ("take over", 2)])
@settings(max_examples=300, deadline=None)
def test_in_every_sequence_one_node_at_most_has_the_robot(sequence: list[tuple[str, int]]):
    net = Net(3)
    for act, i in sequence:
        if act == "freeze":
            net.frozen.add(i)
        elif act == "wake":
            net.frozen.discard(i)
        elif i not in net.frozen:
            try:
                # nobody takes over from a node that it hears: that is `Standby`'s part
                is_replaced = any(j not in net.frozen and n.role is Role.OWNS for j, n in enumerate(net.nodes))
                if act == "start":
                    net.start(i)
                elif act == "take over" and not is_replaced:
                    net.take_over(i)
                elif act == "release":
                    net.nodes[i].release()
                elif act == "stand by" and net.nodes[i].role is Role.IDLE:
                    net.nodes[i].stand_by()
            except OwnershipError:
                assert net.nodes[i].role is Role.IDLE
        net.deliver()
        net.period()
        # those who run have heard each other by now
        owners = [i for i, node in enumerate(net.nodes) if i not in net.frozen and node.role is Role.OWNS]
        assert len(owners) <= 1
        assert len(net.period()) <= 1


def test_two_that_start_at_once_have_one_winner():
    net = Net(2)
    net.nodes[1]._claims.claim()
    net.nodes[1]._say()
    net.deliver()

    net.start(0)
    net.deliver()

    with pytest.raises(OwnershipError, match="node 'node0' has the robot already; stop it, or start this one with --standby"):
        net.nodes[1]._claims.require_won(net.now)
    assert [node.role for node in net.nodes] == [Role.OWNS, Role.CLAIMS]


def test_the_worse_claim_gives_way_to_one_at_the_same_time():
    better, worse = Claims(Claim("0", "first", Role.CLAIMS)), Claims(Claim("1", "second", Role.CLAIMS))
    better.hear(worse.own, 0.0)
    worse.hear(better.own, 0.0)

    better.require_won(0.0)
    with pytest.raises(OwnershipError, match="node 'first' starts at the same time and gets the robot"):
        worse.require_won(0.0)


def test_a_node_that_wakes_up_after_a_takeover_sends_nothing():
    net = Net(2)
    net.start(0)
    net.nodes[1].stand_by()
    net.deliver()
    assert net.period() == [0]
    net.frozen = {0}
    for _ in range(40):
        net.period()
    net.take_over(1)
    net.period()

    # it wakes up, and acts before it has received anything
    assert not net.nodes[0].may_send(net.now)
    net.frozen = set()
    net.deliver()
    assert [net.period() for _ in range(5)] == [[1]] * 5
    assert [node.role for node in net.nodes] == [Role.IDLE, Role.OWNS]
    assert (net.nodes[0].held_back, net.nodes[0].yielded) == (1, 1)


def test_a_node_without_a_successor_goes_on_after_it_stood_still():
    net = Net(2)
    net.start(0)
    net.period()
    net.frozen = {0}
    for _ in range(15):
        net.period()
    net.frozen = set()

    assert net.period() == [0]


def test_a_node_that_stood_still_for_long_listens_before_it_sends():
    net = Net(2)
    net.start(0)
    net.period()
    net.frozen = {0}
    for _ in range(10):
        net.period()
    # a second node came and took the robot only after the first one had looked who stands by
    net.nodes[1].stand_by()
    net.take_over(1)
    for _ in range(15):
        net.period()

    assert not net.nodes[0].may_send(net.now)
    net.frozen = set()
    net.deliver()
    assert net.period() == [1]
    assert net.nodes[0].role is Role.IDLE


def test_an_owner_that_stood_still_for_long_and_has_no_rival_goes_on_a_period_later():
    net = Net(1)
    net.start(0)
    net.period()

    assert [net.period(2.0), net.period(), net.period()] == [[], [0], [0]]


@pytest.mark.parametrize("error", [RuntimeError("the network is gone"), KeyboardInterrupt()], ids=repr)
def test_a_claim_that_fails_is_given_up(error: BaseException):
    net = Net(1)

    def wait(seconds: float) -> None:
        raise error

    with pytest.raises(type(error)):
        net.nodes[0].require_free(wait)
    assert net.nodes[0].role is Role.IDLE


def test_a_claim_that_was_given_up_meanwhile_is_not_won():
    net = Net(1)

    def wait(seconds: float) -> None:
        net.period(seconds)
        net.nodes[0].release()

    with pytest.raises(BridgeError, match="the start was ended while it waited whether the robot is free") as raised:
        net.nodes[0].require_free(wait)
    # nobody else has the robot, so the process goes on and waits for another start
    assert not isinstance(raised.value, OwnershipError)


def test_a_claim_says_that_its_node_is_in_an_emergency_stop():
    net = Net(2)
    net.start(0)
    net.nodes[0].sent(net.now, is_stopped=True)
    net.deliver()
    assert net.nodes[1].last_owner()[0].is_stopped

    net.nodes[0].release()
    net.start(0)
    net.deliver()
    assert not net.nodes[1].last_owner()[0].is_stopped


def test_old_claims_are_forgotten_but_for_that_of_the_last_owner():
    claims = Claims(Claim("own", "own"))
    claims.hear(Claim("last", "last", Role.OWNS, 7), 0.0)
    for i in range(500):
        claims.hear(Claim(f"{i}", "other"), 1.0 + i / 1000)
    assert len(claims.known_publishers(2.0)) <= MOST_CLAIMS + 1
    claims.hear(Claim("late", "late"), 100.0)

    assert claims.known_publishers(100.0) == ["late"]
    assert claims.last_owner() == (Claim("last", "last", Role.OWNS, 7), 0.0)
    assert len(claims._heard) == 2


def test_a_new_term_is_above_all_that_were_ever_heard():
    claims = Claims(Claim("own", "own"))
    claims.hear(Claim("a", "a", Role.IDLE, 7), 0.0)
    claims.hear(Claim("a", "a", Role.IDLE, 1), 1.0)
    claims.take()

    assert claims.own.term == 8


def test_a_robot_that_was_given_back_is_not_taken_over():
    net = Net(3)
    net.start(0)
    net.period()
    net.take_over(1)
    net.period()
    net.nodes[1].release()
    net.period()

    # the first owner's claim is still known, but its term is over
    assert net.nodes[2].last_owner() == (None, -math.inf)
    assert net.nodes[1].last_owner() == (None, -math.inf)


def test_what_is_no_claim_is_none():
    claim = Claim("01-ab", "adaptive_mpc", Role.OWNS, 3, True)

    assert Claim.of_words(claim.words) == claim
    stopped = dataclasses.replace(claim, is_stopped=True)
    assert Claim.of_words(stopped.words) == stopped
    wrong = ("", "hello", "x owns 00 a b", "1 rules 00 a b", "1 owns 2 a b", "1 owns 02 a b", "1 owns 00 a")
    for words in (*wrong, f"{'9' * 5000} owns 00 a b"):
        assert Claim.of_words(words) is None
    node = Net(1).nodes[0]
    node.hear(String("hello"), 0.0)
    assert node.last_owner() == (None, -math.inf)


# --- others who publish commands ----------------------------------------------------------------------------------------------

GUID = "0110fff6dd9dd618ded1ddaa00000203"


def looked(allowed: list[str], publishers: list[Sender], known: list[str]) -> Strangers:
    strangers = Strangers(allowed)
    for now in (0.0, GRACE_SECONDS):
        strangers.look(publishers, known, now)
    return strangers


def test_a_stranger_is_named_and_refused():
    strangers = looked([], [Sender(GUID, "joystick")], [])

    words = "joystick publishes commands to this robot, too; stop it, or list it under 'ownership.publishers'"
    assert strangers.words == words
    with pytest.raises(OwnershipError, match=words):
        strangers.require_none(GRACE_SECONDS)


@pytest.mark.parametrize("allowed", ["joystick", "/joystick", "0110fff6", "0110FFF6-dd9d"])
def test_publishers_that_are_listed_are_none(allowed: str):
    looked([allowed], [Sender(GUID, "joystick")], []).require_none(GRACE_SECONDS)


@pytest.mark.parametrize("allowed", ["joy", "0110ff", "1110fff6"])
def test_a_part_of_a_name_is_no_name(allowed: str):
    assert looked([allowed], [Sender(GUID, "joystick")], []).present == ("joystick",)


def test_bridges_that_claim_are_none_but_no_more_than_there_are():
    bridge = Sender("", "adaptive_mpc")

    looked([], [bridge], ["adaptive_mpc"]).require_none(GRACE_SECONDS)
    assert looked([], [bridge, bridge], ["adaptive_mpc"]).present == ("adaptive_mpc",)
    # a middleware that tells no names
    looked([], [Sender()], ["adaptive_mpc"]).require_none(GRACE_SECONDS)


def test_a_guarded_bridge_is_known_by_its_guard_and_by_itself_once_the_guard_has_died():
    claims = Claims(Claim("0", "ours"))
    claims.hear(Claim("1", "robot_1/adaptive_mpc", is_guarded=True), 0.0)
    known = claims.known_publishers(0.0)
    guard, itself = Sender(GUID, "robot_1/adaptive_mpc_guard"), Sender(GUID, "robot_1/adaptive_mpc")

    assert not looked([], [guard], known).present
    assert not looked([], [itself], known).present
    assert looked([], [guard, itself], known).present == ("robot_1/adaptive_mpc",)


def test_a_robot_is_not_taken_where_nobody_has_looked_who_commands_it():
    words = "who publishes commands to this robot was not seen in the last 1 s"
    with pytest.raises(OwnershipError, match=words):
        Strangers([]).require_none(7.0)
    strangers = looked([], [], [])
    strangers.require_none(GRACE_SECONDS + LOOK_SECONDS)
    with pytest.raises(OwnershipError, match=words):
        strangers.require_none(GRACE_SECONDS + LOOK_SECONDS + 0.01)


def test_a_bridge_that_has_just_started_is_no_stranger_yet():
    strangers = Strangers([])
    strangers.look([Sender(GUID, "adaptive_mpc")], [], 5.0)
    strangers.look([Sender(GUID, "adaptive_mpc")], [], 5.9)
    strangers.require_none(5.9)
    assert strangers.number == 1


# --- standing by --------------------------------------------------------------------------------------------------------------


class Watched:
    """A node that stands by, with a clock and an owner that a test moves."""

    def __init__(self) -> None:
        self.now, self.heard, self.rank, self.takeovers = 0.0, -math.inf, 0, []
        self.standby = Standby(
            lambda: self.heard, lambda: (1.75 + self.rank) * DT, DT, lambda: self.takeovers.append(self.now), lambda: self.now
        )

    def wait(self, until: float) -> None:
        """Look as often as the thread does."""
        while self.now < until and not self.takeovers:
            self.now += self.standby.look()


def test_it_takes_over_within_two_periods_of_silence():
    watched = Watched()
    watched.wait(0.5)
    watched.heard = watched.now
    watched.wait(watched.now + 1.0)

    assert watched.takeovers[0] - watched.heard == pytest.approx(1.75 * DT, abs=1e-3)


def test_it_does_not_take_over_from_nobody():
    watched = Watched()
    watched.wait(10.0)
    assert watched.takeovers == []


def test_the_second_one_that_stands_by_waits_a_period_longer():
    watched = Watched()
    watched.heard, watched.rank = 0.0, 1
    watched.wait(1.0)

    assert watched.takeovers == [pytest.approx(2.75 * DT, abs=1e-3)]


def test_after_it_stood_still_itself_it_listens_first():
    watched = Watched()
    watched.heard = 0.0
    watched.standby.look()
    watched.now = 10.0

    assert watched.standby.look() == pytest.approx(DT)
    watched.heard, watched.now = 9.99, watched.now + DT
    assert 0 < watched.standby.look() <= LONGEST_WAIT
    assert watched.takeovers == []


def test_an_exception_does_not_end_the_watching():
    stop, failed, heard = threading.Event(), [], iter([RuntimeError("once"), -math.inf])

    def look() -> float:
        found = next(heard)
        if isinstance(found, Exception):
            raise found
        stop.set()
        return found

    Standby(look, lambda: 0.0, DT, lambda: None, failed=failed.append).run(stop)

    assert [str(error) for error in failed] == ["once"]


# --- where a start goes on from -----------------------------------------------------------------------------------------------


def test_the_last_command_outlives_its_node(tmp_path):
    path, command = tmp_path / "kept" / "command.bin", np.array([0.5, -1.25])
    first = CommandMemory(path, 2)
    assert first.last(0.0, 1.0) is None
    for i in range(5):
        first.keep(i * command, 10.0 + i)

    again = CommandMemory(path, 2)
    np.testing.assert_array_equal(again.last(14.3, 0.5), 4 * command)
    assert again.last(14.6, 0.5) is None
    assert again.last(13.0, 0.5) is None
    again.keep(command, 15.0)
    np.testing.assert_array_equal(CommandMemory(path, 2).last(15.0, 0.5), command)
    again.forget()
    assert CommandMemory(path, 2).last(15.0, 0.5) is None


def test_a_command_that_was_cut_off_while_it_was_written_is_none(tmp_path):
    path = tmp_path / "command.bin"
    memory = CommandMemory(path, 2)
    memory.keep(np.array([1.0, 1.0]), 1.0)
    memory.keep(np.array([2.0, 2.0]), 2.0)
    content = bytearray(path.read_bytes())
    # the newest one is at the first place
    content[20] ^= 0xFF
    path.write_bytes(content)

    np.testing.assert_array_equal(CommandMemory(path, 2).last(2.0, 5.0), [1.0, 1.0])


def test_the_file_of_another_robot_is_begun_anew(tmp_path):
    CommandMemory(tmp_path / "command.bin", 3).keep(np.ones(3), 0.0)

    assert CommandMemory(tmp_path / "command.bin", 2).last(0.0, 1.0) is None


def test_the_file_of_another_robot_is_not_cut_off_while_it_is_in_use(tmp_path):
    path = tmp_path / "command.bin"
    large = CommandMemory(path, 3)
    size = path.stat().st_size
    CommandMemory(path, 2)

    assert path.stat().st_size == size
    large.keep(np.ones(3), 1.0)
    np.testing.assert_array_equal(CommandMemory(path, 3).last(1.0, 1.0), np.ones(3))


def test_each_robot_of_one_bridge_file_has_a_file_of_its_own():
    first, second = (memory_path("/dev/shm/command", f"/{robot}/commands") for robot in ("robot_1", "robot_2"))

    assert first != second
    assert str(first).startswith("/dev/shm/command.")
    assert first == memory_path("/dev/shm/command", "/robot_1/commands")


def test_fast_is_measured_in_stds_of_the_velocities_that_are_known():
    stds = np.array([1.0, 2.0])

    assert not moves_fast(np.array([0.1, 0.2]), stds, 0.5)
    assert moves_fast(np.array([1.0, 0.0]), stds, 0.5)
    assert moves_fast(np.array([np.nan, 2.0]), stds, 0.5)
    assert not moves_fast(np.array([np.nan, np.nan]), stds, 0.5)
