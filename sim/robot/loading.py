"""Any robot by name or path: a MuJoCo model, or an environment."""

from __future__ import annotations

import dataclasses
import runpy
import sys
import traceback
from functools import partial
from pathlib import Path

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import Channel
from sim.paths import find_config
from sim.robot.robot import load_robot
from sim.robot.task import RobotTask
from sim.robot_file import is_environment, read_robot

ROBOT_VARIABLE = "robot"
"""The variable of a Python file that holds the robot."""


def load_task(name_or_path: str | Path) -> RobotTask:
    """Load a robot, whatever moves it: by the path of its file, or by name if it is a shipped one.

    A file that ends in ``.py`` is run, and its variable `robot` is taken. It has to be an `EnvironmentRobot`.

    Raises:
        ConfigError: there is no such robot, or its file is wrong.
    """
    path = find_config("robots", name_or_path)
    if not is_environment(path):
        return load_robot(path)
    try:
        return _from_python(path) if path.suffix == ".py" else _from_yaml(path)
    except ConfigError as error:
        raise error if str(error).startswith(str(path)) else ConfigError(f"{path}: {error}") from error


def _from_python(path: Path) -> RobotTask:
    from sim.robot.environment import EnvironmentRobot

    # as for a script, modules that lie beside the file can be imported
    sys.path.insert(0, str(path.parent))
    try:
        robot = runpy.run_path(str(path)).get(ROBOT_VARIABLE)
    except ConfigError:
        raise
    except Exception as error:  # whatever it is, it is a mistake in the user's file
        said = " ".join(str(getattr(error, "msg", error)).split())
        raise ConfigError(f"{path}: line {_line_of(error, path)}: {type(error).__name__}: {said}") from error
    finally:
        if str(path.parent) in sys.path:
            sys.path.remove(str(path.parent))
    if not isinstance(robot, EnvironmentRobot):
        got = "it has none" if robot is None else f"got {type(robot).__name__}"
        raise ConfigError(f"variable '{ROBOT_VARIABLE}': {got}; allowed: an EnvironmentRobot, as environment_robot makes it")
    return dataclasses.replace(robot, path=path)


def _line_of(error: Exception, path: Path) -> int:
    """The line of a file that an error comes from: of its syntax, or the innermost one that was being run."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return (lines[-1] if lines else None) or 1


def _from_yaml(path: Path) -> RobotTask:
    # Gymnasium is loaded where a robot needs it, and not before
    from sim.robot.environment import attribute_setter, attribute_value, environment_robot
    from sim.robot.environment_config import EnvironmentConfig
    from sim.robot.making import make_environment

    config = from_mapping(EnvironmentConfig, read_robot(path), source=str(path))
    make = partial(make_environment, config.environment, config.options)
    attributes = {name: parameter.attribute or name for name, parameter in config.parameters.items()}
    usual: dict[str, float] = {}
    if attributes:
        env = make()
        try:
            for name, attribute in attributes.items():
                try:
                    usual[name] = attribute_value(env, attribute)
                except ConfigError as error:
                    raise ConfigError(f"key 'parameters.{name}': {error}") from error
        finally:
            env.close()
    return environment_robot(
        make,
        [Channel(c.name, c.unit, c.kind, c.target) for c in config.obs],
        name=config.name or path.stem,
        dt=config.dt,
        actions=config.actions,
        objective=config.objective,
        shaping=config.shaping,
        healthy=config.healthy,
        terminate_when_unhealthy=config.terminate_when_unhealthy,
        learns_ends=None if config.termination is None else config.termination == "learned",
        parameters={name: (p.low, p.high, usual[name]) for name, p in config.parameters.items()},
        set_dynamics=attribute_setter(attributes) if attributes else None,
        path=path,
    )
