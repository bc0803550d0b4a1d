"""Commands approach what is wanted within the limits of their values, rates, accelerations and jerks.

Without limits of acceleration a command moves by at most  rate * time.  With them each command is a short piece of the
time-optimal trajectory from its present value, rate and acceleration to the wanted value at rest, which the library Ruckig
computes (Berscheid and Kroeger 2021, arXiv 2105.04830). Such a trajectory stays between values at which it can stop, so that the
limits of the values hold as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.extras import extra_package

Array = NDArray[np.float64]


class CommandLimiter:
    """The last command, and what may follow it.

    Args:
        low: smallest command, (action_dim,).
        high: largest command, (action_dim,).
        rate: fastest change [unit/s], (action_dim,).
        acceleration: fastest change of the rate [unit/s^2], (action_dim,); infinite where it is not limited.
        jerk: fastest change of the acceleration [unit/s^3], (action_dim,); infinite where it is not limited.

    Attributes:
        sent: the last command, (action_dim,).
    """

    def __init__(self, low: Array, high: Array, rate: Array, acceleration: Array, jerk: Array) -> None:
        self.low, self.high, self.rate = low, high, rate
        self.is_smooth = bool(np.isfinite(acceleration).any() or np.isfinite(jerk).any())
        self._trajectory = _Trajectory(rate, acceleration, jerk) if self.is_smooth else None
        self._to_full_rate = rate / acceleration + np.where(np.isfinite(acceleration), acceleration, 1e3 * rate) / jerk
        self.sent = np.clip(np.zeros(len(low)), low, high)
        self._speed = self._acceleration = np.zeros(len(low))
        self._before = self.sent, self._speed, self._acceleration

    @property
    def longest_seconds(self) -> float:
        """Longest time to any command at rest [s], also from the fastest rate in the opposite direction."""
        return float(((self.high - self.low) / self.rate + 3 * self._to_full_rate).max())

    def start_from(self, command: Array) -> None:
        """Go on from a command at rest, (action_dim,)."""
        self.sent = np.clip(command, self.low, self.high)
        self._speed = self._acceleration = np.zeros(len(self.sent))
        self._before = self.sent, self._speed, self._acceleration

    def approach(self, wanted: Array, passed: float, share: float = 1.0) -> Array:
        """The next command on the way to a wanted one.

        Args:
            wanted: the wanted command, (action_dim,).
            passed: time since the last command [s].
            share: the share of the rate limits that is used.
        """
        self._before = self.sent, self._speed, self._acceleration
        wanted = target = np.clip(wanted, self.low, self.high)
        share_of_change = share
        if self._trajectory is not None and passed > 0:
            state = self.sent, self._speed, self._acceleration
            wanted, self._speed, self._acceleration = self._trajectory.after(state, wanted, passed, share)
            # a rate that is above the share slows down at the limits of acceleration
            share_of_change = 1.0
            # rounding must not keep a command from arriving
            wanted = np.where(np.abs(wanted - target) <= 1e-9 * (self.high - self.low), target, wanted)
        change = share_of_change * self.rate * passed
        self.sent = np.clip(np.clip(wanted, self.sent - change, self.sent + change), self.low, self.high)
        return self.sent.copy()

    def take_back(self) -> None:
        """Forget the last command, because it could not be sent."""
        self.sent, self._speed, self._acceleration = self._before


class _Trajectory:
    """Time-optimal motion of each command by itself, by Ruckig."""

    def __init__(self, rate: Array, acceleration: Array, jerk: Array) -> None:
        ruckig: Any = extra_package("ruckig", "bridge")
        self._ruckig, number = ruckig, len(rate)
        self._solver, self._found = ruckig.Ruckig(number), ruckig.Trajectory(number)
        self._input = ruckig.InputParameter(number)
        self._input.synchronization = ruckig.Synchronization.No
        self._rate = rate
        # Ruckig needs a finite acceleration; a millisecond from rest to the fastest rate is as good as no limit
        self._acceleration = np.where(np.isfinite(acceleration), acceleration, 1e3 * rate)
        self._input.max_acceleration = self._acceleration.tolist()
        # without a limit of the jerk its solver fails now and then, so that there is always one, which is not noticed
        self._input.max_jerk = np.where(np.isfinite(jerk), jerk, 1e3 * self._acceleration).tolist()
        self._input.target_velocity = [0.0] * number

    def after(self, state: tuple[Array, Array, Array], wanted: Array, passed: float, share: float) -> tuple[Array, Array, Array]:
        """Value, rate and acceleration after some time [s] on the way to a wanted value; braking if none is found."""
        given = self._input
        given.max_velocity = (share * self._rate).tolist()
        given.current_position, given.current_velocity, given.current_acceleration = (part.tolist() for part in state)
        given.target_position = wanted.tolist()
        try:
            found = self._solver.calculate(given, self._found)
        except self._ruckig.RuckigError:
            return self._braking(state, passed)
        if found not in (self._ruckig.Result.Working, self._ruckig.Result.Finished):
            return self._braking(state, passed)
        position, speed, acceleration = (np.array(part) for part in self._found.at_time(passed))
        return position, np.clip(speed, -self._rate, self._rate), acceleration

    def _braking(self, state: tuple[Array, Array, Array], passed: float) -> tuple[Array, Array, Array]:
        position, speed, _ = state
        slower = np.sign(speed) * np.maximum(np.abs(speed) - self._acceleration * passed, 0.0)
        return position + 0.5 * (speed + slower) * passed, slower, np.zeros(len(speed))
