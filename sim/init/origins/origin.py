"""A model and what its origin says about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mujoco

from adaptive_mbrl.errors import ConfigError
from sim.init.actuators import Actuator
from sim.init.anatomy import Anatomy
from sim.init.draft import Entry, Task

Adjust = Callable[[Task, Anatomy, tuple[Actuator, ...], tuple[Entry, ...]], Task]
"""Makes a task that the model suggests into that of an environment, from the actuators and the channels."""


@dataclass(frozen=True)
class Origin:
    """A model and what its origin says about it.

    Attributes:
        spec: the model, which may still be edited.
        reference: what the key `mjcf` of the robot's file says; None if the model has to be written into the folder.
        described: what the model is, as a part of a sentence.
        assets: folder that the model's meshes and textures are found in; None if it has none.
        copied: meshes and textures that have to lie in a folder of a model that is written, by their names.
        dt: control period [s]; None to choose it.
        task: the task that the environment's own one is like, and is made from; None to choose it by the model.
        use_keyframe: whether episodes may start from a keyframe of the model.
        adjust: makes that task into the environment's own one; None for a model without one.
    """

    spec: mujoco.MjSpec
    reference: str | None
    described: str
    assets: Path | None = None
    copied: Mapping[str, Path] = field(default_factory=dict)
    dt: float | None = None
    task: str | None = None
    use_keyframe: bool = True
    adjust: Adjust | None = None


def read_spec(path: Path, shown: str) -> mujoco.MjSpec:
    """Read a model and make sure that it compiles.

    Args:
        path: the MJCF or URDF file.
        shown: how the user called it, for the message.

    Raises:
        ConfigError: MuJoCo refuses the file; the message has its reason in one line.
    """
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        spec.compile()
    except ValueError as error:
        raise ConfigError(f"{shown}: MuJoCo cannot compile it: {' '.join(str(error).split())}") from error
    return spec


def relative(path: Path, folder: Path) -> str:
    """The path of a file as seen from the folder, as the robot's file names it."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
