"""The example for PX4's offboard mode: frames, the way into the mode, what happens when heartbeats stop, and a whole flight."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_bridge.middleware.dds import from_wire, to_wire
from robot_bridge.middleware.fields import field_of, write_angles
from robot_bridge.middleware.messages import Float64MultiArray, Imu, Odometry, Quaternion
from sim.scenarios.change import Change
from tests.bridge.px4 import fly, frames, offboard, parts, px4_messages, px4_rules, setpoints, simulated_px4

HEARTBEAT = px4_messages.OffboardControlMode(direct_actuator=True)
Status, Command = px4_messages.VehicleStatus, px4_messages.VehicleCommand
angles = st.floats(-1.4, 1.4)
numbers = st.floats(-10, 10)


# --- frames -------------------------------------------------------------------------------------------------------------------


def test_a_vehicle_that_looks_north_looks_along_ros_y():
    """In PX4 no rotation is: nose to the north. In ROS 2 the nose, x, is then turned left from the east by 90 degrees."""
    q = Quaternion()
    q.w, q.x, q.y, q.z = frames.attitude([1.0, 0.0, 0.0, 0.0])
    odometry = Odometry()
    odometry.pose.pose.orientation = q

    yaw, pitch, roll = (field_of(odometry, f"pose.pose.orientation.{name}") for name in ("yaw", "pitch", "roll"))

    assert (yaw, pitch, roll) == pytest.approx((math.pi / 2, 0.0, 0.0))


def test_north_east_and_down_become_y_x_and_minus_z():
    assert frames.world([1.0, 2.0, 3.0]) == [2.0, 1.0, -3.0]
    assert frames.body([1.0, 2.0, 3.0]) == [1.0, -2.0, -3.0]


@given(angles, angles, angles, st.tuples(numbers, numbers, numbers))
def test_a_vector_of_the_body_is_turned_the_same_in_both_conventions(roll, pitch, yaw, v):
    q = Quaternion()
    write_angles(q, {"roll": roll, "pitch": pitch, "yaw": yaw})
    in_ros = frames.rotated([q.w, q.x, q.y, q.z], v)
    in_px4 = frames.rotated(frames.attitude([q.w, q.x, q.y, q.z]), frames.body(v))

    assert frames.world(in_px4) == pytest.approx(in_ros, abs=1e-9)
    assert frames.attitude(frames.attitude([q.w, q.x, q.y, q.z])) == pytest.approx([q.w, q.x, q.y, q.z], abs=1e-12)


def test_odometry_comes_back_as_the_simulation_has_it():
    names = (
        "x",
        "y",
        "z",
        "roll",
        "pitch",
        "yaw",
        "x_velocity",
        "y_velocity",
        "z_velocity",
        "roll_rate",
        "pitch_rate",
        "yaw_rate",
    )
    state = dict(zip(names, (0.1, -0.2, 1.4, 0.3, -0.2, 0.5, 0.7, -0.8, 0.9, 1.0, -1.1, 1.2), strict=True))
    flight = parts()
    heard: dict[str, object] = {}
    flight.transport.subscribe("/odom", Odometry, lambda message, received: heard.update(odometry=message))
    flight.transport.subscribe("/imu/data", Imu, lambda message, received: heard.update(imu=message))

    flight.adapter.take_odometry(simulated_px4.odometry_of(state, 1_500_000), 0.0)

    pose = {name: field_of(heard["odometry"], f"pose.pose.position.{name}") for name in "xyz"}
    turned = {name: field_of(heard["odometry"], f"pose.pose.orientation.{name}") for name in ("roll", "pitch", "yaw")}
    speed = {f"{name}_velocity": field_of(heard["odometry"], f"twist.twist.linear.{name}") for name in "xyz"}
    rate = {
        f"{a}_rate": field_of(heard["imu"], f"angular_velocity.{x}") for a, x in zip(("roll", "pitch", "yaw"), "xyz", strict=True)
    }
    assert {**pose, **turned, **speed, **rate} == pytest.approx(state)
    assert heard["odometry"].header.stamp.seconds == pytest.approx(1.5)


def test_a_velocity_in_the_bodys_frame_is_turned_into_the_worlds():
    flight = parts()
    heard: list[Odometry] = []
    flight.transport.subscribe("/odom", Odometry, lambda message, received: heard.append(message))
    kinds = px4_messages.VehicleOdometry
    common = {"pose_frame": kinds.POSE_FRAME_NED, "q": [math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)], "velocity": [2.0, 0.0, 0.0]}

    # the nose looks east, and the vehicle flies ahead
    flight.adapter.take_odometry(kinds(velocity_frame=kinds.VELOCITY_FRAME_BODY_FRD, **common), 0.0)
    flight.adapter.take_odometry(kinds(velocity_frame=kinds.VELOCITY_FRAME_UNKNOWN, **common), 0.0)

    assert len(heard) == 1
    assert flight.adapter.refused == 1
    assert field_of(heard[0], "twist.twist.linear.x") == pytest.approx(2.0)
    assert field_of(heard[0], "twist.twist.linear.y") == pytest.approx(0.0)


# --- setpoints ----------------------------------------------------------------------------------------------------------------


def test_motors_are_in_px4s_order_and_hover_at_zero():
    front_right, front_left, back_left, back_right = 0.1, 0.2, 0.3, 0.4

    sent = setpoints.motors([front_right, front_left, back_left, back_right], 7)

    share = [3.4335 * (1 + 1.3 * u) / 8.0 for u in (front_right, back_left, front_left, back_right)]
    assert sent.control[:4] == pytest.approx(share)
    assert all(math.isnan(motor) for motor in sent.control[4:])
    assert simulated_px4.command_of(np.array(sent.control[:4])) == pytest.approx([front_right, front_left, back_left, back_right])


def test_body_rates_are_those_about_forward_right_and_down():
    sent = setpoints.rates([0.6, 0.1, 0.2, 0.3], 7)

    assert (sent.roll, sent.pitch, sent.yaw) == (0.1, -0.2, -0.3)
    assert sent.thrust_body == [0.0, 0.0, -0.6]
    assert setpoints.rates([1.7, 0, 0, 0], 7).thrust_body[2] == -1.0


@pytest.mark.parametrize(
    "message", [HEARTBEAT, setpoints.motors([0.0] * 4, 1), setpoints.rates([0.5, 0, 0, 0], 1), Status(), Command()]
)
def test_px4s_messages_pass_the_wire(message):
    wire = to_wire(message)

    back = from_wire(type(wire).deserialize(wire.serialize()), type(message))

    # compared as bytes, because a motor that is off is NaN, and numbers of 32 bits are rounded
    assert to_wire(back).serialize() == wire.serialize()
    assert back.timestamp == message.timestamp
    assert wire.__idl_typename__ == f"px4_msgs::msg::dds_::{type(message).__name__}_"


# --- rules of the autopilot ---------------------------------------------------------------------------------------------------


def enter(rules: px4_rules.OffboardRules, now: float) -> int:
    return rules.answer(Command(command=Command.VEHICLE_CMD_DO_SET_MODE, param1=1.0, param2=6.0), now)


def arm(rules: px4_rules.OffboardRules, now: float) -> int:
    return rules.answer(Command(command=Command.VEHICLE_CMD_COMPONENT_ARM_DISARM, param1=1.0), now)


def beat(rules: px4_rules.OffboardRules, times: np.ndarray) -> None:
    for now in times:
        rules.take_heartbeat(HEARTBEAT, float(now))


def test_the_mode_needs_a_second_of_heartbeats_and_arming_needs_the_mode():
    rules = px4_rules.OffboardRules()

    assert arm(rules, 0.0) != 0
    beat(rules, np.arange(0.0, 0.9, 0.05))
    assert enter(rules, 0.9) != 0
    beat(rules, np.arange(0.9, 1.2, 0.05))
    assert enter(rules, 1.2) == arm(rules, 1.2) == 0
    assert len(rules.denied) == 2


def test_heartbeats_at_less_than_two_in_a_second_are_no_proof():
    rules = px4_rules.OffboardRules()
    beat(rules, np.arange(0.0, 6.0, 0.6))

    assert enter(rules, 5.5) != 0


def test_setpoints_of_another_kind_than_the_heartbeat_says_are_not_obeyed():
    rules = px4_rules.OffboardRules()
    beat(rules, np.arange(0.0, 1.5, 0.05))
    enter(rules, 1.5)
    arm(rules, 1.5)

    assert rules.obeys("direct_actuator", 1.5)
    assert not rules.obeys("body_rate", 1.5)


def test_a_vehicle_in_the_air_lands_when_the_heartbeats_stop():
    rules = px4_rules.OffboardRules()
    beat(rules, np.arange(0.0, 1.5, 0.05))
    enter(rules, 1.5)
    arm(rules, 1.5)

    rules.tick(2.4)
    assert rules.offboard
    rules.tick(2.6)
    assert (rules.failsafe, rules.armed, rules.nav_state) == (True, True, Status.NAVIGATION_STATE_AUTO_LAND)


# --- the way into the mode ----------------------------------------------------------------------------------------------------


def asked(sequence: offboard.OffboardSequence, begin: float, end: float) -> list[tuple[float, int]]:
    found = []
    for now in np.arange(begin, end, 0.05):
        request = sequence.next_request(float(now), 0)
        if request is not None:
            found.append((round(float(now), 2), request.command))
    return found


def test_it_asks_for_the_mode_after_a_stream_and_then_arms():
    sequence = offboard.OffboardSequence(arm=True)

    mode = asked(sequence, 0.0, 3.0)
    sequence.take_status(Status(nav_state=Status.NAVIGATION_STATE_OFFBOARD, arming_state=Status.ARMING_STATE_DISARMED))
    arming = asked(sequence, 3.3, 3.5)
    sequence.take_status(Status(nav_state=Status.NAVIGATION_STATE_OFFBOARD, arming_state=Status.ARMING_STATE_ARMED))

    assert mode == [(1.2, Command.VEHICLE_CMD_DO_SET_MODE), (2.2, Command.VEHICLE_CMD_DO_SET_MODE)]
    assert arming == [(3.3, Command.VEHICLE_CMD_COMPONENT_ARM_DISARM)]
    assert sequence.flying
    assert asked(sequence, 3.5, 9.0) == []


def test_without_leave_it_does_not_arm():
    sequence = offboard.OffboardSequence(arm=False)
    sequence.take_status(Status(nav_state=Status.NAVIGATION_STATE_OFFBOARD))

    assert asked(sequence, 0.0, 5.0) == []


def test_a_gap_in_the_commands_begins_the_stream_anew():
    sequence = offboard.OffboardSequence(arm=True)

    assert asked(sequence, 0.0, 1.0) == []
    assert asked(sequence, 2.0, 3.0) == []
    assert [command for _, command in asked(sequence, 3.0, 3.5)] == [Command.VEHICLE_CMD_DO_SET_MODE]


def test_after_a_pilot_took_over_nothing_is_sent_any_more():
    flight = parts()
    sent: list[str] = []
    for topic in ("/fmu/in/offboard_control_mode", "/fmu/in/actuator_motors", "/fmu/in/vehicle_command"):
        flight.transport.subscribe(topic, Float64MultiArray, lambda message, received, topic=topic: sent.append(topic))
    hover = Float64MultiArray(data=[0.0] * 4)

    flight.adapter.take_command(hover, 0.0)
    flight.adapter.take_status(Status(nav_state=Status.NAVIGATION_STATE_OFFBOARD, arming_state=Status.ARMING_STATE_ARMED), 0.0)
    flight.adapter.take_status(Status(nav_state=Status.NAVIGATION_STATE_POSCTL, arming_state=Status.ARMING_STATE_ARMED), 0.0)
    flight.adapter.take_command(hover, 0.0)

    assert sent == ["/fmu/in/offboard_control_mode", "/fmu/in/actuator_motors"]


@pytest.mark.parametrize("data", [[0.0] * 3, [0.0, 0.0, 0.0, math.nan]])
def test_a_command_that_is_none_is_no_proof_of_life(data: list[float]):
    flight = parts()
    sent: list[object] = []
    flight.transport.subscribe("/fmu/in/offboard_control_mode", Float64MultiArray, lambda message, received: sent.append(message))

    flight.adapter.take_command(Float64MultiArray(data=data), 0.0)

    assert sent == []
    assert flight.adapter.refused == 1


# --- a flight -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_shipped_controller_flies_and_px4_lands_when_it_dies():
    flight = fly(steps=360, silent_from=160, change=Change(body_mass={"base": 1.2}))
    report = flight.px4.report()

    assert flight.started == [True]
    assert report["armed"]
    assert report["denied"] == []
    assert report["mean_distance_after_3_s"] < 0.4
    assert report["seconds_to_failsafe"] == pytest.approx(px4_rules.LOSS_SECONDS, abs=0.05)
    assert report["height"] < simulated_px4.LANDED
    assert not flight.px4.rules.armed
    assert flight.adapter.sequence.over
