"""MCAP files and rosbag2 folders become episodes: each topic by stamps of its own, joints by name, cut and damaged ones told."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from adaptive_mbrl import cli
from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.bags.cut_mcap import open_cut
from adaptive_mbrl.logs.bags.table import read_bag
from adaptive_mbrl.logs.config import LogConfig, load_log_config
from adaptive_mbrl.logs.log import Log, read_log
from tests.core.bag_logs import (
    WALL,
    Sent,
    boolean,
    header,
    joint_state,
    make,
    mcap_file,
    orientation,
    stamped_vector,
    text,
    twist,
    vector,
    write_bag,
)

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "logs" / "bag.yaml"
DT = 0.1
ARM: dict[str, Any] = {
    "name": "arm",
    "dt": DT,
    "obs": [
        {"name": "elbow", "unit": "rad", "column": "/joint_states.position[elbow]", "degrees": True},
        {
            "name": "heading",
            "unit": "rad",
            "kind": "angle",
            "quaternion": [f"/pose.quaternion.{part}" for part in "wxyz"],
            "angle": "yaw",
        },
        {"name": "force", "unit": "N", "column": "/force.vector.x", "scale": 1000.0},
    ],
    "action": [{"name": "speed", "unit": "m/s", "low": -50.0, "high": 50.0, "column": "/cmd_vel.linear.x"}],
    "min_steps": 5,
}


def arm_config(**changes: Any) -> LogConfig:
    return from_mapping(LogConfig, {k: v for k, v in (ARM | changes).items() if v is not None}, source="arm.yaml")


def elbow(at: np.ndarray | float) -> Any:
    return 0.3 + 0.2 * np.asarray(at)


def heading(at: np.ndarray | float) -> Any:
    """Three turns in ten seconds."""
    return np.remainder(2.0 * np.asarray(at) + math.pi, 2 * math.pi) - math.pi


def force(at: np.ndarray | float) -> Any:
    return 5.0 - 0.5 * np.asarray(at)


def session(seconds: float = 5.0, begin: float = 0.0, stamped: bool = True) -> list[Sent]:
    """Topics of 30, 50 and 17 Hz that arrive up to 15 ms late, in no order, and commands at the control rate.

    Joints swap places from message to message. Everything measured is linear in time, so what it is at each tick is known.
    """
    rng = np.random.default_rng(1)

    def times(rate: float) -> list[float]:
        return [float(at) for at in begin + np.arange(0.003, seconds, 1 / rate)]

    def late(at: float) -> float:
        return at + float(rng.uniform(0.0, 0.015) if stamped else 0.0)

    sent: list[Sent] = []
    for k, at in enumerate(times(30.0)):
        joints = {"wrist": 9.0, "elbow": math.degrees(elbow(at))}
        names = list(joints) if k % 2 else list(joints)[::-1]
        sent.append(("/joint_states", late(at), joint_state(at if stamped else None, names, [joints[name] for name in names])))
    for at in times(50.0):
        half = heading(at) / 2
        sent.append(("/pose", late(at), orientation(at, math.cos(half), 0.0, 0.0, math.sin(half))))
    sent += [("/force", late(at), stamped_vector(at if stamped else None, force(at) / 1000)) for at in times(17.0)]
    sent += [("/cmd_vel", begin + DT * k, twist(float(k))) for k in range(round(seconds / DT))]
    return sent


def check(log: Log, seconds: float = 5.0) -> None:
    """The episode is what was measured and sent at its ticks."""
    (episode,) = log.episodes
    assert len(episode) >= seconds / DT - 4
    # the first message arrived at the begin of the recording
    ticks = episode.tags["begin_seconds"] + DT * np.arange(len(episode) + 1)
    np.testing.assert_allclose(episode.obs[:, 0], elbow(ticks), atol=5e-4)
    assert np.abs(np.remainder(episode.obs[:, 1] - heading(ticks) + math.pi, 2 * math.pi) - math.pi).max() < 2e-3
    np.testing.assert_allclose(episode.obs[:, 2], force(ticks), atol=5e-4)
    # a command counts from its arrival
    np.testing.assert_allclose(episode.action[:, 0], np.round(ticks[:-1] / DT), atol=0.05)


KINDS: dict[str, Callable[[Path, list[Sent]], Path]] = {
    "mcap file": lambda folder, sent: mcap_file(folder / "log.mcap", sent),
    "mcap folder": lambda folder, sent: write_bag(folder / "log", sent),
    "sqlite folder": lambda folder, sent: write_bag(folder / "log", sent, "sqlite3"),
    "sqlite file": lambda folder, sent: write_bag(folder / "log", sent, "sqlite3") / "log.db3",
}


@pytest.mark.parametrize("kind", KINDS)
def test_topics_of_different_rates_give_the_known_answer(tmp_path: Path, kind: str):
    log = read_log(KINDS[kind](tmp_path, session()), arm_config())

    check(log)
    assert log.notes == ()


@pytest.mark.parametrize("mode", ["FILE", "MESSAGE", "STORAGE"])
def test_compressed_bags_are_read(tmp_path: Path, mode: str):
    from rosbags.rosbag2 import CompressionFormat, CompressionMode

    bag = write_bag(tmp_path / "log", session(), mode=CompressionMode[mode], fmt=CompressionFormat.ZSTD)
    check(read_log(bag, arm_config()))


def test_the_stamps_of_an_episode_are_those_of_the_messages(tmp_path: Path):
    (episode,) = read_log(mcap_file(tmp_path / "log.mcap", session()), arm_config()).episodes

    assert episode.stamps is not None
    ticks = WALL + episode.tags["begin_seconds"] + DT * np.arange(len(episode) + 1)
    # of the slowest topic, the nearest message is half a period away at most
    assert np.abs(episode.stamps - ticks).max() <= 0.5 / 17 + 1e-3


def test_without_headers_the_time_of_arrival_counts(tmp_path: Path):
    check(read_log(mcap_file(tmp_path / "log.mcap", session(stamped=False)), arm_config()))


def test_a_clock_of_another_machine_is_not_believed(tmp_path: Path):
    sent = [
        (topic, at, stamped_vector(at - 1000, message.vector.x) if topic == "/force" else message)
        for topic, at, message in session(stamped=False)
    ]
    log = read_log(mcap_file(tmp_path / "log.mcap", sent), arm_config())

    check(log)
    assert log.notes == ("/force: 100% of its stamps are of another clock; the time of arrival is used there",)


def test_a_clock_that_is_a_little_behind_is_told(tmp_path: Path):
    sent = [
        (topic, at, stamped_vector(at - 0.2, message.vector.x) if topic == "/force" else message)
        for topic, at, message in session(stamped=False)
    ]
    log = read_log(mcap_file(tmp_path / "log.mcap", sent), arm_config())

    assert log.notes == ("/force: messages arrived 0.2 s after their stamps; do both clocks agree?",)


def test_messages_that_repeat_a_stamp_say_nothing_new(tmp_path: Path):
    sent = session()
    repeated = [("/force", 2.0 + 0.01 * k, stamped_vector(1.5, 0.0)) for k in range(10)]
    log = read_log(mcap_file(tmp_path / "log.mcap", [*sent, *repeated]), arm_config())

    check(log)
    assert log.notes == ("/force: 10 messages left out, their stamps stand still or go back",)


def test_a_topic_that_is_silent_makes_a_gap(tmp_path: Path):
    sent = [(topic, at, message) for topic, at, message in session() if topic != "/pose" or not 2.0 < at < 3.0]
    log = read_log(mcap_file(tmp_path / "log.mcap", sent), arm_config())

    reasons = [stretch.reason for stretch in log.stretches if stretch.reason and stretch.end - stretch.begin > 0.5]
    assert reasons == ["no value of 'heading'"]
    assert [len(episode) for episode in log.episodes] == pytest.approx([19, 19], abs=2)


def test_a_slow_topic_is_bridged_on_request(tmp_path: Path):
    sent = [entry for entry in session() if entry[0] != "/force"]
    sent += [("/force", float(at), stamped_vector(float(at), force(at) / 1000)) for at in np.arange(0.0, 5.5, 0.5)]
    file = mcap_file(tmp_path / "log.mcap", sent)

    assert read_log(file, arm_config()).episodes == ()
    check(read_log(file, arm_config(max_gap=0.6)))


def test_tags_situations_and_an_end_come_from_topics(tmp_path: Path):
    sent = [*session(4.0), ("/floor", 0.0, text("ice")), ("/floor", 2.0, text("mud")), ("/crash", 3.9, boolean(True))]
    config = arm_config(
        tags={"columns": ["/floor.data"], "constant": {"robot": 3}}, situation=["/floor.data"], ended="/crash.data"
    )
    log = read_log(mcap_file(tmp_path / "log.mcap", sent), config)

    assert [e.tags["situation"] for e in log.episodes] == [{"/floor.data": "ice"}, {"/floor.data": "mud"}]
    assert [e.tags["robot"] for e in log.episodes] == [3, 3]
    assert [e.ended for e in log.episodes] == [False, True]


def test_a_sensor_that_fails_before_an_end_is_none(tmp_path: Path):
    sent = [entry for entry in session(4.0) if entry[0] != "/force" or entry[1] < 2.5]
    log = read_log(mcap_file(tmp_path / "log.mcap", [*sent, ("/crash", 3.9, boolean(True))]), arm_config(ended="/crash.data"))

    assert [e.ended for e in log.episodes] == [False]


def rover(seconds: float) -> list[Sent]:
    """The topics of the shipped example; the rover turns with 0.5 rad/s, and its mast goes up."""
    sent: list[Sent] = [("/surface", 0.01, text("grass"))]
    nothing = make("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0)
    none = np.zeros(36)
    for k in range(round(seconds / 0.02)):
        at = 0.02 * k
        turn = make("geometry_msgs/msg/Quaternion", w=math.cos(at / 4), x=0.0, y=0.0, z=math.sin(at / 4))
        pose = make("geometry_msgs/msg/Pose", position=nothing, orientation=turn)
        where = make("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=none)
        moves = make("geometry_msgs/msg/TwistWithCovariance", twist=twist(1.5), covariance=none)
        odometry = make("nav_msgs/msg/Odometry", header=header(at), child_frame_id="base", pose=where, twist=moves)
        rates = {"angular_velocity": vector(z=0.5), "linear_acceleration": vector()}
        rates |= {f"{name}_covariance": np.zeros(9) for name in ("orientation", "angular_velocity", "linear_acceleration")}
        imu = make("sensor_msgs/msg/Imu", header=header(at), orientation=turn, **rates)
        joints = joint_state(at, ["wheel", "mast_joint"], [7.0, 0.1 * at])
        sent += [("/odom", at, odometry), ("/imu", at, imu), ("/joint_states", at, joints), ("/cmd_vel", at, twist(1.5, 0.5))]
    return sent


def test_the_shipped_example_reads_a_rovers_bag(tmp_path: Path):
    (episode,) = read_log(write_bag(tmp_path / "monday", rover(4.0)), load_log_config(EXAMPLE)).episodes

    ticks = episode.tags["begin_seconds"] + DT * np.arange(len(episode) + 1)
    assert len(episode) >= 37
    np.testing.assert_allclose(
        episode.obs, np.stack([ticks / 2, ticks * 0 + 1.5, ticks * 0 + 0.5, ticks / 10], axis=1), atol=1e-3
    )
    np.testing.assert_allclose(episode.action, [[1.5, 0.5]] * len(episode))
    assert episode.tags["situation"] == {"/surface.data": "grass"}


def test_entries_of_lists_within_lists_go_by_the_names_around_them(tmp_path: Path):
    second = make("builtin_interfaces/msg/Duration", sec=1, nanosec=0)
    sent: list[Sent] = []
    for k in range(3):
        points = [
            make(
                "trajectory_msgs/msg/JointTrajectoryPoint",
                time_from_start=second,
                positions=np.array([10.0 * ahead + k, -1.0]),
                **{name: np.zeros(0) for name in ("velocities", "accelerations", "effort")},
            )
            for ahead in range(k + 1)
        ]
        command = {"joint_names": ["elbow", "wrist"], "points": points}
        sent.append(("/command", 0.1 * k, make("trajectory_msgs/msg/JointTrajectory", header=header(None), **command)))

    names = [f"/command.points[{ahead}].positions[elbow]" for ahead in range(2)]
    table = read_bag(write_bag(tmp_path / "bag", sent), dict.fromkeys(names, "obs[0]"))

    np.testing.assert_array_equal(table.columns[names[0]], [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(table.columns[names[1]], [np.nan, 11.0, 12.0])


# --- mistakes -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            "/joint_stats.position[0]",
            "no topic '/joint_stats' (key 'obs[0]') (did you mean '/joint_states'?); topics in the bag: /cmd_vel",
        ),
        ("joint_states.position[0]", "no topic 'joint_states' (key 'obs[0]') (did you mean '/joint_states'?)"),
        (
            "/joint_states.positon[0]",
            "no column '/joint_states.positon[0]' (key 'obs[0]') (did you mean 'position'?); fields of '/joint_states'",
        ),
        (
            "/joint_states.position",
            "'/joint_states.position' is a list; allowed: one of its entries, such as '/joint_states.position[0]'",
        ),
        (
            "/joint_states.position[elbo]",
            "no message of /joint_states holds it (did you mean 'elbow'?); names in its messages: elbow, wrist",
        ),
        ("/joint_states.position[7]", "column '/joint_states.position[7]' (key 'obs[0]'): no message of /joint_states holds it"),
        ("/joint_states.position[0].x", "nothing is known by 'x' in '/joint_states.position[0]'; columns of /joint_states: "),
        ("/pose.quaternion", "'/pose.quaternion' has parts; allowed: /pose.quaternion.x, /pose.quaternion.y"),
        ("/pose", "'/pose' has parts; allowed: /pose.header.stamp.sec"),
        ("/pose.quaternion.x[0]", "'x' is no list; leave out '[0]'"),
        ("/pose.quaternion.u", "fields of '/pose.quaternion' (geometry_msgs/msg/Quaternion): x, y, z, w"),
        ("/pose.header.frame_id", "column '/pose.header.frame_id' (key 'obs[0]') has texts; allowed: numbers"),
        ("/pose.", "'/pose' has parts"),
        ("/pose.quaternion.x y", "nothing is known by 'x y' in '/pose.quaternion'"),
    ],
)
def test_a_wrong_column_is_one_line_with_what_is_allowed(tmp_path: Path, column: str, message: str):
    file = mcap_file(tmp_path / "log.mcap", session(1.0))

    with pytest.raises(ConfigError) as error:
        read_log(file, arm_config(obs=[{"name": "elbow", "unit": "rad", "column": column}]))

    assert message in str(error.value)
    assert str(error.value).startswith(f"{file}: ")
    assert "\n" not in str(error.value)


def test_a_missing_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "rosbags.rosbag2", None)

    with pytest.raises(ConfigError, match=r"package 'rosbags' is not installed; pip install 'adaptive-mbrl\[logs\]'"):
        read_log(mcap_file(tmp_path / "log.mcap", session(1.0)), arm_config())


@pytest.mark.parametrize("key", [{"time": {"column": "/pose.header.stamp.sec"}}, {"period": 0.1}])
def test_stamps_of_a_bag_are_its_own(tmp_path: Path, key: dict[str, Any]):
    file = mcap_file(tmp_path / "log.mcap", session(1.0))

    with pytest.raises(
        ConfigError, match=r"key '(time|period)': the messages of a bag have stamps of their own; bags need a YAML file without"
    ):
        read_log(file, arm_config(**key))


def test_a_topic_without_messages_is_one_line(tmp_path: Path):
    folder = write_bag(tmp_path / "log", session(1.0), "sqlite3")
    import apsw

    database = apsw.Connection(str(folder / "log.db3"))
    database.execute("DELETE FROM messages WHERE topic_id = (SELECT id FROM topics WHERE name = '/force')")
    database.close()

    with pytest.raises(ConfigError, match=r"log: no message on /force$"):
        read_log(folder, arm_config())


# --- cut and damaged ----------------------------------------------------------------------------------------------------------

CUT = "the recording was cut off; its whole messages are read"


def uncompressed_chunk_begin(content: bytes) -> int:
    """Where the first chunk begins."""
    at = 8
    while content[at] != 0x06:
        at += 9 + struct.unpack_from("<Q", content, at + 1)[0]
    return at


@pytest.mark.parametrize("zeros", [0, 100, 20_000])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_was_cut_is_read_up_to_its_last_whole_message(tmp_path: Path, share: float, zeros: int):
    """All messages are in one chunk, of which the end is missing; a file system may have put zeros there."""
    file = mcap_file(tmp_path / "log.mcap", session())
    content = file.read_bytes()
    begin = uncompressed_chunk_begin(content)
    (size,) = struct.unpack_from("<Q", content, begin + 1)
    file.write_bytes(content[: begin + int(share * size)] + bytes(zeros))

    log = read_log(file, arm_config())

    check(log, seconds=5.0 * share - 0.3)
    assert log.notes == (CUT,)


def test_a_file_without_chunks_may_have_its_messages_in_any_order(tmp_path: Path):
    """As `ros2 bag record --storage-preset-profile fastwrite` writes it."""
    file = mcap_file(tmp_path / "log.mcap", session())
    content = file.read_bytes()
    begin = uncompressed_chunk_begin(content)
    (size,) = struct.unpack_from("<Q", content, begin + 1)
    file.write_bytes(content[: begin + 9 + size - 1])
    with open_cut(file) as whole:
        content = whole.read()
    messages, others, at = [], [], 8
    while at < len(content) - 8:
        record = content[at : at + 9 + struct.unpack_from("<Q", content, at + 1)[0]]
        (messages if record[0] == 0x05 else others).append(record)
        at += len(record)
    file.write_bytes(content[:8] + b"".join([*others[:-1], *reversed(messages), others[-1]]) + content[-8:])

    log = read_log(file, arm_config())

    check(log)
    assert log.notes == ()


def test_a_bag_whose_recorder_was_killed_is_read(tmp_path: Path):
    folder = write_bag(tmp_path / "run", session())
    (folder / "metadata.yaml").write_bytes(b"")
    content = (folder / "run.mcap").read_bytes()
    (folder / "run.mcap").rename(folder / "run_0.mcap")
    (folder / "run_1.mcap").write_bytes(content[: len(content) // 2])

    assert cli.main(["data", "import", *import_arguments(tmp_path, folder)]) == 0
    assert [about["log"]["file"] for about in EpisodeStore.open(tmp_path / "episodes").abouts] == ["run"]


def test_newer_messages_that_sqlite_did_not_write_in_time_are_told(tmp_path: Path):
    folder = write_bag(tmp_path / "log", session(), "sqlite3")
    (folder / "log.db3-wal").write_bytes(b"pages")

    assert read_log(folder, arm_config()).notes == ("log.db3-wal holds newer messages, which are not read",)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_bag_is_one_line(tmp_path: Path, kind: str):
    path = KINDS[kind](tmp_path, session())
    file = path if path.is_file() else next(f for f in path.iterdir() if f.suffix != ".yaml")
    content = bytearray(file.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 20_000] = bytes([0xA5]) * 20_000
    file.write_bytes(content)

    with pytest.raises(ConfigError, match=f"^{path}: ") as error:
        read_log(path, arm_config())
    assert "\n" not in str(error.value)


# --- the command --------------------------------------------------------------------------------------------------------------


def import_arguments(folder: Path, *files: Path) -> list[str]:
    (folder / "arm.yaml").write_text(yaml.safe_dump(ARM))
    return [*map(str, files), "--config", str(folder / "arm.yaml"), "--out", str(folder / "episodes")]


def test_a_folder_of_bags_is_imported_bag_by_bag_and_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    logs = tmp_path / "logs"
    (logs / "monday").mkdir(parents=True)
    write_bag(logs / "monday" / "run1", session(3.0), "sqlite3")
    write_bag(logs / "run2", session(4.0))
    mcap_file(logs / "a.mcap", session(2.0))
    (logs / "damaged.mcap").write_bytes(b"\x89MCAP0\r\n" + b"\xa5" * 50 + b"\x89MCAP0\r\n")
    arguments = import_arguments(tmp_path, logs)

    assert cli.main(["data", "import", *arguments]) == 2
    printed = capsys.readouterr()
    assert f"skipped: {logs / 'damaged.mcap'}: the bag cannot be read" in printed.out
    assert printed.err == f"error: 1 of 4 files could not be imported: {logs / 'damaged.mcap'}\n"
    files = [about["log"]["file"] for about in EpisodeStore.open(tmp_path / "episodes").abouts]
    assert files == ["a.mcap", "run1", "run2"]

    # the file of a bag is the bag
    assert cli.main(["data", "import", *import_arguments(tmp_path, logs / "run2" / "run2.mcap", logs / "run2")]) == 0
    assert capsys.readouterr().out.count(": imported already") == 2


def test_files_of_another_folder_than_a_bags_are_logs_of_their_own(tmp_path: Path):
    (tmp_path / "logs").mkdir()
    for number in range(2):
        mcap_file(tmp_path / "logs" / f"drive_{number}.mcap", session(2.0 + number))

    assert cli.main(["data", "import", *import_arguments(tmp_path, tmp_path / "logs")]) == 0
    files = [about["log"]["file"] for about in EpisodeStore.open(tmp_path / "episodes").abouts]
    assert files == ["drive_0.mcap", "drive_1.mcap"]


def test_from_a_bag_to_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    write_bag(Path("run1"), [*session(10.0), ("/floor", 0.0, text("ice")), ("/floor", 5.0, text("mud"))])
    Path("arm.yaml").write_text(yaml.safe_dump(ARM | {"tags": {"columns": ["/floor.data"]}, "situation": ["/floor.data"]}))

    assert cli.main(["data", "import", "run1", "--config", "arm.yaml", "--out", "episodes"]) == 0
    assert cli.main(["data", "stats", "episodes"]) == 0
    printed = capsys.readouterr().out
    assert "elbow" in printed
    assert "/floor.data" in printed
    settings = ["model.hidden=[8]", "model.members=1", "model.context_dim=2", "window=3", "outer.query=3"]
    settings += ["outer.meta_batch_size=4", "outer.validation_windows=4", "updates_initial=2", "updates_final=2"]
    assert cli.main(["train", "--data", "episodes", "--run", "run", "--no-report", "--device", "cpu", "--set", *settings]) == 0
    assert Path("run/checkpoint/README.md").exists()
