"""What the supervisor does not see by itself: frozen channels, jumps, drifts, wrong velocities, sick actuators, silence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from adaptive_mbrl.controller import Command, StepInfo
from robot_bridge.safety.actuator_alarms import ActuatorDiagnosis
from robot_bridge.safety.config import ActuatorAlarms, Derivative, SafetyConfig
from robot_bridge.safety.derivatives import Derivatives
from robot_bridge.safety.faults import Fault
from robot_bridge.safety.frozen import FrozenChannels
from robot_bridge.safety.innovations import Innovations
from robot_bridge.safety.leaps import Leaps
from robot_bridge.safety.model_checks import ModelChecks
from robot_bridge.safety.presence import Expected
from robot_bridge.safety.supervisor import Observed
from tests.bridge.test_supervisor import DT, SPEC

NAMES = SPEC.obs_names
NONE = np.zeros(3)


def command(
    change: np.ndarray,
    innovation: np.ndarray,
    diagnosis: np.ndarray = np.zeros((2, 0)),  # noqa: B008
    sign: tuple[int, int] = (1, 1),
) -> Command:
    one = np.zeros(1)
    info = StepInfo(
        one, one, one, one, one, change[None], innovation[None], diagnosis[None], 0.0, 0.0, sign=np.array([sign], np.float32)
    )
    return Command(np.zeros(2), np.zeros((1, 2)), info)


# --- frozen -------------------------------------------------------------------------------------------------------------------


def test_a_channel_that_keeps_its_value_while_it_should_move_is_frozen():
    checks = FrozenChannels(NAMES, steps=3)
    change, predicted = np.array([0.4, 0.0, 0.7]), np.array([0.5, -0.9, 0.8])

    found = [checks.look(change, change - predicted) for _ in range(4)]

    assert found[:3] == [[], [], []]
    (fault,) = found[3]
    assert (fault.kind, fault.words) == ("frozen", "'hip_velocity' kept its value in 4 control periods in which it should move")


def test_a_channel_that_stands_still_as_predicted_is_well():
    checks = FrozenChannels(NAMES, steps=3)

    assert [checks.look(NONE, NONE - 0.1) for _ in range(50)] == [[]] * 50


def test_any_other_value_shows_that_a_channel_lives():
    checks = FrozenChannels(NAMES, steps=3)
    still, moving = np.array([0.0, 1.0, 1.0]), np.array([1e-6, 1.0, 1.0])
    predicted = np.array([1.0, 1.0, 1.0])

    for _ in range(10):
        assert checks.look(moving, moving - predicted) == []
        for _ in range(3):
            assert checks.look(still, still - predicted) == []


def test_a_gap_does_not_make_a_frozen_channel_well():
    checks = FrozenChannels(NAMES, steps=3)
    still, predicted = np.array([0.0, 1.0, 1.0]), np.ones(3)
    for _ in range(3):
        checks.look(still, still - predicted)

    assert checks.look(np.full(3, np.nan), np.full(3, np.nan)) == []
    assert [fault.kind for fault in checks.look(still, still - predicted)] == ["frozen"]


def test_without_a_number_of_steps_nothing_is_frozen():
    checks = FrozenChannels(NAMES, steps=0)

    assert all(checks.look(NONE, NONE - 5.0) == [] for _ in range(50))


# --- jumps and drifts ---------------------------------------------------------------------------------------------------------


def test_a_jump_is_told_at_once_and_once():
    checks = Innovations(NAMES, max_jump=8.0, max_drift=0.0)

    faults = [checks.look(np.array(values)) for values in ([1.0, -7.9, 3.0], [1.0, -9.0, 8.5], [np.nan] * 3, [0.0] * 3)]

    assert [[fault.words for fault in found] for found in faults] == [
        [],
        ["'hip_velocity' jumped by 9 target stds; allowed: 8"],
        [],
        [],
    ]


def test_noise_is_no_drift_and_a_small_steady_deviation_is():
    generator, checks = np.random.default_rng(0), Innovations(NAMES, max_jump=0.0, max_drift=0.5)
    noise = generator.normal(size=(600, 3))
    assert all(checks.look(row) == [] for row in noise[:300])

    found = [checks.look(row + np.array([0.0, 0.0, 0.8])) for row in noise[300:]]

    first = next(i for i, faults in enumerate(found) if faults)
    assert 20 < first < 100  # 50 ln(0.8 / 0.3), give and take the noise
    assert found[first][0].words.startswith("'knee_velocity' drifts by 0.5")


def test_a_jump_is_not_remembered_as_a_drift():
    checks = Innovations(NAMES, max_jump=5.0, max_drift=0.2)
    checks.look(np.array([1000.0, 0.0, 0.0]))

    assert checks.look(NONE) == []


# --- velocities and positions -------------------------------------------------------------------------------------------------

PAIRS = {"hip_angle": Derivative("hip_velocity", tolerance=0.5)}


def motion(checks: Derivatives, steps: int, velocity_factor: float = 1.0, turn: float = 0.0) -> list[str]:
    """A swing through more than a whole turn, seen as an angle in (-pi, pi]; what the last look found."""
    found = []
    for i in range(steps):
        now = i * DT
        angle, velocity = 3.0 + 2.0 * np.sin(2.0 * now), 4.0 * np.cos(2.0 * now)
        seen = math.remainder(angle + turn, 2 * math.pi)
        found = checks.look(Observed(np.array([seen, velocity_factor * velocity, 0.0]), np.full(3, now)))
    return [fault.words for fault in found]


def test_a_true_velocity_is_the_derivative_also_across_the_end_of_the_circle():
    assert motion(Derivatives(SPEC, PAIRS), 200) == []


@pytest.mark.parametrize("factor", [-1.0, 2.0, 0.0])
def test_a_velocity_of_another_sign_unit_or_none_is_not(factor: float):
    checks = Derivatives(SPEC, PAIRS)

    assert any(motion(checks, steps, factor) for steps in range(20, 60, 10))


def test_nothing_is_said_across_a_gap():
    checks = Derivatives(SPEC, PAIRS)
    for i in range(50):
        # ten control periods apart, and so far in between that only the stamps tell
        assert checks.look(Observed(np.array([0.5 * (i % 2), 0.0, 0.0]), np.full(3, 10 * i * DT))) == []


def test_the_same_observation_again_is_no_motion():
    checks = Derivatives(SPEC, PAIRS)
    same = Observed(np.array([0.5, 3.0, 0.0]), np.full(3, 1.0))

    assert [checks.look(same) for _ in range(30)] == [[]] * 30


# --- actuators ----------------------------------------------------------------------------------------------------------------


def gains(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(pairs).T


def test_the_diagnosis_of_each_actuator_is_an_alarm_when_it_is_sure_of_it():
    names = ("body_mass", "actuator_gain hip", "actuator_gain knee")
    checks = ActuatorDiagnosis(names, ActuatorAlarms(seconds=3 * DT), DT)
    estimate = gains((0.1, 0.01), (-0.98, 0.05), (0.5, 0.05))

    found = [checks.look(estimate) for _ in range(4)]

    assert found[:2] == [[], []]
    assert [(fault.kind, fault.words) for fault in found[2]] == [
        ("actuator_reversed", "hip works backwards: gain -0.98 +- 0.05"),
        ("actuator_weak", "knee is weak: gain 0.50 +- 0.05"),
    ]
    assert found[3] == found[2]


@pytest.mark.parametrize(
    ("mean", "std", "kinds"),
    [(1.0, 0.1, []), (0.5, 0.11, []), (0.5, 0.09, ["actuator_weak"]), (0.05, 0.05, ["actuator_dead"]), (-0.9, 0.9, [])],
)
def test_an_estimate_that_may_be_wrong_is_no_alarm(mean: float, std: float, kinds: list[str]):
    checks = ActuatorDiagnosis(("actuator_gain",), ActuatorAlarms(seconds=0.0), DT)

    assert [fault.kind for fault in checks.look(gains((mean, std)))] == kinds


def test_a_motor_that_is_taken_to_be_reversed_is_told_after_a_while_without_any_diagnosis():
    checks = ModelChecks(SPEC, SafetyConfig(rate_limits={}, sign_turned_seconds=4 * DT), np.full(3, 0.1))
    seen = Observed(np.zeros(3), np.full(3, 1.0))

    signs = [(1, -1)] * 3 + [(1, 1)] + [(1, -1)] * 5 + [(1, 1)]
    found = [checks.look(0.0, seen, command(NONE, NONE, sign=sign)) for sign in signs]

    name = SPEC.action_names[1]
    assert found[:-3] == [()] * 7
    assert found[-3] == found[-2] == (Fault("sign_turned", f"{name} is taken to be wired backwards", name),)
    assert found[-1] == ()


# --- who is silent ------------------------------------------------------------------------------------------------------------


def test_a_sender_may_be_silent_for_a_while():
    sender = Expected("operator_gone", "the operator", lambda: 10.0, max_age=0.5)

    assert sender.look(10.5) == []
    assert [fault.words for fault in sender.look(10.6)] == ["the operator is silent for 0.60 s; allowed: 0.5 s"]


def test_a_sender_who_never_came_is_missing():
    sender = Expected("goal_lost", "the stream of goals", lambda: -math.inf, max_age=0.5)

    assert [fault.words for fault in sender.look(0.0)] == ["the stream of goals is not there"]


# --- leaps --------------------------------------------------------------------------------------------------------------------


def observed_at(step: float, *values: float) -> Observed:
    return Observed(np.array(values), np.full(3, step * DT))


def look_at_all(checks: Leaps, *observed: Observed) -> list[list[str]]:
    return [[fault.words for fault in checks.look(each)] for each in observed]


def test_a_value_that_leaves_its_course_leaps_once():
    checks = Leaps(SPEC, max_jump=5.0, change_std=np.array([0.1, 0.1, 1.0]))
    steady = [observed_at(k, 0.3 * k, 0.0, 2.0 * k) for k in range(4)]
    # from its course, not from where it was
    after = [observed_at(k, 0.3 * k - 0.6, 0.0, 2.0 * k) for k in range(4, 8)]

    found = look_at_all(checks, *steady, *after)

    assert found == [[]] * 4 + [["'hip_angle' jumped by 6 target stds without a prediction; allowed: 5"]] + [[]] * 3


def test_a_late_message_is_no_leap_and_after_a_long_silence_nothing_is_known():
    checks = Leaps(SPEC, max_jump=5.0, change_std=np.full(3, 0.1))

    # nothing new, then twice as much in twice the time; then five control periods of silence
    times = [0, 1, 2, 2, 4, 5, 10, 11, 12]
    assert look_at_all(checks, *(observed_at(k, 0.0, 0.0, 0.4 * k) for k in times)) == [[]] * len(times)
    assert look_at_all(checks, observed_at(17, 0.0, 0.0, 100.0), observed_at(18, 0.0, 0.0, 100.4)) == [[], []]


def test_an_angle_leaps_on_its_circle():
    checks = Leaps(SPEC, max_jump=5.0, change_std=np.full(3, 0.1))
    around = [observed_at(k, math.remainder(0.4 * k, math.tau), 0.0, 0.0) for k in range(20)]

    assert look_at_all(checks, *around) == [[]] * 20


def test_a_value_that_is_not_finite_is_no_leap():
    checks = Leaps(SPEC, max_jump=5.0, change_std=np.full(3, 0.1))
    values = [0.0, 0.0, math.nan, 0.0, 0.0, math.inf, 0.0, 0.0]

    assert look_at_all(checks, *(observed_at(k, 0.0, 0.0, value) for k, value in enumerate(values))) == [[]] * len(values)
    assert look_at_all(checks, observed_at(8, 0.0, 0.0, 1.0)) != [[]]


# --- all together -------------------------------------------------------------------------------------------------------------


def checks_of_all(**changes: object) -> ModelChecks:
    config = SafetyConfig(rate_limits={"hip": 1.0, "knee": 1.0}, **changes)
    return ModelChecks(SPEC, config, np.full(3, 0.1), expected=[Expected("goal_lost", "the stream of goals", lambda: 0.0, 1.0)])


def test_each_plan_counts_once_and_its_faults_last_until_the_next_one():
    checks = checks_of_all(frozen_steps=2, max_jump=5.0)
    frozen = np.array([0.0, 1.0, 1.0])
    seen = Observed(NONE, NONE)
    one = command(frozen, frozen - np.array([1.0, 1.0, 9.0]))

    first = checks.look(0.1, seen, one)
    again = [checks.look(0.1, seen, one) for _ in range(10)]

    assert [fault.kind for fault in first] == ["jump"]
    assert again == [first] * 10
    assert checks.look(0.1, seen, None) == ()


@pytest.mark.parametrize("innovation", [np.zeros(3), np.full(3, np.nan), None], ids=["predicted", "after a gap", "no plan"])
def test_what_leaps_is_told_unless_the_plan_after_it_had_predicted_it(innovation: np.ndarray | None):
    checks = checks_of_all(max_jump=5.0)
    for step in range(3):
        assert checks.look(0.1, observed_at(step, 0.0, 0.0, 0.0), command(NONE, NONE)) == ()
    late = command(NONE, NONE)

    assert checks.look(0.1, observed_at(3, 0.0, 0.0, 1.0), late) == ()
    found = checks.look(0.1, observed_at(4, 0.0, 0.0, 1.0), late if innovation is None else command(NONE, innovation))

    words = [] if innovation is not None and np.isfinite(innovation).all() else ["jump"]
    assert [fault.kind for fault in found] == words


def test_a_late_plan_says_nothing_of_what_was_observed_since():
    """It comes a tick late, from the observation before the one that leapt, and the plan after it has nothing before it."""
    checks, unknown = checks_of_all(max_jump=5.0), np.full(3, np.nan)
    for step in range(3):
        assert checks.look(0.1, observed_at(step, 0.0, 0.0, 0.0), command(NONE, NONE)) == ()

    assert checks.look(0.1, observed_at(3, 0.0, 0.0, 1.0), None) == ()
    found = checks.look(0.1, observed_at(4, 0.0, 0.0, 1.0), command(NONE, NONE), is_timely=False)
    after = checks.look(0.1, observed_at(5, 0.0, 0.0, 1.0), command(NONE, unknown))

    assert [fault.kind for fault in found] == ["jump"]
    assert after == ()


def test_who_moves_the_robot_by_hand_makes_no_sensor_jump_and_another_checkpoint_has_other_stds():
    checks, moved = checks_of_all(max_jump=5.0), [0.0, 0.0, 0.0, 1.0, 1.0]
    handled = [checks.look(0.1, observed_at(k, 0.0, 0.0, v), None, is_handled=True) for k, v in enumerate(moved)]
    assert handled == [()] * 5

    checks = checks_of_all(max_jump=5.0)
    checks.trained_on(np.full(3, 1.0))
    assert [checks.look(0.1, observed_at(k, 0.0, 0.0, v), None) for k, v in enumerate(moved)] == [()] * 5


def test_faults_of_all_checks_come_together():
    checks = checks_of_all(frozen_steps=1, max_jump=5.0)
    frozen = np.array([0.0, 1.0, 1.0])
    for _ in range(2):
        found = checks.look(2.0, Observed(NONE, NONE), command(frozen, frozen - np.array([1.0, 1.0, 9.0])))

    assert [fault.kind for fault in found] == ["frozen", "jump", "goal_lost"]
