"""Hardware in the loop: the controller on one computer and the simulated robot on another one.

ros2 launch adaptive_mbrl hil.launch.py role:=robot interface:=eth0
ros2 launch adaptive_mbrl hil.launch.py role:=controller interface:=eth0 activate:=true
"""

from launch.actions import DeclareLaunchArgument, GroupAction, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EqualsSubstitution, LaunchConfiguration

from launch import LaunchContext, LaunchDescription
from robot_bridge.middleware.cyclone import configuration
from robot_bridge.node.launching import controller, controller_arguments, robot_arguments, simulated_robot


def choose_network(context: LaunchContext) -> list[SetEnvironmentVariable]:
    interface = LaunchConfiguration("interface").perform(context)
    return [
        SetEnvironmentVariable("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp"),
        SetEnvironmentVariable("CYCLONEDDS_URI", configuration(interface)),
    ]


def generate_launch_description() -> LaunchDescription:
    role = LaunchConfiguration("role")
    return LaunchDescription(
        [
            DeclareLaunchArgument("role", choices=["controller", "robot"], description="which of the two runs on this machine"),
            DeclareLaunchArgument("interface", description="network interface to the other machine, for Cyclone DDS"),
            *controller_arguments(bridge="half_cheetah.yaml", activate=False),
            *robot_arguments("half_cheetah/cadm_cripple:test"),
            OpaqueFunction(function=choose_network),
            GroupAction(controller(), condition=IfCondition(EqualsSubstitution(role, "controller"))),
            GroupAction(simulated_robot(), condition=IfCondition(EqualsSubstitution(role, "robot"))),
        ]
    )
