"""A small test motion of every actuator, one after the other. Every command passes the safety supervisor.

For each actuator:   settle, quiet, quiet, quiet, quiet, push, pull, pull, push

A push is a soft pulse upwards from rest, and a pull is the same pulse downwards. A quiet segment is as long as a pulse but has
none; it shows how the robot moves by itself. The order push, pull, pull, push cancels a motion of the robot's own that grows
evenly with time, because it adds as much to the pushes as to the pulls.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.control.inputs import Inputs
from robot_bridge.control.outputs import Send
from robot_bridge.preflight.checks import PreflightError
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import SafetySupervisor

Array = NDArray[np.float64]
PULSE = np.array([0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0])
"""A pulse as shares of the amplitude, one for each control period. The zeros at the end give the robot time to respond."""
ORDER = (1, -1, -1, 1)
"""Signs of an actuator's pulses."""
SETTLE = 6
"""Control periods at rest before each actuator's trial."""


class MotionSegment(NamedTuple):
    """A part of the motion: one pulse, or one quiet segment, of W control periods.

    Attributes:
        obs: observations, (W + 1, obs_dim).
        sent: commands that were really sent between them, (W, action_dim).
    """

    obs: Array
    sent: Array


class Trial(NamedTuple):
    """The test motion of one actuator.

    Attributes:
        pulses: the segments with a pulse, with the signs of `ORDER`.
        quiet: the quiet segments before them, of the same number.
    """

    pulses: tuple[MotionSegment, ...]
    quiet: tuple[MotionSegment, ...]


class GentleMotion:
    """Moves one actuator at a time.

    Args:
        spec: the robot's channels.
        supervisor: the safety supervisor, inactive at first, which every command passes through.
        inputs: the source of observations.
        send: function that publishes a command.
        amplitude: height of a pulse, as a share of the range that the supervisor allows.
        stop: event that ends the motion when it is set; the actuators are brought to rest in this case, too.
        clock: function that gives the monotonic time [s].
        sleep: function that waits for some time [s].
    """

    def __init__(
        self,
        spec: RobotSpec,
        supervisor: SafetySupervisor,
        inputs: Inputs,
        send: Send,
        amplitude: float,
        stop: threading.Event,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.spec, self.supervisor, self.inputs, self.send = spec, supervisor, inputs, send
        self.amplitude = amplitude * (supervisor.high - supervisor.low)
        self.stop, self.clock, self.sleep = stop, clock, sleep
        self.rest = np.clip(np.zeros(spec.action_dim), supervisor.low, supervisor.high)
        self._tick = 0.0

    def run(self, present: Array | None = None) -> list[Trial]:
        """Move each actuator once. Whatever happens, the robot is at rest and the supervisor inactive afterwards.

        Args:
            present: the command that keeps the actuators where they are, (action_dim,), which is rest; None if rest is zero.

        Raises:
            PreflightError: the supervisor found a fault and is in an emergency stop.
            KeyboardInterrupt: the event `stop` was set.
        """
        self.rest = self.rest if present is None else np.clip(present, self.supervisor.low, self.supervisor.high)
        self._tick = self.clock()
        self.supervisor.activate(self._tick, present=self.rest)
        try:
            while self.supervisor.state is not State.RUNNING:
                self._step(self.rest)
            return [self._trial(index) for index in range(self.spec.action_dim)]
        finally:
            self._come_to_rest()

    def _trial(self, index: int) -> Trial:
        nothing = np.zeros((len(PULSE), self.spec.action_dim))
        pulse = nothing.copy()
        pulse[:, index] = PULSE * self.amplitude[index]
        self._follow(np.tile(self.rest, (SETTLE, 1)))
        quiet = tuple(self._follow(self.rest + nothing) for _ in ORDER)
        return Trial(tuple(self._follow(self.rest + sign * pulse) for sign in ORDER), quiet)

    def _follow(self, wanted: Array) -> MotionSegment:
        steps = [self._step(row) for row in wanted]
        # the end of one segment is the beginning of the next
        obs = [obs for obs, _ in steps] + [self.inputs.snapshot().values]
        return MotionSegment(np.array(obs), np.array([sent for _, sent in steps]))

    def _step(self, wanted: Array) -> tuple[Array, Array]:
        """One control period: observe, send, and wait for its end. Returns the observation and the command that was sent."""
        observed = self.inputs.snapshot()
        decision = self.supervisor.decide(self.clock(), observed, wanted)
        if decision.command is not None:
            self.send(decision.command)
        if decision.faults or decision.command is None:
            self.supervisor.estop()
            raise PreflightError(f"preflight: test motion stopped: {'; '.join(decision.faults) or decision.state.value}")
        now = self.clock()
        self._tick = max(self._tick + self.spec.dt, now)
        self.sleep(self._tick - now)
        if self.stop.is_set():
            raise KeyboardInterrupt
        return observed.values, decision.command

    def _come_to_rest(self) -> None:
        """Go back to where the motion began, or after a fault to rest, at the supervisor's rate limits; then send nothing."""
        target = self.rest if self.supervisor.state in (State.RAMP, State.RUNNING) else self.supervisor.rest
        for _ in range(1 + math.ceil(self.supervisor.rest_seconds / self.spec.dt)):
            command = self.supervisor.approach(self.clock(), target)
            if command is None:
                break
            self.send(command)
            if np.array_equal(command, target):
                break
            self.sleep(self.spec.dt)
        self.supervisor.deactivate()
