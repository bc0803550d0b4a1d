"""Monitors: numbers must stay within limits for most of the time, and must keep coming."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_mbrl.config import from_mapping, read_mapping
from adaptive_mbrl.errors import ConfigError
from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.control.monitor_inputs import MonitorInput, monitor_inputs
from robot_bridge.middleware.messages import BatteryState, Header, Message, Time
from robot_bridge.preflight.checks import Verdict
from robot_bridge.preflight.monitor_checks import monitor_check
from robot_bridge.robot_files import require_monitored_channels
from robot_bridge.safety.faults import Fault
from robot_bridge.safety.monitor_config import FAULTS_OF, Limits, MonitorConfig
from robot_bridge.safety.monitors import LimitWatch, Monitor, Monitors, Reading
from robot_bridge.safety.observation_checks import Observed
from robot_bridge.safety.reactions import ReactionConfig
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import SafetySupervisor
from sim.robot.robot import load_robot
from tests.bridge.test_supervisor import CALM, DT, PLAN, SPEC, fresh, supervisor

TOPIC = {"topic": "/battery", "type": "sensor_msgs/msg/BatteryState", "field": "percentage"}
BATTERY = MonitorConfig("battery", **TOPIC, warn=Limits(low=0.3), fault=Limits(low=0.1), seconds=2.5 * DT, max_age=1.0)
FALL = MonitorConfig("fall", "hip_angle", fault=Limits(-1.0, 1.0))


def kinds(faults: Sequence[Fault]) -> list[str]:
    return [fault.kind for fault in faults]


def looks(monitor: Monitor, values: Sequence[float]) -> list[list[str]]:
    """The kinds of faults when these numbers come one after the other, each control period one."""
    return [kinds(monitor.look(i * DT, Reading(value, i * DT), DT)) for i, value in enumerate(values)]


def test_a_limit_must_be_exceeded_for_a_while_and_kept_for_as_long():
    found = looks(Monitor("battery", BATTERY), [0.2] * 4 + [0.5] * 4)

    assert found == [[], [], ["battery_low"], ["battery_low"], ["battery_low"], ["battery_low"], [], []]


def test_both_limits_are_watched_and_the_words_say_which_number_breaks_them():
    monitor = Monitor("battery", BATTERY)
    looks(monitor, [0.05] * 4)

    faults = monitor.look(1.0, Reading(0.05, 1.0), DT)
    assert kinds(faults) == ["battery_low", "battery_critical"]
    assert [fault.words for fault in faults] == [
        "monitor 'battery' is 0.05; allowed: at least 0.3",
        "monitor 'battery' is 0.05; allowed: at least 0.1",
    ]
    assert {fault.about for fault in faults} == {"battery"}


def test_a_number_that_flickers_is_judged_by_where_it_is_most_of_the_time():
    mostly_below, mostly_above = [0.2, 0.2, 0.5] * 10, [0.5, 0.5, 0.2] * 10

    assert looks(Monitor("battery", BATTERY), mostly_below)[-1] == ["battery_low"]
    assert looks(Monitor("battery", BATTERY), mostly_above) == [[]] * 30


def test_a_monitor_that_falls_silent_is_lost_and_what_was_wrong_stays_wrong():
    monitor = Monitor("battery", BATTERY)
    looks(monitor, [0.2] * 4)

    (lost, low) = monitor.look(1.3, Reading(0.2, 0.2), DT)
    assert (lost.kind, lost.words) == ("monitor_lost", "monitor 'battery' has had no number for 1.10 s; allowed: 1 s")
    assert low.kind == "battery_low"
    assert kinds(Monitor("battery", BATTERY).look(0.0, Reading(), DT)) == ["monitor_lost"]


numbers = st.one_of(st.floats(-1, 2), st.sampled_from([0.1, 0.3, math.nan, math.inf, -math.inf]))


@given(st.lists(st.tuples(numbers, st.floats(0, 0.1)), max_size=60), st.floats(0, 0.5))
def test_there_is_never_a_fault_before_its_time_and_always_one_after_it(course: list[tuple[float, float]], seconds: float):
    watch = LimitWatch("x", "too_hot", Limits(high=1.0), seconds)
    beyond_in_all = beyond_in_a_row = within_in_a_row = 0.0

    for value, passed in course:
        found = bool(watch.look(value, passed))
        if math.isfinite(value):
            beyond_in_all += passed if value > 1.0 else 0.0
            beyond_in_a_row = beyond_in_a_row + passed if value > 1.0 else 0.0
            within_in_a_row = within_in_a_row + passed if value <= 1.0 else 0.0
        if beyond_in_all < seconds - 1e-9:
            assert not found
        if beyond_in_a_row > seconds + 1e-9:
            assert found
        if within_in_a_row > seconds + 1e-9:
            assert not found


@given(st.lists(st.tuples(st.floats(-1, 5), numbers, st.floats(-3, 1)), max_size=30))
def test_whatever_comes_a_monitor_is_lost_exactly_while_its_number_is_too_old(course: list[tuple[float, float, float]]):
    monitor = Monitor("battery", BATTERY)

    for now, value, heard in course:
        faults = monitor.look(now, Reading(value, heard), DT)
        assert ("monitor_lost" in kinds(faults)) == (now - heard > BATTERY.max_age)
        assert all(fault.kind in (*FAULTS_OF["battery"], "monitor_lost") and fault.about == "battery" for fault in faults)


def test_an_angle_that_counts_turns_is_seen_on_its_circle():
    monitors = Monitors(SPEC, {"fall": FALL}, {})

    def found(angle: float) -> list[str]:
        return kinds(monitors.look(0.0, Observed(np.array([angle, 0.0, 0.0]), np.zeros(3))))

    assert found(2 * math.pi + 0.9) == found(-4 * math.pi) == []
    assert found(2 * math.pi + 1.1) == found(-1.1) == ["fallen"]


def test_a_clock_that_jumps_does_not_make_a_limit_exceeded_at_once():
    monitors = Monitors(SPEC, {"hip": MonitorConfig("load", "hip_velocity", fault=Limits(high=1.0), seconds=5 * DT)}, {})
    fast = np.array([0.0, 3.0, 0.0])

    found = [kinds(monitors.look(now, Observed(fast, np.zeros(3)))) for now in (0.0, 100.0, -50.0, -50.0 + DT)]
    assert found == [[], [], [], []]


# --- where numbers come from -------------------------------------------------------------------------------------------------


def battery(percentage: float, stamp: float = 0.0) -> BatteryState:
    return BatteryState(Header(Time.of(stamp)), percentage=percentage)


def test_a_message_that_was_there_before_or_holds_no_number_is_no_news():
    reader = MonitorInput(BATTERY)
    for received, message in ((1.0, battery(0.8, 10.0)), (2.0, battery(0.8, 10.0)), (3.0, battery(math.nan, 11.0))):
        reader.receive(message, received)
    assert reader.reading == Reading(0.8, 1.0)

    reader.receive(battery(0.7, 12.0), 4.0)
    assert reader.reading == Reading(0.7, 4.0)


def test_a_driver_without_stamps_is_believed():
    reader = MonitorInput(BATTERY)
    for received in (1.0, 2.0):
        reader.receive(battery(0.8), received)

    assert reader.reading == Reading(0.8, 2.0)


class Wire:
    """A transport that keeps what is subscribed to."""

    def __init__(self) -> None:
        self.subscribed: list[tuple[str, type[Message]]] = []
        self.receive = None

    def subscribe(self, topic, message_type, receive, **options) -> None:
        self.subscribed.append((topic, message_type))
        self.receive = receive


def test_monitors_of_one_topic_share_a_subscription_and_channels_have_none():
    wire, charge = Wire(), BATTERY
    voltage = MonitorConfig("battery", **TOPIC | {"field": "voltage"}, fault=Limits(low=20.0))

    readers = monitor_inputs({"charge": charge, "voltage": voltage, "fall": FALL}, wire)
    wire.receive(BatteryState(voltage=24.0, percentage=0.5), 3.0)

    assert wire.subscribed == [("/battery", BatteryState)]
    assert {name: reader.reading for name, reader in readers.items()} == {
        "charge": Reading(0.5, 3.0),
        "voltage": Reading(24.0, 3.0),
    }


# --- before the robot is started ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds", "verdict", "measured"),
    [
        (0.8, 3.0, Verdict.PASS, "0.8"),
        (0.2, 3.0, Verdict.WARN, "0.2; allowed: at least 0.3"),
        (0.05, 3.0, Verdict.FAIL, "0.05; allowed: at least 0.1"),
        (math.nan, 3.0, Verdict.FAIL, "no number 'percentage' on /battery"),
        (math.nan, 0.5, Verdict.WARN, "no number 'percentage' on /battery"),
    ],
)
def test_preflight_looks_at_each_monitor(value: float, seconds: float, verdict: Verdict, measured: str):
    check = monitor_check("battery", BATTERY, value, seconds)

    assert (check.name, check.verdict, check.measured) == ("monitor battery", verdict, measured)
    assert bool(check.advice) == (verdict is not Verdict.PASS)


# --- with the supervisor -----------------------------------------------------------------------------------------------------


class Battery:
    """A reader whose number a test sets."""

    reading = Reading(0.9, math.inf)


def driven(guard: SafetySupervisor, monitors: Monitors, battery: Battery, charge: float, begin: float, steps: int) -> float:
    """Control periods with this charge; gives their end."""
    for i in range(1, steps + 1):
        now = begin + i * DT
        battery.reading = Reading(charge, now)
        guard.decide(now, fresh(now), PLAN, others=monitors.look(now, fresh(now)))
    return begin + steps * DT


def test_a_battery_that_runs_low_slows_the_robot_and_then_stops_it():
    reactions = {"battery_low": ReactionConfig("slow"), "battery_critical": ReactionConfig("zero")}
    guard, reader = supervisor(reactions=reactions), Battery()
    monitors = Monitors(SPEC, {"battery": BATTERY}, {"battery": reader})
    guard.activate(0.0)

    now = driven(guard, monitors, reader, 0.9, 0.0, 20)
    assert guard.state is State.RUNNING
    now = driven(guard, monitors, reader, 0.2, now, 20)
    slow = guard.decide(now + DT, fresh(now + DT), PLAN, others=monitors.look(now + DT, fresh(now + DT)))
    assert (slow.reaction, slow.state, slow.plan_share) == ("slow", State.RUNNING, guard.config.slow_share)
    now = driven(guard, monitors, reader, 0.05, now + DT, 20)
    stopped = guard.decide(now + DT, fresh(now + DT), PLAN, others=monitors.look(now + DT, fresh(now + DT)))
    assert (stopped.reaction, stopped.state, stopped.plan_share) == ("zero", State.HOLD, 0.0)


@given(st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=40))
def test_whatever_a_monitor_says_the_plan_is_not_followed_beyond_its_limit(course: list[tuple[float, bool]]):
    config = MonitorConfig("fall", **TOPIC, fault=Limits(low=0.1, high=1.0), max_age=1.5 * DT)
    guard, reader = supervisor(), Battery()
    monitors = Monitors(SPEC, {"x": config}, {"x": reader})
    guard.activate(0.0)
    reader.reading = Reading()

    for i, (value, comes) in enumerate(course, start=1):
        now = i * DT
        if comes and math.isfinite(value):
            reader.reading = Reading(value, now)
        decision = guard.decide(now, fresh(now, CALM), PLAN, others=monitors.look(now, fresh(now)))
        is_well = now - reader.reading.heard <= 1.5 * DT and 0.1 <= reader.reading.value <= 1.0
        assert is_well or decision.plan_share == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channel": "hip_angle"}, "key 'fault': missing, and so is 'warn'"),
        ({"channel": "hip_angle", "topic": "/t", "fault": Limits(low=0.0)}, "key 'topic': given beside 'channel'"),
        ({"topic": "/t", "field": "data", "fault": Limits(low=0.0)}, "key 'type': missing; allowed: a channel, or a topic"),
    ],
)
def test_a_monitor_without_a_number_or_limits_is_refused(arguments: dict, message: str):
    with pytest.raises(ConfigError) as error:
        MonitorConfig(**arguments)
    assert message in str(error.value)


BRIDGE_FILE = Path(__file__).resolve().parents[2] / "configs" / "bridge" / "cartpole.yaml"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"topic": "the battery"}, "monitors.x: key 'topic': got 'the battery'; allowed: a name like /joint_states"),
        ({"field": "charg"}, "monitors.x: key 'field': sensor_msgs/msg/BatteryState has no number 'charg'"),
        (
            {"topic": "/joint_states"},
            "key 'monitors.x.type': got 'sensor_msgs/msg/BatteryState'; '/joint_states' is read as sensor_msgs/msg/JointState",
        ),
    ],
)
def test_a_bridge_file_with_a_monitor_that_reads_no_number_is_refused(changes: dict[str, str], message: str):
    content = dict(read_mapping(BRIDGE_FILE)) | {"monitors": {"x": TOPIC | {"fault": {"low": 0.1}} | changes}}

    with pytest.raises(ConfigError) as error:
        from_mapping(BridgeConfig, content, source="bridge.yaml")
    assert message in str(error.value)


def test_a_monitor_of_a_channel_that_the_robot_does_not_have_is_refused():
    content = dict(read_mapping(BRIDGE_FILE)) | {"monitors": {"x": {"channel": "pole_angel", "fault": {"low": 0.1}}}}
    config = from_mapping(BridgeConfig, content, source="bridge.yaml")

    with pytest.raises(ConfigError) as error:
        require_monitored_channels(config, load_robot("cartpole").spec, BRIDGE_FILE)
    assert "key 'monitors.x.channel': unknown channel 'pole_angel' (did you mean 'pole_angle'?)" in str(error.value)


@pytest.mark.parametrize(
    ("ends", "message"), [({}, "neither low nor high is given"), ({"low": 2.0, "high": 1.0}, "low 2 must be below high 1")]
)
def test_limits_without_a_range_are_refused(ends: dict[str, float], message: str):
    with pytest.raises(ConfigError) as error:
        Limits(**ends)
    assert message in str(error.value)
