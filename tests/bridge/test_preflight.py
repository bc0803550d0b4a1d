"""Each way in which a robot is not what its bridge file says is found from its messages, with advice that helps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, GoalInput, OutputConfig, TopicConfig
from robot_bridge.middleware.endpoints import Endpoint
from robot_bridge.middleware.messages import Float64MultiArray, Header, JointState, Message, Odometry, Time, Twist
from robot_bridge.preflight.checks import Check, PreflightError, Verdict, require_passed
from robot_bridge.preflight.inputs_check import check_inputs
from robot_bridge.preflight.listening import Listener, ListeningResult
from robot_bridge.safety.config import Range, SafetyConfig
from robot_bridge.safety.supervisor import SafetySupervisor

DT = 0.05
SPEC = RobotSpec(
    "leg",
    DT,
    (
        Channel("knee", "rad"),
        Channel("knee_velocity", "rad/s", "velocity"),
        Channel("height", "m"),
        Channel("load", "N"),
    ),
    (ActionChannel("knee", "N m", -1, 1),),
)
INPUTS = {
    "joints": TopicConfig("/joint_states", JointState.ros_type),
    "odometry": TopicConfig("/odom", Odometry.ros_type),
    "load": TopicConfig("/load", Float64MultiArray.ros_type),
}
OBS = {
    "knee": ChannelInput("joints", "position", "knee_joint"),
    "knee_velocity": ChannelInput("joints", "velocity", "knee_joint"),
    "height": ChannelInput("odometry", "pose.pose.position.z"),
    "load": ChannelInput("load", "data.1"),
}
START, EPOCH = 100.0, 1_700_000_000.0
"""Monotonic and wall clock when listening begins [s]."""


class Wire:
    """Takes subscriptions; messages are delivered by hand.

    Args:
        now: function that gives the time for stamps [s].
    """

    def __init__(self, now: Callable[[], float] = lambda: EPOCH) -> None:
        self.now = now

    def subscribe(self, topic: str, message_type: type[Message], receive: Any, **options: Any) -> None:
        pass


def joints(stamp: float, names: Sequence[str] = ("hip_joint", "knee_joint"), **changes: list[float]) -> JointState:
    values = {"position": [0.1, 0.5], "velocity": [0.0, 0.25], **changes}
    return JointState(Header(Time.of(stamp)), list(names), **values)


def odometry(stamp: float, height: float = 0.9) -> Odometry:
    message = Odometry(Header(Time.of(stamp)))
    message.pose.pose.position.z = height
    return message


def load(stamp: float, *data: float) -> Float64MultiArray:
    return Float64MultiArray(data=list(data or (0.0, 30.0)))


Make = Callable[[float], Message]


@pytest.fixture
def measure() -> Callable[..., dict[str, Check]]:
    """Two seconds of messages at 50 Hz and what is found, by check; keyword arguments replace what an input sends."""

    def run(
        safety: SafetyConfig | None = None,
        graph: tuple[Endpoint, ...] | None = None,
        periods: dict[str, float] | None = None,
        goal: GoalInput | None = None,
        **sends: Make | None,
    ) -> dict[str, Check]:
        config = BridgeConfig("leg", INPUTS, OBS, OutputConfig("/commands"), safety or SafetyConfig({"knee": 1.0}), goal)
        now = START
        listener = Listener(config, Wire(lambda: EPOCH + now - START), clock=lambda: now)
        makers: dict[str, Make | None] = {"joints": joints, "odometry": odometry, "load": load, **sends}
        arrivals = sorted(
            (START + i * period, name)
            for name in makers
            for period in [(periods or {}).get(name, 0.02)]
            for i in range(int(2.0 / period))
        )
        for now, name in arrivals:
            make = makers[name]
            if make is not None:
                listener.receive(name, make(EPOCH + now - START - 0.001), now)
        now = START + 2.0
        records = listener.finish()
        checks = check_inputs(
            config, SafetySupervisor(SPEC, config.safety), normalizer(), ListeningResult(records, listener.goals, graph)
        )
        assert len({c.name for c in checks}) == len(checks)
        return {check.name: check for check in checks}

    return run


def normalizer() -> Normalizer:
    made = Normalizer(SPEC)
    made.obs_mean.copy_(torch.tensor([0.4, 0.0, 0.9, 30.0]))
    made.obs_std.copy_(torch.tensor([0.3, 0.5, 0.05, 10.0]))
    return made


def failures(checks: dict[str, Check]) -> list[str]:
    return [name for name, check in checks.items() if check.verdict is Verdict.FAIL]


def test_a_robot_as_described_passes(measure):
    checks = measure()

    assert {c.verdict for name, c in checks.items() if name != "stamps of /load"} == {Verdict.PASS}
    assert checks["stamps of /load"].verdict is Verdict.INFO
    assert checks["rate of /joint_states"].measured == "50.0 Hz, largest gap 0.020 s; control 20.0 Hz"
    assert checks["stamps of /joint_states"].measured == "-1.0 ms from this machine's clock"
    assert checks["channel height"].measured == "0.9 m; training 0.9 ± 0.05"
    require_passed(list(checks.values()))


def test_a_silent_topic_is_told_from_one_that_nobody_publishes(measure):
    def advice(*published: str) -> str:
        graph = tuple(Endpoint(topic, Odometry.ros_type, True, False) for topic in published)
        checks = measure(odometry=None, graph=graph)
        assert checks["topic /odom"].verdict is Verdict.FAIL
        assert "rate of /odom" not in checks
        assert "channel height" not in checks
        return checks["topic /odom"].advice

    assert "did you mean /odometry?" in advice("/odometry", "/imu")
    assert "there is a publisher, but no message comes" in advice("/odom")
    assert "--domain" in advice()
    assert "is the driver running" in measure(odometry=None)["topic /odom"].advice


def test_another_type_and_two_publishers_are_seen(measure):
    wrong = measure(odometry=None, graph=(Endpoint("/odom", "geometry_msgs/msg/PoseStamped", True, False),))
    double = measure(graph=(Endpoint("/odom", Odometry.ros_type, True, False),) * 2)

    assert wrong["topic /odom"].measured == "published as geometry_msgs/msg/PoseStamped"
    assert double["topic /odom"].verdict is Verdict.WARN
    assert "2 publishers" in double["topic /odom"].measured


@pytest.mark.parametrize(
    ("make", "channel", "measured", "advice"),
    [
        (
            lambda stamp: joints(stamp, ("hip_joint", "kne_joint")),
            "knee",
            "no joint 'knee_joint'",
            "/joint_states names hip_joint, kne_joint; did you mean 'kne_joint'?",
        ),
        (lambda stamp: joints(stamp, velocity=[]), "knee_velocity", "'velocity' is empty", "state interface"),
        (lambda stamp: joints(stamp, velocity=[1.0]), "knee_velocity", "'velocity' is too short for joint 'knee_joint'", "field"),
    ],
    ids=["wrong joint", "empty field", "short field"],
)
def test_what_messages_do_not_hold(measure, make: Make, channel: str, measured: str, advice: str):
    check = measure(joints=make)[f"channel {channel}"]

    assert check.verdict is Verdict.FAIL
    assert check.measured == measured
    assert advice in check.advice


def test_an_array_that_is_too_short_and_a_joint_that_comes_and_goes(measure):
    short = measure(load=lambda stamp: load(stamp, 1.0))["channel load"]
    empty = measure(load=lambda stamp: Float64MultiArray())["channel load"]
    turns = iter(range(1000))
    sometimes = measure(joints=lambda stamp: joints(stamp, ("a", "b") if next(turns) % 4 == 0 else ("hip_joint", "knee_joint")))

    assert short.measured == "'data' is too short for 'data.1'"
    assert empty.measured == "'data' is empty"
    assert sometimes["channel knee"].verdict is Verdict.PASS
    assert sometimes["topic /joint_states"].measured.startswith("75 messages")


def test_a_gripper_on_the_topic_is_no_failure(measure):
    turns = iter(range(1000))

    def arm_and_gripper(stamp: float) -> Message:
        return joints(stamp + 0.5, ("gripper",)) if next(turns) % 2 else joints(stamp)

    checks = measure(joints=arm_and_gripper, periods={"joints": 0.01})

    assert failures(checks) == []
    assert checks["stamps of /joint_states"].verdict is Verdict.PASS


def test_values_that_are_not_finite(measure):
    turns = iter(range(1000))
    checks = measure(odometry=lambda stamp: odometry(stamp, math.nan if next(turns) == 7 else 0.9))

    assert failures(checks) == ["channel height"]
    assert checks["channel height"].measured == "not finite in 1 of 100 messages"


def test_a_topic_that_is_too_slow_fails_unless_its_age_limits_allow_it(measure):
    slow = measure(periods={"odometry": 0.2})
    allowed = measure(SafetyConfig({"knee": 1.0}, max_age_of={"height": 0.3}), periods={"odometry": 0.2})
    older = measure(SafetyConfig({"knee": 1.0}, max_age_of={"height": 0.15}), periods={"odometry": 0.2})

    assert failures(slow) == ["rate of /odom"]
    assert slow["rate of /odom"].advice == "publish at 20 Hz or more, best at twice that"
    assert allowed["rate of /odom"].verdict is Verdict.WARN
    assert failures(older) == ["rate of /odom"]


def test_a_publisher_at_just_the_control_rate_passes(measure):
    assert measure(periods={"odometry": DT})["rate of /odom"].verdict is Verdict.PASS


def test_a_gap_is_held_against_the_strictest_age_limit_of_its_input(measure):
    safety = SafetyConfig({"knee": 1.0}, max_age_of={"knee_velocity": 0.01})

    checks = measure(safety)

    assert checks["rate of /joint_states"].verdict is Verdict.WARN
    assert "knee_velocity may be 0.01 s old" in checks["rate of /joint_states"].advice
    assert checks["rate of /odom"].verdict is Verdict.PASS


def test_a_topic_that_falls_silent_while_listening_has_a_gap(measure):
    # from the middle on the stamp stands still, so that nothing new comes
    check = measure(odometry=lambda stamp: odometry(min(stamp, EPOCH + 1.0)))["rate of /odom"]

    assert check.verdict is Verdict.WARN
    assert "largest gap 0.98" in check.measured


@pytest.mark.parametrize(
    ("stamp_of", "verdict", "measured"),
    [
        (lambda stamp: 0.0, Verdict.FAIL, "all zero"),
        (lambda stamp: EPOCH, Verdict.FAIL, "frozen"),
        (
            lambda stamp: EPOCH + 0.04 * ((stamp - EPOCH + 0.011) // 0.04),
            Verdict.WARN,
            "50 of 99 not later than the one before, 0 jumps back",
        ),
        (lambda stamp: stamp - 50 * (stamp > EPOCH + 1), Verdict.WARN, "0 of 99 not later than the one before, 1 jumps back"),
        (lambda stamp: stamp - 3.0, Verdict.WARN, "-3.001 s from this machine's clock"),
        (lambda stamp: EPOCH + 0.5 * (stamp - EPOCH), Verdict.WARN, "0.50 s pass in them for every second here"),
    ],
    ids=["zero", "frozen", "repeated", "set back", "offset", "slow"],
)
def test_stamps(measure, stamp_of: Callable[[float], float], verdict: Verdict, measured: str):
    check = measure(odometry=lambda stamp: odometry(stamp_of(stamp)))["stamps of /odom"]

    assert (check.verdict, check.measured) == (verdict, measured)
    assert check.advice


def test_frozen_stamps_also_fail_the_rate_since_nothing_is_new(measure):
    assert failures(measure(odometry=lambda stamp: odometry(EPOCH))) == ["rate of /odom", "stamps of /odom"]


@pytest.mark.parametrize(
    ("changes", "channel", "unit"),
    [
        ({"joints": lambda s: joints(s, position=[0.0, math.degrees(0.8)])}, "knee", "in degrees?"),
        ({"joints": lambda s: joints(s, velocity=[0.0, math.degrees(2.9)])}, "knee_velocity", "in degrees/s?"),
        ({"joints": lambda s: joints(s, velocity=[0.0, -30 / math.pi * 2.0])}, "knee_velocity", "in degrees/s or rpm?"),
        ({"odometry": lambda s: odometry(s, 900.0)}, "height", "in mm?"),
    ],
    ids=["degrees", "degrees per second", "rpm", "mm"],
)
def test_units_that_are_easily_mistaken(measure, changes: dict[str, Make], channel: str, unit: str):
    checks = measure(**changes)

    assert failures(checks) == [f"channel {channel}"]
    assert checks[f"channel {channel}"].advice.startswith(unit)


def test_values_outside_of_training_are_warned_of_and_then_refused(measure):
    unusual, absurd = (measure(load=lambda s, f=f: load(s, 0.0, f))["channel load"] for f in (100.0, 400.0))

    assert (unusual.verdict, absurd.verdict) == (Verdict.WARN, Verdict.FAIL)
    assert unusual.measured.endswith(", 7 stds away")
    assert "check unit (N)" in absurd.advice


def test_limits_that_the_supervisor_would_hold_at(measure):
    def verdict(high: float, low: float = 0.5, margin: float = 0.0) -> Verdict:
        return measure(SafetyConfig({"knee": 1.0}, obs_limits={"height": Range(low, high)}, margin=margin))[
            "channel height"
        ].verdict

    assert verdict(0.89) is Verdict.FAIL
    assert verdict(0.95) is Verdict.PASS
    assert verdict(0.95, low=0.91) is Verdict.FAIL
    assert verdict(0.95, margin=0.2) is Verdict.FAIL


def subscriber(topic: str, kind: str = Float64MultiArray.ros_type) -> Endpoint:
    return Endpoint(topic, kind, False, True)


@pytest.mark.parametrize(
    ("graph", "verdict", "says"),
    [
        ((subscriber("/commands"),), Verdict.PASS, "1 subscriber(s)"),
        ((subscriber("/command"),), Verdict.FAIL, "did you mean /command?"),
        ((subscriber("/commands", Twist.ros_type),), Verdict.FAIL, "subscribed as geometry_msgs/msg/Twist"),
        ((), Verdict.FAIL, "no subscriber"),
    ],
)
def test_somebody_must_take_the_commands(measure, graph: tuple[Endpoint, ...], verdict: Verdict, says: str):
    check = measure(graph=graph)["output /commands"]

    assert check.verdict is verdict
    assert says in check.measured + check.advice
    assert "output /commands" not in measure()


def test_nobody_else_may_give_commands(measure):
    rival = Endpoint("/commands", Float64MultiArray.ros_type, True, True)

    check = measure(graph=(subscriber("/commands"), rival))["output /commands, others"]

    assert (check.verdict, check.measured) == (Verdict.WARN, "1 other publisher(s)")


def test_a_goal_is_not_needed_but_must_be_heard(measure):
    goal = GoalInput("/goal", Twist.ros_type, ("linear.x",), (1.5,))

    def check(*reliable: bool) -> Check:
        return measure(goal=goal, graph=tuple(Endpoint("/goal", Twist.ros_type, True, r) for r in reliable))["goal /goal"]

    assert (check().verdict, check().measured) == (Verdict.INFO, "none yet; 1.5 until one comes")
    assert check(False).verdict is Verdict.WARN
    assert check(False, True).verdict is Verdict.INFO


def test_all_failures_stand_in_one_line():
    checks = [
        Check("a", Verdict.FAIL, "gone"),
        Check("b", Verdict.WARN, "odd", "look"),
        Check("c", Verdict.FAIL, "wrong", "mend"),
    ]

    with pytest.raises(PreflightError, match=r"^preflight: 2 of 3 checks failed: a: gone; c: wrong$"):
        require_passed(checks)
    require_passed(checks[1:2])


def test_after_finish_nothing_is_kept():
    listener = Listener(BridgeConfig("leg", INPUTS, OBS, OutputConfig("/c"), SafetyConfig({"knee": 1.0})), Wire())
    listener.receive("load", load(0.0), START)
    listener.finish()
    listener.receive("load", load(0.0), START + 1)
    listener.receive_goal(Twist(), START + 1)

    assert listener.finish()["load"].count == 1
    assert listener.goals == 0
    np.testing.assert_array_equal(listener.finish()["load"].values["load"], [30.0])
