"""The rules of PX4's offboard mode, as its documentation states them, without a vehicle.

Of the commander's many conditions these are the ones that an external controller can break: the proof of life, the order of mode
and arming, and setpoints of another kind than the heartbeat says.
"""

from __future__ import annotations

from px4_messages import OffboardControlMode, VehicleCommand, VehicleCommandAck, VehicleStatus

PROOF_SECONDS = 1.0
"""How long heartbeats have to come before the mode is accepted [s]."""
LARGEST_GAP = 0.5
"""Longest time between two heartbeats of a stream [s]: more than 2 Hz."""
LOSS_SECONDS = 1.0
"""Silence after which PX4 leaves the offboard mode [s]: the default of COM_OF_LOSS_T."""
DIRECT = "direct_actuator"
_KINDS = ("position", "velocity", "acceleration", "attitude", "body_rate", "thrust_and_torque", DIRECT)
_ACCEPTED, _DENIED = VehicleCommandAck.VEHICLE_CMD_RESULT_ACCEPTED, VehicleCommandAck.VEHICLE_CMD_RESULT_TEMPORARILY_REJECTED


class OffboardRules:
    """Mode and arming of an autopilot. All times are those of one clock [s].

    Attributes:
        armed: whether the motors may turn.
        nav_state: the mode, one of `VehicleStatus`'s.
        failsafe: whether the offboard mode was lost in flight.
        denied: what was asked for and denied, in words.
    """

    def __init__(self) -> None:
        self.armed = self.failsafe = False
        self.nav_state = VehicleStatus.NAVIGATION_STATE_AUTO_LOITER
        self.denied: list[str] = []
        self._kind = ""
        self._since = self.last_heartbeat = float("-inf")

    @property
    def offboard(self) -> bool:
        """Whether setpoints from outside count."""
        return self.nav_state == VehicleStatus.NAVIGATION_STATE_OFFBOARD

    def take_heartbeat(self, message: OffboardControlMode, now: float) -> None:
        """Note a proof of life; the first kind of setpoint that it names is the one that counts."""
        if now - self.last_heartbeat > LARGEST_GAP:
            self._since = now
        self.last_heartbeat = now
        self._kind = next((kind for kind in _KINDS if getattr(message, kind)), "")

    def obeys(self, kind: str, now: float) -> bool:
        """Whether a setpoint of this kind moves the vehicle now."""
        self.tick(now)
        return self.armed and self.offboard and self._kind == kind

    def answer(self, command: VehicleCommand, now: float) -> int:
        """Carry out a command, and say with which result."""
        self.tick(now)
        if command.command == VehicleCommand.VEHICLE_CMD_DO_SET_MODE and (command.param1, command.param2) == (1.0, 6.0):
            return self._enter_offboard(now)
        if command.command == VehicleCommand.VEHICLE_CMD_COMPONENT_ARM_DISARM:
            return self._set_armed(command.param1 == 1.0)
        self.denied.append(f"unknown command {command.command}")
        return VehicleCommandAck.VEHICLE_CMD_RESULT_UNSUPPORTED

    def tick(self, now: float) -> None:
        """Leave the offboard mode when the proof of life has stopped: in the air to land, on the ground to wait."""
        if self.offboard and now - self.last_heartbeat > LOSS_SECONDS:
            self.failsafe = self.armed
            self.nav_state = (
                VehicleStatus.NAVIGATION_STATE_AUTO_LAND if self.armed else VehicleStatus.NAVIGATION_STATE_AUTO_LOITER
            )

    def landed(self) -> None:
        """Disarm after a landing."""
        self.armed = False

    def _enter_offboard(self, now: float) -> int:
        alive = now - self.last_heartbeat <= LARGEST_GAP and now - self._since >= PROOF_SECONDS
        if not alive or not self._kind:
            self.denied.append("offboard mode without a second of heartbeats")
            return _DENIED
        self.nav_state, self.failsafe = VehicleStatus.NAVIGATION_STATE_OFFBOARD, False
        return _ACCEPTED

    def _set_armed(self, wanted: bool) -> int:
        if wanted and not self.offboard:
            self.denied.append("arming without the offboard mode")
            return _DENIED
        self.armed = wanted
        return _ACCEPTED
