"""The node whose bridge file says who has the robot: over real sockets, with a robot that stands still."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import BridgeOptions
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.middleware.dds_graph import DdsGraph
from robot_bridge.middleware.endpoints import Sender
from robot_bridge.middleware.messages import Bool, DiagnosticArray, Float64MultiArray, String
from robot_bridge.node.commands import arguments_of
from robot_bridge.node.parameters import NodeParameters, require_standby
from robot_bridge.node.telemetry import BELIEF
from robot_bridge.ownership.claims import Claim, OwnershipError, Role
from robot_bridge.ownership.config import OwnershipConfig, PresentCommand
from robot_bridge.ownership.memory import CommandMemory, memory_path
from robot_bridge.ownership.present import PresentReader
from robot_bridge.safety.states import State
from tests.bridge.test_adaptive_mpc import Listener, ask, node, parameters, robot, state, transport
from tests.bridge.waiting import wait_until
from tests.cartpole_bridge import BRIDGE

__all__ = ["ask", "node", "parameters", "robot", "state", "transport"]

TELEOP = "ownership: {mode: priority, sources: {teleop: {topic: /teleop, priority: 100, timeout: 0.5}}}\n"
REFUSE = "ownership: {mode: refuse}\n"

PAUSED = BELIEF.index("paused")


def saying(parameters: NodeParameters, more: str) -> NodeParameters:
    """The same bridge file with more in it."""
    path = Path(parameters.bridge)
    path.write_text(path.read_text() + more)
    return parameters


def test_a_joystick_has_the_robot_while_it_speaks(node, transport, parameters, robot):
    owners, diagnoses = Listener(), Listener()
    transport.subscribe("/adaptive_mpc/owner", String, owners)
    transport.subscribe("/diagnostics", DiagnosticArray, diagnoses)
    node.configure(saying(parameters, TELEOP), transport)
    owners.wait_for(lambda m: m.data == "nobody")
    node.activate()
    owners.wait_for(lambda m: m.data == "planner")

    publish, end = transport.publisher("/teleop", Float64MultiArray), threading.Event()

    def push() -> None:
        while not end.wait(0.02):
            publish(Float64MultiArray(data=[0.123]))

    thread = threading.Thread(target=push)
    thread.start()
    owners.wait_for(lambda m: m.data == "teleop")
    robot.wait_for(lambda m: m.data == [0.123])
    said = diagnoses.wait_for(lambda m: any(s.name.endswith("ownership") and s.message == "teleop" for s in m.status))
    end.set()
    thread.join()
    owners.wait_for(lambda m: m.data == "planner")

    (part,) = [status for status in said.status if status.name.endswith("ownership")]
    values = {pair.key: pair.value for pair in part.values}
    assert (values["role"], values["refused of teleop"], values["takeovers"]) == ("owns", "0", "0")


def test_a_robot_that_another_node_has_is_refused_and_given_back_later(node, transport, parameters, robot):
    stopped: list[State] = []
    node._on_stop = lambda: stopped.append(node.state)
    node.configure(saying(parameters, REFUSE), transport)
    say, end = transport.publisher("/commands/owner", String), threading.Event()
    claim = Claim("0", "other", Role.OWNS, 4)

    def rule() -> None:
        while not end.wait(0.02):
            say(String(claim.words))

    thread = threading.Thread(target=rule)
    thread.start()
    with pytest.raises(OwnershipError, match="node 'other' has the robot already"):
        node.activate()
    assert node.state is State.INACTIVE
    assert node._running().owning.owner == "another node, 'other'"
    end.set()
    thread.join()
    say(String(dataclasses.replace(claim, role=Role.IDLE).words))

    wait_until(lambda: node._running().owning.owner == "nobody")
    node.activate()
    assert node._running().owning.owner == "planner"
    # one with better right takes it away at once, and the actuators are not brought to rest
    newer = String(dataclasses.replace(claim, term=9).words)
    wait_until(lambda: (say(newer), set(stopped) == {State.INACTIVE})[1])
    assert node._running().owning.ownership.yielded == 1


def test_a_robot_that_is_lost_while_the_node_starts_is_let_go(node, transport, parameters, robot):
    node.configure(saying(parameters, REFUSE), transport)
    running = node._running()
    # as if another node had come between the claim and the start
    running.loop.activate()

    wait_until(lambda: node.state is State.INACTIVE)
    assert robot._came == []


def test_a_stranger_brings_the_robot_to_rest_and_is_counted_and_whoever_manages_the_node_is_told(
    node, transport, parameters, robot, monkeypatch
):
    diagnoses, stopped, others = Listener(), list[State](), list[Sender]()
    monkeypatch.setattr(DdsGraph, "publishers", lambda graph, topic: others)
    transport.subscribe("/diagnostics", DiagnosticArray, diagnoses)
    node._on_stop = lambda: stopped.append(node.state)
    node.configure(saying(parameters, REFUSE), transport)
    node.activate()
    diagnoses.wait_for(lambda m: said_in(m, "output", "other publishers") == "0")

    others.append(Sender("", "joystick"))
    wait_until(lambda: set(stopped) == {State.INACTIVE})
    diagnoses.wait_for(lambda m: said_in(m, "output", "other publishers") == "1")


def test_a_bridge_that_stands_by_beside_this_one_is_no_other_publisher(node, transport, parameters, robot):
    node.configure(saying(parameters, "ownership: {mode: warn, publishers: [calibration]}\n"), transport)

    senders = [Sender("", "calibration"), Sender("", "joystick")]
    assert node._running().owning.others(senders) == 1


def test_a_graph_that_cannot_be_read_keeps_neither_the_diagnosis_from_coming_nor_a_robot_from_being_refused(
    node, transport, parameters, robot, monkeypatch
):
    def fail(*_: object) -> None:
        raise ValueError("no such thing")

    diagnoses = Listener()
    transport.subscribe("/diagnostics", DiagnosticArray, diagnoses)
    monkeypatch.setattr(DdsGraph, "publishers", fail)
    monkeypatch.setattr(DdsGraph, "endpoints", fail)
    node.configure(saying(parameters, REFUSE), transport)

    words = diagnoses.wait_for(lambda m: said_in(m, "output", "other publishers") == "unknown")
    assert "who else publishes commands cannot be seen" in {status.message for status in words.status}
    with pytest.raises(OwnershipError, match="who publishes commands to this robot was not seen in the last 1 s"):
        node.activate()


def said_in(message: DiagnosticArray, part: str, key: str) -> str:
    """The value of a key in a part of `/diagnostics`."""
    values = [pair for status in message.status if status.name.endswith(part) for pair in status.values]
    return next((pair.value for pair in values if pair.key == key), "")


def test_a_held_robot_says_why_adapting_pauses(node, transport, parameters, robot):
    beliefs, diagnoses = Listener(), Listener()
    transport.subscribe("/adaptive_mpc/belief", Float64MultiArray, beliefs)
    transport.subscribe("/diagnostics", DiagnosticArray, diagnoses)
    more = "adaptation: {pause_when: {contact: {held by hand: {topic: /held}}}}\n"
    node.configure(saying(parameters, more), transport)
    node.activate()
    beliefs.wait_for(lambda m: m.data[PAUSED] == 0.0)

    held = transport.publisher("/held", Bool)
    wait_until(lambda: (held(Bool(True)), bool(node._running().loop.planning.pause.reason))[1])
    beliefs.wait_for(lambda m: m.data[PAUSED] == 1.0)
    words = "held by hand"
    diagnoses.wait_for(lambda m: any(p.key == "adaptation is paused" and p.value == words for s in m.status for p in s.values))


# --- where a start goes on from -----------------------------------------------------------------------------------------------


def test_a_start_goes_on_from_the_command_that_was_kept(node, transport, parameters, robot, tmp_path: Path):
    memory = tmp_path / "command.bin"
    more = f"ownership: {{memory: {memory}, memory_seconds: 600}}\n"
    path = Path(parameters.bridge)
    path.write_text(path.read_text().replace("{slide: 100.0}", "{slide: 2.0}"))
    CommandMemory(memory_path(memory, "/commands"), 1).keep([0.75], time.monotonic())
    node.configure(saying(parameters, more), transport)
    start = node._running().owning.start(None)

    assert (start.present, start.goes_on, start.at_once) == ([0.75], True, False)
    node.activate()
    wait_until(lambda: bool(robot._came))
    # some of the first ones may not have been heard; from the safe action on it would be below 0.2 for as long
    assert 0.3 < robot._came[0].data[0] < 0.9


class Wire:
    """Keeps who listens to which topic."""

    def __init__(self) -> None:
        self.receivers: dict[str, Callable] = {}

    def subscribe(self, topic: str, message_type: type, receive: Callable, **options: object) -> None:
        self.receivers[topic] = receive


def test_the_present_command_is_read_where_the_driver_tells_it():
    wire, now = Wire(), [0.0]
    places = {"slide": PresentCommand("echo", "data.1")}
    reader = PresentReader(places, {"echo": ("/echo", Float64MultiArray)}, ("slide", "lift"), 0.5, wire, lambda: now[0])
    assert reader() is None

    wire.receivers["/echo"](Float64MultiArray(data=[9.0, 0.4]), 1.0)
    now[0] = 1.2
    slide, lift = reader()
    assert slide == 0.4
    assert lift != lift
    wire.receivers["/echo"](Float64MultiArray(data=[9.0]), 1.6)
    now[0] = 1.6
    assert reader() is None


# --- standing by is refused where two would fight ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ownership", "is_guarded", "changes", "message"),
    [
        ("", False, {}, r"key 'ownership.mode': got 'warn' for a node that stands by; allowed: refuse, priority"),
        ("ownership: {mode: warn}\n", False, {}, r"key 'ownership.mode': got 'warn'"),
        (REFUSE, True, {}, r"--standby: not allowed with --guard"),
        (REFUSE, False, {"dry_run": True}, r"--standby: not allowed with --dry-run"),
    ],
)
def test_standing_by_is_refused_where_two_would_fight(
    parameters: NodeParameters, ownership: str, is_guarded: bool, changes: dict, message: str
):
    given = dataclasses.replace(saying(parameters, ownership), standby=True, **changes)
    with pytest.raises(ConfigError, match=message):
        require_standby(load_bridge_config(given.bridge), given, is_guarded=is_guarded)


def test_the_flags_that_do_not_fit_standing_by_are_refused():
    with pytest.raises(ConfigError, match=r"--standby: got it with --guard, because a guard goes on commanding"):
        BridgeOptions(Path("b.yaml"), standby=True, guard=True)
    with pytest.raises(ConfigError, match=r"--standby: got it with --dry-run; allowed: without it"):
        BridgeOptions(Path("b.yaml"), standby=True, dry_run=True)
    assert "--standby" in arguments_of(BridgeOptions(Path("b.yaml"), standby=True))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("ownership: {present: {slide: {input: echo, field: data.0}}}", r"ownership.present.slide.input': unknown input 'echo'"),
        (
            "ownership: {present: {slide: {input: joints, field: effort}}}",
            r"present.slide': a JointState needs a joint",
        ),
        ("ownership: {mode: priority}", r"key 'sources': missing with mode 'priority'"),
        ("ownership: {mode: rule}", r"got 'rule'"),
    ],
)
def test_a_bridge_file_with_a_mistake_about_the_owner_is_refused(tmp_path: Path, more: str, message: str):
    path = tmp_path / "bridge.yaml"
    path.write_text(BRIDGE.format(checkpoint="none") + more)
    with pytest.raises(ConfigError, match=message):
        load_bridge_config(path)


def test_without_a_mode_nobody_is_refused():
    assert not OwnershipConfig().is_exclusive
