"""Writes logs of a rover as a lab may have them: CSV files with jitter, gaps, degrees, a quaternion, and a tag in each name.

Usage: python examples/logs/make_logs.py [FOLDER]

Throttle and steering are random. The payload differs from file to file and stands in the file's name. Within a file the rover
comes from asphalt onto grass, which brakes more. No simulator is needed, because the motion is three equations.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

TICK = 0.01
"""Step of the motion [s]."""
TICKS_PER_COMMAND = 10
COMMANDS = 600
"""Number of commands in a log."""
PAUSE = range(200, 215)
"""Commands during which the logger was paused."""
PAYLOADS = (0, 5, 10, 20, 30, 40)
"""[kg]"""
DRAG = {"asphalt": 4.0, "grass": 18.0}
"""[N s/m]"""
MASS, FORCE, WHEELBASE, STEERING_TIME = 20.0, 120.0, 0.8, 0.2
"""Mass without payload [kg], force at full throttle [N], wheelbase [m], and time that the steering takes [s]."""


class Rover(NamedTuple):
    """Heading [rad], speed [m/s] and turn rate [rad/s]."""

    heading: float = 0.0
    speed: float = 0.0
    turn_rate: float = 0.0

    def after_tick(self, throttle: float, steering: float, mass: float, drag: float) -> Rover:
        """The rover one tick later."""
        acceleration = (FORCE * throttle - drag * self.speed) / mass
        turning = (self.speed / WHEELBASE * math.tan(steering) - self.turn_rate) / STEERING_TIME
        return Rover(self.heading + TICK * self.turn_rate, self.speed + TICK * acceleration, self.turn_rate + TICK * turning)


def drive(payload: float, rng: np.random.Generator) -> list[dict[str, str]]:
    """The rows of one log.

    Args:
        payload: [kg].
        rng: throttle, steering, jitter and noise are drawn from it.
    """
    rover, rows, throttle, steering = Rover(), [], 0.0, 0.0
    begins = TICKS_PER_COMMAND * np.arange(COMMANDS + 1) + rng.integers(0, 3, COMMANDS + 1)
    for command in range(COMMANDS):
        surface = "asphalt" if command < COMMANDS // 2 else "grass"
        throttle = float(np.clip(0.8 * throttle + rng.normal(0.05, 0.4), -1, 1))
        steering = float(np.clip(0.8 * steering + rng.normal(0.0, 0.2), -0.5, 0.5))
        rows.append({"stamp_ms": f"{1000 * TICK * begins[command]:.0f}", **row(rover, rng), "surface": surface})
        rows[-1] |= {"throttle_percent": f"{100 * throttle:.2f}", "steering_deg": f"{math.degrees(steering):.3f}"}
        for _ in range(begins[command + 1] - begins[command]):
            rover = rover.after_tick(throttle, steering, MASS + payload, DRAG[surface])
    return [row for number, row in enumerate(rows) if number not in PAUSE]


def row(rover: Rover, rng: np.random.Generator) -> dict[str, str]:
    """What the sensors measure."""
    return {
        "speed": f"{rover.speed + rng.normal(0.0, 0.005):.4f}",
        "turn_rate_deg": f"{math.degrees(rover.turn_rate) + rng.normal(0.0, 0.1):.3f}",
        "q_w": f"{math.cos(rover.heading / 2):.6f}",
        "q_x": "0",
        "q_y": "0",
        "q_z": f"{math.sin(rover.heading / 2):.6f}",
    }


def main(folder: Path) -> None:
    """Write one log for each payload."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, payload in enumerate(PAYLOADS):
        rows = drive(payload, np.random.default_rng(number))
        path = folder / f"rover_payload-{payload}kg_run{number}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    print(f"{folder}: {len(PAYLOADS)} logs")


if __name__ == "__main__":
    main(Path(*sys.argv[1:2]) if sys.argv[1:] else Path("runs/rover/logs"))
