"""The simulation of a robot, whatever moves it."""

from __future__ import annotations

from pathlib import Path

from adaptive_mbrl.errors import ConfigError
from sim.robot.robot import Robot
from sim.robot.task import RobotTask
from sim.simulation.base import Simulation
from sim.simulation.batch import BatchSimulation


def simulation_of(robot: RobotTask, num_robots: int, dump_folder: Path | None = None) -> Simulation:
    """Make a simulation in which an unstable robot ends its own episode only.

    Args:
        robot: the robot.
        num_robots: B.
        dump_folder: where a step of MuJoCo that could not be simulated is written for a replay; None writes nothing.
    """
    if isinstance(robot, Robot):
        return BatchSimulation(robot, num_robots, on_unstable="end", dump_folder=dump_folder)
    # Gymnasium is loaded where a robot needs it, and not before
    from sim.robot.environment import EnvironmentRobot
    from sim.simulation.environments import EnvironmentSimulation

    assert isinstance(robot, EnvironmentRobot), "there are two kinds of robots"
    return EnvironmentSimulation(robot, num_robots, on_unstable="end")


def require_mujoco(robot: RobotTask, what: str) -> Robot:
    """The robot as a MuJoCo model.

    Args:
        robot: a robot.
        what: what needs the model, such as a flag or a key of a file, and why.

    Raises:
        ConfigError: it is an environment.
    """
    if not isinstance(robot, Robot):
        raise ConfigError(f"{what}; the robot '{robot.name}' is an environment, which cannot be put back into an earlier state")
    return robot
