"""Bags become episodes: bags as other recorders write them, with everything that can be wrong with them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from rosbags.rosbag2 import StoragePlugin, Writer

from adaptive_mbrl import cli
from adaptive_mbrl.checkpoint import load_checkpoint, save_checkpoint
from adaptive_mbrl.config import save_yaml
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.store_lock import store_lock
from adaptive_mbrl.data.stored_objective import OBJECTIVE_FILE
from adaptive_mbrl.objective import Term
from adaptive_mbrl.planning.learned_reward import LearnedReward, LearnedRewardConfig
from adaptive_mbrl.spec import HealthyRange
from robot_bridge.bags import import_bag
from robot_bridge.bags.types import encode, typestore
from robot_bridge.bridge_config import BridgeConfig, GoalInput, OutputConfig
from robot_bridge.middleware.messages import (
    DiagnosticArray,
    DiagnosticStatus,
    Float64MultiArray,
    Header,
    Imu,
    JointState,
    JointTrajectory,
    JointTrajectoryPoint,
    KeyValue,
    Message,
    String,
    Time,
    Twist,
    Vector3,
)
from robot_bridge.streams.watched import Watched
from tests.bridge.recorded import WALL, bridge_config, joint_state

DT = 0.04
Sent = tuple[str, float, Message]
COMMANDS = "/effort_controller/commands"


def write_bag(folder: Path, sent: Sequence[Sent], storage: StoragePlugin = StoragePlugin.MCAP, also: Sequence[Sent] = ()) -> Path:
    """A bag with messages of topics at times [s]; `also` are topics without messages."""
    with Writer(folder, version=9, storage_plugin=storage) as writer:
        connections = {}
        for topic, at, message in [*sent, *also]:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, message.ros_type, typestore=typestore())
            if (topic, at, message) not in also:
                writer.write(connections[topic], round((WALL + at) * 1e9), encode(message))
    return folder


def motion(at: float) -> np.ndarray:
    """(cart position, pole angle, cart velocity, pole velocity), a line each."""
    return np.array([0.1 * at, 0.5 - 0.2 * at, 0.1, -0.2])


def session(begin: float, steps: int, command: Callable[[int], float] = lambda step: 0.01 * step) -> list[Sent]:
    """Joint states at 100 Hz and commands at the control rate, as a robot and its controller send them."""
    times = np.round(np.arange(begin, begin + steps * DT + 0.015, 0.01), 6)
    states = [("/joint_states", float(t) + 0.001, joint_state(float(t), motion(float(t)))) for t in times]
    commands = [(COMMANDS, begin + DT * k, Float64MultiArray(data=[command(k)])) for k in range(steps)]
    return sorted([*states, *commands], key=lambda entry: entry[1])


def changed(sent: list[Sent], change: Callable[[float, JointState], JointState | None]) -> list[Sent]:
    """Other joint states by their time; None for a message that was lost."""
    found = [(t, at, change(at, m) if isinstance(m, JointState) else m) for t, at, m in sent]
    return [(t, at, m) for t, at, m in found if m is not None]


@pytest.fixture
def bridge(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> Path:
    """A bridge file for an untrained checkpoint with a window of 4, so that stretches of 8 steps are enough."""
    save_yaml(tmp_path / "bridge.yaml", bridge_config(str(make_checkpoint(tmp_path / "checkpoint"))))
    return tmp_path / "bridge.yaml"


@pytest.fixture
def run(tmp_path: Path, bridge: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`adaptive-mbrl import-bag`: exit code, output, error."""

    def command(bag: Path, *more: str) -> tuple[int, str, str]:
        code = cli.main(["import-bag", str(bag), "--bridge", str(bridge), "--out", str(tmp_path / "episodes"), *more])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def episodes(tmp_path: Path) -> list[Episode]:
    return EpisodeStore.open(tmp_path / "episodes").episodes


def rows(output: str) -> list[str]:
    """Lines of the table: from, to, steps and what became of the stretch."""
    return [" ".join(line.split()) for line in output.splitlines() if line.strip()[:1].isdigit() and "control steps" not in line]


# --- what comes out -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", list(StoragePlugin), ids=lambda plugin: plugin.name)
def test_two_sessions_are_two_episodes_with_obs_actions_rewards_and_where_they_come_from(
    tmp_path: Path, bridge: Path, run: Callable, storage: StoragePlugin
):
    bag = write_bag(tmp_path / "bag", [*session(0.0, 50), *session(20.0, 30)], storage)

    code, output, _ = run(bag)

    first, second = episodes(tmp_path)
    assert code == 0
    assert rows(output) == ["0.00 2.00 50 kept", "2.00 20.00 dropped: no commands", "20.00 21.20 30 kept"]
    assert "80 of 80 control steps kept" in output
    assert output.endswith(f"{tmp_path / 'episodes'}: 2 episodes, 80 steps\n")
    np.testing.assert_allclose(first.obs, [motion(DT * k) for k in range(51)], atol=1e-5)
    np.testing.assert_allclose(second.obs, [motion(20 + DT * k) for k in range(31)], atol=1e-5)
    np.testing.assert_allclose(first.action[:, 0], 0.01 * np.arange(50), atol=1e-6)
    assert second.tags == {"source": "bag", "bag": "bag", "start": round(WALL * 1e9), "begin_seconds": 20.0}
    # joint states are measured every 0.01 s, and each tick is at one of them
    np.testing.assert_allclose(second.stamps, WALL + 20 + DT * np.arange(31), atol=1e-5, rtol=0)
    x, angle, _, velocity = first.obs[1:].T
    expected = 0.5 * np.cos(angle) + 0.3 * np.exp(-(x**2)) + 0.2 * np.exp(-(velocity**2) / 16) - 0.01 * first.action[:, 0] ** 2
    np.testing.assert_allclose(first.reward, expected, atol=1e-5)


def test_an_episode_ended_by_itself_where_the_robot_was_no_longer_healthy(tmp_path: Path, bridge: Path, run: Callable):
    checkpoint = load_checkpoint(tmp_path / "checkpoint")
    # the second session ends at 2.12 m
    spec = dataclasses.replace(checkpoint.description.spec, healthy=(HealthyRange("cart_position", high=2.1),))
    described = dataclasses.replace(checkpoint.description, spec=spec)
    save_checkpoint(tmp_path / "falls", dataclasses.replace(checkpoint, description=described))
    save_yaml(bridge, bridge_config(str(tmp_path / "falls")))

    assert run(write_bag(tmp_path / "bag", [*session(0.0, 50), *session(20.0, 30)]))[0] == 0

    assert [e.ended for e in episodes(tmp_path)] == [False, True]


def test_an_import_beside_another_is_refused_and_a_damaged_file_is_skipped(tmp_path: Path, run: Callable):
    bag = write_bag(tmp_path / "bag", session(0.0, 20))
    with store_lock(tmp_path / "episodes"):
        code, _, error = run(bag)
    assert (code, "is importing into this folder" in error) == (2, True)
    assert run(bag)[0] == 0
    shard = tmp_path / "episodes" / "000000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-5])

    code, output, _ = run(bag)

    assert (code, f"Skipped: {shard}: damaged episode file" in output) == (0, True)


def test_a_bag_is_imported_once(tmp_path: Path, run: Callable):
    bag = write_bag(tmp_path / "bag", session(0.0, 20))
    assert run(bag)[0] == 0

    code, output, error = run(bag)
    other = run(write_bag(tmp_path / "other", session(5.0, 20)))

    assert (code, error) == (0, "")
    assert f"{bag}: imported already\n" in output
    assert other[0] == 0
    assert len(episodes(tmp_path)) == 2


def test_a_bag_that_is_in_the_store_is_not_read_again(tmp_path: Path, run: Callable, monkeypatch: pytest.MonkeyPatch):
    bag = write_bag(tmp_path / "bag", session(0.0, 20))
    assert run(bag)[0] == 0

    def read(*arguments: object) -> None:
        raise AssertionError("the bag is read")

    monkeypatch.setattr(import_bag, "read_recording", read)

    assert run(bag) == (0, f"{bag}: imported already\n", "")


def test_what_the_robot_did_while_somebody_else_commanded_is_left_out(tmp_path: Path, run: Callable):
    def diagnosis(at: float, others: int, node: str = "adaptive_mpc") -> Sent:
        values = [KeyValue("other publishers", str(others))]
        return "/diagnostics", at, DiagnosticArray(status=[DiagnosticStatus(name=f"{node}: output", values=values)])

    told = [diagnosis(0.5, 0), diagnosis(1.5, 1), diagnosis(1.6, 9, "another_node"), diagnosis(2.5, 0)]

    code, output, _ = run(write_bag(tmp_path / "bag", [*session(0.0, 100), *told]))

    assert code == 0
    assert rows(output) == ["0.00 0.48 12 kept", "0.48 2.52 51 dropped: somebody else commanded", "2.52 4.00 37 kept"]
    assert "no /diagnostics" not in output


def test_trajectories_are_commands_by_joint_name(tmp_path: Path, bridge: Path, run: Callable):
    output = OutputConfig("/trajectory", JointTrajectory.ros_type, joints=("slider",))
    config = bridge_config(str(tmp_path / "checkpoint"))
    save_yaml(bridge, dataclasses.replace(config, output=output, safety=dataclasses.replace(config.safety, safe_action="hold")))

    def trajectory(at: float, value: float) -> JointTrajectory:
        names, positions = (["slider"], [value]) if value == 0 else (["other", "slider"], [9.0, value])
        return JointTrajectory(Header(Time.of(WALL + at)), names, [JointTrajectoryPoint(positions)])

    sent = [
        ("/trajectory", at + 0.003, trajectory(at, message.data[0])) if topic == COMMANDS else (topic, at, message)
        for topic, at, message in session(1.0, 20)
    ]

    assert run(write_bag(tmp_path / "bag", sent))[0] == 0

    (found,) = episodes(tmp_path)
    np.testing.assert_allclose(found.action[:, 0], 0.01 * np.arange(20), atol=1e-6)
    np.testing.assert_allclose(found.obs[0], motion(1.0), atol=1e-5)  # when it was stamped, not when it came


def test_joint_states_are_commands_by_joint_name(tmp_path: Path, bridge: Path, run: Callable):
    output = OutputConfig("/joint_commands", JointState.ros_type, joints=("slider",), field="effort")
    save_yaml(bridge, dataclasses.replace(bridge_config(str(tmp_path / "checkpoint")), output=output))

    def command(at: float, value: float) -> JointState:
        return JointState(Header(Time.of(WALL + at)), ["other", "slider"], effort=[9.0, value])

    sent = [
        ("/joint_commands", at + 0.003, command(at, message.data[0])) if topic == COMMANDS else (topic, at, message)
        for topic, at, message in session(1.0, 20)
    ]

    assert run(write_bag(tmp_path / "bag", sent))[0] == 0

    (found,) = episodes(tmp_path)
    np.testing.assert_allclose(found.action[:, 0], 0.01 * np.arange(20), atol=1e-6)


def test_a_bag_of_a_robot_in_a_namespace_is_read_by_its_nodes_name(tmp_path: Path, bridge: Path, run: Callable):
    config = bridge_config(str(tmp_path / "checkpoint"))
    inputs = {name: dataclasses.replace(topic, topic=topic.topic.lstrip("/")) for name, topic in config.inputs.items()}
    output = dataclasses.replace(config.output, topic=config.output.topic.lstrip("/"))
    save_yaml(bridge, dataclasses.replace(config, inputs=inputs, output=output))
    sent = [(f"/robot_1{topic}", at, message) for topic, at, message in session(0.0, 20)]

    code, _, error = run(write_bag(tmp_path / "bag", sent), "--node", "robot_1/adaptive_mpc")

    assert (code, error) == (0, "")
    assert len(episodes(tmp_path)) == 1


def with_goal(folder: Path) -> BridgeConfig:
    """The bridge file of a checkpoint whose reward is how far the cart is beyond a goal."""
    checkpoint = load_checkpoint(folder / "checkpoint")
    terms = (Term("linear", channels=("cart_position",), goal=("x",)),)
    described = dataclasses.replace(checkpoint.description, terms=terms, goal_names=("x",))
    save_checkpoint(folder / "with_goal", dataclasses.replace(checkpoint, description=described))
    return bridge_config(str(folder / "with_goal"))


def test_a_learned_reward_is_imported_beside_and_watched(tmp_path: Path, bridge: Path, run: Callable):
    checkpoint = load_checkpoint(tmp_path / "checkpoint")
    learned = LearnedReward(checkpoint.description.spec, LearnedRewardConfig(hidden=(4,)))
    about = dataclasses.replace(checkpoint.description, terms=(), learned_reward=learned.config)
    save_checkpoint(tmp_path / "learned", dataclasses.replace(checkpoint, description=about, learned_reward=learned))
    save_yaml(bridge, bridge_config(str(tmp_path / "learned")))

    assert run(write_bag(tmp_path / "bag", session(0.0, 20)))[0] == 0

    (found,) = episodes(tmp_path)
    step = [torch.from_numpy(x) for x in (found.obs[:-1], found.action, found.obs[1:])]
    np.testing.assert_allclose(found.reward, learned(*step, torch.zeros(20, 0)).detach().numpy(), atol=1e-6)
    # there are no terms that a training could take from there
    assert not (tmp_path / "episodes" / OBJECTIVE_FILE).exists()
    assert Watched.load(bridge).spec == checkpoint.description.spec


def test_rewards_follow_the_goal(tmp_path: Path, bridge: Path, run: Callable):
    config = with_goal(tmp_path)
    save_yaml(bridge, config)
    bag = write_bag(
        tmp_path / "bag",
        sorted(
            [
                *session(0.0, 20),
                ("/goal", 0.39, Twist(linear=Vector3(x=2.0))),
                ("/goal", 0.5, Twist(linear=Vector3(x=math.nan))),
            ],
            key=lambda entry: entry[1],
        ),
    )

    refused = run(bag)
    save_yaml(bridge, dataclasses.replace(config, goal=GoalInput("/goal", Twist.ros_type, ("linear.x",), (1.0,))))

    assert (refused[0], refused[2]) == (2, f"error: {bridge}: key 'goal': 0 values; the checkpoint's objective has 1\n")
    assert run(bag)[0] == 0
    (found,) = episodes(tmp_path)
    np.testing.assert_allclose(found.obs[1:, 0] - found.reward, [1.0] * 10 + [2.0] * 10, atol=1e-5)


def test_rewards_follow_goals_that_were_known_ahead(tmp_path: Path, bridge: Path, run: Callable):
    config = with_goal(tmp_path)
    goal = GoalInput("/goal", Float64MultiArray.ros_type, ("data.0",), (1.0,), preview=True)
    save_yaml(bridge, dataclasses.replace(config, goal=goal))
    told = [
        ("/goal", 5 * DT + 0.003, Float64MultiArray(data=[2.0] * 3 + [3.0] * 90)),
        ("/goal", 9 * DT + 0.003, Float64MultiArray(data=[4.0, 5.0])),
        ("/goal", 15 * DT, Float64MultiArray(data=[math.nan] * 9)),
    ]

    assert run(write_bag(tmp_path / "bag", sorted([*session(0.0, 20), *told], key=lambda entry: entry[1])))[0] == 0
    (found,) = episodes(tmp_path)
    expected = [1.0] * 5 + [2.0] * 3 + [3.0] + [4.0] + [5.0] * 10
    np.testing.assert_allclose(found.obs[1:, 0] - found.reward, expected, atol=1e-5)


def test_what_the_supervisor_does_not_drive_is_cut(tmp_path: Path, run: Callable):
    states = [
        ("/adaptive_mpc/state", DT * k + 0.001, String("estop" if 20 <= k < 30 else "inactive" if k < 3 else "running"))
        for k in range(60)
    ]
    bag = write_bag(tmp_path / "bag", sorted([*session(0.0, 60), *states], key=lambda entry: entry[1]))

    code, output, _ = run(bag)

    assert code == 0
    # a state holds until another one is told, so that the step after it is cut as well
    assert rows(output) == [
        "0.00 0.16 4 dropped: state inactive",
        "0.16 0.80 16 kept",
        "0.80 1.24 11 dropped: state estop",
        "1.24 2.40 29 kept",
    ]
    assert "Note: no /adaptive_mpc/state" not in output
    assert "Note: no /adaptive_mpc/state" in run(write_bag(tmp_path / "without", session(0.0, 20)))[1]


# --- what is wrong with messages ----------------------------------------------------------------------------------------------


def nan_angle(at: float, message: JointState) -> JointState:
    inside = 0.805 < at < 1.195
    return dataclasses.replace(message, position=[math.nan, *message.position[1:]]) if inside else message


def without_joint(at: float, message: JointState) -> JointState:
    return JointState(message.header, ["slider"], message.position[1:], message.velocity[1:]) if 0.805 < at < 1.195 else message


def empty_velocity(at: float, message: JointState) -> JointState:
    return dataclasses.replace(message, velocity=[]) if 0.805 < at < 1.195 else message


def lost(at: float, message: JointState) -> JointState | None:
    return None if 0.805 < at < 1.195 else message


def frozen(at: float, message: JointState) -> JointState:
    return dataclasses.replace(message, header=Header(Time.of(WALL + 0.8))) if 0.805 < at < 1.195 else message


GAPS = {
    "nan": (nan_angle, "pole_angle"),
    "missing joint": (without_joint, "pole_angle"),
    "empty field": (empty_velocity, "cart_velocity"),
    "lost": (lost, "cart_position"),
    "stamps stand still": (frozen, "cart_position"),
}


@pytest.mark.parametrize(("change", "channel"), GAPS.values(), ids=GAPS.keys())
def test_a_gap_in_the_messages_is_cut_and_reported(tmp_path: Path, run: Callable, change: Callable, channel: str):
    code, output, _ = run(write_bag(tmp_path / "bag", changed(session(0.0, 60), change)))

    assert code == 0
    assert rows(output) == ["0.00 0.80 20 kept", f"0.80 1.20 10 dropped: no value of '{channel}'", "1.20 2.40 30 kept"]
    assert all(np.isfinite(e.obs).all() for e in episodes(tmp_path))
    assert ("stand still or go back" in output) == (change is frozen)


def test_a_message_or_two_that_are_lost_are_bridged(tmp_path: Path, run: Callable):
    sent = changed(session(0.0, 60), lambda at, message: None if 0.8 < at < 0.9 else message)

    assert rows(run(write_bag(tmp_path / "bag", sent))[1]) == ["0.00 2.40 60 kept"]
    np.testing.assert_allclose(episodes(tmp_path)[0].obs, [motion(DT * k) for k in range(61)], atol=1e-5)


def test_stamps_that_jump_back_are_replaced_by_the_time_of_arrival(tmp_path: Path, run: Callable):
    sent = changed(
        session(0.0, 60),
        lambda at, m: dataclasses.replace(m, header=Header(Time.of(m.header.stamp.seconds - 100))) if at > 1.2 else m,
    )

    code, output, _ = run(write_bag(tmp_path / "bag", sent))

    assert code == 0
    assert "Note: /joint_states: 50% of its stamps are of another clock; the time of arrival is used there" in output
    (found,) = episodes(tmp_path)
    np.testing.assert_allclose(found.obs, [motion(DT * k) for k in range(61)], atol=0.0015)  # a millisecond on the way


def test_a_command_of_another_size_is_cut_out(tmp_path: Path, run: Callable):
    sent = [
        (t, at, Float64MultiArray(data=[1.0, 2.0]) if t == COMMANDS and 0.79 < at < 0.81 else m) for t, at, m in session(0.0, 60)
    ]

    found = rows(run(write_bag(tmp_path / "bag", sent))[1])

    assert found == ["0.00 0.80 20 kept", "0.80 0.84 1 dropped: a command is not 1 finite numbers", "0.84 2.40 39 kept"]


# --- what is refused ----------------------------------------------------------------------------------------------------------


def test_an_empty_bag_or_one_without_a_topic_says_what_there_is(tmp_path: Path, run: Callable):
    sent = session(0.0, 20)
    states, commands = ([e for e in sent if (e[0] == COMMANDS) == wanted] for wanted in (False, True))
    empty, no_commands = tmp_path / "empty", tmp_path / "no_commands"
    write_bag(empty, [])
    write_bag(no_commands, states)
    write_bag(tmp_path / "silent", commands, also=states[:1])

    assert run(empty)[::2] == (
        2,
        f"error: {empty}: no topic /joint_states (sensor_msgs/msg/JointState); topics in the bag: none\n",
    )
    assert run(no_commands)[::2] == (
        2,
        f"error: {no_commands}: no topic {COMMANDS} (std_msgs/msg/Float64MultiArray); "
        "topics in the bag: /joint_states (sensor_msgs/msg/JointState)\n",
    )
    assert run(tmp_path / "silent")[::2] == (2, f"error: {tmp_path / 'silent'}: no message on /joint_states\n")
    assert not (tmp_path / "episodes").exists()


def test_a_topic_of_another_type_is_refused(tmp_path: Path, run: Callable):
    bag = write_bag(tmp_path / "bag", [(t, at, Imu() if t == "/joint_states" else m) for t, at, m in session(0.0, 20)])

    assert run(bag)[::2] == (
        2,
        f"error: {bag}: topic /joint_states is a sensor_msgs/msg/Imu; the bridge file says sensor_msgs/msg/JointState\n",
    )


def test_another_definition_of_a_type_is_refused(tmp_path: Path, run: Callable):
    sent = session(0.0, 20)
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, message in {t: m for t, _, m in sent}.items():
            definition = typestore().generate_msgdef(message.ros_type, ros_version=2)[0]
            writer.add_connection(topic, message.ros_type, msgdef=definition, rihs01="RIHS01_" + "0" * 64)

    assert run(tmp_path / "bag")[2].endswith(
        "topic /joint_states: another definition of sensor_msgs/msg/JointState than ROS 2 Jazzy's\n"
    )


def test_a_damaged_message_is_one_line(tmp_path: Path, run: Callable):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, message in {t: m for t, _, m in session(0.0, 20)}.items():
            connection = writer.add_connection(topic, message.ros_type, typestore=typestore())
            writer.write(connection, round(WALL * 1e9), bytes(encode(message))[:10])

    code, _, error = run(tmp_path / "bag")

    assert code == 2
    assert f"error: {tmp_path / 'bag'}: /" in error
    assert ": a message is no " in error
    assert error.count("\n") == 1


def test_a_recording_of_another_robot_is_refused(tmp_path: Path, run: Callable):
    sent = changed(session(0.0, 20), lambda at, m: dataclasses.replace(m, name=["hip", "knee"]))
    bag = write_bag(tmp_path / "bag", sent)

    assert run(bag)[::2] == (
        2,
        f"error: {bag}: channel 'cart_position': /joint_states never has the position of 'slider'; joints: hip, knee\n",
    )


def test_a_bridge_file_of_another_robot_is_refused(tmp_path: Path, bridge: Path, run: Callable):
    config = bridge_config(str(tmp_path / "checkpoint"))
    obs = {("cart" if name == "cart_position" else name): source for name, source in config.obs.items()}
    save_yaml(bridge, dataclasses.replace(config, obs=obs))

    code, _, error = run(write_bag(tmp_path / "bag", session(0.0, 20)))

    assert code == 2
    assert error.startswith(f"error: {bridge}: key 'obs.cart': unknown channel")


def test_episodes_of_another_robot_are_not_mixed(tmp_path: Path, run: Callable):
    spec = load_checkpoint("arm").description.spec
    EpisodeStore.open(tmp_path / "episodes", spec)

    assert (
        "holds episodes of another robot: name is arm; the robot here has cartpole"
        in run(write_bag(tmp_path / "b", session(0.0, 20)))[2]
    )


def test_nothing_to_import_is_an_error_and_shows_the_reasons(tmp_path: Path, run: Callable):
    bag = write_bag(tmp_path / "bag", session(0.0, 7))

    code, output, error = run(bag)

    assert (code, error) == (2, f"error: {bag}: nothing to import: no stretch of 8 steps without a gap\n")
    assert rows(output) == ["0.00 0.28 7 dropped: 7 steps; at least 8 are needed"]
    assert not (tmp_path / "episodes").exists()
    assert run(bag, "--min-steps", "7")[0] == 0
