"""The recorder: complete, readable, never in the way; and what is left of a recording that was cut."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from rosbags.rosbag2 import Reader

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bags.reader import Bag
from robot_bridge.bags.recorder import BagRecorder
from robot_bridge.bags.recording_transport import RecordingTransport
from robot_bridge.bags.types import decode, encode
from robot_bridge.middleware.messages import (
    MESSAGES,
    Float64MultiArray,
    Header,
    Imu,
    JointState,
    JointTrajectory,
    JointTrajectoryPoint,
    Message,
    String,
    Time,
)
from tests.bridge.recorded import Loopback
from tests.bridge.waiting import PATIENCE, wait_until

ROOT = Path(__file__).resolve().parents[2]
STATE = JointState(Header(Time.of(1.25), "base"), ["hip", "knee"], [0.1, -0.2], [1, 2], [])


def messages(bag: Path, **wanted: type[Message]) -> list[tuple[str, int, Message]]:
    with Bag(bag) as opened:
        return list(opened.messages({f"/{topic}": message_type for topic, message_type in wanted.items()}))


# --- content ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message_type", [*MESSAGES.values(), String], ids=lambda cls: cls.__name__)
def test_every_message_survives_the_bag(message_type: type[Message]):
    assert decode(bytes(encode(message_type())), message_type) == message_type()


def test_content_survives_the_bag():
    trajectory = JointTrajectory(Header(Time.of(3.5)), ["a", "b"], [JointTrajectoryPoint([1, 2.5]), JointTrajectoryPoint([3, 4])])
    imu = Imu(Header(Time.of(2.0), "imu"))
    imu.angular_velocity.z, imu.orientation_covariance = 0.5, [float(i) for i in range(9)]
    for message in (STATE, trajectory, imu, String("running")):
        assert decode(bytes(encode(message)), type(message)) == message


def test_bytes_that_are_no_such_message_are_refused():
    for raw in (b"", b"\0\1\0\0", bytes(encode(STATE))[:30], b"\0\1\0\0" + b"\xff" * 40):
        with pytest.raises(ConfigError, match=r"a message is no sensor_msgs/msg/JointState"):
            decode(raw, JointState)


# --- recording ----------------------------------------------------------------------------------------------------------------


def test_what_passes_a_transport_is_in_the_bag_by_one_clock(tmp_path: Path):
    now, wall = [10.0], [1000.0]
    wire = Loopback(lambda: now[0])
    recorder = BagRecorder(tmp_path / "bag", clock=lambda: now[0], wall=lambda: wall[0])
    transport = RecordingTransport(wire, recorder, clock=lambda: now[0])
    received: list[tuple[Message, float]] = []
    transport.subscribe("joint_states", JointState, lambda message, at: received.append((message, at)))
    publish = transport.publisher("/commands", Float64MultiArray)
    arrived: list[Message] = []
    wire.subscribe("/commands", Float64MultiArray, lambda message, at: arrived.append(message))

    wire.publisher("joint_states", JointState)(STATE)
    now[0], wall[0] = 10.5, 9999.0  # somebody sets the wall clock
    publish(Float64MultiArray(data=[0.25]))
    transport.close()
    recorder.close()

    assert received == [(STATE, 10.0)]
    assert arrived == [Float64MultiArray(data=[0.25])]
    assert wire.closed
    assert messages(tmp_path / "bag", joint_states=JointState, commands=Float64MultiArray) == [
        ("/joint_states", 1000 * 10**9, STATE),
        ("/commands", 1000 * 10**9 + 5 * 10**8, Float64MultiArray(data=[0.25])),
    ]
    assert recorder.report() == f"{tmp_path / 'bag'}: 2 messages recorded"


def test_services_and_time_are_the_transports(tmp_path: Path):
    wire = Loopback(lambda: 2.0)
    transport = RecordingTransport(wire, BagRecorder(tmp_path / "bag"))

    def answer(request: Any) -> None: ...

    transport.serve("/estop", object, answer)
    transport.close()

    assert wire.receivers["/estop"] == [answer]
    assert transport.now() == wire.now()


def test_the_metadata_say_what_ros_2_tools_ask_for(tmp_path: Path):
    recorder = BagRecorder(tmp_path / "bag", clock=lambda: 0.0, wall=lambda: 1000.0)
    for topic, reliable in (("/commands", True), ("/joint_states", False)):
        record = recorder.topic(topic, JointState, reliable=reliable)
        for at in (0.0, 2.0):
            record(STATE, at)
    recorder.close()

    about = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    with Reader(tmp_path / "bag" / "bag.mcap") as reader:
        inside = {c.topic: c.ext.offered_qos_profiles[0].reliability.name for c in reader.connections}
    assert (about["version"], about["storage_identifier"], about["message_count"]) == (9, "mcap", 4)
    assert about["starting_time"]["nanoseconds_since_epoch"] == 1000 * 10**9
    assert about["duration"]["nanoseconds"] == 2 * 10**9
    (commands, _) = (t["topic_metadata"] for t in about["topics_with_message_count"])
    assert (commands["name"], commands["type"]) == ("/commands", "sensor_msgs/msg/JointState")
    assert commands["offered_qos_profiles"][0]["reliability"] == "reliable"
    assert inside == {"/commands": "RELIABLE", "/joint_states": "BEST_EFFORT"}


def test_a_slow_disk_costs_messages_and_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The recorder's thread is held while more messages come than the queue takes."""
    may_write, writes = threading.Event(), threading.Event()
    recorder = BagRecorder(tmp_path / "bag", capacity=10)
    record = recorder.topic("/joint_states", JointState, reliable=False)
    write = recorder._writer.write

    def slow(*arguments: Any) -> None:
        writes.set()
        may_write.wait(PATIENCE)
        write(*arguments)

    monkeypatch.setattr(recorder._writer, "write", slow)
    record(STATE, 0.0)
    writes.wait(PATIENCE)
    for _ in range(25):
        record(STATE, 0.0)  # returns although nothing can be written
    may_write.set()
    recorder.close()

    assert len(messages(tmp_path / "bag", joint_states=JointState)) == 11
    assert recorder.dropped == {"/joint_states": 15}
    assert recorder.report().endswith("11 messages recorded; left out of the recording: 15 of /joint_states")


def test_a_disk_that_fails_ends_the_recording_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recorder = BagRecorder(tmp_path / "bag")
    record = recorder.topic("/joint_states", JointState, reliable=False)

    def fail(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._writer, "write", fail)
    record(STATE, 0.0)
    recorder._thread.join(PATIENCE)
    record(STATE, 0.1)
    recorder.close()

    assert "recording ended early: OSError: [Errno 28] No space left on device" in recorder.report()
    assert recorder.dropped == {"/joint_states": 1}


def test_a_bag_is_never_overwritten(tmp_path: Path):
    BagRecorder(tmp_path / "bag").close()

    with pytest.raises(ConfigError, match=r"bag: exists already; a bag is never overwritten"):
        BagRecorder(tmp_path / "bag")


def test_a_topic_has_one_type_and_a_message_is_ros_2s(tmp_path: Path):
    recorder = BagRecorder(tmp_path / "bag")
    recorder.topic("/topic", JointState, reliable=False)
    with pytest.raises(
        ConfigError, match=r"/topic: got std_msgs/msg/String; the topic is recorded as sensor_msgs/msg/JointState"
    ):
        recorder.topic("topic", String, reliable=False)

    class Own(Message):
        ros_type = "own_msgs/msg/Own"

    with pytest.raises(ConfigError, match=r"own_msgs/msg/Own: not a message of ROS 2's common interfaces"):
        recorder.topic("/own", Own, reliable=False)
    recorder.close()


# --- the end of the process ---------------------------------------------------------------------------------------------------

PROGRAM = """
import sys, time
from pathlib import Path
from robot_bridge.bags.recorder import BagRecorder
from robot_bridge.middleware.messages import JointState
recorder = BagRecorder(Path(sys.argv[1]))
record = recorder.topic("/joint_states", JointState, reliable=False)
for i in range(10**9):
    record(JointState(name=["hip"], position=[float(i)]), time.monotonic())
    if i == 100:
        print("recording", flush=True)
    time.sleep(0.001)
"""


def recording(bag: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(bag)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    )
    assert process.stdout.readline() == "recording\n"
    return process


def test_an_interrupted_process_leaves_a_complete_bag(tmp_path: Path):
    with recording(tmp_path / "bag") as process:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)

    with Bag(tmp_path / "bag") as bag:
        assert not bag.was_cut
        found = sorted(message.position[0] for _, _, message in bag.messages({"/joint_states": JointState}))
    assert len(found) > 100
    assert found == list(range(len(found)))


def test_a_killed_process_leaves_all_but_the_last_second(tmp_path: Path):
    with recording(tmp_path / "bag") as process:
        file = tmp_path / "bag" / "bag.mcap"
        wait_until(lambda: file.stat().st_size >= 10_000)
        process.kill()
    assert file.stat().st_size < 2**19  # before a chunk was full

    assert not (tmp_path / "bag" / "metadata.yaml").exists()
    with Bag(tmp_path / "bag") as bag:
        assert bag.was_cut
        found = sorted(message.position[0] for _, _, message in bag.messages({"/joint_states": JointState}))
    assert len(found) > 50
    assert found == list(range(len(found)))


def test_a_file_that_was_cut_anywhere_is_read_up_to_there(tmp_path: Path):
    recorder = BagRecorder(tmp_path / "bag")
    record = recorder.topic("/joint_states", JointState, reliable=False)
    for i in range(3_000):
        wait_until(lambda: not recorder._queue.full())
        record(JointState(position=[float(i)] * 200), 0.001 * i)
    recorder.close()
    content = (tmp_path / "bag" / "bag.mcap").read_bytes()
    (tmp_path / "cut").mkdir()
    file = tmp_path / "cut" / "cut.mcap"
    counts = []
    for share, tail in ((0.999, b""), (0.7, b"\0" * 5000), (0.4, b"")):
        file.write_bytes(content[: int(share * len(content))] + tail)
        counts.append(len(messages(tmp_path / "cut", joint_states=JointState)))
    file.write_bytes(content[:60])

    assert 3_000 >= counts[0] > counts[1] > counts[2] > 300
    with Bag(file) as bag:
        assert bag.was_cut
        assert bag.topics == {}
    file.write_bytes(content[:5])
    with pytest.raises(ConfigError, match=r"the bag cannot be read \(.*'ros2 bag reindex' or 'mcap recover' may restore it"):
        Bag(file)


@pytest.mark.parametrize("name", ["nowhere", "empty", "text.txt"])
def test_what_is_no_bag_is_one_line(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("hello")

    with pytest.raises(ConfigError, match=name) as error:
        Bag(tmp_path / name)
    assert "\n" not in str(error.value)
