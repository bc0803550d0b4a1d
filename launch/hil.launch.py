"""Hardware in the loop: the controller on its own computer, the simulated robot on another one.

ros2 launch adaptive_mbrl hil.launch.py role:=robot interface:=eth0
ros2 launch adaptive_mbrl hil.launch.py role:=controller interface:=eth0 activate:=true
"""

from launch.actions import DeclareLaunchArgument, GroupAction, SetEnvironmentVariable
from launch.conditions import LaunchConfigurationEquals
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription
from robot_bridge.node.launching import controller, controller_arguments, robot_arguments, simulated_robot


def generate_launch_description() -> LaunchDescription:
    network = [
        '<CycloneDDS><Domain id="any"><General><Interfaces><NetworkInterface name="',
        LaunchConfiguration("interface"),
        '"/></Interfaces></General></Domain></CycloneDDS>',
    ]
    return LaunchDescription(
        [
            DeclareLaunchArgument("role", choices=["controller", "robot"], description="which of the two runs on this machine"),
            DeclareLaunchArgument("interface", description="network interface to the other machine, for Cyclone DDS"),
            *controller_arguments(bridge="half_cheetah.yaml", activate=False),
            *robot_arguments("half_cheetah/cadm_cripple:test"),
            SetEnvironmentVariable("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp"),
            SetEnvironmentVariable("CYCLONEDDS_URI", network),
            GroupAction(controller(), condition=LaunchConfigurationEquals("role", "controller")),
            GroupAction(simulated_robot(), condition=LaunchConfigurationEquals("role", "robot")),
        ]
    )
