"""A simulated robot from one YAML file: its MJCF, channels, objective, goals and initial states; or an environment."""

from sim.robot.loading import load_task
from sim.robot.robot import Robot, load_robot
from sim.robot.task import RobotTask

__all__ = ["Robot", "RobotTask", "load_robot", "load_task"]
