"""From the bridge's commands to PX4's setpoints.

A checkpoint for rotors (the shipped quadrotor) becomes ActuatorMotors, one for body rates and thrust VehicleRatesSetpoint. With
body rates the autopilot closes the fast loop by itself, which is the better choice for a real vehicle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import frames
from px4_messages import ActuatorMotors, OffboardControlMode, VehicleRatesSetpoint

from robot_bridge.middleware.messages import Message

Setpoint = Callable[[Sequence[float], int], Message]
"""Makes PX4's setpoint of a command and the time since PX4's start [us]."""
MOTORS = 12
"""Number of places in ActuatorMotors."""
HOVER, GAIN = 3.4335 / 8.0, 1.3
"""The shipped quadrotor: the share of the full thrust that hovers, and how much more than that a command of 1 is."""
PX4_ORDER = (0, 2, 1, 3)
"""Rotors of the shipped quadrotor (front right, front left, back left, back right) in the order of PX4's quad X, whose motors are
front right, back left, front left, back right."""


def motors(command: Sequence[float], timestamp: int) -> ActuatorMotors:
    """Thrusts of the shipped quadrotor's rotors, -1 to 1 around hover, as shares of the full thrust; the other motors are off.

    PX4's parameter THR_MDL_FAC has to say how thrust depends on the motors' signal, so that a share of the thrust is one. The
    vehicle's rotors have to turn as the model's: the front right one clockwise, seen from above, unlike PX4's own quad X.
    """
    shares = [min(1.0, max(0.0, HOVER * (1.0 + GAIN * command[rotor]))) for rotor in PX4_ORDER]
    off = [float("nan")] * (MOTORS - len(shares))
    return ActuatorMotors(timestamp=timestamp, timestamp_sample=timestamp, control=[*shares, *off])


def rates(command: Sequence[float], timestamp: int) -> VehicleRatesSetpoint:
    """Thrust as a share of the full one, then roll, pitch and yaw rate about forward, left and up [rad/s]."""
    thrust, *about = command
    roll, pitch, yaw = frames.body(about)
    down = -min(1.0, max(0.0, thrust))
    return VehicleRatesSetpoint(timestamp=timestamp, roll=roll, pitch=pitch, yaw=yaw, thrust_body=[0.0, 0.0, down])


KINDS: dict[str, tuple[Setpoint, str, type[Message], str, int]] = {
    "motors": (motors, "/fmu/in/actuator_motors", ActuatorMotors, "direct_actuator", 4),
    "rates": (rates, "/fmu/in/vehicle_rates_setpoint", VehicleRatesSetpoint, "body_rate", 4),
}
"""Each kind of setpoint: how it is made, its topic and type, what the heartbeat says of it, and the length of a command."""


def heartbeat(field: str, timestamp: int) -> OffboardControlMode:
    """PX4's proof of life, which says which kind of setpoint comes."""
    return OffboardControlMode(timestamp=timestamp, **{field: True})
