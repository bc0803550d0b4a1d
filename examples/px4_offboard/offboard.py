"""When to ask PX4 for its offboard mode, when to arm, and when never to ask again.

PX4 accepts the offboard mode only after a second of heartbeats, and leaves it when they stop. Here a heartbeat goes out with each
command of the bridge and with nothing else: when the bridge stops, PX4 takes over.
"""

from __future__ import annotations

from px4_messages import VehicleCommand, VehicleStatus

STREAM_SECONDS = 1.2
"""How long heartbeats come before the mode is asked for [s]; PX4 wants more than one second."""
LARGEST_GAP = 0.5
"""Silence after which a stream of heartbeats begins anew [s]; PX4 wants more than two in a second."""
ASK_AGAIN = 1.0
"""Time between two requests of the same kind [s]; PX4 may need a moment, or deny."""
CUSTOM_MODE, OFFBOARD = 1.0, 6.0
"""The parameters of the command that sets the mode: one of PX4's own modes, and which one."""
ARM = 1.0


class OffboardSequence:
    """The way into the offboard mode; it asks once per flight.

    Args:
        arm: whether to arm. Otherwise somebody else does.

    Attributes:
        flying: whether the vehicle is armed and in the offboard mode.
        over: whether it was, and is not any more: by a failsafe, a landing, or a pilot who took over. Nothing is sent then.
    """

    def __init__(self, *, arm: bool) -> None:
        self._arm = arm
        self._since = self._last = self._asked = float("-inf")
        self._in_mode = self._armed = False
        self.flying = self.over = False

    def take_status(self, status: VehicleStatus) -> None:
        """Note mode and arming."""
        was_flying = self.flying
        self._in_mode = status.nav_state == VehicleStatus.NAVIGATION_STATE_OFFBOARD
        self._armed = status.arming_state == VehicleStatus.ARMING_STATE_ARMED
        self.flying = self._in_mode and self._armed
        self.over = self.over or (was_flying and not self.flying)

    def next_request(self, now: float, timestamp: int) -> VehicleCommand | None:
        """What to ask for with the heartbeat of this moment, if anything.

        Args:
            now: monotonic time [s].
            timestamp: the same moment for the message [us].
        """
        if now - self._last > LARGEST_GAP:
            self._since = now
        self._last = now
        if self.over or self.flying or now - self._since < STREAM_SECONDS or now - self._asked < ASK_AGAIN:
            return None
        if not self._in_mode:
            self._asked = now
            return _command(VehicleCommand.VEHICLE_CMD_DO_SET_MODE, timestamp, CUSTOM_MODE, OFFBOARD)
        if self._arm:
            self._asked = now
            return _command(VehicleCommand.VEHICLE_CMD_COMPONENT_ARM_DISARM, timestamp, ARM)
        return None


def _command(command: int, timestamp: int, param1: float, param2: float = 0.0) -> VehicleCommand:
    return VehicleCommand(
        timestamp=timestamp,
        command=command,
        param1=param1,
        param2=param2,
        target_system=1,
        target_component=1,
        source_system=1,
        source_component=1,
        from_external=True,
    )
