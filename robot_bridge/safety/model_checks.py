"""All faults that are found beside the supervisor's own: by the model, by the belief, and of who has fallen silent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.controller import Command
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.actuator_alarms import ActuatorDiagnosis, TurnedSigns
from robot_bridge.safety.config import SafetyConfig
from robot_bridge.safety.derivatives import Derivatives
from robot_bridge.safety.faults import Fault
from robot_bridge.safety.frozen import FrozenChannels
from robot_bridge.safety.innovations import Innovations
from robot_bridge.safety.leaps import Leaps
from robot_bridge.safety.observation_checks import Observed
from robot_bridge.safety.presence import Expected


class ModelChecks:
    """Looks once in every control period; for the control loop's thread only.

    Args:
        spec: the robot's channels.
        config: what is checked.
        diagnosis_names: the parameters of the checkpoint's diagnosis.
        expected: those who must not fall silent.
        change_std: std of the change of each channel in a control period, (obs_dim,).
    """

    def __init__(
        self,
        spec: RobotSpec,
        config: SafetyConfig,
        change_std: NDArray[np.float64],
        diagnosis_names: tuple[str, ...] = (),
        expected: Sequence[Expected] = (),
    ) -> None:
        self._frozen = FrozenChannels(spec.obs_names, config.frozen_steps)
        self._innovations = Innovations(spec.obs_names, config.max_jump, config.max_drift)
        self._leaps = Leaps(spec, config.max_jump, change_std)
        self._derivatives = Derivatives(spec, config.derivatives)
        self._actuators = None if config.actuators is None else ActuatorDiagnosis(diagnosis_names, config.actuators, spec.dt)
        self._signs = TurnedSigns(spec.action_names, config.sign_turned_seconds, spec.dt)
        self._expected = expected
        self._seen: Command | None = None
        self._of_model: list[Fault] = []
        self._leapt: list[Fault] = []

    def trained_on(self, change_std: NDArray[np.float64]) -> None:
        """Judge leaps by other training data, those of a newer checkpoint; `change_std` as in the constructor."""
        self._leaps.change_std = change_std

    def look(
        self, now: float, observed: Observed, command: Command | None, *, is_timely: bool = True, is_handled: bool = False
    ) -> tuple[Fault, ...]:
        """The faults at a tick.

        Args:
            now: monotonic time [s].
            observed: the observation of the tick.
            command: the newest plan with what the controller found; None without one.
            is_timely: whether that plan was made from the observation of the tick before; a late one is from an older one.
            is_handled: whether the robot has other contact than in training: who moves it by hand makes no sensor jump.
        """
        is_new = command is not None and command is not self._seen
        if command is None:
            self._of_model = []
        elif is_new:
            self._of_model = self._look_at(command)
        # a plan from the observation of the tick before knows whether that was predicted
        was_predicted = is_new and is_timely and command is not None and bool(np.isfinite(command.info.innovation).all())
        leapt, self._leapt = [] if was_predicted or is_handled else self._leapt, self._leaps.look(observed)
        self._seen = command
        silent = [fault for sender in self._expected for fault in sender.look(now)]
        return (*self._of_model, *leapt, *self._derivatives.look(observed), *silent)

    def _look_at(self, command: Command) -> list[Fault]:
        info = command.info
        change, innovation = (np.asarray(x[0], dtype=np.float64) for x in (info.change, info.innovation))
        faults = self._frozen.look(change, innovation) + self._innovations.look(innovation)
        if self._actuators is not None:
            faults += self._actuators.look(np.asarray(info.diagnosis[0], dtype=np.float64))
        return faults + self._signs.look(np.asarray(info.sign[0], dtype=np.float64))
