"""What effort costs a simulated robot: its battery drains, and its actuators become hot.

    q' = -(idle + (1 - idle) mean(u^2)) / seconds        the charge, from 1 to 0
    T' = (ambient + rise u^2 - T) / time_constant        the temperature of each actuator

u is each command as a share of its largest, so u^2 stands for the losses in a winding. Both are first-order models: enough to see
what a bridge does about them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import bounded
from adaptive_mbrl.spec import RobotSpec

Array = NDArray[np.float64]
EMPTY_VOLTAGE, FULL_VOLTAGE = 19.2, 25.2
"""Voltages of a battery of six lithium cells [V]."""


@dataclass(frozen=True)
class PowerConfig:
    """Battery and temperatures of a simulated robot, which are published if the bridge file monitors them.

    Attributes:
        charge: the battery's charge at the beginning, from 0 to 1.
        seconds: how long a full battery lasts with all actuators at their limits [s].
        idle: share of that power that is needed without any effort.
        ambient: temperature around the robot, which is that of its actuators at the beginning [degrees Celsius].
        rise: how much hotter an actuator becomes in the end at its limit [K].
        time_constant: time in which 63 % of that rise is over [s].
    """

    charge: float = bounded(1.0, low=0.0, high=1.0)
    seconds: float = bounded(3600.0, low=1e-3)
    idle: float = bounded(0.05, low=0.0, high=1.0)
    ambient: float = bounded(25.0, low=-50.0, high=100.0)
    rise: float = bounded(60.0, low=0.0, high=1000.0)
    time_constant: float = bounded(120.0, low=1e-3)


class Power:
    """The battery and the actuators' temperatures.

    Args:
        spec: the robot's channels.
        config: how fast it drains and heats.

    Attributes:
        charge: the battery's charge, from 0 to 1.
        temperatures: of each actuator, (action_dim,) [degrees Celsius].
        action: the newest command, (action_dim,).
    """

    def __init__(self, spec: RobotSpec, config: PowerConfig) -> None:
        self._config = config
        self._largest = np.array([max(abs(a.low), abs(a.high)) for a in spec.action])
        self.charge = config.charge
        self.temperatures = np.full(spec.action_dim, config.ambient)
        self.action = np.zeros(spec.action_dim)

    @property
    def voltage(self) -> float:
        """Voltage of the battery [V]."""
        return EMPTY_VOLTAGE + (FULL_VOLTAGE - EMPTY_VOLTAGE) * self.charge

    def advance(self, action: Array, seconds: float) -> None:
        """Let time pass [s] under a command, (action_dim,)."""
        config, self.action = self._config, action
        load = np.square(np.clip(action / self._largest, -1.0, 1.0))
        power = config.idle + (1 - config.idle) * float(load.mean())
        self.charge = max(0.0, self.charge - power * seconds / config.seconds)
        warming = 1 - np.exp(-seconds / config.time_constant)
        self.temperatures = self.temperatures + warming * (config.ambient + config.rise * load - self.temperatures)
