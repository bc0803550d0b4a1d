"""Writes dataclasses for ROS 2 messages, from the definitions that `rosbags` brings along or from .msg files.

Usage:
    python -m robot_bridge.middleware.generate_messages                 # writes standard_messages.py
    python -m robot_bridge.middleware.generate_messages --msg px4_msgs/msg --package px4_msgs --out px4_messages.py VehicleStatus

A message type is added by a line in `BRIDGE` or in `OTHERS`. Messages that it consists of come by themselves; a line gives them a
docstring of their own. The bridge does not need `rosbags` to run, because what is generated is part of the repository.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from adaptive_mbrl.errors import ConfigError

BRIDGE = {
    "sensor_msgs/msg/JointState": "State of named joints; an interface that a robot does not have is an empty list.",
    "sensor_msgs/msg/Imu": "Orientation, angular velocity [rad/s] and linear acceleration [m/s^2].",
    "sensor_msgs/msg/BatteryState": "Voltage [V], current [A], charge [Ah] and health of a battery.",
    "sensor_msgs/msg/Temperature": "A temperature [deg C].",
    "nav_msgs/msg/Odometry": "Pose in `header.frame_id`, twist in `child_frame_id`.",
    "geometry_msgs/msg/PoseStamped": "A pose at a time, such as that of an arm's tool.",
    "geometry_msgs/msg/WrenchStamped": "The measurement of a force-torque sensor.",
    "geometry_msgs/msg/Twist": "Linear [m/s] and angular velocity [rad/s].",
    "std_msgs/msg/Float64MultiArray": "An array of numbers, for example commands of one interface for several joints.",
    "trajectory_msgs/msg/JointTrajectory": "A sequence of points for named joints.",
}
"""Messages that a bridge YAML may name."""
OTHERS = {
    "builtin_interfaces/msg/Duration": "A time span in two parts.",
    "std_msgs/msg/Header": "Stamp and frame.",
    "geometry_msgs/msg/Vector3": "x, y, z.",
    "geometry_msgs/msg/Point": "A position [m].",
    "geometry_msgs/msg/Quaternion": "An orientation.",
    "geometry_msgs/msg/Pose": "Position and orientation.",
    "geometry_msgs/msg/PoseWithCovariance": "A pose and its uncertainty.",
    "geometry_msgs/msg/TwistWithCovariance": "A twist and its uncertainty.",
    "geometry_msgs/msg/Wrench": "Force [N] and torque [N m].",
    "std_msgs/msg/MultiArrayDimension": "One axis of an array.",
    "std_msgs/msg/MultiArrayLayout": "Axes of an array.",
    "trajectory_msgs/msg/JointTrajectoryPoint": "Positions that joints should have at a certain time.",
    "std_msgs/msg/Bool": "Yes or no.",
    "std_msgs/msg/Float32": "One number of 32 bits.",
    "std_msgs/msg/Float64": "One number of 64 bits.",
    "std_msgs/msg/String": "A piece of text.",
    "diagnostic_msgs/msg/KeyValue": "A named value in a diagnostic status.",
    "diagnostic_msgs/msg/DiagnosticStatus": "The condition of one part of a node.",
    "diagnostic_msgs/msg/DiagnosticArray": "A message of the topic `/diagnostics`.",
    "rcl_interfaces/msg/Log": "A message of the topic `/rosout`.",
}
"""Messages that the bridge speaks by itself, and parts of messages."""
BY_HAND = {"builtin_interfaces/msg/Time"}
"""Messages of `message.py`, which have methods."""
DEFAULTS = {("geometry_msgs/msg/Quaternion", "w"): "1.0"}
"""Values of .msg files other than zero, which `rosbags` does not keep."""
STANDARD = Path(__file__).with_name("standard_messages.py")
_SCALARS = {"byte", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
_HEADER = '''"""{docstring}

This file is generated; do not edit it. The command is:
    {command}
"""

from __future__ import annotations

from dataclasses import dataclass{field}
from typing import {typing}

{imports}
'''

Definition = tuple[list[tuple[str, str, Any]], list[tuple[str, Any]]]
"""Constants and fields of a message, as `rosbags` has them."""


def main(arguments: list[str] | None = None) -> None:
    """Write `standard_messages.py`, or the messages of another package."""
    parser = argparse.ArgumentParser(description="Write dataclasses for ROS 2 messages.")
    parser.add_argument("types", nargs="*", metavar="TYPE", help="messages of --package")
    parser.add_argument("--msg", type=Path, metavar="FOLDER", help="folder of the package's .msg files")
    parser.add_argument("--package", help="name of the package of these files")
    parser.add_argument("--out", type=Path, default=STANDARD, metavar="FILE", help="file that is written")
    args = parser.parse_args(arguments)
    if args.msg is None:
        args.out.write_text(standard_messages(), encoding="utf-8")
    else:
        args.out.write_text(messages_of_package(args.msg, args.package, args.types), encoding="utf-8")


def standard_messages() -> str:
    """The text of `standard_messages.py`."""
    known = {**BRIDGE, **OTHERS}
    text = source("Messages of ROS 2's own packages.", "python -m robot_bridge.middleware.generate_messages", known, _jazzy())
    listed = "".join(f"    {_class(name)},\n" for name in BRIDGE)
    return f'{text}\n\nBRIDGE_MESSAGES: tuple[type[Message], ...] = (\n{listed})\n"""Messages that a bridge YAML may name."""\n'


def messages_of_package(folder: Path, package: str, names: Iterable[str]) -> str:
    """Dataclasses for messages of a package that is no part of ROS 2's own.

    Args:
        folder: where the package's .msg files are.
        package: the package's name.
        names: the messages' names, such as ``VehicleStatus``.

    Raises:
        ConfigError: the folder has no such file.
    """
    definitions = dict(_jazzy())
    for name in names:
        file = folder / f"{name}.msg"
        if not file.is_file():
            raise ConfigError(f"{file}: no such file; --msg is the folder of the .msg files of {package}")
        found: Any = get_types_from_msg(file.read_text(encoding="utf-8"), f"{package}/msg/{name}")
        definitions.update(found)
    documented = {f"{package}/msg/{name}": f"`{name}` of {package}." for name in names}
    chosen = textwrap.fill(" ".join(names), 110, initial_indent=" " * 8, subsequent_indent=" " * 8)
    command = f"python -m robot_bridge.middleware.generate_messages --msg FOLDER --package {package} --out FILE\n{chosen}"
    return source(f"Messages of {package}.", command, documented, definitions)


def source(docstring: str, command: str, documented: Mapping[str, str], definitions: Mapping[str, Definition]) -> str:
    """A module with a dataclass for each message and for all that it consists of.

    Args:
        docstring: what the module's docstring says first.
        command: the command that makes the module.
        documented: the messages, and what their docstrings say.
        definitions: constants and fields of all messages.

    Raises:
        ConfigError: a message is unknown, or has a field that these dataclasses cannot hold.
    """
    ordered: dict[str, None] = {}
    for name in documented:
        _add_with_parts(name, definitions, ordered)
    classes = [_class_text(name, documented.get(name, f"A part of other messages, {name}."), definitions) for name in ordered]
    body = "\n\n".join(classes)
    names = "".join(f'    "{name}",\n' for name in sorted(_class(name) for name in ordered))
    parts = {
        "field": ", field" if "field(" in body else "",
        "typing": "Annotated, ClassVar" if "Annotated[" in body else "ClassVar",
    }
    base = "Message, Time" if "Time" in {word.strip("[]:") for word in body.split()} else "Message"
    wire = "from robot_bridge.middleware import wire_types as wire\n" if "wire." in body else ""
    imports = f"{wire}from robot_bridge.middleware.message import {base}\n\n__all__ = [\n{names}]"
    return f"{_HEADER.format(docstring=docstring, command=command, imports=imports, **parts)}\n\n{body}"


def _jazzy() -> Mapping[str, Definition]:
    definitions: Any = get_typestore(Stores.ROS2_JAZZY).fielddefs
    return definitions


def _class(name: str) -> str:
    return name.rpartition("/")[2]


def _add_with_parts(name: str, definitions: Mapping[str, Definition], ordered: dict[str, None]) -> None:
    """Put a message behind all that it consists of, as Python needs it."""
    if name in BY_HAND or name in ordered:
        return
    if name not in definitions:
        raise ConfigError(f"message '{name}': unknown; known are the messages of ROS 2 Jazzy's packages and those of --msg")
    for _, kind in definitions[name][1]:
        node, of = kind if kind[0] in (Nodetype.NAME, Nodetype.BASE) else kind[1][0]
        if node is Nodetype.NAME:
            _add_with_parts(of, definitions, ordered)
    if _class(name) in {_class(other) for other in ordered}:
        raise ConfigError(f"message '{name}': another package's message of that name is in the same file")
    ordered[name] = None


def _class_text(name: str, docstring: str, definitions: Mapping[str, Definition]) -> str:
    constants, fields = definitions[name]
    lines = [
        "@dataclass",
        f"class {_class(name)}(Message):",
        f'    """{docstring}"""',
        "",
        f'    ros_type: ClassVar[str] = "{name}"',
    ]
    lines += [f"    {constant}: ClassVar[{type(value).__name__}] = {value!r}" for constant, _, value in constants]
    lines += [f"    {field}: {_hint(kind, f'{name}.{field}')} = {_default(name, field, kind)}" for field, kind in fields]
    return "\n".join(lines) + "\n"


def _hint(kind: Any, where: str) -> str:
    node, of = kind
    if node is Nodetype.NAME:
        return _class(of)
    if node is Nodetype.BASE:
        return _scalar(of[0], where)
    item, size = of
    if node is Nodetype.SEQUENCE and item != (Nodetype.BASE, ("bool", 0)):
        return f"list[{_hint(item, where)}]"
    if node is Nodetype.ARRAY and item[0] is Nodetype.BASE and item[1][0] in _SCALARS:
        return f'Annotated[list[{"float" if "float" in item[1][0] else "int"}], "{item[1][0]}[{size}]"]'
    raise ConfigError(f"{where}: lists of bool, and arrays of a fixed length of anything but numbers, are not supported")


def _scalar(kind: str, where: str) -> str:
    if kind in ("bool", "string"):
        return {"bool": "bool", "string": "str"}[kind]
    kind = {"char": "uint8", "octet": "byte"}.get(kind, kind)
    if kind not in _SCALARS:
        raise ConfigError(f"{where}: '{kind}' is not supported; allowed: bool, string, {', '.join(sorted(_SCALARS))}")
    return f"wire.{kind.replace('uint', 'UInt') if kind.startswith('u') else kind.capitalize()}"


def _default(name: str, field: str, kind: Any) -> str:
    node, of = kind
    if (name, field) in DEFAULTS:
        return DEFAULTS[name, field]
    if node is Nodetype.NAME:
        return f"field(default_factory={_class(of)})"
    if node is Nodetype.SEQUENCE:
        return "field(default_factory=list)"
    if node is Nodetype.ARRAY:
        return f"field(default_factory=lambda: [{_zero(of[0][1][0])}] * {of[1]})"
    return _zero(of[0])


def _zero(kind: str) -> str:
    return {"bool": "False", "string": '""', "float32": "0.0", "float64": "0.0"}.get(kind, "0")


if __name__ == "__main__":
    main()
