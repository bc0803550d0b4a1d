"""A stand-in for PX4 and its vehicle: the shipped quadrotor in MuJoCo, behind PX4's topics and its rules for the offboard mode.

python examples/px4_offboard/simulated_px4.py --seconds 30 --json flight.json

It holds the vehicle on a stand until it is armed, obeys ActuatorMotors in the offboard mode, and lands by itself when the
heartbeats stop. It is no PX4: estimator, mixer, rate controllers and nearly all of the commander's checks are missing.
"""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import frames
import numpy as np
from adapter import versioned
from px4_messages import (
    ActuatorMotors,
    OffboardControlMode,
    VehicleCommand,
    VehicleCommandAck,
    VehicleOdometry,
    VehicleStatus,
)
from px4_rules import DIRECT, OffboardRules
from setpoints import GAIN, HOVER, PX4_ORDER

from adaptive_mbrl.storage import write_text_atomically
from robot_bridge.middleware.connect import open_transport
from robot_bridge.middleware.fields import write_angles
from robot_bridge.middleware.messages import Quaternion
from robot_bridge.middleware.transport import Transport
from robot_bridge.simulated.steady_clock import SteadyClock
from robot_bridge.stopping import stop_on_signals
from sim.robot.robot import load_robot
from sim.scenarios.scenario import Scenario
from sim.simulation.substeps import SubstepSimulation

STATUS_EVERY = 8
"""Physics steps between two messages about mode and arming: 10 Hz."""
LANDED = 0.4
"""Height below which the vehicle has landed [m]."""
MIDDLE = np.array([0.0, 0.0, 1.5])
"""Where the bridge file's first goal is [m]."""


class SimulatedPx4:
    """The autopilot with its vehicle; the transport's thread brings messages, `run` simulates.

    Args:
        transport: the middleware on which the other side is.
        simulation: the quadrotor's simulation, at its start.
        now: monotonic time [s].
    """

    def __init__(self, transport: Transport, simulation: SubstepSimulation, now: Callable[[], float] = time.monotonic) -> None:
        self.rules, self.simulation, self._now = OffboardRules(), simulation, now
        self._names = simulation.robot.spec.obs_names
        self._motors, self._lock = np.zeros(4), threading.Lock()
        self.setpoints = self.ignored = 0
        self.armed_at = self.failsafe_at = math.nan
        self.distances: list[float] = []
        self._odometry = transport.publisher("/fmu/out/vehicle_odometry", VehicleOdometry, reliable=False)
        self._status = transport.publisher(versioned("/fmu/out/vehicle_status", VehicleStatus), VehicleStatus, reliable=False)
        self._answer = transport.publisher("/fmu/out/vehicle_command_ack", VehicleCommandAck)
        transport.subscribe("/fmu/in/offboard_control_mode", OffboardControlMode, self.take_heartbeat)
        transport.subscribe("/fmu/in/actuator_motors", ActuatorMotors, self.take_motors)
        transport.subscribe("/fmu/in/vehicle_command", VehicleCommand, self.take_request)

    def take_heartbeat(self, message: OffboardControlMode, received: float) -> None:
        """Note a proof of life."""
        with self._lock:
            self.rules.take_heartbeat(message, self._now())

    def take_motors(self, message: ActuatorMotors, received: float) -> None:
        """Obey a setpoint, if the rules allow it; NaN switches a motor off."""
        with self._lock:
            self.setpoints += 1
            if not self.rules.obeys(DIRECT, self._now()):
                self.ignored += 1
                return
            self._motors = np.nan_to_num(np.array(message.control[:4]), nan=0.0)

    def take_request(self, command: VehicleCommand, received: float) -> None:
        """Carry out a command, or deny it."""
        with self._lock:
            result = self.rules.answer(command, self._now())
        self._answer(VehicleCommandAck(timestamp=self._time(), command=command.command, result=result, from_external=True))

    def step(self) -> None:
        """One physics step, if the vehicle is armed, and what the autopilot says of it."""
        now, obs = self._now(), self.simulation.observe().astype(float)
        with self._lock:
            self.rules.tick(now)
            armed, failsafe, motors = self.rules.armed, self.rules.failsafe, self._motors
        if armed and math.isnan(self.armed_at):
            self.armed_at = now
        if failsafe and math.isnan(self.failsafe_at):
            self.failsafe_at = now
        if armed:
            self.distances += [] if failsafe else [float(np.linalg.norm(obs[:3] - MIDDLE))]
            self.simulation.advance(self._landing(obs) if failsafe else command_of(motors))
            if failsafe and obs[2] < LANDED:
                self.rules.landed()
        self._odometry(odometry_of(dict(zip(self._names, obs, strict=True)), self._time()))
        if self.simulation.substep % STATUS_EVERY == 0 or not armed:
            self._status(self._mode())

    def report(self) -> dict[str, Any]:
        """What happened, for a JSON file."""
        settled = self.distances[int(3.0 / self.simulation.sim_dt) :]
        return {
            "armed": not math.isnan(self.armed_at),
            "seconds_in_offboard": len(self.distances) * self.simulation.sim_dt,
            "mean_distance_after_3_s": float(np.mean(settled)) if settled else None,
            "setpoints": self.setpoints,
            "setpoints_ignored": self.ignored,
            "denied": self.rules.denied,
            "failsafe": not math.isnan(self.failsafe_at),
            "seconds_to_failsafe": self.failsafe_at - self.rules.last_heartbeat if not math.isnan(self.failsafe_at) else None,
            "height": float(self.simulation.observe()[2]),
        }

    def _landing(self, obs: np.ndarray) -> np.ndarray:
        """The autopilot's own way down: level, and sinking at 0.4 m/s; a proportional-derivative controller on the rotors."""
        o = dict(zip(self._names, obs, strict=True))
        lift = 0.5 * (-0.4 - o["z_velocity"])
        roll, pitch = (0.4 * o[a] + 0.25 * o[f"{a}_rate"] for a in ("roll", "pitch"))
        # rotors: front right, front left, back left, back right; the left ones roll to the right, the back ones pitch down
        return np.array([lift + roll + pitch, lift - roll + pitch, lift - roll - pitch, lift + roll - pitch])

    def _mode(self) -> VehicleStatus:
        armed = VehicleStatus.ARMING_STATE_ARMED if self.rules.armed else VehicleStatus.ARMING_STATE_DISARMED
        return VehicleStatus(
            timestamp=self._time(), arming_state=armed, nav_state=self.rules.nav_state, failsafe=self.rules.failsafe
        )

    def _time(self) -> int:
        return int(self._now() * 1e6)


def command_of(motors: np.ndarray) -> np.ndarray:
    """Shares of the full thrust, in PX4's order of motors, as the model's commands, (4,)."""
    command = np.empty(4)
    command[list(PX4_ORDER)] = (motors / HOVER - 1.0) / GAIN
    return np.clip(command, -1.0, 1.0)


def odometry_of(o: dict[str, float], timestamp: int) -> VehicleOdometry:
    """The state of the model, by the names of its channels, in PX4's frames."""
    q = Quaternion()
    write_angles(q, {axis: o[axis] for axis in ("roll", "pitch", "yaw")})
    return VehicleOdometry(
        timestamp=timestamp,
        timestamp_sample=timestamp,
        pose_frame=VehicleOdometry.POSE_FRAME_NED,
        position=frames.world([o["x"], o["y"], o["z"]]),
        q=frames.attitude([q.w, q.x, q.y, q.z]),
        velocity_frame=VehicleOdometry.VELOCITY_FRAME_NED,
        velocity=frames.world([o["x_velocity"], o["y_velocity"], o["z_velocity"]]),
        angular_velocity=frames.body([o["roll_rate"], o["pitch_rate"], o["yaw_rate"]]),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until the time is over, or until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A quadrotor behind PX4's topics and rules.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to run, from the start of the process on")
    parser.add_argument("--domain", type=int, default=None)
    parser.add_argument("--interface", default="lo")
    parser.add_argument("--seed", type=int, default=0, help="of the vehicle's first state")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the report goes")
    args = parser.parse_args(arguments)
    robot = load_robot("quadrotor")
    steps = math.ceil(args.seconds / robot.spec.dt) + 1
    clock = SteadyClock(stop_on_signals())
    transport = open_transport("dds", "simulated_px4", args.domain, args.interface)
    vehicle = SimulatedPx4(transport, SubstepSimulation(robot, Scenario(robot="quadrotor", steps=steps, seed=args.seed)))
    print("waiting for heartbeats", flush=True)
    begin = clock.now()
    for index in range(round(args.seconds / vehicle.simulation.sim_dt)):
        vehicle.step()
        if not clock.wait_until(begin + (index + 1) * vehicle.simulation.sim_dt):
            break
    transport.close()
    report = json.dumps(vehicle.report(), indent=2)
    print(report)
    if args.json is not None:
        write_text_atomically(args.json, f"{report}\n")


if __name__ == "__main__":
    main()
