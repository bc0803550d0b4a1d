"""Layouts for Foxglove: every path in them leads to the number that it is labelled with, in what a bridge really records."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.errors import ConfigError
from robot_bridge.bags.recorder import BagRecorder
from robot_bridge.bags.types import encode, typestore
from robot_bridge.middleware.messages import JointState
from robot_bridge.node.telemetry import BELIEF
from robot_bridge.simulated.sensor_messages import SensorMessage
from robot_bridge.streams.foxglove_layout import foxglove_layout
from robot_bridge.streams.foxglove_series import command_series, observation_series
from robot_bridge.streams.listening import listen
from robot_bridge.streams.message_paths import expected_joint_orders, recorded_joint_orders
from robot_bridge.streams.watched import Watched
from tests.bridge.foxglove_paths import topic_of, value_at
from tests.bridge.waiting import wait_until
from tests.bridge.watched_robot import DIAGNOSED, STANDING, running_bridge, write_bridge

rosbag2 = pytest.importorskip("rosbags.rosbag2")
pytest.importorskip("foxglove")
ROOT = Path(__file__).resolve().parents[2]
ROBOTS = ("arm", "cartpole", "half_cheetah", "quadrotor")
DOMAIN = 20 + os.getpid() % 40


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> tuple[Watched, Path, JointState]:
    """A real node's recording of about a second."""
    folder = tmp_path_factory.mktemp("recorded")
    bridge = write_bridge(folder, make_checkpoint(folder / "checkpoint"))
    watched, heard = Watched.load(bridge), set()
    with running_bridge(DOMAIN, bridge, record=str(folder / "bag")) as (_, transport):
        listen(watched, transport, lambda topic, message, at: heard.add(topic))
        wait_until(lambda: heard == set(watched.topics))
    return watched, folder / "bag", STANDING


def entries(node: Any) -> Iterator[tuple[str, str]]:
    """Every message path or topic in a layout, with its label."""
    if isinstance(node, list):
        for item in node:
            yield from entries(item)
    elif isinstance(node, dict):
        for key in ("value", "path", "topicPath", "topicToRender"):
            if isinstance(node.get(key), str) and node[key].startswith("/"):
                yield node[key], node.get("label") or ""
        for item in node.values():
            yield from entries(item)


def newest(bag: Path) -> dict[str, Any]:
    """The newest message of each topic, read by rosbags with the definitions in the bag."""
    with rosbag2.Reader(bag) as reader:
        return {c.topic: typestore().deserialize_cdr(raw, c.msgtype) for c, _, raw in reader.messages()}


def test_every_path_leads_somewhere_in_a_real_recording(recorded: tuple[Watched, Path, JointState]):
    watched, bag, standing = recorded
    found, messages = (
        list(entries(json.loads(foxglove_layout(watched, recorded_joint_orders(watched, bag)).to_json()))),
        newest(bag),
    )

    values = {label: value_at(path, messages[topic_of(path)]) for path, label in found if label not in ("", "state", "reaction")}

    assert {topic_of(path) for path, _ in found} == set(watched.topics)
    assert {label for _, label in found} >= {*watched.spec.obs_names, *BELIEF, "slide (sent)", "slide (planned)", *DIAGNOSED}
    assert (values["cart_position"], values["pole_angle"]) == tuple(standing.position)
    assert (values["cart_velocity"], values["pole_velocity"]) == tuple(standing.velocity)
    assert all(isinstance(float(value), float) for value in values.values())
    assert values["friction (std)"] > 0
    (state,) = {value_at(path, messages["/adaptive_mpc/state"]) for path, label in found if label == "state"}
    assert state in ("running", "inactive")
    (reaction,) = {value_at(path, messages["/adaptive_mpc/reaction"]) for path, label in found if label == "reaction"}
    assert reaction == "none"


def test_the_order_of_the_joints_is_that_of_the_recording(recorded: tuple[Watched, Path, JointState], tmp_path: Path):
    watched, bag, _ = recorded
    assert recorded_joint_orders(watched, bag) == {"/joint_states": ("slider", "hinge_1")}

    recorder = BagRecorder(tmp_path / "two drivers")
    put = recorder.topic("/joint_states", JointState, reliable=False)
    put(JointState(name=["hinge_1", "slider"]), 0.0)
    put(JointState(name=["slider"]), 0.1)
    recorder.close()
    with pytest.raises(
        ConfigError, match="in different orders: hinge_1, slider and slider; Foxglove finds joints by their place"
    ):
        recorded_joint_orders(watched, tmp_path / "two drivers")


@pytest.mark.parametrize("robot", ROBOTS)
def test_observations_of_the_shipped_robots_are_found(robot: str):
    watched = Watched.load(ROOT / f"configs/bridge/{robot}.yaml")
    # small enough for the angles of an orientation to be unique
    obs = np.random.default_rng(0).uniform(-0.4, 0.4, watched.spec.obs_dim)
    series = observation_series(watched, expected_joint_orders(watched))
    paths = {name: path for of_unit in series.values() for name, path in of_unit.items()}
    assert list(series) == list(dict.fromkeys(channel.unit for channel in watched.spec.obs))
    assert set(paths) == set(watched.spec.obs_names)

    for name, topic in watched.config.inputs.items():
        channels = [
            (i, watched.config.obs[c]) for i, c in enumerate(watched.spec.obs_names) if watched.config.obs[c].input == name
        ]
        raw = bytes(encode(SensorMessage(topic.message_type, channels)(obs, stamp=1.0)))
        message = typestore().deserialize_cdr(raw, topic.type)
        for index, _ in channels:
            channel = watched.spec.obs_names[index]
            assert topic_of(paths[channel]) == topic.topic
            assert value_at(paths[channel], message) == pytest.approx(obs[index])


def test_commands_are_found_in_the_order_of_the_driver(tmp_path: Path):
    bridge = tmp_path / "arm.yaml"
    names = Watched.load(ROOT / "configs/bridge/arm.yaml").spec.action_names
    order = f"output: {{topic: /effort_controller/commands, order: [{', '.join(reversed(names))}]}}"
    text = (ROOT / "configs/bridge/arm.yaml").read_text()
    bridge.write_text(text.replace("output: {topic: /effort_controller/commands}", order))

    series = command_series(Watched.load(bridge))

    assert series[f"{names[0]} (sent)"] == "/effort_controller/commands.data[6]"
    assert series[f"{names[0]} (planned)"] == "/adaptive_mpc/plan.data[0]"


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_shipped_layouts_are_those_of_the_shipped_bridge_files(robot: str, tmp_path: Path):
    made = tmp_path / "made.json"
    assert cli.main(["foxglove", "layout", "--bridge", str(ROOT / f"configs/bridge/{robot}.yaml"), "--out", str(made)]) == 0
    shipped = ROOT / f"configs/foxglove/{robot}.json"
    assert json.loads(made.read_text()) == json.loads(shipped.read_text()), (
        f"make it again: adaptive-mbrl foxglove layout --out {shipped}"
    )


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bridge = str(ROOT / "configs/bridge/cartpole.yaml")
    for arguments, expected in (
        (["--bridge", "no.yaml", "--out", "x.json"], "error: no.yaml"),
        (["--bridge", bridge, "--out", "x.yaml"], "error: --out: x.yaml is no .json file"),
        (["--bridge", bridge, "--out", "x.json", "--bag", "nothing"], "error: nothing: no such bag"),
    ):
        assert cli.main(["foxglove", "layout", *arguments]) == 2
        said = capsys.readouterr().err
        assert said.startswith(expected)
        assert said.count("\n") == 1
