"""The ROS 2 side of the controller: it converts messages and supervises commands, and contains no learning.

What `__all__` lists is public and explained in docs/api.md. A name is loaded when it is used for the first time.
"""

from typing import TYPE_CHECKING

from adaptive_mbrl.lazy_names import lazy_names

if TYPE_CHECKING:
    from robot_bridge.bags.recorder import BagRecorder
    from robot_bridge.bags.recording_transport import RecordingTransport
    from robot_bridge.bridge_config import BridgeConfig, load_bridge_config
    from robot_bridge.middleware.connect import open_transport
    from robot_bridge.middleware.transport import Transport
    from robot_bridge.robot_files import load_controller, make_supervisor
    from robot_bridge.safety.config import SafetyConfig
    from robot_bridge.safety.states import State
    from robot_bridge.safety.supervisor import Decision, Observed, SafetySupervisor, TrainingRange
    from robot_bridge.safety.watchdog import Watchdog
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "robot_bridge.bags.recorder": "BagRecorder",
            "robot_bridge.bags.recording_transport": "RecordingTransport",
            "robot_bridge.bridge_config": "BridgeConfig load_bridge_config",
            "robot_bridge.middleware.connect": "open_transport",
            "robot_bridge.middleware.transport": "Transport",
            "robot_bridge.robot_files": "load_controller make_supervisor",
            "robot_bridge.safety.config": "SafetyConfig",
            "robot_bridge.safety.states": "State",
            "robot_bridge.safety.supervisor": "Decision Observed SafetySupervisor TrainingRange",
            "robot_bridge.safety.watchdog": "Watchdog",
        },
    )

__all__ = [
    "BagRecorder",
    "BridgeConfig",
    "Decision",
    "Observed",
    "RecordingTransport",
    "SafetyConfig",
    "SafetySupervisor",
    "State",
    "TrainingRange",
    "Transport",
    "Watchdog",
    "load_bridge_config",
    "load_controller",
    "make_supervisor",
    "open_transport",
]
