"""A simulated robot from one YAML file: its MJCF, channels, objective, goals and initial states."""

from sim.robot.robot import Robot, load_robot

__all__ = ["Robot", "load_robot"]
