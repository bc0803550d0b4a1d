"""An SO-101 with LeRobot's interface, whose motors are simulated; LeRobot itself is not needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from joints import SUFFIX, JointUnits

from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.simulation.substeps import SubstepSimulation

ROBOT = Path(__file__).with_name("robot.yaml")


class SimulatedArm:
    """Does what LeRobot's `SO101Follower` does; time passes by one control period with each `send_action`.

    Args:
        steps: number of control steps until the simulation is over.
        seed: of the first posture.
        change: what happens to the arm, if anything.
        change_at: when it happens [control steps].
        max_relative_target: the largest distance of a goal from the present position that is sent [deg]; None for no such limit.
    """

    def __init__(
        self,
        steps: int,
        seed: int = 0,
        change: Change | None = None,
        change_at: int = 0,
        max_relative_target: float | None = None,
    ) -> None:
        robot = load_robot(str(ROBOT))
        changes = (ScheduledChange(change_at, change),) if change is not None else ()
        self._simulation = SubstepSimulation(robot, Scenario(str(ROBOT), steps, seed=seed, changes=changes))
        self._units = JointUnits(robot.spec.action_names)
        self._max_relative_target = max_relative_target
        self._connected = False

    @property
    def observation_features(self) -> dict[str, type]:
        """Names and types of what is observed."""
        return {f"{joint}{SUFFIX}": float for joint in self._units.joints}

    @property
    def action_features(self) -> dict[str, type]:
        """Names and types of what is commanded."""
        return self.observation_features

    @property
    def is_connected(self) -> bool:
        """Whether `connect` was called."""
        return self._connected

    @property
    def is_calibrated(self) -> bool:
        """A simulated arm always is."""
        return True

    def connect(self, calibrate: bool = True) -> None:
        """Switch the motors on."""
        self._connected = True

    def calibrate(self) -> None:
        """There is nothing to calibrate."""

    def configure(self) -> None:
        """There is nothing to set."""

    def get_observation(self) -> dict[str, float]:
        """Positions of the joints [deg]."""
        self._require_connection()
        return self._units.action([float(x) for x in self._simulation.observe()[: len(self._units.joints)]])

    def send_action(self, action: Mapping[str, float]) -> dict[str, float]:
        """Command positions [deg], and simulate one control period. Returns what was sent."""
        self._require_connection()
        present = self.get_observation()
        sent = {name: self._clipped(float(action.get(name, present[name])), present[name]) for name in present}
        for _ in range(self._simulation.robot.substeps):
            self._simulation.advance(np.array(self._units.radians(sent)))
        return sent

    def disconnect(self) -> None:
        """Switch the motors off."""
        self._connected = False

    def _clipped(self, wanted: float, present: float) -> float:
        reach = self._max_relative_target
        return wanted if reach is None else min(max(wanted, present - reach), present + reach)

    def _require_connection(self) -> None:
        if not self._connected:
            raise ConnectionError("the arm is not connected; call connect() first")
