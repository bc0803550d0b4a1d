"""A simulated robot behind the topics of a real one, in real time.

A physics step is computed when its time has passed, with the mean of the commands that acted in it. What the sensors measure
after it is published at once. The robot knows nothing of the controller's ticks: a command acts from the moment at which it
reaches the actuators, also in the middle of a physics step.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import SimulatedRobotOptions
from adaptive_mbrl.storage import write_text_atomically
from robot_bridge.bridge_config import BridgeConfig, load_bridge_config, require_spec
from robot_bridge.middleware.connect import open_transport
from robot_bridge.middleware.fields import write_field
from robot_bridge.middleware.messages import MESSAGES
from robot_bridge.middleware.transport import Transport
from robot_bridge.simulated.command_input import CommandInput
from robot_bridge.simulated.health_output import HealthOutput
from robot_bridge.simulated.imperfections import Imperfections, load_imperfections
from robot_bridge.simulated.power import Power
from robot_bridge.simulated.report import RobotReport
from robot_bridge.simulated.sensor_output import SensorOutput
from robot_bridge.simulated.steady_clock import Clock, SteadyClock
from robot_bridge.simulated.transmission_line import TransmissionLine
from robot_bridge.stopping import stop_on_signals
from robot_bridge.topic_names import with_whole_names
from sim.commands import require_writable
from sim.robot.robot import Robot, load_robot
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario
from sim.simulation.substeps import SubstepSimulation

PREVIEW_SECONDS = 2.0
"""How far ahead goals are published if the bridge file asks for a preview [s]."""
MAX_RATE = 200.0
"""Highest rate at which a robot publishes by default [Hz]."""


class SimulatedRobot:
    """Runs a scenario behind a transport; `run` may be called once.

    Args:
        simulation: the simulation of the scenario, at its start.
        config: the bridge file. The robot publishes its inputs and the scenario's goal, and obeys its output.
        transport: the transport between robot and bridge.
        clock: the clock by which the robot lives.
        imperfections: sensor noise and faults of the lines; none for a perfect robot.
        command_timeout: age of a command at which the actuators get zeros [s].
        publish_every: number of physics steps between two observations.

    Attributes:
        overruns: number of delays of the machine that were too long to catch up with.
    """

    def __init__(
        self,
        simulation: SubstepSimulation,
        config: BridgeConfig,
        transport: Transport,
        clock: Clock,
        *,
        imperfections: Imperfections | None = None,
        command_timeout: float = 0.2,
        publish_every: int = 1,
    ) -> None:
        self.simulation, self.clock, self.publish_every = simulation, clock, publish_every
        self._imperfections = imperfections or Imperfections()
        robot, scenario = simulation.robot, simulation.scenario
        seed = (self._imperfections.seed, scenario.seed)
        line: TransmissionLine[np.ndarray] = TransmissionLine(
            self._imperfections.commands, np.random.default_rng([*seed, len(config.inputs) + 1])
        )
        self.commands = CommandInput(robot.spec, config.output, line, command_timeout)
        self.sensors = SensorOutput(robot.spec, config, transport, self._imperfections, seed)
        self.power = Power(robot.spec, self._imperfections.power)
        self.health = HealthOutput(robot.spec, config, transport, self.power)
        self._publish_goal = goal_publisher(config, robot, scenario, transport)
        self._started = self._now = clock.now()
        self.overruns = 0
        transport.subscribe(config.output.topic, MESSAGES[config.output.type], self.commands.receive, reliable=True)

    def run(self) -> None:
        """Stand still until the first command, then simulate in real time until the scenario or the clock ends the run."""
        if not self._wait_for_first_command():
            return
        simulation, started = self.simulation, self._started
        self._measure()
        while simulation.substep < simulation.total_substeps:
            begin, end = (started + (simulation.substep + i) * simulation.sim_dt for i in (0, 1))
            if not self._run_until(end):
                return
            started += self._lost_time(self.clock.now() - end)
            command = self.commands.mean(begin, end)
            simulation.advance(command)
            self.power.advance(command, simulation.sim_dt)
            self._measure()

    def report(self) -> RobotReport:
        """Figures of the run so far."""
        simulation, rewards = self.simulation, self.simulation.rewards()
        simulated, took = simulation.substep * simulation.sim_dt, self._now - self._started
        return RobotReport(
            robot=simulation.robot.name,
            scenario=simulation.scenario.to_mapping(),
            steps=len(rewards),
            return_=float(rewards.sum()),
            return_after_change=float(rewards[simulation.scenario.last_change :].sum()),
            commands=self.commands.count,
            late_commands=self.commands.late,
            lost_commands=self.commands.lost,
            refused_commands=self.commands.refused,
            command_timeouts=self.commands.timeouts,
            lost_sensor_messages=self.sensors.lost,
            overruns=self.overruns,
            real_time_factor=simulated / took if simulated else 1.0,
        )

    def _wait_for_first_command(self) -> bool:
        while self.commands.due > self._now:
            self._measure()
            if not self._run_until(self._now + self.publish_every * self.simulation.sim_dt):
                return False
        self._started = self._now
        return True

    def _run_until(self, moment: float) -> bool:
        """Wait until a time [s], and publish what is due before; False if the run is to end."""
        while self.sensors.due < moment:
            due = self.sensors.due
            if not self.clock.wait_until(due):
                return False
            self.sensors.deliver(due)
        self._now = moment
        return self.clock.wait_until(moment)

    def _lost_time(self, late: float) -> float:
        """The part of a delay that is not caught up with [s]: nothing of up to one control period, all of a longer one.

        In a longer delay the robot's time stood still, which counts as an overrun.
        """
        if late <= self.simulation.robot.spec.dt:
            return 0.0
        self.overruns += 1
        self._now += late
        return late

    def _measure(self) -> None:
        simulation = self.simulation
        if simulation.substep % simulation.robot.substeps == 0:
            self._publish_goal(simulation.step_index)
        if simulation.substep % self.publish_every == 0:
            stamp = self.clock.since_epoch(self._now)
            self.sensors.sample(simulation.observe(), self.power.action, simulation.noise_std, self._now, stamp)
            self.health.publish(self._now, stamp)
        self.sensors.deliver(self._now)


def goal_publisher(config: BridgeConfig, robot: Robot, scenario: Scenario, transport: Transport) -> Callable[[int], None]:
    """A function that publishes the goal of a control step, as an operator would; without a goal it does nothing."""
    if config.goal is None or robot.goal is None:
        return lambda step: None
    fields, message_type = config.goal.fields, MESSAGES[config.goal.type]
    if len(fields) != len(robot.goal.names):
        raise ConfigError(f"key 'goal.fields': {len(fields)} fields; robot '{robot.name}' has {', '.join(robot.goal.names)}")
    preview = math.ceil(PREVIEW_SECONDS / robot.spec.dt) if config.goal.preview else 0
    goals = robot.goals(scenario.seed, scenario.steps + 1, preview)[None]
    publish = transport.publisher(config.goal.topic, message_type)

    def publish_goals(step: int) -> None:
        message, width = message_type(), len(fields)
        for ahead, goal in enumerate(robot.known_goals(goals, step, preview)[0]):
            for path, value in zip(fields, goal, strict=True):
                # goals of later periods follow one after the other in the same array
                place = path if ahead == 0 else f"data.{int(path.removeprefix('data.')) + ahead * width}"
                write_field(message, place, float(value))
        publish(message)

    return publish_goals


def publish_every(robot: Robot, rate: float | None) -> int:
    """Number of physics steps between two observations for about this rate [Hz].

    By default an observation is published after every physics step, but at most at `MAX_RATE`.
    """
    physics_rate = 1.0 / float(robot.model.opt.timestep)
    if rate is None:
        return int(np.ceil(physics_rate / MAX_RATE - 1e-9))
    if rate > physics_rate * (1 + 1e-9):
        allowed = f"at most {physics_rate:g}, the physics rate of '{robot.name}'"
        raise ConfigError(f"--rate: {rate:g} is out of range; allowed: {allowed}")
    return round(physics_rate / rate)


def simulated_robot(options: SimulatedRobotOptions) -> None:
    """Run the scenario in real time and print its report; Ctrl-C ends it earlier."""
    if options.json is not None:
        require_writable("--json", options.json)
    config = load_bridge_config(options.bridge)
    found = load_scenario(options.scenario)
    scenario = found.episodes(1, found.seed if options.seed is None else options.seed)[0]
    robot = load_robot(scenario.robot)
    require_spec(config, robot.spec, f"{options.bridge} with robot '{robot.name}' of --scenario")
    imperfections, every = load_imperfections(options.imperfections, robot.spec), publish_every(robot, options.rate)
    clock = SteadyClock(stop_on_signals())
    transport = open_transport(options.transport, "simulated_robot", options.domain, options.interface, options.namespace)
    config = with_whole_names(config, transport.resolve)
    simulated = SimulatedRobot(
        SubstepSimulation(robot, scenario),
        config,
        transport,
        clock,
        imperfections=imperfections,
        command_timeout=options.command_timeout,
        publish_every=every,
    )
    print(f"waiting for commands on {config.output.topic}", flush=True)
    # a full collection with torch loaded takes longer than a physics step
    gc.collect()
    gc.freeze()
    try:
        simulated.run()
    finally:
        transport.close()
    report = simulated.report()
    print(report.in_words())
    if options.json is not None:
        write_text_atomically(options.json, report.to_json())
