"""Messages become channels by name; what is missing, old or overtaken never passes for an observation."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.bridge_config import (
    BridgeConfig,
    ChannelInput,
    GoalInput,
    OutputConfig,
    TopicConfig,
    load_bridge_config,
    require_spec,
)
from robot_bridge.control.inputs import GoalReader, Inputs
from robot_bridge.control.sender_clock import DelayEstimator
from robot_bridge.middleware.fields import field_of
from robot_bridge.middleware.messages import (
    Float64MultiArray,
    Header,
    Imu,
    JointState,
    Message,
    Odometry,
    Quaternion,
    Time,
    Twist,
    Vector3,
)
from robot_bridge.safety.config import Range, SafetyConfig
from robot_bridge.safety.supervisor import SafetySupervisor

SPEC = RobotSpec(
    "legged",
    0.05,
    (
        Channel("knee", "rad"),
        Channel("hip_velocity", "rad/s", "velocity"),
        Channel("pitch", "rad", "angle"),
        Channel("load", "N"),
    ),
    (ActionChannel("hip", "N m", -1, 1), ActionChannel("knee", "N m", -1, 1)),
)
CONFIG = BridgeConfig(
    checkpoint="legged",
    inputs={
        "joints": TopicConfig("/joint_states", JointState.ros_type),
        "imu": TopicConfig("/imu", Imu.ros_type),
        "load": TopicConfig("/load", Float64MultiArray.ros_type),
    },
    obs={
        "knee": ChannelInput("joints", "position", "knee_joint"),
        "hip_velocity": ChannelInput("joints", "velocity", "hip_joint"),
        "pitch": ChannelInput("imu", "orientation.pitch"),
        "load": ChannelInput("load", "data.1"),
    },
    output=OutputConfig("/commands"),
    safety=SafetyConfig({"hip": 1.0, "knee": 1.0}),
)


class Wire:
    """Remembers who listens, and delivers by hand."""

    def __init__(self) -> None:
        self.receivers: dict[str, Any] = {}

    def subscribe(self, topic: str, message_type: type[Message], receive: Any, **options: Any) -> None:
        self.receivers[topic] = receive


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def inputs(wire: Wire) -> Inputs:
    return Inputs(SPEC, CONFIG, wire)


def joints(stamp: float, names: tuple[str, ...] = ("hip_joint", "knee_joint"), **changes: list[float]) -> JointState:
    values = {"position": [0.1, 0.2], "velocity": [1.0, 2.0], **changes}
    return JointState(Header(Time.of(stamp)), list(names), **values)


def test_before_the_first_message_nothing_is_known(inputs: Inputs):
    observed = inputs.snapshot()

    assert np.isnan(observed.values).all()
    assert (observed.received == -np.inf).all()


def test_channels_are_found_by_name_in_any_order(wire: Wire, inputs: Inputs):
    wire.receivers["/joint_states"](
        joints(1.0, ("knee_joint", "other", "hip_joint"), position=[7, 8, 9], velocity=[4, 5, 6]), 10.0
    )
    wire.receivers["/load"](Float64MultiArray(data=[1.0, 2.5]), 11.0)

    observed = inputs.snapshot()

    np.testing.assert_array_equal(observed.values, [7.0, 6.0, np.nan, 2.5])
    np.testing.assert_array_equal(observed.received, [10.0, 10.0, -np.inf, 11.0])


def test_under_simulated_time_the_age_of_a_message_is_known_at_any_speed_of_the_simulation(wire: Wire):
    """A simulation at half the speed would otherwise look like messages that come later and later."""
    simulated = 100.0
    inputs = Inputs(SPEC, CONFIG, wire, simulated_now=lambda: simulated)
    for received in np.arange(10.0, 60.0):
        simulated += 0.5
        wire.receivers["/joint_states"](joints(simulated - 0.02), received)

        assert inputs.snapshot().received[0] == pytest.approx(received - 0.02)
    # the clock comes in steps, so that a message may be ahead of it; it is not from the future for that
    wire.receivers["/joint_states"](joints(simulated + 0.005), 61.0)
    assert inputs.snapshot().received[0] == 61.0
    # the simulation begins anew
    simulated = 1.0
    wire.receivers["/joint_states"](joints(1.0), 62.0)
    assert inputs.snapshot().received[0] == 62.0
    # and a message that is sent again is none
    wire.receivers["/joint_states"](joints(1.0), 63.0)
    assert inputs.snapshot().received[0] == 62.0


INCOMPLETE = {
    "empty field": joints(1.1, position=[]),
    "short field": joints(1.1, position=[0.5]),
}


@pytest.mark.parametrize("message", INCOMPLETE.values(), ids=INCOMPLETE.keys())
def test_what_a_message_does_not_hold_is_nan_and_not_the_old_value(wire: Wire, inputs: Inputs, message: JointState):
    wire.receivers["/joint_states"](joints(1.0), 10.0)
    wire.receivers["/joint_states"](message, 10.1)

    observed = inputs.snapshot()

    assert math.isnan(observed.values[0])
    assert observed.received[0] == 10.1


def test_a_second_driver_on_the_topic_takes_no_joint_away(wire: Wire, inputs: Inputs):
    """An arm and its gripper are ordinary in ROS: each driver names its own joints."""
    for k in range(10):
        now = 10 + 0.01 * k
        wire.receivers["/joint_states"](joints(1.0 + 0.01 * k, position=[0.1, float(k)]), now)
        wire.receivers["/joint_states"](joints(700.0 + 0.01 * k, ("gripper",), position=[5.0], velocity=[5.0]), now + 0.005)

    observed = inputs.snapshot()

    assert observed.values[0] == 9.0
    np.testing.assert_allclose(observed.received[:2], 10.09)


def test_each_driver_of_a_topic_keeps_its_joints_fresh(wire: Wire, inputs: Inputs):
    for k in range(10):
        now, knee = 10.0 + 0.01 * k, {"position": [float(k)], "velocity": [0.0]}
        wire.receivers["/joint_states"](joints(1.0 + 0.01 * k, ("hip_joint",), position=[0.0], velocity=[float(k)]), now)
        # stamped before the other driver's message that it follows
        wire.receivers["/joint_states"](joints(0.998 + 0.01 * k, ("knee_joint",), **knee), now)

    observed = inputs.snapshot()

    np.testing.assert_array_equal(observed.values[:2], [9.0, 9.0])
    np.testing.assert_allclose(observed.received[:2], [10.088, 10.09], atol=1e-3)


def test_drivers_of_one_topic_whose_clocks_disagree_are_not_both_believed(wire: Wire, inputs: Inputs):
    """Which of them is right cannot be known, so the robot is held: one driver's joints grow old."""
    for k in range(100):
        now = 10.0 + 0.01 * k
        wire.receivers["/joint_states"](joints(1.0 + 0.01 * k), now)
        wire.receivers["/joint_states"](joints(700.0 + 0.01 * k, ("knee_joint",), position=[7.0], velocity=[0.0]), now + 0.001)

    assert inputs.snapshot().received[1] <= 10.01
    assert inputs.refused_stamps > 10


def test_an_array_that_is_too_short_is_nan(wire: Wire, inputs: Inputs):
    wire.receivers["/load"](Float64MultiArray(data=[1.0]), 11.0)

    assert math.isnan(inputs.snapshot().values[3])


def test_repeated_and_overtaken_messages_do_not_count_as_new(wire: Wire, inputs: Inputs):
    wire.receivers["/joint_states"](joints(5.0), 10.0)
    for stamp in (5.0, 4.9):
        wire.receivers["/joint_states"](joints(stamp, position=[0.0, 9.0]), 10.5)

    observed = inputs.snapshot()

    assert (observed.values[0], observed.received[0]) == (0.2, 10.0)


def test_a_senders_clock_that_is_set_back_is_believed_when_its_messages_agree_for_a_while(wire: Wire, inputs: Inputs):
    wire.receivers["/joint_states"](joints(500.0), 10.0)
    for k in range(120):
        wire.receivers["/joint_states"](joints(3.0 + 0.01 * k, position=[0.0, float(k)]), 10.1 + 0.01 * k)
        assert (inputs.snapshot().values[0] == 0.2) == (k < 100)

    assert inputs.snapshot().received[0] == pytest.approx(10.1 + 1.19, abs=0.001)


@pytest.mark.parametrize("back", [1.5, 5.0])
def test_an_old_message_that_comes_again_is_not_used_and_costs_nothing(wire: Wire, inputs: Inputs, back: float):
    for k in range(100):
        now = 10.0 + 0.1 * k
        wire.receivers["/joint_states"](joints(5.0 + 0.1 * k, position=[0.0, float(k)]), now)
        if k == 70:
            wire.receivers["/joint_states"](joints(5.0 + 0.1 * k - back, position=[0.0, -1.0]), now + 0.01)
        assert inputs.snapshot().values[0] == k
        assert inputs.snapshot().received[0] == pytest.approx(now, abs=1e-3)

    assert inputs.refused_stamps == 1


@pytest.mark.parametrize("speed", [1.2, 2.0, 100.0])
def test_a_queue_that_empties_after_a_dropout_never_passes_for_new(wire: Wire, inputs: Inputs, speed: float):
    for k in range(100):
        wire.receivers["/joint_states"](joints(5.0 + 0.01 * k), 10.0 + 0.01 * k)
    # what was measured during 4 s comes so much faster than it was measured, until it has caught up
    for k in range(100, 100 + round(400 * speed / (speed - 1))):
        measured, arrives = 10.0 + 0.01 * k, 15.0 + 0.01 * (k - 100) / speed
        if measured <= arrives:
            wire.receivers["/joint_states"](joints(5.0 + 0.01 * k), arrives)
            assert inputs.snapshot().received[0] <= measured + 0.05


def test_an_old_message_right_after_somebody_vouched_for_the_line_is_not_believed(wire: Wire, inputs: Inputs):
    wire.receivers["/joint_states"](joints(5.0), 10.0)
    inputs.forget_delays()
    wire.receivers["/joint_states"](joints(-2.0 + 0.5, position=[0.0, 9.0]), 10.001)

    assert (inputs.snapshot().values[0], inputs.snapshot().received[0]) == (0.2, 10.0)


def test_a_slow_topic_whose_first_message_was_late_is_used(wire: Wire, inputs: Inputs):
    wire.receivers["/joint_states"](joints(5.0 - 0.1), 10.0)
    for k in range(1, 6):
        wire.receivers["/joint_states"](joints(5.0 + 0.5 * k, position=[0.0, float(k)]), 10.0 + 0.5 * k)
        # the first one of them may be stamped ahead
        assert inputs.snapshot().values[0] == (k if k > 1 else 0.2)

    assert inputs.snapshot().received[0] == pytest.approx(12.5, abs=0.003)
    assert inputs.refused_stamps == 0


@pytest.mark.parametrize("ahead", [(0.5, 0.5), (0.5, 0.9)], ids=["the same one twice", "two that differ"])
def test_stamps_that_are_ahead_do_not_confirm_one_another(wire: Wire, inputs: Inputs, ahead: tuple[float, float]):
    for k in range(100):
        now = 10.0 + 0.01 * k
        for extra in ahead if k == 40 else ():
            wire.receivers["/joint_states"](joints(5.4 + extra, position=[0.0, -1.0]), now - 0.001)
        wire.receivers["/joint_states"](joints(5.0 + 0.01 * k), now)

    assert inputs.snapshot().values[0] == 0.2
    assert inputs.snapshot().received[0] == pytest.approx(10.99, abs=0.001)


@pytest.mark.parametrize("ahead", [0.06, 0.9, 10.0])
def test_one_message_that_is_stamped_ahead_is_not_used_and_soon_forgotten(wire: Wire, inputs: Inputs, ahead: float):
    oldest = 0.0
    for k in range(100):
        now = 10.0 + 0.01 * k
        if k == 50:
            wire.receivers["/joint_states"](joints(5.0 + 0.01 * k + ahead, position=[0.0, 1e6]), now - 0.005)
        wire.receivers["/joint_states"](joints(5.0 + 0.01 * k), now)
        observed = inputs.snapshot()
        assert observed.values[0] == 0.2
        oldest = max(oldest, now - observed.received[0])
        if k >= 50 + 26:
            assert observed.received[0] == pytest.approx(now, abs=1e-6)

    # meanwhile the others may have been slow, and count as old
    assert oldest == pytest.approx(0.005 + ahead, abs=1e-3)
    assert inputs.refused_stamps == 1
    inputs.forget_delays()
    assert inputs.refused_stamps == 1


def test_a_line_that_becomes_faster_is_believed_from_the_second_message_on(wire: Wire, inputs: Inputs):
    for k in range(100):
        delay = 0.2 if k < 50 else 0.0
        wire.receivers["/joint_states"](joints(5.0 + 0.01 * k - delay), 10.0 + 0.01 * k)
        if k > 50:
            assert inputs.snapshot().received[0] == pytest.approx(10.0 + 0.01 * k, abs=1e-6)
    wire.receivers["/joint_states"](joints(6.0), 11.2)

    assert inputs.snapshot().received[0] == pytest.approx(11.0, abs=1e-3)
    assert inputs.refused_stamps == 0


def test_a_line_that_delays_everything_makes_observations_old(wire: Wire, inputs: Inputs):
    for k in range(100):
        wire.receivers["/joint_states"](joints(5.0 + 0.01 * k), 10.0 + 0.01 * k)
    wire.receivers["/joint_states"](joints(6.0), 13.0)

    assert inputs.snapshot().received[0] == pytest.approx(11.0, abs=0.03)


def test_a_delay_that_has_grown_makes_observations_old_until_somebody_vouches_for_the_line(wire: Wire, inputs: Inputs):
    for k in range(10_000):
        delay = 0.3 if k > 100 else 0.0
        wire.receivers["/joint_states"](joints(5.0 + 0.01 * k - delay), 10.0 + 0.01 * k)
    assert inputs.snapshot().received[0] == pytest.approx(10.0 + 99.99 - 0.3, abs=0.11)

    inputs.forget_delays()
    wire.receivers["/joint_states"](joints(105.0 - 0.3), 110.0)

    assert inputs.snapshot().received[0] == pytest.approx(110.0, abs=0.001)


def test_clocks_may_drift_apart(wire: Wire, inputs: Inputs):
    for k in range(10_000):
        wire.receivers["/joint_states"](joints(5.0 + 0.01 * k * (1 - 5e-4)), 10.0 + 0.01 * k)

    assert inputs.snapshot().received[0] == pytest.approx(10.0 + 99.99, abs=0.001)


messages = st.lists(
    st.fixed_dictionaries(
        {
            "passed": st.floats(0.001, 0.1),
            "delay": st.one_of(st.floats(0.0, 0.02), st.floats(0.0, 0.45)),
            "copies": st.sampled_from([0, 1, 1, 1, 2]),
            "joints": st.sampled_from(["whole", "whole", "whole", "nan", "huge", "one", "none"]),
        }
    ),
    min_size=1,
    max_size=60,
)
JOINTS = {
    "whole": ("hip_joint", "knee_joint"),
    "nan": ("hip_joint", "knee_joint"),
    "huge": ("hip_joint", "knee_joint"),
    "one": ("hip_joint",),
    "none": (),
}
POSITIONS = {"nan": math.nan, "huge": 1e300}


@given(stream=messages)
def test_whatever_the_network_does_nothing_older_than_its_limit_is_followed(stream: list[dict[str, Any]]):
    """Messages are lost, doubled, delayed, overtaken and cut; each one's position is the time of its measurement."""
    spec = RobotSpec("joint", 0.05, (Channel("knee", "rad"),), (ActionChannel("knee", "N m", -1, 1),))
    obs = {"knee": CONFIG.obs["knee"]}
    config = dataclasses.replace(CONFIG, inputs={"joints": CONFIG.inputs["joints"]}, obs=obs)
    safety = SafetyConfig({"knee": 1e3}, obs_limits={"knee": Range(-1e6, 1e6)}, max_age=0.1, ramp_seconds=0, recovery_seconds=0)
    wire, guard = Wire(), SafetySupervisor(spec, safety)
    inputs = Inputs(spec, config, wire)
    measured, arrivals = 0.0, []
    for sent in stream:
        measured += sent["passed"]
        arrivals += [(measured + (copy + 1) * sent["delay"], measured, sent["joints"]) for copy in range(sent["copies"])]
    guard.activate(0.0)
    newest, known, last_stamp, last_delay = -math.inf, math.inf, -math.inf, math.inf
    for now, when, kind in sorted(arrivals):
        if "knee_joint" in JOINTS[kind]:
            # how fast the line is follows from two messages in a row; a single one may be stamped by another clock
            if when > last_stamp and abs(now - when - last_delay) <= 0.05:
                known = min(known, max(now - when, last_delay))
            if when > last_stamp:
                last_stamp, last_delay = when, now - when
            else:
                last_delay = math.inf
        positions = [0.0, POSITIONS.get(kind, when)]
        wire.receivers["/joint_states"](joints(100.0 + when, JOINTS[kind], position=positions), now)
        for later in (0.0, 0.06, 0.12):
            observed = inputs.snapshot()
            decision = guard.decide(now + later, observed, np.array([1.0]))
            if decision.plan_share > 0:
                value = observed.values[0]
                assert now + later - value - known <= 0.1 + DelayEstimator.CLOCK_DRIFT * (now - arrivals[0][0]) + 1e-6
                assert value >= newest
                newest = value


@given(
    wrong=st.tuples(st.integers(0, 40), st.floats(-10.0, 10.0)),
    rate=st.sampled_from([10, 100]),
    jitter=st.sampled_from([0.0, 0.02, 0.1]),
    seed=st.integers(0, 1000),
)
def test_after_one_wrong_stamp_the_robot_is_observed_again_within_three_seconds(
    wrong: tuple[int, float], rate: int, jitter: float, seed: int
):
    """Whenever it comes, ahead or behind, on a line that delays and reorders."""
    wire, rng = Wire(), np.random.default_rng(seed)
    inputs = Inputs(SPEC, CONFIG, wire)
    measured = 100.0 + np.arange(41 + 3 * rate) / rate
    arrivals = measured + rng.uniform(0.0, jitter, len(measured))
    for k in np.argsort(arrivals):
        stamp = measured[k] + (wrong[1] if k == wrong[0] else 0.0)
        wire.receivers["/joint_states"](joints(stamp, position=[0.0, measured[k]]), arrivals[k])

    observed = inputs.snapshot()

    assert observed.values[0] >= measured[-1] - 0.25 - jitter
    assert observed.received[0] <= observed.values[0] + jitter + 0.05


def test_a_few_messages_of_a_sender_with_a_clock_ahead_do_not_make_the_robot_old_for_ever(wire: Wire, inputs: Inputs):
    for k in range(100):
        wire.receivers["/joint_states"](joints(100.0 + 0.01 * k), 100.0 + 0.01 * k)
    # two strangers that agree are believed
    for k in range(2):
        wire.receivers["/joint_states"](joints(101.6 + 0.001 * k), 101.0 + 0.001 * k)
    ages = []
    for k in range(200):
        now = 101.7 + 0.01 * k
        wire.receivers["/joint_states"](joints(now), now)
        ages.append(now - inputs.snapshot().received[0])

    assert ages[0] == pytest.approx(0.6, abs=0.01)
    assert max(ages[105:]) < 0.01


def test_a_line_that_gets_slow_after_good_messages_stays_slow(wire: Wire, inputs: Inputs):
    for k in range(1000):
        slow = 0.3 if k >= 2 * DelayEstimator.WELL_SUPPORTED else 0.0
        now = 100.0 + 0.01 * k + slow
        wire.receivers["/joint_states"](joints(now - slow), now)

    # but for how much the clocks may have drifted apart
    assert now - inputs.snapshot().received[0] > 0.28


def test_a_snapshot_does_not_change_afterwards(wire: Wire, inputs: Inputs):
    wire.receivers["/joint_states"](joints(1.0), 10.0)
    observed = inputs.snapshot()
    wire.receivers["/joint_states"](joints(1.1, position=[0.0, 9.0]), 10.1)

    assert (observed.values[0], observed.received[0]) == (0.2, 10.0)


# --- paths --------------------------------------------------------------------------------------------------------------------


@given(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1))
def test_euler_angles_come_back_from_a_quaternion(roll: float, pitch: float, yaw: float):
    cr, sr, cp, sp, cy, sy = (f(angle / 2) for angle in (roll, pitch, yaw) for f in (math.cos, math.sin))
    message = Odometry()
    message.pose.pose.orientation = Quaternion(
        sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy, cr * cp * cy + sr * sp * sy
    )

    read = [field_of(message, f"pose.pose.orientation.{name}") for name in ("roll", "pitch", "yaw")]

    assert read == pytest.approx([roll, pitch, yaw], abs=1e-6)


def test_what_is_no_orientation_has_no_angles():
    silent, unmeasured, whole = Imu(), Imu(), Imu()
    silent.orientation.w = 0.0
    unmeasured.orientation_covariance[0] = -1.0

    assert [math.isnan(field_of(m, "orientation.pitch")) for m in (silent, unmeasured, whole)] == [True, True, False]
    assert field_of(unmeasured, "angular_velocity.z") == 0.0
    assert field_of(silent, "orientation.w") == 0.0


def test_a_path_follows_fields():
    message = Odometry()
    message.twist.twist.linear.x = 1.5

    assert field_of(message, "twist.twist.linear.x") == 1.5


# --- configuration ------------------------------------------------------------------------------------------------------------


def without(name: str) -> dict[str, ChannelInput]:
    return {k: v for k, v in CONFIG.obs.items() if k != name}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"obs": without("pitch")}, r"robot.yaml: key 'obs': missing channel 'pitch'"),
        (
            {"obs": {**CONFIG.obs, "toe": ChannelInput("imu", "orientation.yaw")}},
            r"key 'obs.toe': unknown channel; the checkpoint's robot 'legged' has knee",
        ),
        ({"output": OutputConfig("/commands", order=("hip",))}, r"key 'output.order'.*each of hip, knee once"),
    ],
)
def test_a_bridge_that_does_not_fit_the_checkpoint_is_refused(changes: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        require_spec(dataclasses.replace(CONFIG, **changes), SPEC, "robot.yaml")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (ChannelInput("gps", "x"), r"obs.pitch.input': unknown input 'gps'; known inputs: joints, imu, load"),
        (ChannelInput("joints", "position"), r"obs.pitch.joint': missing"),
        (ChannelInput("imu", "orientation.pitch", "hip_joint"), r"obs.pitch.joint': only a JointState has joints"),
        (ChannelInput("joints", "speed", "hip_joint"), r"obs.pitch.field': got 'speed'; allowed: position, velocity, effort"),
        (ChannelInput("imu", "orientation.heading"), r"obs.pitch.field': .*orientation.heading"),
    ],
)
def test_a_channel_that_cannot_be_read_is_refused(source: ChannelInput, message: str):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(CONFIG, obs={**CONFIG.obs, "pitch": source})


def test_a_topic_is_a_name_of_a_known_input_and_not_the_outputs():
    allowed = "allowed: a name like /joint_states, or like joint_states in the node's namespace"
    with pytest.raises(ConfigError, match=rf"key 'topic': got 'joint states'; {allowed}"):
        TopicConfig("joint states", JointState.ros_type)
    for name in ("commands/", "~/commands", "//commands", "1/commands", ""):
        with pytest.raises(ConfigError, match=rf"key 'topic': got '{name}'"):
            OutputConfig(name)
    with pytest.raises(ConfigError, match=r"key 'type': got 'geometry_msgs/msg/Twist'.*; allowed: sensor_msgs/msg/JointState"):
        TopicConfig("/twist", Twist.ros_type)
    with pytest.raises(ConfigError, match=r"key 'output.topic': '/imu' is input 'imu'; allowed: a topic of its own"):
        dataclasses.replace(CONFIG, output=OutputConfig("/imu"))


SHIPPED = sorted((Path(__file__).resolve().parents[2] / "configs" / "bridge").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_bridges_fit_their_checkpoints(path: Path):
    config = load_bridge_config(path)
    spec = load_checkpoint(config.checkpoint).description.spec

    require_spec(config, spec, str(path))
    SafetySupervisor(spec, config.safety)


# --- the goal -----------------------------------------------------------------------------------------------------------------


def goal_reader(**options: Any) -> GoalReader:
    config = {
        "topic": "/goal",
        "type": Float64MultiArray.ros_type,
        "fields": ("data.1", "data.0"),
        "initial": (7.0, 8.0),
        **options,
    }
    return GoalReader(GoalInput(**config), Wire(), dt=0.05, horizon=4)  # type: ignore[arg-type]


def test_a_goal_counts_until_the_next_one():
    goal = goal_reader()
    assert goal(1.0).tolist() == [7.0, 8.0]
    goal.receive(Float64MultiArray(data=[1.0, 2.0, 3.0]), 2.0)
    goal.receive(Float64MultiArray(data=[1.0]), 2.1)
    goal.receive(Float64MultiArray(data=[1.0, math.inf]), 2.2)

    assert goal(9.0).tolist() == [2.0, 1.0]
    assert goal.refused == 2


def test_a_goal_may_be_a_twist():
    goal = goal_reader(type=Twist.ros_type, fields=("linear.x", "angular.z"))
    goal.receive(Twist(linear=Vector3(x=1.0), angular=Vector3(z=2.0)), 2.0)

    assert goal(2.0).tolist() == [1.0, 2.0]


def test_of_goals_that_are_known_ahead_a_plan_gets_those_of_its_steps():
    goal = goal_reader(preview=True)
    assert goal(1.0).tolist() == [7.0, 8.0]
    goal.receive(Float64MultiArray(data=[0.0, 10.0, 1.0, 11.0, 2.0, 12.0, 3.0, 13.0, 4.0, 14.0]), 2.0)

    def rows(begin: float) -> list[float]:
        found = goal(begin)
        assert found.shape == (1, 4, 2)
        assert (found[0, :, 0] == found[0, :, 1] + 10).all()
        return found[0, :, 1].tolist()

    assert rows(2.0) == [0.0, 1.0, 2.0, 3.0]
    assert rows(2.06) == [1.0, 2.0, 3.0, 4.0]
    # the last one stays
    assert rows(2.16) == [3.0, 4.0, 4.0, 4.0]
    assert rows(9.0) == [4.0] * 4
    goal.receive(Float64MultiArray(data=[5.0, 15.0, 6.0]), 9.0)
    assert rows(9.0) == [4.0] * 4
    goal.receive(Float64MultiArray(data=[5.0, 15.0]), 9.0)
    assert goal(9.0).tolist() == [15.0, 5.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields": ("data.1", "data.2")}, r"key 'fields': got data.1, data.2 with a preview; allowed: data.0, data.1"),
        (
            {"type": Twist.ros_type, "fields": ("linear.x", "linear.y")},
            r"key 'preview': needs type std_msgs/msg/Float64MultiArray",
        ),
        ({"fields": (), "initial": ()}, r"key 'fields': empty"),
    ],
    ids=["others", "twist", "empty"],
)
def test_a_preview_needs_an_array_with_nothing_else_in_it(options: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        goal_reader(preview=True, **options)
