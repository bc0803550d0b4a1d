"""The monitors of a bridge file, with the topics that they read."""

from __future__ import annotations

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.control.monitor_inputs import monitor_inputs
from robot_bridge.middleware.transport import Transport
from robot_bridge.safety.monitors import Monitors


def monitors_of(config: BridgeConfig, spec: RobotSpec, transport: Transport) -> Monitors:
    """The monitors of a bridge file, which subscribe to their topics.

    Args:
        config: the bridge file.
        spec: the robot's channels.
        transport: the transport of the monitors' topics.
    """
    return Monitors(spec, config.monitors, monitor_inputs(config.monitors, transport))
