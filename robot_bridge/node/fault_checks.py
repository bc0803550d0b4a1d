"""All that looks for faults beside the supervisor: of the model, of monitors, and of where the plan leads."""

from __future__ import annotations

from adaptive_mbrl.controller import Command
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.control.loop import Checks
from robot_bridge.control.monitor_inputs import monitor_inputs
from robot_bridge.control.plan_ahead import PlanAhead
from robot_bridge.middleware.transport import Transport
from robot_bridge.safety.faults import Fault
from robot_bridge.safety.model_checks import ModelChecks
from robot_bridge.safety.monitors import Monitors
from robot_bridge.safety.observation_checks import Observed


def monitors_of(config: BridgeConfig, spec: RobotSpec, transport: Transport, unrecorded: Transport) -> Monitors:
    """The monitors of a bridge file, which subscribe to their topics.

    Args:
        config: the bridge file.
        spec: the robot's channels.
        transport: the transport of the robot's topics, which may record them.
        unrecorded: the same without a recording, for topics that are inputs as well, and so are recorded already.
    """
    inputs = {topic.topic for topic in config.inputs.values()}
    readers = monitor_inputs(config.monitors, lambda topic: unrecorded if topic in inputs else transport)
    return Monitors(spec, config.monitors, readers)


def all_checks(of_model: ModelChecks, monitors: Monitors, planning: PlanAhead) -> Checks:
    """What the control loop asks for faults at every tick."""

    def look(now: float, observed: Observed, command: Command | None) -> tuple[Fault, ...]:
        return (*of_model.look(now, observed, command), *monitors.look(now, observed), *planning.faults)

    return look
