"""ros2_control with hardware that is reached by topics: controller manager, both controllers, and the robot's description.

ros2 launch examples/ros2_control/arm.launch.py
"""

from pathlib import Path

from launch_ros.actions import Node

from launch import LaunchDescription

FOLDER = Path(__file__).resolve().parent


def generate_launch_description() -> LaunchDescription:
    """The nodes of ros2_control; the bridge and the hardware are started beside it."""
    description = {"robot_description": (FOLDER / "arm.urdf").read_text(encoding="utf-8")}
    controllers = ("joint_state_broadcaster", "forward_position_controller")
    return LaunchDescription(
        [
            Node(package="robot_state_publisher", executable="robot_state_publisher", parameters=[description]),
            Node(
                package="controller_manager",
                executable="ros2_control_node",
                parameters=[str(FOLDER / "controllers.yaml")],
                remappings=[("~/robot_description", "/robot_description")],
                output="screen",
            ),
            *(Node(package="controller_manager", executable="spawner", arguments=[name]) for name in controllers),
        ]
    )
