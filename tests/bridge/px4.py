"""The example for PX4 as modules, and a flight of it in virtual time: autopilot, adapter and controller in one process."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.control.inputs import Inputs
from robot_bridge.control.outputs import command_sender
from robot_bridge.robot_files import load_controller
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.simulation.substeps import SubstepSimulation
from tests.bridge.loop_parts import Clock
from tests.bridge.recorded import Loopback

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "px4_offboard"
# the files of an example are run as scripts, which find one another in their own folder
sys.path.insert(0, str(FOLDER))
try:
    import adapter
    import frames
    import offboard
    import px4_messages
    import px4_rules
    import setpoints
    import simulated_px4
finally:
    sys.path.remove(str(FOLDER))

__all__ = ["adapter", "fly", "frames", "offboard", "parts", "px4_messages", "px4_rules", "setpoints", "simulated_px4"]
BRIDGE = Path(__file__).resolve().parents[2] / "configs" / "bridge" / "quadrotor.yaml"


def parts(changes: tuple[ScheduledChange, ...] = (), steps: int = 400, **options: object) -> SimpleNamespace:
    """An autopilot with its vehicle, and the adapter, on a transport within the process."""
    clock = Clock()
    clock.now = 10.0
    transport = Loopback(clock)
    simulation = SubstepSimulation(load_robot("quadrotor"), Scenario("quadrotor", steps, seed=3, changes=changes))
    px4 = simulated_px4.SimulatedPx4(transport, simulation, clock)
    return SimpleNamespace(
        clock=clock, transport=transport, px4=px4, adapter=adapter.Adapter(transport, arm=True, clock=clock, **options)
    )


def fly(steps: int, silent_from: int, change: Change | None = None) -> SimpleNamespace:
    """Control the vehicle for so many control periods, of which the controller does not live through the last ones."""
    changes = (ScheduledChange(steps // 2, change),) if change else ()
    started: list[bool] = []
    flight = parts(changes, steps, started=lambda: started.append(True))
    flight.started = started
    config = load_bridge_config(BRIDGE)
    controller = load_controller(config, BRIDGE, "cpu")
    inputs = Inputs(controller.spec, config, flight.transport)
    send = command_sender(controller.spec, config.output, flight.transport)
    simulation = flight.px4.simulation
    for step in range(steps):
        for _ in range(simulation.robot.substeps):
            flight.px4.step()
            flight.clock.now += simulation.sim_dt
        if step < silent_from:
            send(controller.step(inputs.snapshot().values, np.array(config.goal.initial)).action)
    return flight
