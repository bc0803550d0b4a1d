"""Simulated robot and controller on one machine, with a change of dynamics during the run.

ros2 launch adaptive_mbrl sim.launch.py [bridge:=FILE scenario:=NAME:PART imperfections:=FILE record:=FOLDER report:=FILE]
"""

from launch import LaunchDescription
from robot_bridge.node.launching import controller, controller_arguments, robot_arguments, simulated_robot


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *controller_arguments(bridge="half_cheetah.yaml", activate=True),
            *robot_arguments("half_cheetah/cadm_cripple:test"),
            *simulated_robot(),
            *controller(),
        ]
    )
