"""The belief as a diagnosis of the actuators: weak, dead or reversed, if it says so for a while."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.diagnosis import GAIN
from robot_bridge.safety.config import ActuatorAlarms
from robot_bridge.safety.faults import Fault, FaultKind


class ActuatorDiagnosis:
    """Turns estimated gains into alarms.

    Args:
        names: the parameters of the diagnosis, for example `actuator_gain rotor_1`.
        config: levels.
        dt: control period [s].
    """

    def __init__(self, names: tuple[str, ...], config: ActuatorAlarms, dt: float) -> None:
        self._config = config
        self._index = [i for i, name in enumerate(names) if name.split(" ")[0] == GAIN]
        self._actuators = [names[i].partition(" ")[2] or "all actuators" for i in self._index]
        self._levels: tuple[tuple[FaultKind, float, str], ...] = (
            ("actuator_reversed", config.reversed, "works backwards"),
            ("actuator_dead", config.dead, "does nothing"),
            ("actuator_weak", config.weak, "is weak"),
        )
        self._lasts = _Lasting((len(self._levels), len(self._index)), config.seconds, dt)

    def look(self, diagnosis: NDArray[np.float64]) -> list[Fault]:
        """Take over the estimates of one control period: means and standard deviations, (2, L).

        Returns:
            The most severe alarm of each actuator that has one.
        """
        mean, std = diagnosis[:, self._index]
        is_below = np.stack([mean + self._config.stds * std < level for _, level, _ in self._levels])
        lasts, faults = self._lasts(is_below), []
        for i, name in enumerate(self._actuators):
            for (kind, _, words), is_alarm in zip(self._levels, lasts[:, i], strict=True):
                if is_alarm:
                    faults.append(Fault(kind, f"{name} {words}: gain {mean[i]:.2f} +- {std[i]:.2f}", name))
                    break
        return faults


class TurnedSigns:
    """Warns of motors that the controller takes to be wired backwards. It needs no diagnosis, and is less sure than one.

    Args:
        names: the actions.
        seconds: for how long a motor must be taken to be reversed [s].
        dt: control period [s].
    """

    def __init__(self, names: tuple[str, ...], seconds: float, dt: float) -> None:
        self._names, self._lasts = names, _Lasting((len(names),), seconds, dt)

    def look(self, sign: NDArray[np.float64]) -> list[Fault]:
        """Take over the signs of one control period, +1 or -1, (action_dim,).

        Returns:
            A fault for each action whose motor has been taken to be reversed for long enough.
        """
        return [
            Fault("sign_turned", f"{name} is taken to be wired backwards", name)
            for name, is_alarm in zip(self._names, self._lasts(sign < 0), strict=True)
            if is_alarm
        ]


class _Lasting:
    """Tells of each of several conditions whether it has held for long enough.

    Args:
        shape: of the conditions.
        seconds: for how long [s]; one control period at least.
        dt: control period [s].
    """

    def __init__(self, shape: tuple[int, ...], seconds: float, dt: float) -> None:
        self._steps, self._count = max(1, round(seconds / dt)), np.zeros(shape, dtype=np.int64)

    def __call__(self, holds: NDArray[np.bool_]) -> NDArray[np.bool_]:
        self._count = np.where(holds, self._count + 1, 0)
        return self._count >= self._steps
