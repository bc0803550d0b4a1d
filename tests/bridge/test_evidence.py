"""The instruments of the evidence on the bridge measure what they say: intervals, growth, promises, times of faults."""

from __future__ import annotations

import numpy as np
import pytest

from adaptive_mbrl.checkpoint import load_checkpoint
from benchmarks.bridge_faults import figures_of
from benchmarks.evidence.faults import FAULTS, FROZEN_STEPS, MAX_AGE, MOVING, OF_ROBOT, STEERED, bridge_text, times_of
from benchmarks.evidence.figures import rate_interval, share_interval
from benchmarks.evidence.observer import Promises
from benchmarks.evidence.rig import Injection, phases
from benchmarks.evidence.slope import growth
from benchmarks.evidence.steered_cartpole import write_steered_cartpole
from benchmarks.reversal_alarms import figures as reversal_figures
from benchmarks.sensor_fault_figures import Looked, events, figures, proposed_limits, rounded_up
from robot_bridge.bridge_config import load_bridge_config, require_goal
from robot_bridge.safety.config import Derivative, SafetyConfig
from tests.benchmark_scripts import script
from tests.bridge.faults import Times, reaction
from tests.bridge.test_supervisor import SPEC

DT = 0.04


def test_nothing_found_is_not_nothing_possible():
    assert share_interval(0, 100) == [0.0, pytest.approx(1 - 0.025 ** (1 / 100), abs=1e-5)]
    assert share_interval(100, 100) == [pytest.approx(0.025 ** (1 / 100), abs=1e-5), 1.0]
    assert share_interval(0, 0) == [0.0, 1.0]
    low, high = share_interval(50, 100)
    assert low < 0.5 < high
    assert rate_interval(0, 3.0) == [0.0, 0.0, pytest.approx(3.689 / 3, abs=1e-3)]
    assert rate_interval(0, 0.0) == [None, None, None]


def test_a_leak_is_told_from_noise():
    rng, steps = np.random.default_rng(0), np.linspace(0.0, 1.0, 400)
    noise = 300.0 + np.repeat(rng.normal(0.0, 0.5, 40), 10)

    still, leaking = growth(steps, noise), growth(steps, noise + 5.0 * steps)

    assert still["low"] < 0.0 < still["high"]
    assert leaking["low"] > 0.0
    assert leaking["mean"] - still["mean"] == pytest.approx(5.0)
    assert growth(steps[:10], noise[:10]) is None


@pytest.mark.parametrize(
    ("commands", "broken"),
    [
        ([(0.0, [0.0]), (0.04, [0.5]), (0.08, [1.0])], set()),
        ([(0.0, [0.0]), (0.04, [0.9])], {"rate, one period"}),
        ([(0.0, [1.01])], {"limits"}),
        ([(0.0, [float("nan")]), (0.04, []), (0.08, [0.0, 0.0])], {"a finite number"}),
    ],
    ids=["good", "too fast", "too large", "no number"],
)
def test_the_observer_counts_what_breaks_a_promise(commands: list[tuple[float, list[float]]], broken: set[str]):
    promises = Promises(-1.0, 1.0, 12.5, DT)
    for at, values in commands:
        promises.look(at, values)

    found = {promise for promise, count in promises.broken.items() if count}
    assert promises.count == len(commands)
    assert found == broken


def test_the_rate_is_also_counted_by_the_observers_own_clock():
    promises = Promises(-1.0, 1.0, 12.5, DT)
    for k in range(5):
        promises.look(0.001 * k, [-1.0 + 0.5 * k])

    assert promises.broken["rate, one period"] == 0
    assert promises.broken["rate, by the clock"] == 3


def test_who_is_silent_is_gone_after_the_age_limit_and_who_says_so_at_once():
    log = [[1.0, "operator", True], [1.02, "operator", True], [1.2, "command", 0.0]]

    assert times_of("operator silent", log, (1.01, 2.0), DT).limit == pytest.approx(1.02 + MAX_AGE)
    goals = [[at, "goal", True] for at, who, _ in log if who == "operator"]
    assert times_of("goals silent", goals, (1.01, 2.0), DT).limit == pytest.approx(1.02 + MAX_AGE)
    assert times_of("operator away", [*log, [1.04, "operator", False]], (1.03, 2.0), DT).limit == 1.04


def test_only_the_first_answer_belongs_to_a_jump():
    log = [[1.0, "command", 0.3], [1.04, "command", 0.0], [1.5, "command", 0.3]]

    times = times_of("jump", log, (0.99, 3.0), DT)

    found = reaction([(at, value) for at, _, value in log], times, DT)
    assert (times.limit, round(found.periods, 2), found.followed) == (0.99, 1.25, 1)
    assert times_of("drift", log, (0.99, 3.0), DT) == Times(0.99, 0.99, 3.0)


def test_figures_count_the_late_and_the_unsafe():
    injections = [Injection(0.5, 0.6, 0), Injection(1.2, 1.3, 2), Injection(-0.5, -0.4, 0)]

    found = figures_of(injections, 1, {"count": 1000, "broken": {"limits": 1, "rate, one period": 0}})

    assert found["in_time"]["count"] == 2
    assert (found["unsafe"]["count"], found["unsafe"]["of"]) == (3, 1000)
    assert found["broken_promises"] == {"limits": 1}
    assert found["observed"]["max"] == 1.3


def test_a_fault_without_an_answer_is_not_in_time():
    found = figures_of([Injection(float("nan"), float("nan"), 3)], 1, {"count": 10, "broken": {}})

    assert (found["in_time"]["count"], found["in_time"]["of"], found["unsafe"]["count"]) == (0, 1, 3)
    assert (found["sent"]["max"], found["periods"]) == (None, [None])


def test_faults_strike_at_all_phases_and_each_time_at_the_same_ones():
    first, second = phases(1000, DT, 3), phases(1000, DT, 3)

    assert first.tolist() == second.tolist()
    assert np.histogram(first, 10, (0.0, DT))[0].min() > 60


@pytest.mark.parametrize("robot", OF_ROBOT)
def test_the_rigs_have_bridge_files(robot: str, tmp_path):
    (tmp_path / "bridge.yaml").write_text(bridge_text(robot, {"MAX_JUMP": 9.0, "MAX_DRIFT": 0.3, "TOLERANCE": 0.2}))

    safety = load_bridge_config(tmp_path / "bridge.yaml").safety

    assert safety.max_age == MAX_AGE
    assert (safety.frozen_steps, safety.max_jump) == ((FROZEN_STEPS, 9.0) if robot == MOVING else (0, 0.0))
    assert {fault.robot for fault in FAULTS.values()} == set(OF_ROBOT)


def test_a_steered_cartpole_has_the_goal_of_its_bridge_file(tmp_path):
    checkpoint = write_steered_cartpole(tmp_path / "checkpoint")
    (tmp_path / "bridge.yaml").write_text(bridge_text(STEERED, {}, str(checkpoint)))

    about = load_checkpoint(checkpoint).description

    require_goal(load_bridge_config(tmp_path / "bridge.yaml"), len(about.goal_names), "bridge.yaml")
    assert [term.goal for term in about.terms if term.channels == ("cart_position",)] == [about.goal_names]


def test_the_tables_of_reports_say_what_the_reports_say():
    tables = script("evidence_tables")
    injections = [Injection(0.5, 0.625, 0)] * 100
    row = figures_of(injections, 1, {"count": 5000, "broken": {}})
    about = {"machine": {"cpu": "X", "cores": 2}, "dt": DT, "times": 100}

    table = tables.reactions_table({**about, "conditions": {"loaded": {"nan": row}}})
    steps = {"memory_mb": {"mean": 0.5, "low": -0.1, "high": 1.0, "slope": 0.25, "last_minus_first": 0.5}, "threads": None}
    soak = {**about, "record": True, "seconds": 60.0, "control_loop": {"steps": "1000"}, "growth_per_million_steps": steps}

    assert "| loaded | `nan` | 0.62 | 0.62 | 0.62 | 1 | 100 of 100 (at least 96.4%) | 0 of 5,000 (at most 0.07%) |" in table
    assert "| memory [MB] | 0.500 [-0.100, 1.000] | 0.250 |\n| threads | - | - |" in tables.steps_table(soak)
    sensors = {"sensor_faults": {"leg": figures({"none": [looked(5.0)], "jump": [looked(9.0)]}, SPEC, SAFETY)}}
    assert "| jump | 1 of 1 | 0 | 0 | jump 1 |" in tables.sensors_table(sensors)
    motors = reversal_figures([np.eye(100, dtype=np.bool_)[:, :1]], [np.ones((100, 1))], DT)
    table = tables.reversal_alarms_table({"episodes": 1, "reversal_alarms": {"leg": motors}})
    assert table.endswith("| leg | 0.00 | 1 | 900.0 [22.8, 5014.5] | 0 | - | - | - |")
    left = {"times": 3, "left_behind": {"files": 0}, "memory_mb_per_start": None}
    whole = {"times": 2, "exit_codes": [0], "shared_memory_left": 0}
    assert "| files left behind | 0 |" in tables.starts_table({**about, "starts_and_stops": left, "processes": whole})


# --- motors that work backwards -----------------------------------------------------------------------------------------------


def test_a_reversed_motor_is_to_be_told_and_another_one_is_not():
    gain, alarm = np.ones((200, 2)), np.zeros((200, 2), dtype=np.bool_)
    gain[100:, 0] = -0.8
    alarm[112:, 0] = True
    # two alarms of a motor that is dead, and one of a motor that is weakly reversed
    gain[:, 1] = 0.0
    alarm[[20, 21, 60], 1] = True
    gain[150:, 1] = -0.4
    alarm[160:, 1] = True

    found = reversal_figures([alarm, alarm & False], [gain, gain], DT)

    assert (found["reversed"], found["told"], found["steps"]["max"]) == (2, 1, 12)
    assert found["false_alarms"] == 2
    assert found["hours"] == pytest.approx(400 * DT / 3600, abs=1e-3)


def test_a_motor_that_is_reversed_for_a_moment_need_not_be_told():
    gain = np.ones((200, 1))
    gain[100:140] = -1.0

    assert reversal_figures([gain < -2], [gain], DT)["reversed"] == 0


# --- sensors that lie ----------------------------------------------------------------------------------------------------------


def looked(innovation: float = 0.0, velocity: float = 1.0) -> Looked:
    """A hip that turns by 1 rad/s while its velocity says something; at step 50 something is not predicted."""
    steps = 100
    seen = np.zeros((steps, 3), dtype=np.float32)
    seen[:, 0], seen[:, 1] = np.arange(steps) * SPEC.dt, velocity
    innovations = np.zeros((steps, 3), dtype=np.float32)
    innovations[50, 0] = innovation
    return Looked(seen, innovations + 0.5, innovations, 50, 0)


SAFETY = SafetyConfig(
    {"hip": 1.0, "knee": 1.0}, max_jump=4.0, derivatives={"hip_angle": Derivative("hip_velocity", tolerance=0.5)}
)


def test_alarms_of_healthy_episodes_are_false_and_lies_are_told():
    found = figures({"none": [looked(), looked(5.0)], "jump": [looked(9.0), looked(1.0)]}, SPEC, SAFETY)

    assert {kind: alarm["events"] for kind, alarm in found["false_alarms"].items() if alarm["events"]} == {"jump": 1}
    assert found["healthy_hours"] == pytest.approx(200 * SPEC.dt / 3600, abs=1e-3)
    jump = found["lies"]["jump"]
    assert (jump["told"], jump["of"], jump["steps_max"], jump["not_told"]) == (1, 2, 0, ["hip_angle"])


def test_limits_are_above_all_that_healthy_episodes_show():
    found = proposed_limits([looked(), looked(2.0), looked(velocity=0.9)], SPEC, SAFETY)

    assert found["max_jump"] == 3.0
    assert 0.1 < found["derivatives"]["hip_angle"] <= 0.16
    assert [rounded_up(x) for x in (0.0, 0.1234, 12.0, 1.01)] == [0.0, 0.13, 12.0, 1.1]


def test_an_alarm_that_comes_again_at_once_is_one():
    steps = np.zeros(200, dtype=bool)
    steps[[3, 4, 9, 100]] = True

    assert events(steps) == 2
    assert events(np.zeros(5, dtype=bool)) == 0
