"""Loads the controller and the supervisor that a bridge file describes; every error names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.adaptation.reversal import ReversalConfig
from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.diagnosis import GAIN
from adaptive_mbrl.dump import DUMP_FOLDER
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bridge_config import BridgeConfig, require_goal, require_spec
from robot_bridge.control.plan_ahead import Inspect
from robot_bridge.safety.plan_geometry import make_plan_limits
from robot_bridge.safety.supervisor import SafetySupervisor, TrainingRange


def load_controller(config: BridgeConfig, path: Path, device: str, folder: Path | None = None) -> AdaptiveController:
    """Load the controller of the checkpoint that the bridge file at `path` names, and check that the two fit.

    Args:
        config: the bridge file's content.
        path: the bridge file.
        device: where the networks run.
        folder: folder of the checkpoint where its name is a link; None to follow the link now.
    """
    try:
        controller = AdaptiveController.load(
            folder or config.checkpoint,
            device=resolve_device(device),
            max_delay=config.adaptation.max_delay,
            reversals=ReversalConfig() if config.adaptation.reversals else None,
            dump_folder=DUMP_FOLDER,
            dump_in_background=True,
        )
    except CheckpointError as error:
        raise ConfigError(f"{path}: key 'checkpoint': {error}") from error
    require_spec(config, controller.spec, str(path))
    require_monitored_channels(config, controller.spec, path)
    require_goal(config, controller.settings.score.reward.goal_dim, str(path))
    limits = config.plan_limits
    return controller if limits is None else controller.with_predicted_steps(limits.steps(controller.spec.dt))


def make_inspection(config: BridgeConfig, spec: RobotSpec, path: Path) -> Inspect:
    """Make what looks at every plan before it is sent, as the bridge file at `path` describes it."""
    if config.plan_limits is None:
        return lambda command: ()
    try:
        return make_plan_limits(spec, config.plan_limits)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def require_monitored_channels(config: BridgeConfig, spec: RobotSpec, path: Path) -> None:
    """Refuse monitors of channels that the checkpoint's robot does not have."""
    for name, monitor in config.monitors.items():
        if monitor.channel and monitor.channel not in spec.obs_names:
            hint, known = did_you_mean(monitor.channel, spec.obs_names), ", ".join(spec.obs_names)
            raise ConfigError(
                f"{path}: key 'monitors.{name}.channel': unknown channel '{monitor.channel}'{hint}; the checkpoint's robot "
                f"'{spec.name}' has {known}"
            )


def training_range(controller: AdaptiveController) -> TrainingRange:
    """What the data were like that a controller's model was trained on."""
    normalizer = controller.settings.adapter.normalizer
    return TrainingRange(*(x.cpu().numpy().astype(np.float64) for x in (normalizer.obs_mean, normalizer.obs_std)))


def change_stds(controller: AdaptiveController) -> NDArray[np.float64]:
    """The std of the change of each observation channel in a control period of the training data, (obs_dim,)."""
    return controller.settings.adapter.normalizer.target_std.cpu().numpy().astype(np.float64)


def require_latency(config: BridgeConfig, controller: AdaptiveController, path: Path) -> None:
    """Refuse a latency that the controller's planner does not look over."""
    reach = controller.settings.planner.horizon * controller.spec.dt
    if config.latency > reach:
        raise ConfigError(
            f"{path}: key 'latency': {config.latency:g} s is out of range; allowed: at most {reach:g} s, "
            "as far as the planner looks ahead"
        )


def make_supervisor(config: BridgeConfig, controller: AdaptiveController, path: Path) -> SafetySupervisor:
    """Make the safety supervisor that the bridge file at `path` describes, for the robot of a controller."""
    if config.safety.actuators is not None and not any(name.split(" ")[0] == GAIN for name in controller.diagnosis_names):
        raise ConfigError(
            f"{path}: key 'safety.actuators': the checkpoint has no diagnosis of '{GAIN}'; allowed with one that "
            "'adaptive-mbrl diagnose' has made"
        )
    try:
        return SafetySupervisor(controller.spec, config.safety, training_range(controller))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
