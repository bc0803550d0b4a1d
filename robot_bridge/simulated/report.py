"""The report of a simulated robot's run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RobotReport:
    """Figures of a run, counted from the first command on.

    Attributes:
        robot: the robot's name.
        scenario: the scenario with its seed and its changes of dynamics.
        steps: number of control periods that were simulated.
        return_: sum of the rewards of these periods, each for the mean of the commands that acted in it.
        return_after_change: sum of the rewards from the last change of dynamics on.
        commands: number of commands that came over the network.
        late_commands: number of commands that acted more than 1.5 control periods after the one before.
        lost_commands: number of commands that the line to the actuators lost.
        refused_commands: number of messages of the wrong size or without finite numbers.
        command_timeouts: number of times that commands stopped coming, so that the actuators got zeros.
        lost_sensor_messages: number of messages that the lines from the sensors lost.
        overruns: number of times that the machine was late by more than a control period, which it does not catch up with.
        real_time_factor: simulated time divided by the time that it took; 1 if nothing was simulated.
    """

    robot: str
    scenario: Mapping[str, Any]
    steps: int
    return_: float
    return_after_change: float
    commands: int
    late_commands: int
    lost_commands: int
    refused_commands: int
    command_timeouts: int
    lost_sensor_messages: int
    overruns: int
    real_time_factor: float

    def in_words(self) -> str:
        """One line for the terminal."""
        return (
            f"{self.steps} steps, {self.commands} commands, return {self.return_:.1f}, "
            f"after the last change {self.return_after_change:.1f}; commands: {self.late_commands} late, "
            f"{self.lost_commands} lost, {self.refused_commands} refused, {self.command_timeouts} timeouts; "
            f"{self.overruns} overruns, real-time factor {self.real_time_factor:.3f}"
        )

    def to_json(self) -> str:
        """The attributes as a JSON object, with `return_` named `return`."""
        return json.dumps({name.rstrip("_"): value for name, value in asdict(self).items()}, indent=1, allow_nan=False) + "\n"
