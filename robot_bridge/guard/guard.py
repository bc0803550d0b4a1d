"""What the guard does with the controller's commands, and without them. No processes and no middleware in here.

A command that comes is passed on within the robot's limits. When none comes for `SILENT_PERIODS` control periods, or the
controller's process ends while the robot is under control, the guard itself leads the commands to the safe action and goes on
sending it, once in every control period, until commands come again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.safety.limits import command_limiter
from robot_bridge.safety.observation_checks import ObservationChecks, Observed, TrainingRange
from robot_bridge.safety.safe_actions import SafeActions

Array = NDArray[np.float64]
SILENT_PERIODS = 1.75
"""The controller's own watchdog answers a stall after one and a half periods; the guard answers when it has not."""


class Watch(Enum):
    """What the guard is doing."""

    RELEASED = "released"
    """The robot is not controlled, and nothing is sent."""
    PASSING = "passing"
    """The controller's commands are passed on."""
    GUARDING = "guarding"
    """The guard sends the safe action."""


class Guard:
    """Keeps the last word to one robot's actuators.

    Args:
        spec: the robot's channels.
        config: the bridge file.
        send: function that publishes a command, (action_dim,).
        observe: function that gives the newest observation, for the safe action `damping`.
        now: monotonic time [s].
        training: what the training data were like, for velocities that no such robot has; None for no such limit.

    Attributes:
        watch: what the guard is doing.
        takeovers: how many times it took over.
        refused: number of commands that were no finite numbers of the right number.
    """

    def __init__(
        self,
        spec: RobotSpec,
        config: BridgeConfig,
        send: Callable[[Array], None],
        observe: Callable[[], Observed],
        now: Callable[[], float],
        training: TrainingRange | None = None,
    ) -> None:
        self._spec, self._send, self._observe, self._now = spec, send, observe, now
        self._reaction = config.safety.safe_action
        self._order = [spec.action_names.index(name) for name in config.output.order or spec.action_names]
        self._limiter = command_limiter(spec, config.safety)
        self._checks = ObservationChecks(spec, config.safety, training)
        self._safe = SafeActions(spec, config.safety, self._limiter.low, self._limiter.high)
        self._last = -math.inf
        self.watch = Watch.RELEASED
        self.takeovers = self.refused = 0

    @property
    def due(self) -> float:
        """When the guard wants to look again, monotonic [s]; infinity while it is released."""
        if self.watch is Watch.RELEASED:
            return math.inf
        return self._last + (SILENT_PERIODS if self.watch is Watch.PASSING else 1.0) * self._spec.dt

    def command(self, values: Array) -> None:
        """Pass a command on, in the order of the low-level controller; one that is no command is refused and counted."""
        if len(values) != len(self._order) or not np.isfinite(values).all():
            self.refused += 1
            return
        command = np.empty(len(self._order))
        command[self._order] = values
        change = self._limiter.rate * self._spec.dt
        within = np.clip(command, self._limiter.low, self._limiter.high)
        if self.watch is not Watch.RELEASED:
            # the controller does not know what the guard sent meanwhile
            within = np.clip(within, self._limiter.sent - change, self._limiter.sent + change)
        self.watch, self._last = Watch.PASSING, self._now()
        self._send(within)
        # what could not be sent has not changed where the actuators are
        self._limiter.start_from(within)

    def trained_on(self, training: TrainingRange) -> None:
        """From now on the controller's training data are like this."""
        self._checks.trained_on(training)

    def release(self) -> None:
        """The robot is not controlled any more."""
        self.watch = Watch.RELEASED

    def look(self) -> bool:
        """Send the safe action if it is due.

        Returns:
            Whether the guard has just taken over.
        """
        if self._now() < self.due:
            return False
        return self.take_over() if self.watch is Watch.PASSING else self._act()

    def take_over(self) -> bool:
        """Send the safe action from now on, unless the robot is not controlled; returns whether it has just begun."""
        if self.watch is not Watch.PASSING:
            return False
        self.watch = Watch.GUARDING
        self.takeovers += 1
        self._safe.begin(self._limiter.sent)
        self._act()
        return True

    def _act(self) -> bool:
        observed, now = self._observe(), self._now()
        known = self._checks.is_known(now, observed)
        values = np.where(known, observed.values, 0.0)
        wanted = self._safe.command(self._reaction, self._limiter.sent, values, self._spec.dt)
        self._last = now
        command = self._limiter.approach(wanted, self._spec.dt)
        try:
            self._send(command)
        except Exception:
            self._limiter.take_back()
            raise
        return False
