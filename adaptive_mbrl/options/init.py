"""Flags of the sub-command that writes the first files of a robot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import OptionalPath

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SOURCES = ("mjcf", "urdf", "gym", "dm_control", "menagerie")


@dataclass(frozen=True)
class InitOptions:
    """Write the first files of a robot of your own: its YAML, changes of its dynamics, a training and a bridge, with comments.

    Example: adaptive-mbrl init my_robot --mjcf my_robot.xml

    Attributes:
        name: name of the robot. The files go into a new folder of this name.
        mjcf: model of MuJoCo's: a file, which the new files refer to where it lies, or one of a package, such as
            gymnasium:ant.xml.
        urdf: model in the format of ROS; the folder gets an MJCF of it. It has no actuators: say which ones with --actuators.
        gym: id of a Gymnasium environment with MuJoCo underneath, such as Hopper-v5.
        dm_control: domain and task of the dm_control suite, such as walker/walk.
        menagerie: robot of MuJoCo Menagerie, such as unitree_go2; needs the extra package of 'adaptive-mbrl[menagerie]'.
        task: what the robot is to do; if not given, what suits the model. run: get ahead along x and stay upright.
            balance: stand or swing up. reach: bring a site, such as a hand, to goals. posture: hold a posture, or move to one.
        actuators: actuators for a model that has none: motor for forces, position for positions that are held.
        out: folder that is written, if it is not to have the robot's name. It must not exist yet.
    """

    name: Positional[str]
    mjcf: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")] = None
    urdf: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")] = None
    gym: Annotated[str | None, arg(metavar="ID", help_behavior_hint="")] = None
    dm_control: Annotated[str | None, arg(metavar="DOMAIN/TASK", help_behavior_hint="")] = None
    menagerie: Annotated[str | None, arg(metavar="ROBOT", help_behavior_hint="")] = None
    task: Annotated[Literal["run", "balance", "reach", "posture"] | None, arg(help_behavior_hint="")] = None
    actuators: Annotated[Literal["motor", "position"] | None, arg(help_behavior_hint="")] = None
    out: OptionalPath = None

    def __post_init__(self) -> None:
        given = [source for source in _SOURCES if getattr(self, source) is not None]
        if len(given) != 1:
            flags = ", ".join(f"--{source.replace('_', '-')}" for source in _SOURCES)
            got = " and ".join(f"--{source.replace('_', '-')}" for source in given) or "none"
            raise ConfigError(f"init: the robot comes from one of {flags}; got {got}")
        if not _NAME.fullmatch(self.robot):
            suggested = re.sub(r"[^A-Za-z0-9_.-]+", "_", self.robot).strip("_.-") or "my_robot"
            raise ConfigError(
                f"init: '{self.robot}' is no name for a robot; allowed: letters, digits, '_', '-' and '.', such as {suggested}"
            )

    @property
    def robot(self) -> str:
        """The name of the robot."""
        return Path(self.name).name if self.name.strip("/") else self.name

    @property
    def folder(self) -> Path:
        """The folder that is written."""
        return Path(self.name) if self.out is None else self.out

    @property
    def model_file(self) -> str | None:
        """The model file, if it comes from one."""
        return self.mjcf if self.mjcf is not None else self.urdf
