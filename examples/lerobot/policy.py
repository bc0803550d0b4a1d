"""The controller as the policy of a LeRobot robot: `select_action` between `get_observation` and `send_action`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from joints import SUFFIX, JointUnits, Velocities

from adaptive_mbrl.control.inputs import StepOptions
from adaptive_mbrl.errors import ObservationError
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.robot_files import load_controller, make_supervisor
from robot_bridge.safety.observation_checks import Observed
from robot_bridge.safety.states import State


class AdaptivePolicy:
    """Chooses one action for each observation, as LeRobot's policies do; it learns the robot's dynamics while it runs.

    Every action passes the safety supervisor of the bridge file: its limits, its ramp, its faults. The caller keeps the time: one
    call in each control period `dt`.

    Args:
        bridge: the bridge file, which names the checkpoint, the joints and the limits.
        units: how LeRobot's numbers become radians; by default degrees.
        device: where the network runs.
        clock: monotonic time [s].

    Attributes:
        dt: the control period [s]; LeRobot's frames per second are 1 / dt.
        goal: the objective's goal, (goal_dim,), which may be changed at any time.
        faults: what is wrong, in words, as of the newest action.
    """

    def __init__(
        self,
        bridge: Path,
        units: JointUnits | None = None,
        device: str = "cpu",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._path, self._clock = load_bridge_config(bridge), bridge, clock
        self._controller = load_controller(self._config, bridge, device)
        spec = self._controller.spec
        self.dt = spec.dt
        self.goal = np.array(self._config.goal.initial) if self._config.goal is not None else None
        # one joint for each action, in the order of the spec
        joints = dict(zip(self._config.output.order or spec.action_names, self._config.output.joints, strict=True))
        self._units = units or JointUnits([joints[name] for name in spec.action_names])
        self.reset()

    @property
    def state(self) -> State:
        """The state of the supervisor."""
        return self._supervisor.state

    def reset(self) -> None:
        """Begin an episode: the belief is the prior again, and the first action is where the joints are."""
        self._controller.reset()
        self._supervisor = make_supervisor(self._config, self._controller, self._path)
        self._velocities = Velocities()
        self._sent: np.ndarray | None = None
        self.faults: tuple[str, ...] = ()

    def select_action(self, observation: Mapping[str, object]) -> dict[str, float]:
        """The action for an observation, both with LeRobot's names and units; keys other than the joints' are ignored."""
        now = self._clock()
        positions = self._units.radians(observation)
        values = self._channels(positions, self._velocities(now, positions))
        observed = Observed(values, np.full(len(values), now))
        self._supervisor.activate(now, present=np.array(positions))
        decision = self._supervisor.decide(now, observed, self._plan(values))
        self.faults = decision.faults
        self._sent = decision.command
        return {} if decision.command is None else self._units.action(list(decision.command))

    def note_sent(self, action: Mapping[str, object]) -> None:
        """Tell what the robot has really sent to its motors, which `send_action` returns; the model learns from that."""
        if self._sent is not None and all(f"{joint}{SUFFIX}" in action for joint in self._units.joints):
            self._sent = np.array(self._units.radians(action))

    def _plan(self, values: np.ndarray) -> np.ndarray | None:
        try:
            return self._controller.step(values, self.goal, StepOptions(sent=self._sent)).action
        except ObservationError:
            return None

    def _channels(self, positions: list[float], velocities: list[float]) -> np.ndarray:
        """The observation, (obs_dim,)."""
        read = {"position": dict(zip(self._units.joints, positions, strict=True))}
        read["velocity"] = dict(zip(self._units.joints, velocities, strict=True))
        sources = (self._config.obs[name] for name in self._controller.spec.obs_names)
        return np.array([read[source.field][source.joint] for source in sources])
