"""What the sub-command `bridge` does: the controller on a robot that speaks ROS 2's wire protocol."""

from __future__ import annotations

import threading
import time

import numpy as np
import torch

from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import BridgeOptions
from robot_bridge.bridge_config import BridgeConfig, load_bridge_config, require_spec
from robot_bridge.control_loop import ControlLoop
from robot_bridge.dds import DdsTransport
from robot_bridge.inputs import GoalReader, Inputs
from robot_bridge.outputs import command_sender
from robot_bridge.stopping import stop_on_signals
from robot_bridge.supervisor import SafetySupervisor

REPORT_EVERY = 1.0
"""Seconds between two lines about the loop."""


def bridge(options: BridgeOptions) -> None:
    """Control a robot until SIGINT or SIGTERM; the last commands are safe ones."""
    config = load_bridge_config(options.bridge)
    controller = AdaptiveController.load(config.checkpoint, device="cuda" if torch.cuda.is_available() else "cpu")
    require_spec(config, controller.spec, str(options.bridge))
    require_goal(config, controller, str(options.bridge))
    try:
        supervisor = SafetySupervisor(controller.spec, config.safety)
    except ConfigError as error:
        raise ConfigError(f"{options.bridge}: {error}") from error
    warm_up(controller)
    stop = stop_on_signals()
    transport = DdsTransport(options.domain, options.interface)
    send = command_sender(controller.spec, config.output, transport)
    goal = (lambda: None) if config.goal is None else GoalReader(config.goal, transport)
    loop = ControlLoop(controller, supervisor, Inputs(controller.spec, config, transport), send, goal=goal)
    control = threading.Thread(target=loop.run, args=(stop,), name="control")
    supervisor.activate(time.monotonic(), dry_run=options.dry_run)
    control.start()
    try:
        while not stop.wait(REPORT_EVERY):
            print(loop.report(), flush=True)
    finally:
        stop.set()
        control.join()
        loop.close()
        transport.close()
    print(loop.report(), flush=True)


def warm_up(controller: AdaptiveController) -> None:
    """The first steps of a process are slow; take them before the robot moves."""
    for _ in range(3):
        controller.step(np.zeros(controller.spec.obs_dim), np.zeros(controller.objective.goal_dim))
    controller.reset()


def require_goal(config: BridgeConfig, controller: AdaptiveController, source: str) -> None:
    """Refuse a bridge without the goal that the checkpoint's objective has, or with another one."""
    wanted, given = controller.objective.goal_dim, 0 if config.goal is None else len(config.goal.initial)
    if wanted != given:
        raise ConfigError(f"{source}: key 'goal': {given} values; the checkpoint's objective has {wanted}")
