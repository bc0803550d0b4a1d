"""A simulation step that became unstable is written to a file, and can be run again from it exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from adaptive_mbrl.dump import Dump, write_dump
from sim.paths import config_name
from sim.robot.robot import Robot, load_robot
from sim.robot_file import robot_text
from sim.scenarios.scenario import parse_change
from sim.simulation.instability import Instability, unstable_at
from sim.simulation.physics import Physics

KIND = "simulation_step"


def write_simulation_step(folder: Path, robot: Robot, instability: Instability) -> Path:
    """Write the control step in which a robot's physics became unstable; returns the file's path."""
    about = {
        "robot": config_name("robots", robot.path),
        "robot_file": robot_text(robot.path),
        "seed": instability.seed,
        "step": instability.step,
        "change": instability.change.to_changes(),
    }
    tensors = {"state": torch.from_numpy(instability.state), "action": torch.from_numpy(instability.action)}
    return write_dump(folder, KIND, unstable_at(instability.step, instability.change), about, tensors)


def replay_simulation_step(dump: Dump) -> tuple[bool, np.ndarray, np.ndarray]:
    """Simulate the control step of a dump again.

    Returns:
        Whether the physics became unstable again, and the joint velocities before and after the step, each (nv,).
    """
    robot = load_robot(dump.about["robot"])
    physics = Physics(robot, 1, num_threads=1)
    physics.set_change(np.array([0]), parse_change(dump.about["change"], robot.elements, "dump", "change"))
    physics.state[:] = dump.tensors["state"].numpy()[None]
    before = physics.arrays["qvel"][0].copy()
    physics.step(dump.tensors["action"].numpy()[None])
    return bool(physics.unstable()[0]), before, physics.arrays["qvel"][0].copy()
