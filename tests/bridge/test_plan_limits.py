"""Where a plan leads, by the model's prediction: within its workspace and without a collision, or it is never sent."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from adaptive_mbrl.controller import Command, StepInfo
from adaptive_mbrl.errors import ConfigError
from robot_bridge.safety.config import Range
from robot_bridge.safety.plan_geometry import Contacts, Places, looked_at, make_plan_limits
from robot_bridge.safety.plan_limits import PlanLimits, Workspace
from robot_bridge.safety.plan_limits_config import (
    BoxConfig,
    CollisionConfig,
    DistanceConfig,
    PlanLimitsConfig,
    PointLimits,
)
from robot_bridge.safety.states import State
from sim.robot.robot import load_robot
from tests.bridge.test_supervisor import DT, PLAN, SPEC, fresh, supervisor

BOX = {"hip_velocity": Range(-2.0, 2.0)}
ANGLE = {"hip_angle": Range(-1.0, 1.0)}


def command(predicted: np.ndarray) -> Command:
    """A plan of which this is predicted, (P, 1 + n, obs_dim)."""
    one, each = np.zeros(1), np.zeros((1, predicted.shape[-1]))
    info = StepInfo(one, one, one, one, one, each, each, np.zeros((1, 2, 0)), 0.0, 0.0, predicted[None])
    return Command(PLAN, PLAN[None], info)


def trajectory(*values: float, channel: int = 1, particles: int = 1) -> np.ndarray:
    """A channel with these values, the others at zero, the same for all particles."""
    predicted = np.zeros((particles, len(values), SPEC.obs_dim))
    predicted[..., channel] = values
    return predicted


def kinds(limits: PlanLimits, predicted: np.ndarray) -> list[str]:
    return [fault.kind for fault in limits(command(predicted))]


def test_a_plan_that_leaves_the_box_is_at_fault_and_the_words_say_where_and_when():
    limits = make_plan_limits(SPEC, PlanLimitsConfig(workspace=BOX))

    (fault,) = limits(command(trajectory(0.0, 1.0, 2.5, 3.0)))
    assert (fault.kind, fault.about) == ("plan_leaves_workspace", "hip_velocity")
    assert fault.words == "the plan leads 'hip_velocity' to 2.5 in 0.10 s; allowed: -2 to 2"
    assert limits(command(trajectory(0.0, 1.0, 2.0, 1.9))) == ()


def test_a_margin_is_kept_free():
    limits = make_plan_limits(SPEC, PlanLimitsConfig(workspace=BOX, margin=0.1))

    assert kinds(limits, trajectory(0.0, 1.59)) == []
    assert kinds(limits, trajectory(0.0, 1.61)) == ["plan_leaves_workspace"]


def test_a_robot_that_is_outside_may_come_back_and_not_go_further():
    limits = make_plan_limits(SPEC, PlanLimitsConfig(workspace=BOX))

    assert kinds(limits, trajectory(3.0, 2.9, 2.5, 1.0)) == []
    assert kinds(limits, trajectory(3.0, 3.0, 3.0)) == []
    assert kinds(limits, trajectory(3.0, 3.1, 1.0)) == ["plan_leaves_workspace"]
    # to the other side is no way back
    assert kinds(limits, trajectory(3.0, 0.0, -3.1)) == ["plan_leaves_workspace"]


def test_an_angle_that_counts_turns_is_seen_on_its_circle():
    limits = make_plan_limits(SPEC, PlanLimitsConfig(workspace=ANGLE))

    assert kinds(limits, trajectory(6.0, 2 * math.pi + 0.9, channel=0)) == []
    assert kinds(limits, trajectory(6.0, 2 * math.pi + 1.1, channel=0)) == ["plan_leaves_workspace"]


def test_a_share_of_the_particles_may_be_allowed_to_leave():
    predicted = trajectory(0.0, 0.0, particles=4)
    predicted[:2, 1, 1] = 9.0

    for share, found in ((0.0, 1), (0.49, 1), (0.5, 0)):
        assert len(make_plan_limits(SPEC, PlanLimitsConfig(workspace=BOX, max_share=share))(command(predicted))) == found


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("step", [1, 2])
def test_a_prediction_that_is_not_finite_counts_as_leaving(bad: float, step: int):
    predicted = trajectory(0.0, 0.0, 0.0)
    predicted[0, step, 1] = bad

    assert kinds(make_plan_limits(SPEC, PlanLimitsConfig(workspace=BOX)), predicted) == ["plan_leaves_workspace"]


@pytest.mark.parametrize("predicted", [np.zeros((0, 0, 3)), np.zeros((2, 1, 3)), np.zeros((2, 4, 1))])
def test_a_plan_that_cannot_be_looked_at_is_at_fault_and_nothing_is_raised(predicted: np.ndarray):
    (fault,) = make_plan_limits(SPEC, PlanLimitsConfig(workspace=BOX))(command(predicted))

    assert fault.kind == "plan_leaves_workspace"
    assert fault.words.startswith("the plan could not be checked: ")


predictions = some.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(2, 6), st.just(3)),
    elements=st.one_of(st.floats(-3, 3), st.sampled_from([math.nan, math.inf, -2.0, 2.0])),
)


@given(predictions, st.floats(0, 0.9))
def test_the_workspace_finds_what_a_look_at_each_number_finds(predicted: np.ndarray, share: float):
    limits = PlanLimits([Workspace(SPEC, BOX, 0.0)], share)
    leaving = 0
    for particle in predicted[..., 1]:
        outside = [max(abs(x) - 2.0, 0.0) if math.isfinite(x) else math.inf for x in particle]
        first = outside[0] if math.isfinite(outside[0]) else 0.0
        leaving += any(not math.isfinite(x) or x > first + 1e-5 for x in outside[1:])

    assert bool(limits(command(predicted))) == (leaving / len(predicted) > share)


@given(st.lists(predictions, min_size=1, max_size=12))
def test_a_plan_that_leaves_the_box_is_never_followed(plans: list[np.ndarray]):
    guard, limits = supervisor(), make_plan_limits(SPEC, PlanLimitsConfig(workspace=BOX))
    guard.activate(0.0)

    for i, predicted in enumerate(plans, start=1):
        faults = limits(command(predicted))
        decision = guard.decide(i * DT, fresh(i * DT), PLAN, others=faults)
        assert not faults or (decision.plan_share == 0.0 and decision.state is State.HOLD)


def test_after_a_plan_that_leaves_the_robot_goes_on_with_plans_that_stay():
    guard, limits = supervisor(), make_plan_limits(SPEC, PlanLimitsConfig(workspace=BOX))
    guard.activate(0.0)
    courses = [trajectory(0.0, 0.0)] * 10 + [trajectory(0.0, 9.0)] + [trajectory(0.0, 0.0)] * 20

    states = [
        guard.decide(i * DT, fresh(i * DT), PLAN, others=limits(command(course))).state for i, course in enumerate(courses, 1)
    ]
    assert states[9:11] == [State.RUNNING, State.HOLD]
    assert states[-1] is State.RUNNING


# --- by the robot's MJCF -----------------------------------------------------------------------------------------------------

ARM = load_robot("arm")
HOME = np.array([0.0, 0.5, 0.0, 1.3, 0.0, 0.9, 0.0])


def arm_plan(*poses: np.ndarray) -> Command:
    """A plan of the arm through these joint angles; the hand's observed place is left at zero."""
    predicted = np.zeros((1, len(poses), ARM.spec.obs_dim))
    predicted[0, :, :7] = poses
    return command(predicted)


def turned(**angles: float) -> np.ndarray:
    pose = HOME.copy()
    for joint, angle in angles.items():
        pose[ARM.spec.obs_names.index(f"{joint}_angle")] = angle
    return pose


FOLDED = turned(shoulder_pitch=0.0, elbow_pitch=2.4, wrist_pitch=2.2)
"""The hand is folded back into the upper arm."""


def arm_limits(**of: object) -> PlanLimits:
    return make_plan_limits(ARM.spec, PlanLimitsConfig(seconds=0.15, **of))


def test_a_plan_that_folds_the_arm_into_itself_collides():
    limits = arm_limits(collision=CollisionConfig(clearance=0.02))

    (fault, *_) = limits(arm_plan(HOME, HOME, FOLDED))
    assert fault.kind == "plan_collides"
    assert "in 0.10 s" in fault.words
    assert limits(arm_plan(HOME, HOME, turned(elbow_pitch=1.0))) == ()


def test_pairs_that_are_allowed_may_touch():
    touching = {fault.about for fault in arm_limits(collision=CollisionConfig(clearance=0.02))(arm_plan(HOME, FOLDED))}
    allowed = tuple(tuple(pair.split()) for pair in touching)

    assert touching
    assert arm_limits(collision=CollisionConfig(clearance=0.02, allowed=allowed))(arm_plan(HOME, FOLDED)) == ()


def test_an_obstacle_of_the_bridge_file_and_one_of_the_mjcf_are_seen():
    shelf = {"shelf": BoxConfig((0.3, -0.5, 0.0), (0.8, 0.5, 0.6))}
    with_shelf = arm_limits(collision=CollisionConfig(self_collision=False, boxes=shelf))
    with_column = arm_limits(collision=CollisionConfig(self_collision=False, obstacles=("column",)))
    down, back = turned(shoulder_pitch=1.8, elbow_pitch=0.4), turned(shoulder_pitch=2.0, elbow_pitch=2.0, wrist_pitch=0.0)

    assert any("shelf" in fault.about for fault in with_shelf(arm_plan(HOME, down)))
    assert with_column(arm_plan(HOME, down)) == ()
    assert any("column" in fault.about for fault in with_column(arm_plan(HOME, back)))
    assert with_shelf(arm_plan(HOME, HOME)) == with_column(arm_plan(HOME, HOME)) == ()


def test_an_arm_that_touches_may_be_led_away():
    shelf = {"shelf": BoxConfig((0.3, -0.5, 0.0), (0.8, 0.5, 0.6))}
    limits = arm_limits(collision=CollisionConfig(self_collision=False, boxes=shelf))
    deep, less, out = (turned(shoulder_pitch=pitch, elbow_pitch=0.4) for pitch in (1.7, 1.6, 0.5))

    assert limits(arm_plan(deep, less, out)) == ()
    assert [fault.kind for fault in limits(arm_plan(less, deep, out))][:1] == ["plan_collides"]


def test_a_distance_of_its_own_is_kept_between_two_parts():
    apart = {"hand": DistanceConfig(("hand", "column"), 0.4)}
    limits = arm_limits(collision=CollisionConfig(self_collision=False, distances=apart))

    (fault,) = limits(arm_plan(HOME, turned(shoulder_pitch=0.5, elbow_pitch=2.2)))
    assert fault.about == "column hand"
    assert "allowed: 0.4 m" in fault.words
    assert limits(arm_plan(HOME, HOME)) == ()


def test_a_point_must_stay_where_it_is_allowed():
    limits = arm_limits(points={"hand": PointLimits(z=Range(0.9, 2.0))})

    (fault,) = limits(arm_plan(HOME, HOME, turned(shoulder_pitch=1.4)))
    assert fault.kind == "plan_leaves_workspace"
    assert fault.words == "the plan leads z of 'hand' out of 0.9 to 2 m in 0.10 s"
    assert limits(arm_plan(HOME, turned(shoulder_yaw=1.0))) == ()


def test_only_every_so_many_th_step_is_looked_at_and_always_one():
    assert looked_at(6, 2).tolist() == [0, 2, 4, 6]
    assert looked_at(5, 2).tolist() == [0, 2, 4]
    assert looked_at(3, 9).tolist() == [0, 3]
    limits = arm_limits(collision=CollisionConfig(clearance=0.02), every=2)

    assert limits(arm_plan(HOME, FOLDED, HOME)) == ()
    assert limits(arm_plan(HOME, HOME, FOLDED)) != ()


@pytest.mark.parametrize(("every", "step"), [(1, DT), (3, 3 * DT), (9, 4 * DT)])
def test_a_look_is_told_how_long_it_is_between_two_of_its_steps(every: int, step: float):
    told: list[float] = []

    def places(obs: np.ndarray, seconds: float) -> np.ndarray:
        told.append(seconds)
        return np.zeros((*obs.shape[:2], 1, 3))

    def approaches(obs: np.ndarray, seconds: float) -> list:
        told.append(seconds)
        return []

    config = PlanLimitsConfig(points={"hand": PointLimits(z=Range(-1.0, 1.0))}, every=every)
    for look in (Places(places, config, DT), Contacts(approaches, every, DT)):
        look(np.zeros((1, 5, 3)))
    assert told == pytest.approx([step, step])


def test_a_prediction_of_joints_that_is_not_finite_collides():
    limits = arm_limits(collision=CollisionConfig(clearance=0.02), points={"hand": PointLimits(z=Range(0.0, 3.0))})
    plan = arm_plan(HOME, HOME, HOME)
    plan.info.predicted[0, 0, 1, 3] = math.nan

    assert {fault.kind for fault in limits(plan)} == {"plan_leaves_workspace", "plan_collides"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workspace": {"hipp": Range(0.0, 1.0)}}, "key 'plan_limits.workspace': unknown channel 'hipp'"),
        ({"collision": CollisionConfig(), "robot": "nobody"}, "key 'plan_limits': "),
        ({"collision": CollisionConfig(), "robot": "cartpole"}, "robot 'cartpole' has other observations than the checkpoint's"),
        ({"collision": CollisionConfig(obstacles=("tabel",))}, "unknown geom 'tabel' of robot 'arm'; known geoms: "),
        ({"collision": CollisionConfig(obstacles=("hand",))}, "'obstacles': 'hand' moves; allowed: geoms that stand still"),
        ({"points": {"finger": PointLimits(z=Range(0.0, 1.0))}}, "unknown site or body 'finger' of robot 'arm'; known: "),
    ],
)
def test_a_mistake_in_the_limits_is_one_line(changes: dict, message: str):
    with pytest.raises(ConfigError) as error:
        make_plan_limits(ARM.spec, dataclasses.replace(PlanLimitsConfig(workspace={"hand_z": Range(0.0, 1.0)}), **changes))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_runner_whose_place_is_not_observed_can_only_be_looked_at_for_itself_and_the_ground():
    spec = load_robot("half_cheetah").spec
    for collision in (CollisionConfig(), CollisionConfig(obstacles=("floor",))):
        make_plan_limits(spec, PlanLimitsConfig(collision=collision))

    with pytest.raises(ConfigError, match="do not tell where it is, only how it is posed"):
        make_plan_limits(spec, PlanLimitsConfig(collision=CollisionConfig(boxes={"wall": BoxConfig((1, -1, 0), (2, 1, 1))})))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PlanLimitsConfig(), "nothing is limited; allowed: workspace, points, collision"),
        (lambda: PointLimits(), "no axis is given"),
        (lambda: BoxConfig((0.0, 0.0), (1.0, 1.0, 1.0)), "key 'low': 2 numbers; allowed: x, y, z"),
        (lambda: BoxConfig((0.0, 2.0, 0.0), (1.0, 1.0, 1.0)), "allowed: below 'high'"),
        (lambda: DistanceConfig(("hand",), 0.1), "key 'between': 1 names; allowed: two"),
        (lambda: CollisionConfig(allowed=(("hand",),)), "key 'allowed': 1 names in ['hand']; allowed: pairs of names"),
        (lambda: CollisionConfig(self_collision=False), "nothing is looked at"),
    ],
)
def test_limits_that_limit_nothing_are_refused(make, message: str):
    with pytest.raises(ConfigError) as error:
        make()
    assert message in str(error.value)
