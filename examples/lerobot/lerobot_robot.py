"""The simulated arm as a robot of LeRobot: `--robot.type=simulated_so101` in its commands (needs LeRobot 0.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lerobot.robots.config import RobotConfig
from lerobot.robots.robot import Robot
from simulated_arm import SimulatedArm


@RobotConfig.register_subclass("simulated_so101")
@dataclass
class SimulatedSO101Config(RobotConfig):
    """Settings of the simulated arm.

    Attributes:
        steps: number of control steps until the simulation is over.
        seed: of the first posture.
        max_relative_target: the largest distance of a goal from the present position that is sent [deg].
    """

    steps: int = 10_000
    seed: int = 0
    max_relative_target: float | None = None


class SimulatedSO101(Robot):
    """A LeRobot robot whose motors are simulated."""

    config_class = SimulatedSO101Config
    name = "simulated_so101"

    def __init__(self, config: SimulatedSO101Config) -> None:
        super().__init__(config)
        self._arm = SimulatedArm(config.steps, config.seed, max_relative_target=config.max_relative_target)

    @property
    def observation_features(self) -> dict[str, Any]:
        """Names and types of what is observed."""
        return dict(self._arm.observation_features)

    @property
    def action_features(self) -> dict[str, Any]:
        """Names and types of what is commanded."""
        return dict(self._arm.action_features)

    @property
    def is_connected(self) -> bool:
        """Whether `connect` was called."""
        return self._arm.is_connected

    @property
    def is_calibrated(self) -> bool:
        """A simulated arm always is."""
        return True

    def connect(self, calibrate: bool = True) -> None:
        """Switch the motors on."""
        self._arm.connect(calibrate)

    def calibrate(self) -> None:
        """There is nothing to calibrate."""

    def configure(self) -> None:
        """There is nothing to set."""

    def get_observation(self) -> dict[str, Any]:
        """Positions of the joints [deg]."""
        return dict(self._arm.get_observation())

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        """Command positions [deg]. Returns what was sent."""
        return dict(self._arm.send_action(action))

    def disconnect(self) -> None:
        """Switch the motors off."""
        self._arm.disconnect()
