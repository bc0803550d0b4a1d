"""The robot of a task of the dm_control suite: its model, control period, and its reward as far as terms can say it."""

from __future__ import annotations

import dataclasses
import importlib
import math
import re
import tempfile
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from adaptive_mbrl.errors import ConfigError
from sim.init.actuators import Actuator
from sim.init.anatomy import Anatomy
from sim.init.channels import SPEED, height_of, names_of
from sim.init.draft import Entry, Task, rounded
from sim.init.origins.origin import Origin, read_spec
from sim.init.tasks.balance import upright
from sim.robot.suite_tasks import suite, task_of

_SUITE = Path(suite.__file__).parent
_SPEEDS = {"walk": "_WALK_SPEED", "trot": "_TROT_SPEED", "run": "_RUN_SPEED", "hop": "_HOP_SPEED"}
"""Constants of the suite's modules with the speed of a task [m/s]."""
_LIKE = {"stand": "run", "upright": "run", "swim": "run", "balance": "balance", "swingup": "balance", "fetch": "run"}
"""The task that the model's own one is made from, by the first word of a task's name."""
_MODELS_FIELDS = ("body_mass", "body_inertia", "geom_size", "dof_damping", "actuator_gear", "jnt_range", "jnt_axis")


def from_dm_control(name: str) -> Origin:
    """Load a task of the suite.

    Args:
        name: domain and task, such as ``walker/walk``.
    """
    try:
        domain, task = task_of(name)
    except ConfigError as error:
        raise ConfigError(f"--dm-control: {error}") from error
    env = suite.load(domain, task)
    model = env.physics.model.ptr
    shown = f"--dm-control {name}"
    speed = _speed(domain, task)
    kind = "run" if speed is not None else _LIKE.get(task.partition("_")[0])

    def adjust(found: Task, anatomy: Anatomy, actuators: tuple[Actuator, ...], channels: tuple[Entry, ...]) -> Task:
        return _as_rewarded(name, speed, found, anatomy, channels)

    known: dict[str, Any] = {"dt": float(env.control_timestep()), "task": kind, "use_keyframe": False, "adjust": adjust}
    file = _SUITE / f"{domain}.xml"
    if file.is_file() and _is_model(file, model):
        described = f"{file.name} of dm_control's {name}"
        return Origin(read_spec(file, shown), f"dm_control:{file.name}", described, file.parent, **known)
    # the suite composes this model in Python, so that no file holds it
    spec, copied = _exported(model, shown)
    return Origin(spec, None, f"the model of dm_control's {name}, which is composed in Python", _SUITE, copied, **known)


def _is_model(file: Path, model: mujoco.MjModel) -> bool:
    """Whether a file holds the model of a task as it is."""
    try:
        own = mujoco.MjSpec.from_file(str(file)).compile()
    except ValueError:
        return False
    same_size = (own.nq, own.nv, own.nu, own.nsite) == (model.nq, model.nv, model.nu, model.nsite)
    return (
        same_size
        and own.opt.timestep == model.opt.timestep
        and all(np.array_equal(getattr(own, field), getattr(model, field)) for field in _MODELS_FIELDS)
    )


def _exported(model: mujoco.MjModel, shown: str) -> tuple[mujoco.MjSpec, dict[str, Path]]:
    """The model as MuJoCo writes it, and its meshes by their paths beside it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "robot.xml"
        mujoco.mj_saveLastXML(str(path), model)
        text = path.read_text(encoding="utf-8")
        # the suite read its meshes out of its package, and says where they are in there
        directory = re.search(r'meshdir="([^"]*)"', text)
        meshes = _SUITE / (directory.group(1) if directory else "")
        text = re.sub(r'(meshdir|texturedir)="[^"]*"', rf'\1="{meshes.as_posix()}"', text)
        path.write_text(text, encoding="utf-8")
        return read_spec(path, shown), {name: meshes / name for name in re.findall(r'file="([^"]*)"', text)}


def _hanging(task: Task, anatomy: Anatomy) -> Task:
    """The task from the bottom, where the model itself starts at the top."""
    turned = {j.name: rounded(j.start[0] + math.pi, 6) for j, angle in upright(anatomy).items() if abs(angle - j.start[0]) < 1e-6}
    if not turned:
        return task
    # a chain hangs when its first hinge is turned
    first = dict([next(iter(turned.items()))])
    reset = {**task.reset, "qpos": first, "qpos_noise": 0.1}
    notes = ("It starts hanging.", *task.notes[1:])
    return dataclasses.replace(task, summary="Swing up, and stay upright.", reset=reset, reset_comment="", notes=notes)


def _speed(domain: str, task: str) -> float | None:
    constant = _SPEEDS.get(task.partition("_")[0])
    value = getattr(importlib.import_module(f"dm_control.suite.{domain}"), constant, None) if constant else None
    return None if value is None else float(value)


def _as_rewarded(name: str, speed: float | None, task: Task, anatomy: Anatomy, channels: tuple[Entry, ...]) -> Task:
    """The task with the speed that the suite asks for; everything else is as the model suggests."""
    note = (
        f"An approximation of the reward of {name}: dm_control multiplies terms that are flat far from their goals, and a "
        "planner needs terms that pull from everywhere. Returns of the two cannot be compared."
    )
    if SPEED not in names_of(channels) or not name.partition("/")[2].startswith(("stand", *_SPEEDS)):
        note = f"Terms that suit the model; those of dm_control's {name} are others."
        if name.endswith(("/swingup", "/swingup_sparse")):
            task = _hanging(task, anatomy)
        return dataclasses.replace(task, notes=(*task.notes, note))
    target = speed or 0.0
    sign = 1.0 if not task.objective[0].values.get("target") else float(np.sign(task.objective[0].values["target"][0]))
    values = {"kind": "distance", "channels": [SPEED], "target": [sign * target], "weight": rounded(1 / max(target, 1.0), 2)}
    terms = tuple(e for e in task.objective if SPEED not in e.values.get("channels", ()))
    if height_of(anatomy, channels) is None:
        note = f"An approximation of the reward of {name}."
    return dataclasses.replace(
        task,
        name=name,
        summary=f"The task {name}: {target:g} m/s along x." if target else f"The task {name}: stand still.",
        objective=(Entry(values, "the speed of the task [m/s]"), *terms),
        notes=(note,),
    )
