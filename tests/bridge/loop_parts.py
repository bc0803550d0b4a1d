"""A control loop whose clock, robot and controller are in the hands of a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
import torch

from adaptive_mbrl.controller import Command, StepInfo, StepOptions
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.control.loop import ControlLoop
from robot_bridge.control.plan_ahead import PlanAhead
from robot_bridge.safety.config import SafetyConfig
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import Observed, SafetySupervisor

DT = 0.05
SPEC = RobotSpec("cart", DT, (Channel("x", "m/s", "velocity"),), (ActionChannel("push", "N", -10.0, 10.0),))
CONFIG = SafetyConfig({"push": 1e6}, ramp_seconds=0.0, max_missed_deadlines=2, max_age=1.0, recovery_seconds=0.0)


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class ControllerStep(NamedTuple):
    """A control step that the controller was asked for."""

    obs: float
    sent: float | None
    pending: list[float]
    after_gap: bool
    latest: float | None
    remaining: float


class Planner:
    """What the loop reads of a planner."""

    num_samples, least_samples = 64, 8


class Settings:
    """What the loop reads of a controller's settings."""

    planner, precision = Planner(), "float32"


class Controller:
    """Plans 10 k + 1, 10 k + 2, 10 k + 3 at its k-th step; waits, or fails, when told to."""

    spec, settings, expected_error = SPEC, Settings(), 0.4

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.may_finish = threading.Event()
        self.may_finish.set()
        self.error: Exception | None = None
        self.asked: list[ControllerStep] = []
        self.resets = 0

    def step(self, obs, goal, options: StepOptions) -> Command:
        sent, latest, pending, after_gap = options.sent, options.latest, options.pending, options.after_gap
        self.may_finish.wait(10)
        if self.error is not None:
            raise self.error
        plan = (len(self.asked) + np.arange(0.1, 0.4, 0.1, dtype=np.float32))[:, None]
        acted = None if sent is None else round(float(sent[0]), 3)
        newer = None if latest is None else float(latest[0])
        step = ControllerStep(float(obs[0]), acted, pending.ravel().round(3).tolist(), after_gap, newer, options.remaining)
        self.asked.append(step)
        nothing, each_channel = np.zeros(1), np.zeros((1, 1))
        info = StepInfo(
            prior_error=nothing,
            adapted_error=np.array([0.5]),
            fell_back=nothing,
            run_length=nothing,
            predicted_return=nothing,
            change=each_channel,
            innovation=each_channel,
            diagnosis=np.zeros((1, 2, 0)),
            adapt_seconds=0.0,
            plan_seconds=0.0,
        )
        return Command(plan[0], plan, info)

    def reset(self) -> None:
        self.resets += 1


class Robot:
    """What is seen of the robot, and what it was sent."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.x, self.commands, self.age = clock, 0.0, [], 0.0
        self.refused_stamps, self.pinned = 0, {}

    def snapshot(self) -> Observed:
        return Observed(np.array([self.x]), np.array([self.clock.now - self.age]))

    def send(self, command: np.ndarray) -> None:
        self.commands.append(round(float(command[0]), 3))


class Parts(NamedTuple):
    loop: ControlLoop
    controller: Controller
    robot: Robot
    clock: Clock

    def period(self) -> State:
        """One control period; the planner may still be at work at its end."""
        self.clock.now += DT
        state = self.loop.act(self.clock.now).state
        self.loop.plan()
        return state

    def step(self) -> State:
        """One control period, at the end of which the planner is ready unless it has been told to wait."""
        state = self.period()
        if self.controller.may_finish.is_set():
            self.ready()
        return state

    def take_a_period_for_each_command(self) -> None:
        """Let a control period pass from now on whenever a command is sent."""

        def send(command: np.ndarray) -> None:
            self.robot.send(command)
            self.clock.now += DT

        self.loop.send = send

    def plan_late(self, periods: int) -> None:
        """Control periods in which the planner is at work, and ready only after them."""
        self.controller.may_finish.clear()
        for _ in range(periods):
            self.step()
        self.controller.may_finish.set()
        self.ready()

    def ready(self) -> None:
        """Wait for the planner."""
        planning = self.loop.planning
        for work in (planning._pending, planning._replacing):
            if work is not None:
                work.exception(10)


def make(**options) -> Parts:
    clock, controller = Clock(), options.pop("controller", None) or Controller()
    robot = Robot(clock)
    planning = PlanAhead(controller, DT, lead=options.pop("lead", 1.0), on_cpu=options.pop("on_cpu", None))
    supervisor = SafetySupervisor(SPEC, options.pop("config", CONFIG))
    loop = ControlLoop(planning, supervisor, robot, robot.send, clock=clock, **options)
    loop.activate()
    return Parts(loop, controller, robot, clock)


@pytest.fixture
def parts() -> Iterator[Parts]:
    made = make()
    yield made
    made.controller.may_finish.set()
    made.loop.planning.close()
