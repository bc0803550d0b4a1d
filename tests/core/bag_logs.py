"""Bags as a robot's recorder writes them, written by rosbags' own writer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rosbags = pytest.importorskip("rosbags", reason="needs the extra logs")

from rosbags.rosbag2 import StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402
from rosbags.typesys.store import Typestore  # noqa: E402

STORE = get_typestore(Stores.ROS2_JAZZY)
WALL = 1_700_000_000.0
"""Time of the first message since the epoch [s]."""
Sent = tuple[str, float, Any]
"""A message: topic, time of its arrival [s], and content."""


def nanoseconds(at: float) -> int:
    return round(at * 1e9) + int(WALL) * 10**9


def make(name: str, /, **fields: Any) -> Any:
    """A message of a type such as `geometry_msgs/msg/Vector3`."""
    return STORE.types[name](**fields)


def header(at: float | None) -> Any:
    """A header with this time of measurement [s], or without one."""
    sec, nanosec = (0, 0) if at is None else divmod(nanoseconds(at), 10**9)
    return make("std_msgs/msg/Header", stamp=make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec), frame_id="base")


def vector(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Any:
    return make("geometry_msgs/msg/Vector3", x=x, y=y, z=z)


def twist(x: float, turn: float = 0.0) -> Any:
    return make("geometry_msgs/msg/Twist", linear=vector(x), angular=vector(z=turn))


def stamped_vector(at: float | None, x: float) -> Any:
    return make("geometry_msgs/msg/Vector3Stamped", header=header(at), vector=vector(x))


def orientation(at: float, w: float, x: float, y: float, z: float) -> Any:
    quaternion = make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)
    return make("geometry_msgs/msg/QuaternionStamped", header=header(at), quaternion=quaternion)


def joint_state(at: float | None, names: Sequence[str], position: Sequence[float]) -> Any:
    values = {"position": np.array(position, dtype=np.float64), "velocity": np.zeros(0), "effort": np.zeros(0)}
    return make("sensor_msgs/msg/JointState", header=header(at), name=list(names), **values)


def text(data: str) -> Any:
    return make("std_msgs/msg/String", data=data)


def boolean(data: bool) -> Any:
    return make("std_msgs/msg/Bool", data=data)


def write_bag(folder: Path, sent: Sequence[Sent], storage: str = "mcap", store: Typestore = STORE, **options: Any) -> Path:
    """A rosbag2 folder with these messages; `options` are those of `set_compression`."""
    writer = Writer(folder, version=9, storage_plugin=StoragePlugin[storage.upper()])
    if options:
        writer.set_compression(**options)
    with writer:
        connections: dict[str, Any] = {}
        for topic, at, message in sorted(sent, key=lambda entry: entry[1]):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, message.__msgtype__, typestore=store)
            writer.write(connections[topic], nanoseconds(at), store.serialize_cdr(message, message.__msgtype__))
    return folder


def mcap_file(path: Path, sent: Sequence[Sent]) -> Path:
    """An MCAP file with these messages, without the folder and the metadata of a rosbag2."""
    folder = write_bag(path.parent / f"{path.stem}_folder", sent)
    (folder / f"{folder.name}.mcap").rename(path)
    for rest in folder.iterdir():
        rest.unlink()
    folder.rmdir()
    return path
