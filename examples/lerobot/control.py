"""Control a LeRobot robot in one process.

python examples/lerobot/control.py --port /dev/ttyACM0, or without a port in simulation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from policy import AdaptivePolicy
from simulated_arm import SimulatedArm

BRIDGE = Path(__file__).with_name("bridge.yaml")


class LeRobotRobot(Protocol):
    """What is used of LeRobot's `Robot`."""

    def connect(self, calibrate: bool = True) -> None:
        """Switch the motors on."""

    def get_observation(self) -> Mapping[str, Any]:
        """What the robot measures now."""

    def send_action(self, action: dict[str, Any]) -> Mapping[str, Any]:
        """Command the motors; returns what was sent."""

    def disconnect(self) -> None:
        """Switch the motors off."""


def control(robot: LeRobotRobot, policy: AdaptivePolicy, steps: int, wait: Callable[[int], None]) -> list[Mapping[str, Any]]:
    """Run an episode.

    Args:
        robot: the robot, which is connected and disconnected here.
        policy: what chooses the actions.
        steps: number of control periods.
        wait: waits until the control period of this number begins.

    Returns:
        The observations.
    """
    robot.connect()
    policy.reset()
    seen = []
    try:
        for step in range(steps):
            wait(step)
            seen.append(robot.get_observation())
            action = policy.select_action(seen[-1])
            if action:
                policy.note_sent(robot.send_action(action))
    finally:
        robot.disconnect()
    return seen


def real_arm(port: str, name: str) -> LeRobotRobot:
    """An SO-101 on a serial port, calibrated under this name with LeRobot's own command."""
    from lerobot.robots.so_follower import SO101Follower, SO101FollowerConfig

    arm: LeRobotRobot = SO101Follower(SO101FollowerConfig(port=port, id=name, use_degrees=True, max_relative_target=20.0))
    return arm


def main() -> None:
    """Go to one posture, and say how near it came."""
    parser = argparse.ArgumentParser(description="The controller as the policy of a LeRobot robot.")
    parser.add_argument("--port", help="serial port of an SO-101; without it the arm is simulated")
    parser.add_argument("--id", default="so101", help="the name under which LeRobot has calibrated the arm")
    parser.add_argument("--bridge", type=Path, default=BRIDGE)
    parser.add_argument("--goal", type=float, nargs="+", help="angle of each joint [rad]")
    parser.add_argument("--seconds", type=float, default=8.0)
    args = parser.parse_args()
    policy = AdaptivePolicy(args.bridge)
    if args.goal is not None:
        policy.goal = np.array(args.goal)
    steps = round(args.seconds / policy.dt)
    robot = real_arm(args.port, args.id) if args.port else SimulatedArm(steps)
    begin = time.monotonic()

    def wait(step: int) -> None:
        time.sleep(max(0.0, begin + step * policy.dt - time.monotonic()))

    seen = control(robot, policy, steps, wait)
    print({name: round(float(value), 1) for name, value in seen[-1].items() if name.endswith(".pos")}, policy.state.value)


if __name__ == "__main__":
    main()
