"""The guard passes commands on, and sends the safe action when they stop or their process dies."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import BridgeOptions
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.guard.guard import Guard, Watch
from robot_bridge.guard.guarded_transport import GuardedTransport
from robot_bridge.guard.line import MAX_BYTES, GuardLine, Hello, Release, understood
from robot_bridge.guard.process import OOM_SCORE, GuardProcess
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.endpoints import Endpoint, Sender
from robot_bridge.middleware.messages import Float64MultiArray, JointState
from robot_bridge.node.commands import arguments_of
from robot_bridge.safety.supervisor import Observed, TrainingRange
from tests.bridge.test_supervisor import DT, SPEC
from tests.bridge.waiting import PATIENCE
from tests.cartpole_bridge import BRIDGE

TRAINING = TrainingRange(np.zeros(3), np.ones(3))
TWO_JOINTS = """
checkpoint: none
inputs: {joints: {topic: /joint_states, type: sensor_msgs/msg/JointState}}
obs:
  hip_angle: {input: joints, field: position, joint: hip}
  hip_velocity: {input: joints, field: velocity, joint: hip}
  knee_velocity: {input: joints, field: velocity, joint: knee}
output: {topic: /commands, order: [knee, hip]}
safety:
  rate_limits: {hip: 10.0, knee: 40.0}
  dampers: {hip: {velocity: hip_velocity, gain: 1.0}}
  safe_action: SAFE
"""


class Bench:
    """A guard with a clock that is set by hand."""

    def __init__(self, tmp_path: Path, safe_action: str = "zero") -> None:
        path = tmp_path / "bridge.yaml"
        path.write_text(TWO_JOINTS.replace("SAFE", safe_action))
        self.now, self.sent, self.is_cut = 0.0, [], False
        self.values = np.array([0.1, 0.5, 0.0])
        self.guard = Guard(SPEC, load_bridge_config(path), self._send, self._observe, lambda: self.now, TRAINING)

    def _send(self, command: np.ndarray) -> None:
        if self.is_cut:
            raise OSError("no network")
        self.sent.append((round(self.now, 6), command.round(6).tolist()))

    def _observe(self) -> Observed:
        return Observed(self.values, np.full(3, self.now))

    def wait(self, periods: float) -> None:
        """Let time pass in small steps, as the guard's process does."""
        for _ in range(round(periods * 100)):
            self.now += DT / 100
            self.guard.look()


def test_commands_are_passed_on_at_once_in_the_order_of_the_spec(tmp_path: Path):
    bench = Bench(tmp_path)

    bench.guard.command(np.array([0.3, 0.4]))

    assert bench.sent == [(0.0, [0.4, 0.3])]
    assert bench.guard.watch is Watch.PASSING


def test_silence_is_answered_within_two_periods_and_once_in_every_period_then(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.guard.command(np.array([0.3, 1.0]))

    bench.wait(6)

    (_, *own) = bench.sent
    assert bench.guard.watch is Watch.GUARDING
    assert own[0][0] <= 2 * DT
    np.testing.assert_allclose(np.diff([at for at, _ in own]), DT, rtol=0.02)
    # hip: 10 per second, from 1 to 0; knee: at once
    assert [command for _, command in own[:3]] == [[0.5, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert bench.guard.takeovers == 1


def test_commands_that_come_again_go_on_from_what_the_guard_sent(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.guard.command(np.array([0.0, 1.0]))
    bench.wait(6)

    bench.guard.command(np.array([0.0, 1.0]))

    assert bench.sent[-1][1] == [0.5, 0.0]
    assert bench.guard.watch is Watch.PASSING


def test_what_is_released_is_left_alone(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.guard.command(np.array([0.0, 1.0]))
    bench.guard.release()

    bench.wait(10)
    assert not bench.guard.take_over()

    assert len(bench.sent) == 1


def test_the_guard_damps_by_what_it_observes_itself(tmp_path: Path):
    bench = Bench(tmp_path, "damping")
    bench.guard.command(np.array([0.0, 0.0]))

    assert bench.guard.take_over()

    assert bench.sent[-1][1] == [-0.5, 0.0]


def test_the_guard_does_not_damp_by_a_velocity_that_no_such_robot_has(tmp_path: Path):
    bench = Bench(tmp_path, "damping")
    bench.guard.command(np.array([0.0, 0.0]))
    bench.values = np.array([0.1, 1e6, 0.0])

    bench.guard.take_over()

    assert bench.sent[-1][1] == [0.0, 0.0]


def test_a_command_that_could_not_be_sent_does_not_count(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.guard.command(np.array([0.0, 1.0]))
    bench.is_cut = True
    with pytest.raises(OSError, match="no network"):
        bench.guard.take_over()
    with pytest.raises(OSError, match="no network"):
        bench.wait(1.2)
    bench.is_cut = False

    bench.wait(1.2)

    assert bench.sent[-1][1] == [0.5, 0.0]


@pytest.mark.parametrize("values", [[0.1], [0.1, np.nan], [0.1, 0.2, 0.3], []])
def test_what_is_no_command_is_not_passed_on(tmp_path: Path, values: list[float]):
    bench = Bench(tmp_path)

    bench.guard.command(np.array(values))

    assert (bench.sent, bench.guard.refused, bench.guard.watch) == ([], 1, Watch.RELEASED)


def test_commands_beyond_the_limits_are_cut(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.guard.command(np.array([0.0, 0.0]))

    bench.guard.command(np.array([99.0, -99.0]))

    assert bench.sent[-1][1] == [-0.5, 2.0]


# --- the line -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ours, theirs
    ours.close()
    theirs.close()


class Network:
    """A transport that keeps what is published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, object]] = []

    def publisher(
        self, topic: str, message_type: type, *, reliable: bool = True, transient_local: bool = False
    ) -> Callable[[object], None]:
        return lambda message: self.published.append((topic, message))

    def graph(self) -> Network:
        return self

    def endpoints(self) -> list[Endpoint]:
        here = Endpoint("/commands", "std_msgs/msg/Float64MultiArray", publishes=True, reliable=True)
        return [dataclasses.replace(here, publishes=False), here, here, dataclasses.replace(here, topic="/joint_states")]

    def publishers(self, topic: str) -> list[Sender]:
        return [Sender("", "stranger"), Sender("", "adaptive_mpc_guard")]


def test_the_line_carries_the_robot_commands_and_the_release(ends):
    ours, theirs = ends
    line = GuardLine(theirs)
    line.hello(SPEC, TRAINING)
    line.command([0.25, -1.0])
    line.release()

    hello = understood(ours.recv(MAX_BYTES))
    assert hello.spec == SPEC
    np.testing.assert_array_equal(hello.training.std, TRAINING.std)
    np.testing.assert_array_equal(understood(ours.recv(MAX_BYTES)), [0.25, -1.0])
    assert isinstance(understood(ours.recv(MAX_BYTES)), Release)


def test_the_line_carries_the_training_data_of_another_checkpoint_of_a_robot_with_many_channels(ends):
    ours, theirs = ends
    line = GuardLine(theirs)
    line.hello(SPEC, TRAINING)
    ours.recv(MAX_BYTES)
    line.trained_on(TrainingRange(np.arange(900.0), np.full(900, 0.5)))

    said = understood(ours.recv(MAX_BYTES))
    assert isinstance(said, TrainingRange)
    np.testing.assert_array_equal(said.mean, np.arange(900.0))
    np.testing.assert_array_equal(said.std, np.full(900, 0.5))
    assert theirs.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < 8192
    ours.close()
    line.trained_on(TRAINING)


def test_the_guards_process_judges_by_the_training_data_that_it_was_told_last(ends, tmp_path: Path):
    bench = Bench(tmp_path, "damping")
    process = GuardProcess(load_bridge_config(tmp_path / "bridge.yaml"), Network(), threading.Event())
    process._guard = bench.guard
    bench.values = np.array([0.1, 1e6, 0.0])
    assert not bench.guard._checks.is_known(0.0, bench._observe())[1]

    process._taken(TrainingRange(np.zeros(3), np.full(3, 1e6)), None)
    assert bench.guard._checks.is_known(0.0, bench._observe())[1]


class Dying:
    """A controller's process that takes a while to be gone after it was killed."""

    def __init__(self) -> None:
        self.pid, self._looks = os.getpid(), math.inf

    def poll(self) -> int | None:
        self._looks -= 1
        return None if self._looks > 0 else self.wait()

    def kill(self) -> None:
        self._looks = 5

    def wait(self) -> int:
        return -signal.SIGKILL


@pytest.mark.parametrize("is_cut", [False, True], ids=["", "without a network at first"])
def test_too_much_memory_is_answered_before_the_process_is_gone(ends, tmp_path: Path, monkeypatch, is_cut: bool):
    ours, theirs = ends
    bench = Bench(tmp_path)
    process = GuardProcess(load_bridge_config(tmp_path / "bridge.yaml"), Network(), threading.Event(), memory_limit=100.0)
    process._guard = bench.guard
    bench.guard.command(np.array([0.25, -1.0]))
    monkeypatch.setattr("robot_bridge.guard.process.resident_memory", lambda process: 200.0)
    GuardLine(theirs).command([0.5, 1.0])
    bench.is_cut = is_cut

    assert process._pass_on(ours, Dying()) == -signal.SIGKILL
    assert bench.guard.watch is Watch.GUARDING
    assert (len(bench.sent), process.failures > 0) == ((1, True) if is_cut else (2, False))
    bench.is_cut = False
    bench.wait(50)
    assert bench.sent[-1][1] == [0.0, 0.0]


def test_what_is_no_message_is_not_taken_for_a_release():
    with pytest.raises(ValueError, match="no message of the controller"):
        understood(b"Rubbish")


def test_a_guard_that_hangs_is_noticed_after_a_few_commands_and_ended(ends):
    hanging = subprocess.Popen(["sleep", "1000"])
    line = GuardLine(ends[1], hanging.pid)
    line.hello(SPEC, TRAINING)

    with pytest.raises(BlockingIOError):
        _ = [line.command([0.0, 0.0]) for _ in range(20)]

    assert hanging.wait(PATIENCE) == -signal.SIGKILL


def test_a_release_is_no_error_when_the_guard_is_gone(ends):
    ends[0].close()

    GuardLine(ends[1]).release()


def test_only_commands_go_through_the_line(ends):
    ours, theirs = ends
    network = Network()
    transport = GuardedTransport(network, GuardLine(theirs), "/commands")

    transport.publisher("/joint_states", JointState)(JointState())
    transport.publisher("/commands", Float64MultiArray)(Float64MultiArray(data=[0.5]))

    assert network.published == [("/joint_states", JointState())]
    np.testing.assert_array_equal(understood(ours.recv(MAX_BYTES)), [0.5])


def test_the_guards_publisher_is_no_other_robot_controller(ends):
    seen = GuardedTransport(Network(), GuardLine(ends[1]), "/commands").graph().endpoints()

    assert [e.topic for e in seen if e.publishes] == ["/commands", "/joint_states"]
    graph = GuardedTransport(Network(), GuardLine(ends[1]), "/commands").graph()
    assert [str(sender) for sender in graph.publishers("/commands")] == ["stranger"]


def test_a_controller_whose_guard_has_died_sends_its_commands_itself(ends):
    ours, theirs = ends
    network = Network()
    publish = GuardedTransport(network, GuardLine(theirs), "/commands").publisher("/commands", Float64MultiArray)
    ours.close()

    publish(Float64MultiArray(data=[0.5]))
    publish(Float64MultiArray(data=[0.6]))

    assert [message.data for _, message in network.published] == [[0.5], [0.6]]


def test_a_flood_of_observations_does_not_reach_the_guard(tmp_path: Path):
    """The guard listens only where its safe action needs velocities; otherwise no message can keep it from its time."""
    heard: list[str] = []

    class Robot(Network):
        def subscribe(self, topic: str, message_type: type, receive: object, **options: object) -> None:
            heard.append(topic)

    for safe_action in ("zero", "hold", "damping"):
        path = tmp_path / "bridge.yaml"
        path.write_text(TWO_JOINTS.replace("SAFE", safe_action))
        process = GuardProcess(load_bridge_config(path), Robot(), threading.Event())
        process._guard_of(Hello(SPEC, TRAINING))
        assert heard == (["/joint_states"] if safe_action == "damping" else [])


# --- the command line ---------------------------------------------------------------------------------------------------------


def test_the_controller_gets_the_same_flags():
    options = BridgeOptions(Path("b.yaml"), guard=True, memory_limit=900.0, record=Path("bag"), domain=7, namespace="robot_1")

    assert arguments_of(options) == [
        *("--bridge", "b.yaml", "--device", "auto", "--deadline", "0.9", "--preflight-seconds", "0.0", "--record", "bag"),
        *("--guard", "--memory-limit", "900.0", "--realtime", "off", "--transport", "dds", "--domain", "7", "--interface", "lo"),
        *("--namespace", "robot_1"),
    ]


def test_a_limit_of_memory_needs_somebody_who_keeps_it():
    with pytest.raises(ConfigError, match=r"--memory-limit: got 500; allowed: 0 or more, with --guard"):
        BridgeOptions(Path("b.yaml"), memory_limit=500.0)


class Process:
    """`adaptive-mbrl bridge --guard` beside a cart-pole, with its lines."""

    def __init__(self, bridge: Path, domain: int, *more: str) -> None:
        command = [
            sys.executable,
            "-m",
            "adaptive_mbrl",
            "bridge",
            "--bridge",
            str(bridge),
            "--domain",
            str(domain),
            "--guard",
            *more,
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.strip())
                self._changed.notify_all()

    def wait_for(self, pattern: str) -> str:
        with self._changed:
            found = lambda: [line for line in self.lines if re.search(pattern, line)]  # noqa: E731
            assert self._changed.wait_for(found, 3 * PATIENCE), self.lines
            return found()[0]


class CommandsHeard:
    """What the actuators get."""

    def __init__(self, domain: int) -> None:
        self.heard: list[float] = []
        self._changed = threading.Condition()
        self._transport = DdsTransport(domain)
        self._transport.subscribe("/commands", Float64MultiArray, self._hear, reliable=True)

    def _hear(self, message: Float64MultiArray, received: float) -> None:
        with self._changed:
            self.heard.append(message.data[0])
            self._changed.notify_all()

    def wait_for(self, number: int, value: float) -> None:
        """Until so many commands of one value have come, from now on."""
        with self._changed:
            begin = len(self.heard)
            assert self._changed.wait_for(lambda: self.heard[begin:].count(value) >= number, 3 * PATIENCE)

    def wait_for_last(self, value: float) -> None:
        """Until the newest command is this one."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.heard[-1] == value, PATIENCE)

    def close(self) -> None:
        self._transport.close()


def kernel_ends_first(guard: int) -> bool:
    """Whether the kernel would end a guard's controller before the guard when memory runs out."""
    (controller,) = Path(f"/proc/{guard}/task/{guard}/children").read_text().split()
    own, other = (int(Path(f"/proc/{process}/oom_score_adj").read_text()) for process in (guard, controller))
    return other == OOM_SCORE > own


@pytest.mark.slow
@pytest.mark.parametrize("death", ["killed", "asked to end", "stopped and ended"])
def test_whatever_ends_the_controller_the_robot_gets_the_safe_action(
    death: str, tmp_path: Path, make_checkpoint: Callable[..., Path]
):
    bridge, domain = tmp_path / "bridge.yaml", 60 + os.getpid() % 30
    bridge.write_text(BRIDGE.format(checkpoint=make_checkpoint(tmp_path / "checkpoint")))
    robot = [sys.executable, "-m", "adaptive_mbrl", "simulated-robot", "--bridge", str(bridge), "--domain", str(domain)]
    simulated = subprocess.Popen([*robot, "--scenario", "cartpole/demo"], stdout=subprocess.DEVNULL)
    commands, guarded = CommandsHeard(domain), Process(bridge, domain)
    try:
        guarded.wait_for("^(ramp|running|hold)")
        assert kernel_ends_first(guarded.process.pid)
        if death == "asked to end":
            guarded.process.send_signal(signal.SIGTERM)
            assert guarded.process.wait(3 * PATIENCE) == 0
            assert not [line for line in guarded.lines if "guard" in line or "error" in line]
            commands.wait_for_last(0.0)
            return
        (controller,) = Path(f"/proc/{guarded.process.pid}/task/{guarded.process.pid}/children").read_text().split()
        if death == "stopped and ended":
            os.kill(int(controller), signal.SIGSTOP)
            guarded.wait_for("no command from the controller: the guard sends the safe action")
            commands.wait_for(3, 0.0)
        os.kill(int(controller), signal.SIGKILL)
        guarded.wait_for("error: the controller has ended by SIGKILL while the robot was under control; the safe action is sent")
        commands.wait_for(5, 0.0)
        guarded.process.send_signal(signal.SIGTERM)
        assert guarded.process.wait(PATIENCE) == 2
    finally:
        commands.close()
        for process in (guarded.process, simulated):
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_controller_that_takes_too_much_memory_is_ended(tmp_path: Path, make_checkpoint: Callable[..., Path]):
    bridge = tmp_path / "bridge.yaml"
    bridge.write_text(BRIDGE.format(checkpoint=make_checkpoint(tmp_path / "checkpoint")))
    guarded = Process(bridge, 60 + os.getpid() % 30, "--memory-limit", "50")

    guarded.wait_for("takes more than 50 MiB of memory")
    guarded.wait_for("error: the controller has ended with exit code -9")
    assert guarded.process.wait(PATIENCE) == 2
