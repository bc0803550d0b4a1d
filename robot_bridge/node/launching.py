"""Parts that the files in `launch/` share: the controller, which configures and activates by itself, and the simulated robot."""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler, Shutdown
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.events import matches_action
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition

from launch import Action, LaunchContext

PACKAGE = "adaptive_mbrl"


def controller_arguments(*, bridge: str, activate: bool, preflight_seconds: float = 0.0) -> list[DeclareLaunchArgument]:
    """Launch arguments of the controller.

    Args:
        bridge: default bridge file, by its name in configs/bridge; empty if there is no default.
        activate: default for starting to control without being asked.
        preflight_seconds: default time for which configure listens to the robot and checks it [s].
    """
    shipped = PathJoinSubstitution([FindPackageShare(PACKAGE), "configs", "bridge", bridge])
    named = {"default_value": shipped} if bridge else {}
    return [
        DeclareLaunchArgument("bridge", description="bridge YAML: topics, channels, safety limits", **named),
        DeclareLaunchArgument(
            "activate",
            default_value=str(activate).lower(),
            choices=["true", "false"],
            description="start to control once configured; otherwise: ros2 lifecycle set /adaptive_mpc activate",
        ),
        DeclareLaunchArgument(
            "dry_run", default_value="false", choices=["true", "false"], description="plan and report, send no command"
        ),
        DeclareLaunchArgument(
            "device", default_value="auto", choices=["auto", "cpu", "cuda"], description="where the networks run"
        ),
        DeclareLaunchArgument("deadline", default_value="0.9", description="share of the control period that planning may take"),
        DeclareLaunchArgument(
            "preflight_seconds",
            default_value=str(preflight_seconds),
            description="how long configure listens to the robot and checks what it says [s]; 0: not",
        ),
        DeclareLaunchArgument("record", default_value="", description="folder of the bag to record; empty: none"),
        DeclareLaunchArgument(
            "realtime",
            default_value="off",
            choices=["off", "try", "require"],
            description="whether to ask for real-time priority, locked memory and cores; require: a refusal is an error",
        ),
        DeclareLaunchArgument("cpus", default_value="", description="cores of the control loop, such as 2,3; empty: chosen"),
        DeclareLaunchArgument(
            "standby",
            default_value="false",
            choices=["true", "false"],
            description="plan along with another node that has the robot, and take over when it falls silent",
        ),
        DeclareLaunchArgument(
            "memory_limit",
            default_value="0.0",
            description="memory that diagnostics warn of before it is reached [MiB]; 0: that of the control group",
        ),
        DeclareLaunchArgument(
            "namespace",
            default_value="",
            description="of the node, and of topics in the bridge file without a slash at the beginning; empty: none",
        ),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="false",
            choices=["true", "false"],
            description="stamps are of a simulation that publishes /clock",
        ),
    ]


def controller() -> list[Action]:
    """The lifecycle node with its first transitions. The launch ends if the node cannot be configured, and when it ends."""
    argument = LaunchConfiguration
    node = LifecycleNode(
        package=PACKAGE,
        executable="adaptive_mpc",
        name="adaptive_mpc",
        namespace=argument("namespace"),
        output="screen",
        additional_env=_enclave("/adaptive_mpc"),
        parameters=[
            {
                "bridge": ParameterValue(argument("bridge"), value_type=str),
                "dry_run": ParameterValue(argument("dry_run"), value_type=bool),
                "device": ParameterValue(argument("device"), value_type=str),
                "deadline": ParameterValue(argument("deadline"), value_type=float),
                "preflight_seconds": ParameterValue(argument("preflight_seconds"), value_type=float),
                "record": ParameterValue(argument("record"), value_type=str),
                "realtime": ParameterValue(argument("realtime"), value_type=str),
                "cpus": ParameterValue(argument("cpus"), value_type=str),
                "standby": ParameterValue(argument("standby"), value_type=bool),
                "memory_limit": ParameterValue(argument("memory_limit"), value_type=float),
                "use_sim_time": ParameterValue(argument("use_sim_time"), value_type=bool),
            }
        ],
    )

    def change(transition: int) -> EmitEvent:
        return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))

    activated = OnStateTransition(
        target_lifecycle_node=node,
        start_state="configuring",
        goal_state="inactive",
        entities=[change(Transition.TRANSITION_ACTIVATE)],
    )
    refused = [
        OnStateTransition(
            target_lifecycle_node=node,
            start_state=before,
            goal_state="unconfigured",
            entities=[OpaqueFunction(function=_not_configured)],
        )
        for before in ("configuring", "errorprocessing")
    ]
    return [
        node,
        RegisterEventHandler(OnProcessStart(target_action=node, on_start=[change(Transition.TRANSITION_CONFIGURE)])),
        RegisterEventHandler(activated, condition=IfCondition(argument("activate"))),
        *(RegisterEventHandler(handler) for handler in refused),
        RegisterEventHandler(OnProcessExit(target_action=node, on_exit=_ended)),
    ]


def _enclave(name: str) -> dict[str, str]:
    """The environment of a process in this enclave of configs/security; it matters only if security is switched on."""
    return {"ROS_SECURITY_ENCLAVE_OVERRIDE": name}


def _not_configured(context: LaunchContext) -> None:
    # an exception ends the launch with a non-zero exit code
    if not context.is_shutdown:
        raise RuntimeError("adaptive_mpc cannot be configured; its error is above")


def _ended(event: ProcessExited, context: LaunchContext) -> Shutdown | None:
    """End the launch when one of its processes has ended, with a failure if that process failed."""
    if context.is_shutdown:
        return None
    if event.returncode:
        raise RuntimeError(f"{event.process_name} ended with exit code {event.returncode}; its error is above")
    return Shutdown(reason=f"{event.process_name} has ended")


def simulated_robot() -> list[Action]:
    """The simulated robot; the launch ends with its scenario."""
    flags = {"bridge": "bridge", "scenario": "scenario", "seed": "seed", "imperfections": "imperfections", "json": "report"}
    node = Node(
        package=PACKAGE,
        executable="simulated_robot",
        name="simulated_robot",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        additional_env=_enclave("/robot"),
        arguments=[[f"--{flag}=", LaunchConfiguration(name)] for flag, name in flags.items()],
    )
    return [node, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=_ended))]


def robot_arguments(scenario: str) -> list[DeclareLaunchArgument]:
    """Launch arguments of the simulated robot, with a default scenario."""
    return [
        DeclareLaunchArgument("scenario", default_value=scenario, description="what happens to the robot: file or name:part"),
        DeclareLaunchArgument("seed", default_value="", description="random seed of the episode; empty: the scenario's own"),
        DeclareLaunchArgument(
            "imperfections", default_value="", description="YAML of sensor noise, latency, jitter and loss; empty: none"
        ),
        DeclareLaunchArgument("report", default_value="", description="JSON file for the episode's return; empty: none"),
    ]
