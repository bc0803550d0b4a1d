"""The simulated robot in virtual time: what it sends and obeys, when, and what it answers for at the end."""

from __future__ import annotations

import dataclasses
import heapq
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.control.inputs import read_channel
from robot_bridge.middleware.messages import Float64MultiArray, Message
from robot_bridge.simulated.imperfections import Imperfections, TransmissionLineConfig
from robot_bridge.simulated.robot import SimulatedRobot, publish_every
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.simulation.batch import BatchSimulation
from sim.simulation.course import apply_changes, start
from sim.simulation.substeps import SubstepSimulation

ROOT = Path(__file__).resolve().parents[2]
EPOCH = 1.7e9
BEGIN = 100.0


class VirtualTime:
    """A clock and a network: what is scheduled happens while somebody waits, and nothing takes time unless it is told to."""

    def __init__(self) -> None:
        self.time = BEGIN
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.receive: Callable[[Message, float], None] = lambda message, received: None
        self.published: dict[str, list[tuple[float, Any]]] = {}
        self.end = float("inf")

    def now(self) -> float:
        return self.time

    def wait_until(self, moment: float) -> bool:
        while self.events and self.events[0][0] <= moment:
            self.time, _, event = heapq.heappop(self.events)
            event()
        self.time = max(self.time, moment)
        return self.time < self.end

    def since_epoch(self, moment: float) -> float:
        return EPOCH + moment

    def at(self, moment: float, event: Callable[[], None]) -> None:
        heapq.heappush(self.events, (moment, len(self.events), event))

    def command(self, moment: float, *values: float) -> None:
        self.at(moment, lambda: self.receive(Float64MultiArray(data=list(values)), moment))

    def publisher(
        self, topic: str, message_type: type[Message], *, reliable: bool = True, transient_local: bool = False
    ) -> Callable[[Message], None]:
        sent = self.published.setdefault(topic, [])
        return lambda message: sent.append((self.time, message))

    def subscribe(self, topic: str, message_type: type[Message], receive: Any, *, reliable: bool = False, **options: Any) -> None:
        assert (topic, message_type, reliable) == ("/effort_controller/commands", Float64MultiArray, True)
        self.receive = receive


def make(name: str, steps: int, *changes: ScheduledChange, **options: Any) -> tuple[SimulatedRobot, VirtualTime]:
    world = VirtualTime()
    config = load_bridge_config(ROOT / "configs" / "bridge" / f"{name}.yaml")
    simulation = SubstepSimulation(load_robot(name), Scenario(name, steps, 3, changes))
    return SimulatedRobot(simulation, config, world, world, **options), world


def observed(robot: SimulatedRobot, world: VirtualTime, name: str) -> list[float]:
    """All values of a channel, as a bridge reads them."""
    config = load_bridge_config(ROOT / "configs" / "bridge" / f"{robot.simulation.robot.name}.yaml")
    source = config.obs[name]
    return [read_channel(message, source) for _, message in world.published[config.inputs[source.input].topic]]


def actions(steps: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (steps, size)).astype(np.float32)


@pytest.mark.parametrize("name", ["half_cheetah", "arm"])
def test_commands_at_the_control_period_give_the_return_of_the_in_process_run(name: str):
    changes = (ScheduledChange(5, Change(actuator_gain=0.3)),)
    robot, world = make(name, 10, *changes)
    spec = robot.simulation.robot.spec
    sent = actions(10, spec.action_dim)
    for i, action in enumerate(sent):
        world.command(BEGIN + 0.5 + i * spec.dt, *map(float, action))
    batch, scenario = BatchSimulation(robot.simulation.robot, 1), Scenario(name, 10, 3, changes)
    start(batch, [scenario])
    true_obs = [batch.true_obs[0]]
    for action in sent:
        apply_changes(batch, [scenario])
        batch.step(action[None])
        true_obs.append(batch.true_obs[0])
    rewards = batch.robot.rewards(np.stack(true_obs)[None], sent[None], batch.goals(10))[0]

    robot.run()

    report = robot.report()
    assert report.return_ == pytest.approx(rewards.sum(), abs=1e-6)
    assert report.return_after_change == pytest.approx(rewards[5:].sum(), abs=1e-6)
    assert (report.steps, report.commands, report.late_commands, report.command_timeouts) == (10, 10, 0, 0)
    assert report.real_time_factor == pytest.approx(1.0)
    for channel in (0, -1):
        final = observed(robot, world, spec.obs_names[channel])[-1]
        assert final == pytest.approx(true_obs[-1][channel], abs=1e-6)


def test_it_stands_still_and_publishes_until_the_first_command():
    robot, world = make("half_cheetah", 4)
    world.command(BEGIN + 0.1, *[1.0] * 6)

    robot.run()

    positions = observed(robot, world, "bthigh_angle")
    assert len(set(positions[:11])) == 1
    assert len(set(positions[10:])) == len(positions[10:]) == 4 * 5 + 1


def test_observations_come_at_the_physics_rate_with_the_time_of_their_measurement():
    robot, world = make("half_cheetah", 4)
    world.command(BEGIN, *[0.0] * 6)

    robot.run()

    for topic in ("/joint_states", "/imu/data", "/odom"):
        times = [time for time, _ in world.published[topic]]
        stamps = [message.header.stamp.seconds for _, message in world.published[topic]]
        assert times[-21:] == pytest.approx(BEGIN + 0.01 + 0.01 * np.arange(21))
        assert stamps == pytest.approx(np.array(times) + EPOCH, abs=1e-6)
    assert len(world.published["/state_estimator/forward_speed"]) == len(world.published["/odom"])


def test_a_lower_rate_publishes_every_few_steps():
    robot, world = make("half_cheetah", 4, publish_every=2)
    world.command(BEGIN, *[0.0] * 6)

    robot.run()

    times = [time for time, _ in world.published["/odom"]]
    assert np.diff(times) == pytest.approx(0.02)


def test_a_command_acts_from_the_moment_at_which_it_comes():
    def course(*commands: tuple[float, float]) -> np.ndarray:
        robot, world = make("half_cheetah", 4)
        world.command(BEGIN, *[0.0] * 6)
        for at, value in commands:
            world.command(BEGIN + at, *[value] * 6)
        robot.run()
        return np.array(observed(robot, world, "bthigh_velocity"))

    # samples are 10 ms apart and the first two are at BEGIN and 10 ms later, when the physics begins
    never, in_time, late = course(), course((0.05, 1.0)), course((0.0575, 1.0))

    assert [np.flatnonzero(c != never)[0] for c in (in_time, late)] == [6, 6]
    # the last quarter of a physics step is a quarter of the command for the whole step
    assert late == pytest.approx(course((0.05, 0.25), (0.06, 1.0)), abs=1e-5)


def test_when_the_bridge_falls_silent_the_motors_get_nothing():
    robot, world = make("half_cheetah", 8, command_timeout=0.075)
    world.command(BEGIN, *[1.0] * 6)

    robot.run()

    assert robot.report().command_timeouts == 1
    rewards = robot.simulation.rewards()
    speeds = observed(robot, world, "forward_speed")[-36::5]
    # the reward without the speed is the price of the action: 0.1 * 6 while it acts, then nothing; the first step is 10 ms after
    # the command, and 75 ms after it, in the second step, it is too old
    assert rewards - speeds == pytest.approx([-0.6, -0.1 * 6 * 0.3**2] + [0.0] * 6, abs=1e-5)


def test_noise_is_on_what_is_published_and_not_on_what_is_scored():
    quiet, quiet_world = make("half_cheetah", 40)
    noisy, noisy_world = make("half_cheetah", 40, imperfections=Imperfections({"rad/s": 0.5, "pitch_velocity": 0.0}))
    for robot, world in ((quiet, quiet_world), (noisy, noisy_world)):
        world.command(BEGIN, *[0.1] * 6)
        robot.run()

    def difference(name: str) -> np.ndarray:
        return np.array(observed(noisy, noisy_world, name)) - observed(quiet, quiet_world, name)

    assert difference("bthigh_velocity").std() == pytest.approx(0.5, rel=0.2)
    assert not difference("pitch_velocity").any()
    assert not difference("pitch").any()
    assert noisy.report().return_ == quiet.report().return_


def test_the_scenarios_own_noise_is_published_too():
    robot, world = make("half_cheetah", 40, ScheduledChange(20, Change(obs_noise={"height": 10.0})))
    world.command(BEGIN, *[0.0] * 6)

    robot.run()

    heights = np.array(observed(robot, world, "height"))
    assert np.abs(heights[:100]).max() < 1.0
    assert heights[102:].std() > 5.0


def test_latency_jitter_and_loss_are_those_of_the_file():
    line = TransmissionLineConfig(latency=0.004, jitter=0.003, loss=0.2)
    robot, world = make("half_cheetah", 40, imperfections=Imperfections(sensors=line))
    world.command(BEGIN, *[0.0] * 6)

    robot.run()

    messages = world.published["/joint_states"]
    delays = np.array([time + EPOCH - message.header.stamp.seconds for time, message in messages])
    assert delays.min() >= 0.004 - 1e-6
    assert delays.max() <= 0.007 + 1e-6
    assert np.ptp(delays) > 0.002
    assert 0.1 < 1 - len(messages) / 202 < 0.3
    stamps = [{m.header.stamp.seconds for _, m in world.published[topic]} for topic in ("/joint_states", "/imu/data", "/odom")]
    assert stamps[0] != stamps[1] != stamps[2]
    assert robot.report().lost_sensor_messages > 3 * (202 - len(messages)) / 2


def test_commands_take_their_time_and_may_be_lost():
    line = TransmissionLineConfig(latency=0.025, loss=0.5)
    robot, world = make("half_cheetah", 40, imperfections=Imperfections(commands=line))
    for i in range(40):
        world.command(BEGIN + 0.05 * i, *[0.0] * 6)

    robot.run()

    report = robot.report()
    assert report.commands == 40
    assert 10 < report.lost_commands < 30
    assert report.late_commands > 5


def test_the_same_seeds_and_commands_give_the_same_run():
    def run(seed: int) -> list[float]:
        line = TransmissionLineConfig(latency=0.004, jitter=0.003, loss=0.2)
        robot, world = make("half_cheetah", 8, imperfections=Imperfections({"rad": 0.1}, line, line, seed))
        for i in range(8):
            world.command(BEGIN + 0.05 * i, *map(float, actions(8, 6)[i]))
        robot.run()
        return observed(robot, world, "bthigh_angle")

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_short_delay_is_caught_up_with_and_a_long_one_is_an_overrun():
    robot, world = make("half_cheetah", 20)
    world.command(BEGIN, *[0.0] * 6)

    def sleep(seconds: float) -> None:
        world.time += seconds

    world.at(BEGIN + 0.105, lambda: sleep(0.04))
    world.at(BEGIN + 0.505, lambda: sleep(0.3))

    robot.run()

    report = robot.report()
    assert (report.steps, report.overruns) == (20, 1)
    assert world.time == pytest.approx(BEGIN + 0.01 + 20 * 0.05 + 0.295)
    assert report.real_time_factor == pytest.approx(1.0 / 1.295)
    times = [time for time, _ in world.published["/odom"]]
    stamps = [message.header.stamp.seconds - EPOCH for _, message in world.published["/odom"]]
    # what was caught up with is stamped with when it should have been, what stood still with when it was
    assert min(np.array(stamps) - times) == pytest.approx(-0.035, abs=1e-6)
    assert max(np.diff(stamps)) == pytest.approx(0.305, abs=1e-6)


def test_a_command_of_the_future_does_not_act_while_the_robot_catches_up():
    robot, world = make("half_cheetah", 4)
    world.command(BEGIN, *[0.0] * 6)

    def sleep_and_receive() -> None:
        world.time += 0.04
        robot.commands.receive(Float64MultiArray(data=[1.0] * 6), world.time)

    world.at(BEGIN + 0.061, sleep_and_receive)

    robot.run()

    # it came 0.091 s after the first step: 0.009 s of the second period, and two whole ones
    assert robot.simulation.rewards() - observed(robot, world, "forward_speed")[-16::5] == pytest.approx(
        [0.0, -0.1 * 6 * 0.18**2, -0.6, -0.6], abs=1e-5
    )


def test_it_plays_the_operator_and_tells_the_goal_again_and_again():
    robot, world = make("arm", 210)
    world.command(BEGIN + 0.1, *[0.0] * 7)
    goals = robot.simulation.robot.goals(3, 211)

    robot.run()

    told = world.published["/hand/goal"]
    assert told[0][0] == BEGIN
    begin = told[-1][0] - 210 * 0.05
    for time, message in told:
        assert message.data == pytest.approx(goals[max(0, round((time - begin) / 0.05))].tolist())
    assert len({tuple(message.data) for _, message in told}) == 3
    assert max(np.diff([time for time, _ in told])) == pytest.approx(0.05)


@pytest.mark.parametrize(("name", "topic", "size"), [("quadrotor", "/goal", 4), ("arm", "/hand/goal", 7)])
def test_with_a_preview_it_tells_a_path_ahead_and_holds_a_goal_that_jumps(name: str, topic: str, size: int):
    config = load_bridge_config(ROOT / "configs" / "bridge" / f"{name}.yaml")
    assert config.goal is not None
    config = dataclasses.replace(config, goal=dataclasses.replace(config.goal, preview=True))
    simulated = load_robot(name)
    world, preview = VirtualTime(), math.ceil(2.0 / simulated.spec.dt)
    robot = SimulatedRobot(SubstepSimulation(simulated, Scenario(name, 12, 3)), config, world, world)
    world.command(BEGIN, *[0.0] * size)
    goals = simulated.goals(3, 13, preview)

    robot.run()

    for step, (_, message) in enumerate(world.published[topic][-13:]):
        expected = goals[step : step + preview + 1] if name == "quadrotor" else np.repeat(goals[[step]], preview + 1, axis=0)
        assert np.reshape(message.data, (-1, 3)) == pytest.approx(expected)


def test_asked_to_stop_it_stops_and_reports_what_there_is():
    robot, world = make("half_cheetah", 100)
    world.command(BEGIN + 0.1, *[0.0] * 6)
    world.end = BEGIN + 0.985

    robot.run()

    report = robot.report()
    assert report.steps == 17
    assert json.loads(report.to_json())["return"] == report.return_


def test_without_a_command_nothing_is_simulated():
    robot, world = make("half_cheetah", 100)
    world.end = BEGIN + 1.0

    robot.run()

    report = robot.report()
    assert (report.steps, report.return_, report.real_time_factor, robot.simulation.substep) == (0, 0.0, 1.0, 0)


@pytest.mark.parametrize(("rate", "expected"), [(None, 1), (100.0, 1), (50.0, 2), (40.0, 2), (1.0, 100)])
def test_a_rate_is_met_with_whole_physics_steps(rate: float | None, expected: int):
    assert publish_every(load_robot("half_cheetah"), rate) == expected


def test_a_rate_above_the_physics_is_refused():
    with pytest.raises(
        ConfigError, match=r"--rate: 101 is out of range; allowed: at most 100, the physics rate of 'half_cheetah'"
    ):
        publish_every(load_robot("half_cheetah"), 101.0)
