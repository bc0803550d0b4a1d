"""The small test motion: what it sends, how it ends, and what it finds out about a simulated arm with mended or broken wiring."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, OutputConfig, TopicConfig, require_spec
from robot_bridge.control.outputs import present_positions
from robot_bridge.middleware.messages import JointState, JointTrajectory
from robot_bridge.preflight.checks import Check, PreflightError, Verdict
from robot_bridge.preflight.motion import ORDER, PULSE, SETTLE, GentleMotion, Trial
from robot_bridge.preflight.response import MotionResponse, check_responses, judge
from robot_bridge.safety.config import Range, SafetyConfig
from robot_bridge.safety.reactions import ReactionConfig
from robot_bridge.safety.states import State
from robot_bridge.safety.stopping import StoppingConfig
from robot_bridge.safety.supervisor import Observed, SafetySupervisor
from sim.robot.robot import load_robot
from sim.scenarios.scenario import Scenario
from sim.simulation.batch import BatchSimulation
from sim.simulation.course import start

DT = 0.05
SPEC = RobotSpec(
    "cart",
    DT,
    (Channel("x", "rad"), Channel("y", "rad/s", "velocity")),
    (ActionChannel("push", "N", -10.0, 10.0), ActionChannel("turn", "N m", -2.0, 2.0)),
)

DRIFT = 1e-4
"""What the cart moves by itself in a control period."""


class Cart:
    """Moves by what it is sent, in a time of its own."""

    def __init__(self, **safety: object) -> None:
        config = SafetyConfig(**{"rate_limits": {"push": 1e3, "turn": 1e3}, "ramp_seconds": 0.2, **safety})
        self.supervisor = SafetySupervisor(SPEC, config)
        self.now, self.obs, self.commands, self.stop = 0.0, np.zeros(2), [], threading.Event()
        self.after: Callable[[], None] = lambda: None

    def snapshot(self) -> Observed:
        return Observed(self.obs.copy(), np.full(2, self.now))

    def send(self, command: np.ndarray) -> None:
        self.commands.append(command)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.obs = self.obs + 0.01 * self.commands[-1] + DRIFT
        self.after()

    def motion(self, amplitude: float = 0.05) -> GentleMotion:
        return GentleMotion(
            SPEC, self.supervisor, self, self.send, amplitude, self.stop, clock=lambda: self.now, sleep=self.sleep
        )


def test_one_actuator_at_a_time_up_and_down_and_back():
    cart = Cart()

    trials = cart.motion(0.05).run()

    for index, (trial, size) in enumerate(zip(trials, (1.0, 0.2), strict=True)):
        for sign, pulse in zip(ORDER, trial.pulses, strict=True):
            np.testing.assert_allclose(pulse.sent[:, index], sign * size * PULSE, atol=1e-12)
            assert not pulse.sent[:, 1 - index].any()
            # what was sent at a period shows at the next
            np.testing.assert_allclose(np.diff(pulse.obs, axis=0), 0.01 * pulse.sent + DRIFT, atol=1e-12)
        assert not any(quiet.sent.any() for quiet in trial.quiet)
    sent = np.array(cart.commands)
    assert len(sent) >= 2 * (SETTLE + 8 * len(PULSE))
    assert not sent[-1].any()
    assert cart.supervisor.state is State.INACTIVE


def test_a_motion_that_grows_evenly_cancels():
    assert np.dot(ORDER, np.arange(len(ORDER))) == 0
    assert np.sum(ORDER) == 0


def test_every_command_passes_the_supervisor():
    cart = Cart(rate_limits={"push": 2.0, "turn": 1e3}, action_limits={"turn": Range(-0.05, 2.0)})

    trials = cart.motion(0.1).run()

    sent = np.array(cart.commands)
    assert np.abs(np.diff(sent[:, 0])).max() <= 2.0 * DT + 1e-12
    assert 0 < sent[:, 0].max() < 2.0
    assert sent[:, 1].min() == -0.05
    np.testing.assert_array_equal(trials[1].pulses[1].sent[:, 1].min(), -0.05)


def test_a_fault_ends_in_an_emergency_stop_at_the_safe_action():
    cart = Cart(obs_limits={"x": Range(-1.0, 0.03)}, rate_limits={"push": 4.0, "turn": 4.0})

    with pytest.raises(PreflightError, match="test motion stopped: 'x' is 0"):
        cart.motion().run()

    assert cart.supervisor.state is State.ESTOP
    assert max(c[0] for c in cart.commands) > 0.5
    assert not cart.commands[-1].any()
    # at the rate limit, not at once
    assert np.abs(np.diff(np.array(cart.commands)[:, 0])).max() <= 4.0 * DT + 1e-12


@pytest.mark.parametrize("safe_action", ["zero", "hold"])
def test_a_signal_in_mid_pulse_brings_the_actuators_to_rest(safe_action: str):
    cart = Cart(safe_action=safe_action, rate_limits={"push": 4.0, "turn": 4.0})

    def stop() -> None:
        if cart.commands[-1][0] > 0.7:
            cart.stop.set()

    cart.after = stop

    with pytest.raises(KeyboardInterrupt):
        cart.motion().run()

    assert max(c[0] for c in cart.commands) > 0.7
    assert len(cart.commands) < SETTLE + 8 * len(PULSE)
    assert not cart.commands[-1].any()
    assert cart.supervisor.state is State.INACTIVE


def test_whatever_goes_wrong_the_actuators_come_to_rest():
    cart = Cart()

    def fail() -> None:
        if cart.commands[-1][0] > 0.7:
            cart.after = lambda: None
            raise RuntimeError("a defect")

    cart.after = fail

    with pytest.raises(RuntimeError, match="a defect"):
        cart.motion().run()

    assert not cart.commands[-1].any()
    assert cart.supervisor.state is State.INACTIVE


def test_rest_is_where_position_controlled_joints_are():
    cart = Cart(safe_action="hold")

    trials = cart.motion(0.05).run(np.array([4.0, -1.0]))

    np.testing.assert_array_equal(cart.commands[0], [4.0, -1.0])
    np.testing.assert_array_equal(cart.commands[-1], [4.0, -1.0])
    np.testing.assert_allclose(trials[0].pulses[0].sent[:, 0], 4.0 + PULSE)


def positions(order: tuple[str, ...] = (), **safety: Any) -> BridgeConfig:
    return BridgeConfig(
        "cart",
        {"joints": TopicConfig("/joint_states", JointState.ros_type)},
        {"x": ChannelInput("joints", "position", "a"), "y": ChannelInput("joints", safety.pop("field", "position"), "b")},
        OutputConfig("/trajectory", JointTrajectory.ros_type, order, ("a", "b")),
        SafetyConfig({"push": 1.0, "turn": 1.0}, **{"safe_action": "hold", **safety}),
    )


def test_an_array_of_positions_names_its_joints_too():
    config = dataclasses.replace(positions(), output=OutputConfig("/positions", joints=("a", "b")))

    np.testing.assert_array_equal(present_positions(config, SPEC, np.array([0.5, 0.7])), [0.5, 0.7])

    unnamed = dataclasses.replace(config, output=OutputConfig("/positions"))
    moved = dataclasses.replace(SPEC, action=tuple(dataclasses.replace(channel, unit="m") for channel in SPEC.action))
    with pytest.raises(ConfigError, match=r"robot.yaml: key 'output.joints': missing; 'push' is a position"):
        require_spec(unnamed, moved, "robot.yaml")
    forces = dataclasses.replace(config, output=OutputConfig("/forces", joints=("a", "b"), field="effort"))
    with pytest.raises(ConfigError, match=r"robot.yaml: key 'output.field': got 'effort'; 'push' is a position"):
        require_spec(forces, moved, "robot.yaml")
    assert present_positions(forces, SPEC, np.array([0.5, 0.7])) is None


def test_present_positions_are_found_by_joint():
    values = np.array([0.5, 0.7])

    np.testing.assert_array_equal(present_positions(positions(), SPEC, values), [0.5, 0.7])
    np.testing.assert_array_equal(present_positions(positions(("turn", "push")), SPEC, values), [0.7, 0.5])
    with pytest.raises(ConfigError, match=r"'output.joints': the position of 'b' is not observed"):
        positions(field="velocity")
    with pytest.raises(ConfigError, match=r"'safety.safe_action': got 'zero' with position commands; allowed: hold"):
        positions(safe_action="zero")
    with pytest.raises(ConfigError, match=r"'safety.stopping.then': got 'zero' with position commands; allowed: hold"):
        positions(safe_action="hold", stopping=StoppingConfig({"speed": 0.1}, then=("hold", "zero")))
    with pytest.raises(ConfigError, match=r"'safety.reactions.stale.action': got 'zero' with position commands"):
        positions(safe_action="hold", reactions={"stale": ReactionConfig("zero")})


def trials_of(wiring: Sequence[int], *, robot_name: str = "arm", late: int = 1, seed: int = 0) -> list[Trial]:
    """Trials of a simulated robot whose actuator i gets the command number |wiring[i]|, with its sign; 0 for a dead one."""
    robot = load_robot(robot_name)
    simulation = BatchSimulation(robot, 1)
    obs = start(simulation, [Scenario(robot=robot_name, steps=10_000, seed=seed)])[0]
    spec, now, queue = robot.spec, 0.0, [np.zeros(robot.spec.action_dim)] * late

    def send(command: np.ndarray) -> None:
        queue.append(np.array([np.sign(w) * command[abs(w) - 1] for w in wiring]))

    def sleep(seconds: float) -> None:
        nonlocal now, obs
        now += spec.dt
        obs = simulation.step(queue.pop(0)[None])[0]

    class Inputs:
        def snapshot(self) -> Observed:
            return Observed(obs.astype(np.float64), np.full(spec.obs_dim, now))

    supervisor = SafetySupervisor(spec, SafetyConfig(dict.fromkeys(spec.action_names, 10.0), ramp_seconds=0.1))
    return GentleMotion(spec, supervisor, Inputs(), send, 0.05, threading.Event(), clock=lambda: now, sleep=sleep).run()


def found(wiring: Sequence[int], robot_name: str = "arm", **options: int) -> dict[str, str]:
    """What stands before the colon of each check that did not pass, by actuator."""
    checkpoint = load_checkpoint(robot_name)
    trials = trials_of(wiring, robot_name=robot_name, **options)
    checks = check_responses(checkpoint.adapter, checkpoint.description.spec, trials)
    return {
        c.name.removeprefix("motion of "): f"{c.verdict.value}: {c.measured.split(':')[0]}"
        for c in checks
        if c.verdict is not Verdict.PASS
    }


@pytest.mark.parametrize("late", [0, 1])
def test_an_arm_that_is_wired_right_passes(late: int):
    faults = found((1, 2, 3, 4, 5, 6, 7), late=late)

    # gravity moves the shoulder as much as a small pulse does
    assert faults.pop("shoulder_pitch", "warn").startswith("warn")
    assert faults == {}


def test_swapped_inverted_and_dead_actuators_are_told_apart():
    faults = found((1, 2, 3, -4, 0, 7, 6))

    faults.pop("shoulder_pitch", None)
    assert faults == {
        "elbow_pitch": "fail: sign inverted",
        "forearm_roll": "fail: no response",
        "wrist_pitch": "fail: responds like wrist_roll",
        "wrist_roll": "fail: responds like wrist_pitch",
    }


def test_swapped_and_inverted_at_once():
    assert found((1, 2, 3, 4, -7, 6, 5))["wrist_roll"] == "fail: responds like forearm_roll with the sign inverted"


def test_the_only_actuator_of_a_robot_that_does_not_stand_still():
    assert found((1,), "cartpole") == {}
    assert found((-1,), "cartpole") == {"slide": "fail: sign inverted"}
    assert found((0,), "cartpole") == {"slide": "fail: no response"}


PREDICTED = np.array([[1.0, 0.2], [-0.2, 1.0]])
STILL = np.array([0.01, 0.01])


def verdict(measured: list[float], quiet: np.ndarray = STILL) -> Check:
    return judge(SPEC, 0, MotionResponse(np.array(measured), PREDICTED, quiet), np.array([0.1, 0.2]))


@pytest.mark.parametrize(
    ("measured", "expected", "says"),
    [
        ([1.0, 0.2], Verdict.PASS, "x +0.1 rad, predicted +0.1"),
        ([-1.0, -0.2], Verdict.FAIL, "sign inverted: x -0.1 rad"),
        ([-0.2, 1.0], Verdict.FAIL, "responds like turn: "),
        ([0.2, -1.0], Verdict.FAIL, "responds like turn with the sign inverted: "),
        ([0.01, 0.0], Verdict.FAIL, "no response: "),
        ([57.0, 11.0], Verdict.FAIL, "in degrees?: x +5.7 rad"),
        ([0.2, 0.04], Verdict.WARN, "0.2 times as strong as predicted: "),
        ([5.0, 1.0], Verdict.WARN, "5.0 times as strong as predicted: "),
    ],
)
def test_verdicts(measured: list[float], expected: Verdict, says: str):
    check = verdict(measured)

    assert check.verdict is expected
    assert check.measured.startswith(says)
    assert bool(check.advice) == (expected is not Verdict.PASS)


def test_an_answer_that_drowns_in_the_robots_own_motion_says_nothing():
    assert verdict([-1.0, -0.2], np.array([0.8, 0.8])).measured.startswith("cannot be told: ")


def test_a_noisy_channel_counts_less():
    # y moves by itself; x alone says that the actuator is the right one
    assert verdict([1.0, 2.2]).verdict is not Verdict.PASS
    assert verdict([1.0, 2.2], np.array([0.01, 0.7])).verdict is Verdict.PASS
