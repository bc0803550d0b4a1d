"""What came of a simulated robot's run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RobotReport:
    """Figures of a run that lasted from the first command on.

    Attributes:
        robot: its name.
        scenario: seed and changes of dynamics.
        steps: control periods that are over.
        return_: sum of their rewards, each with the mean of the commands that acted within it.
        return_after_change: the same from the last change of dynamics on.
        commands: how many came over the network.
        late_commands: how many acted more than 1.5 control periods after the one before.
        lost_commands: how many the line to the actuators lost.
        refused_commands: messages of the wrong size or without finite numbers.
        command_timeouts: how often commands stopped coming, so that the actuators got zeros.
        lost_sensor_messages: how many the lines from the sensors lost.
        overruns: how often the machine was late by more than a control period, which was not caught up with.
        real_time_factor: simulated time over the time that it took; 1 if nothing was simulated.
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
        """The attributes as a JSON object; `return_` without its underscore."""
        return json.dumps({name.rstrip("_"): value for name, value in asdict(self).items()}, indent=1, allow_nan=False) + "\n"
