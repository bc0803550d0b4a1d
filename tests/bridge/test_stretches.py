"""Resampling and cutting, on a mass that is pushed: its motion under any commands is known exactly."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from adaptive_mbrl.logs.grid import Stretch
from adaptive_mbrl.logs.samples import Measured
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.bags.other_senders import SOMEBODY_ELSE, told_by_diagnosis
from robot_bridge.bags.stretches import cut

DT = 0.04
SPEC = RobotSpec("mass", DT, (Channel("x", "m"), Channel("v", "m/s", "velocity")), (ActionChannel("push", "N", -5, 5),))
MAX_AGE = {"x": 0.1, "v": 0.1}


def pushed(times: np.ndarray, forces: np.ndarray, until: float) -> dict[str, Measured]:
    """x and v of 1 kg, sampled a thousand times a second, under forces that are held from one time to the next."""
    fine = np.arange(0.0, until, 0.001)
    knots = np.append(times, until)
    v = np.interp(fine, knots, np.concatenate([[0.0], np.cumsum(forces * np.diff(knots))]))
    x = np.concatenate([[0.0], np.cumsum(0.001 * (v[1:] + v[:-1]) / 2)])
    return {"x": Measured(fine, x[:, None], 1.0), "v": Measured(fine, v[:, None], 1.0)}


def run(times: np.ndarray, forces: np.ndarray | None = None, **changes: object) -> list[Stretch]:
    forces = np.random.default_rng(0).uniform(-5, 5, len(times)) if forces is None else forces
    known = {"channels": pushed(times, np.nan_to_num(forces), times[-1] + 1.0), "states": [], "max_age": MAX_AGE, "min_steps": 5}
    return cut(SPEC, Measured(times, forces[:, None], 1.0), **(known | changes))


def outcome(stretches: list[Stretch]) -> list[tuple[float, float, str]]:
    return [(round(s.begin, 6), round(s.end, 6), s.reason) for s in stretches]


def test_a_loop_without_jitter_gives_back_its_own_commands():
    times = 0.5 + DT * np.arange(100)
    forces = np.random.default_rng(1).uniform(-5, 5, 100)

    (kept,) = run(times, forces)

    assert kept.reason == ""
    np.testing.assert_allclose(kept.ticks, 0.5 + DT * np.arange(101))
    np.testing.assert_allclose(kept.action[:, 0], forces, atol=1e-9)
    np.testing.assert_allclose(np.diff(kept.obs[:, 1]), forces * DT, atol=1e-9)


def test_jitter_changes_neither_the_period_nor_the_dynamics():
    rng = np.random.default_rng(2)
    times = np.round(0.5 + DT * np.arange(400) + rng.uniform(0, 0.7 * DT, 400), 3)

    (kept,) = run(times)

    np.testing.assert_allclose(np.diff(kept.ticks), DT, rtol=1e-9)
    assert len(kept.action) >= 398
    # a change of velocity is the mean force times dt, whatever happened in between
    np.testing.assert_allclose(np.diff(kept.obs[:, 1]), kept.action[:, 0] * DT, atol=1e-9)
    assert np.abs(np.diff(kept.obs[:, 1])).max() > 0.15
    # the grid's phase is that of the commands: half of them come before their tick, half after it
    offsets = (times - kept.ticks[0] + DT / 2) % DT - DT / 2
    assert abs(offsets.mean()) < 0.05 * DT


def test_a_gap_in_the_commands_makes_two_stretches():
    times = np.concatenate([0.2 + DT * np.arange(20), 3.0 + DT * np.arange(20)])

    assert outcome(run(times)) == [(0.2, 1.0, ""), (1.0, 3.0, "no commands"), (3.0, 3.8, "")]


def test_one_command_that_is_missing_is_held():
    times = np.delete(0.2 + DT * np.arange(40), 20)

    (kept,) = run(times)

    assert kept.reason == ""
    assert kept.action[20] == pytest.approx(kept.action[19])
    np.testing.assert_allclose(np.diff(kept.obs[:, 1]), kept.action[:, 0] * DT, atol=1e-9)


def test_a_short_stretch_is_left_out_and_says_so():
    times = 0.2 + DT * np.arange(4)

    assert outcome(run(times)) == [(0.2, 0.36, "4 steps; at least 5 are needed")]


def test_another_period_than_the_checkpoints_is_left_out():
    assert outcome(run(0.2 + 0.06 * np.arange(20))) == [(0.2, 1.38, "a command every 0.06 s; the checkpoint's dt is 0.04 s")]


def test_what_is_no_command_is_cut_out():
    times, forces = 0.2 + DT * np.arange(30), np.ones(30)
    forces[10:12] = np.nan

    found = run(times, forces)

    assert outcome(found) == [(0.2, 0.6, ""), (0.6, 0.68, "a command is not 1 finite numbers"), (0.68, 1.4, "")]
    assert np.isfinite(found[2].action).all()
    times[10] -= 0.5 * DT  # it ends the one before it when it comes
    assert outcome(run(times, forces))[:2] == [(0.2, 0.56, ""), (0.58, 0.68, "a command is not 1 finite numbers")]


def test_missing_observations_are_cut_out_by_channel():
    times = 0.2 + DT * np.arange(50)
    channels = pushed(times, np.ones(50), 3.0)
    v = channels["v"]
    there = (v.times < 0.99) | (v.times > 1.21)
    channels["v"] = Measured(v.times[there], v.values[there], 1.0)

    found = outcome(run(times, np.ones(50), channels=channels))

    assert found == [(0.2, 0.96, ""), (0.96, 1.24, "no value of 'v'"), (1.24, 2.2, "")]
    channels["v"] = Measured(v.times, np.where(there[:, None], v.values, np.nan), 1.0)
    assert outcome(run(times, np.ones(50), channels=channels)) == found
    # a channel that may be that old has no gap
    assert [s.reason for s in run(times, np.ones(50), channels=channels, max_age={"x": 0.1, "v": 0.3})] == [""]


@pytest.mark.parametrize("state", ["estop", "inactive", "dry_run"])
def test_stretches_in_which_the_robot_does_not_obey_are_cut(state: str):
    times = 0.2 + DT * np.arange(50)
    states = [(float(t) + 0.001, state if 20 <= i < 30 else "hold" if i < 10 else "running") for i, t in enumerate(times)]

    # published right after the command, and true until another state is published
    assert outcome(run(times, states=states)) == [(0.2, 1.0, ""), (1.0, 1.44, f"state {state}"), (1.44, 2.2, "")]


def test_the_stretches_of_a_whole_recording_are_in_order_of_time():
    rng = np.random.default_rng(3)
    times = np.sort(np.concatenate([b + DT * np.arange(rng.integers(2, 40)) for b in (0.3, 3.0, 6.0, 9.0)]))

    found = run(times)

    assert all(a.end <= b.begin + 1e-9 for a, b in pairwise(found))
    assert all(len(s.obs) == len(s.action) + 1 == len(s.ticks) for s in found if not s.reason)


def test_steps_in_which_commands_crowd_are_those_of_two_senders():
    own = 0.5 + DT * np.arange(60)
    times = np.sort(np.append(own, own[30] + 0.1 * DT))

    kept, dropped, rest = run(times)

    assert (kept.reason, dropped.reason, rest.reason) == ("", SOMEBODY_ELSE, "")
    assert dropped.begin <= own[30] < own[30] + 0.1 * DT <= dropped.end
    assert len(kept.action) + len(rest.action) >= 57


def test_steps_in_which_the_diagnosis_counts_another_publisher_are_left_out():
    times = 0.5 + DT * np.arange(100)

    kept, dropped, rest = run(times, others=told_by_diagnosis([(0.98, 0), (1.98, 1), (2.98, 0), (3.98, 0)]))

    assert (kept.reason, dropped.reason, rest.reason) == ("", SOMEBODY_ELSE, "")
    assert dropped.begin == pytest.approx(0.98, abs=1.5 * DT)
    assert dropped.end == pytest.approx(2.98, abs=1.5 * DT)


def test_a_publisher_that_was_there_from_the_first_to_the_last_diagnosis_was_there_all_the_time():
    assert told_by_diagnosis([(3.0, 2)]) == [(1.0, math.inf)]
    assert told_by_diagnosis([]) == []
