"""A simulated robot: an MJCF, its named channels, its objective and how its episodes start, from one YAML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.objective import Objective
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from sim.paths import find_config, mjcf_path
from sim.robot.config import ActionConfig, RobotConfig
from sim.robot.elements import actuator_names, find_elements
from sim.robot.observer import Observer
from sim.robot.reset import InitialState
from sim.robot.sources import add_sensors
from sim.robot.task import RobotTask
from sim.robot_file import is_environment, read_robot


@dataclass(frozen=True)
class Robot(RobotTask):
    """A robot ready to be simulated in MuJoCo.

    Attributes:
        objective: the reward over the named channels.
        planning_objective: the reward plus the shaping terms, which is what planners maximise.
        model: the nominal MuJoCo model; nobody writes to it.
        substeps: number of physics steps per control step.
        observer: reads observations.
        initial: draws initial states.
        actuators: the model's actuator of each action channel, (action_dim,).
    """

    objective: Objective
    planning_objective: Objective
    model: mujoco.MjModel
    substeps: int
    observer: Observer
    initial: InitialState
    actuators: NDArray[np.int64]

    def objective_to_plan(self, shaping: bool) -> Objective:
        """What planners maximise, with the shaping terms or without them."""
        return self.planning_objective if shaping else self.objective


def load_robot(name_or_path: str | Path) -> Robot:
    """Load a shipped robot by name, or any robot by the path of its YAML file.

    Raises:
        ConfigError: there is no such robot, its file is wrong, or it is an environment instead of a MuJoCo model.
    """
    path = find_config("robots", name_or_path)
    if is_environment(path):
        raise ConfigError(
            f"{path}: this robot is an environment; what was asked for needs a MuJoCo model; allowed: a robot with 'mjcf'"
        )
    config = from_mapping(RobotConfig, read_robot(path), source=str(path))
    try:
        return build_robot(config, path)
    except ConfigError as error:
        raise error if str(error).startswith(str(path)) else ConfigError(f"{path}: {error}") from error


def build_robot(config: RobotConfig, path: Path) -> Robot:
    """Compile the model and connect the channels; `path` gives the folder of a relative MJCF and the default name."""
    name = config.name or path.stem
    model = _compile(config, path)
    channels = tuple(Channel(c.name, c.unit, c.kind, c.target) for c in config.obs)
    actions, actuators = _actions(config, model)
    spec = RobotSpec(name, config.dt, channels, actions, config.healthy, config.terminate_when_unhealthy)
    goal_names = config.goal.names if config.goal else ()
    return Robot(
        name=name,
        path=path,
        spec=spec,
        objective=Objective(spec, config.objective, goal_names),
        planning_objective=Objective(spec, (*config.objective, *config.shaping), goal_names),
        model=model,
        substeps=_substeps(config.dt, model.opt.timestep),
        observer=Observer(model, [c.source for c in config.obs], config.dt),
        initial=InitialState(model, config.reset),
        goal=config.goal,
        elements=find_elements(name, model, spec.obs_names),
        actuators=actuators,
    )


def mjcf_of(path: Path) -> mujoco.MjSpec:
    """The MJCF of a robot's file, for a model that differs from the robot's own."""
    config = from_mapping(RobotConfig, read_robot(path), source=str(path))
    return mujoco.MjSpec.from_file(str(mjcf_path(config.mjcf, path.parent)))


def _compile(config: RobotConfig, path: Path) -> mujoco.MjModel:
    file = mjcf_path(config.mjcf, path.parent)
    try:
        mjcf = mujoco.MjSpec.from_file(str(file))
        if config.sim_dt is not None:
            mjcf.option.timestep = config.sim_dt
        add_sensors(mjcf, [c.source for c in config.obs])
        return mjcf.compile()
    except ValueError as error:
        raise ConfigError(f"mjcf '{config.mjcf}': {' '.join(str(error).split())}") from error


def _substeps(dt: float, sim_dt: float) -> int:
    substeps = round(dt / sim_dt)
    if substeps < 1 or abs(dt / sim_dt - substeps) > 1e-6:
        raise ConfigError(f"key 'dt': {dt} s must be a whole number of physics steps of {sim_dt} s")
    return substeps


def _actions(config: RobotConfig, model: mujoco.MjModel) -> tuple[tuple[ActionChannel, ...], NDArray[np.int64]]:
    names = actuator_names(model)
    listed = config.actions or tuple(ActionConfig(name) for name in names)
    channels = []
    for action in listed:
        if action.name not in names:
            raise ConfigError(f"key 'actions': unknown actuator '{action.name}'; known actuators: {', '.join(names)}")
        actuator = names.index(action.name)
        low, high = action.low, action.high
        if model.actuator_ctrllimited[actuator]:
            ctrl_low, ctrl_high = (float(x) for x in model.actuator_ctrlrange[actuator])
            low, high = ctrl_low if low is None else low, ctrl_high if high is None else high
            if low < ctrl_low or high > ctrl_high:
                raise ConfigError(
                    f"key 'actions': '{action.name}': {low:g} to {high:g} is out of range; allowed: {ctrl_low:g} to {ctrl_high:g}"
                )
        if low is None or high is None:
            raise ConfigError(f"key 'actions': '{action.name}' has no ctrlrange in the MJCF: give 'low' and 'high'")
        channels.append(ActionChannel(action.name, action.unit, low, high))
    return tuple(channels), np.array([names.index(a.name) for a in listed])
