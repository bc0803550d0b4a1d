"""The controller for a real robot. It configures itself and waits to be activated, or activates itself with activate:=true.

ros2 launch adaptive_mbrl robot.launch.py bridge:=FILE [dry_run:=true activate:=true record:=FOLDER]
"""

from launch import LaunchDescription
from robot_bridge.node.launching import controller, controller_arguments


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*controller_arguments(bridge="", activate=False, preflight_seconds=3.0), *controller()])
