"""Writes the folder of a robot: all files or none."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.storage import atomic_folder, write_text_atomically
from sim.init.channels import names_of
from sim.init.origins.origin import read_spec, relative
from sim.init.plan import Plan
from sim.init.writing import render
from sim.robot import Robot, load_robot
from sim.scenarios.distribution import PARTS
from sim.scenarios.loading import load_scenario
from sim.training.config import load_train_config

MODEL = "robot.xml"
_ASSETS = "assets"
_PLACES = ("meshdir", "texturedir")
_FILES = ("robot.yaml", "split.yaml", "train.yaml", "bridge.yaml", "README.md")


def require_new(folder: Path) -> None:
    """Refuse a folder that exists, so that nothing in it is lost."""
    if os.path.lexists(folder):
        raise ConfigError(
            f"{folder}: exists already, and init changes nothing that exists; allowed: a new folder, with --out or another name"
        )
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ConfigError(f"{folder}: cannot be written; allowed: a folder in one that you may write to")


def write_files(plan: Plan, name: str, folder: Path) -> Robot:
    """Write the folder, and load the files of the simulation as the other commands do.

    The bridge file is not loaded, because this package may not import `robot_bridge`.

    Args:
        plan: what the files say.
        name: name of the robot.
        folder: the new folder.

    Returns:
        The robot.
    """
    values = _values(plan, name, folder)
    with atomic_folder(folder.absolute()) as unfinished:
        if values["mjcf"] == MODEL:
            _write_model(plan, unfinished, folder)
        for file in _FILES:
            write_text_atomically(unfinished / file, render(f"{file}.j2", values))
        robot = load_robot(unfinished / "robot.yaml")
        for part in PARTS:
            load_scenario(f"{unfinished / 'split.yaml'}:{part}")
        load_train_config(unfinished / "train.yaml")
    return robot


def _values(plan: Plan, name: str, folder: Path) -> dict[str, Any]:
    """What the templates refer to."""
    copied = bool(plan.edits) or plan.origin.reference is None
    run = f"runs/train/{folder.absolute().name}"
    return {
        "name": name,
        "shown": folder.as_posix(),
        "quoted": shlex.quote(folder.as_posix()),
        "described": plan.origin.described,
        "mjcf": MODEL if copied else plan.origin.reference,
        "mjcf_comment": _comment(plan, copied=copied),
        "timing": plan.timing,
        "channels": plan.channels,
        "num_obs": len(names_of(plan.channels)),
        "runs": plan.runs,
        "actuators": plan.actuators,
        "positions": any(a.unit in ("rad", "m") for a in plan.actuators),
        "task": plan.task,
        "training": plan.training,
        "split": plan.split,
        "bridge": plan.bridge,
        "run": run,
        "checkpoint": f"{run}/checkpoint",
    }


def _comment(plan: Plan, *, copied: bool) -> str:
    if plan.edits:
        return f", a copy of {plan.origin.described} with {' and '.join(plan.edits)}"
    if copied:
        return f", written from {plan.origin.described}"
    prefixed = ":" in (plan.origin.reference or "")
    return ", from an installed package" if prefixed else "; the path is relative to this file"


def _write_model(plan: Plan, unfinished: Path, folder: Path) -> None:
    """Write the model as one file, with its meshes and textures where they are or, if they come with it, beside it."""
    spec, origin = plan.origin.spec, plan.origin
    places = {}
    for kind in _PLACES if origin.assets is not None else ():
        # MuJoCo reads the files once more when it writes the model, and the written one finds them from its own folder
        directory = (origin.assets / getattr(spec, kind)).resolve()
        setattr(spec, kind, directory.as_posix())
        places[kind] = _ASSETS if origin.copied else relative(directory, folder)
    text = spec.to_xml()
    for kind, place in places.items():
        written = f"{kind}={quoteattr(place)}".replace("\\", r"\\")
        text = re.sub(rf'\b{kind}="[^"]*"', written, text)
    write_text_atomically(unfinished / MODEL, text)
    if origin.copied:
        (unfinished / _ASSETS).mkdir()
    for name, source in origin.copied.items():
        shutil.copyfile(source, unfinished / _ASSETS / name)
    read_spec(unfinished / MODEL, f"{folder / MODEL}, a copy of the model")
