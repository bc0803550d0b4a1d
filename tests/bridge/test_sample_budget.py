"""The planner's work is cut to the time that there is, and grows again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_bridge.control.sample_budget import SampleBudget

SECONDS = 0.04


def settle(budget: SampleBudget, overhead: float, seconds_per_sample: float) -> float:
    """Time that a plan takes in the end, on a machine that needs so long for a plan and for each of its samples [s]."""
    for _ in range(budget.PLANS_REMEMBERED):
        budget.add_duration(overhead + budget.num_samples * seconds_per_sample)
    return overhead + budget.num_samples * seconds_per_sample


def test_a_fast_machine_uses_all_samples():
    budget = SampleBudget(64, 8, SECONDS)
    settle(budget, 0.0, 0.0005)

    assert budget.num_samples == 64
    assert not budget.is_cut


@given(st.floats(0.0, 0.9), st.floats(1e-3, 0.2))
def test_a_slow_machine_keeps_the_deadline_with_as_many_as_fit(overhead: float, full_seconds: float):
    budget = SampleBudget(64, 8, SECONDS, overhead=overhead)
    per_sample = (1 - overhead) * full_seconds / 64
    took = settle(budget, overhead * full_seconds, per_sample)

    assert took <= SECONDS + 1e-9 or budget.num_samples == 8
    assert budget.num_samples == 64 or took + per_sample > SECONDS - 1e-9


def test_what_a_machine_is_known_to_take_counts_before_the_first_plan():
    assert SampleBudget(64, 8, SECONDS, plan_seconds=0.08).num_samples == 32
    assert SampleBudget(64, 8, SECONDS, plan_seconds=0.05, overhead=0.5).num_samples == 38


def test_a_machine_that_is_too_slow_for_anything_gets_the_least():
    budget = SampleBudget(64, 8, SECONDS)
    settle(budget, 0.0, 1.0)

    assert budget.num_samples == 8


def test_single_slow_plans_cut_nothing_and_more_of_them_do():
    budget = SampleBudget(64, 8, SECONDS, plan_seconds=0.03)
    for _ in range(budget.SLOW_PLANS_IGNORED):
        budget.add_duration(0.08)
        budget.add_duration(0.03)
    assert not budget.is_cut

    budget.add_duration(0.08)

    assert budget.num_samples == 32


def test_after_a_slow_spell_all_samples_come_back():
    budget = SampleBudget(64, 8, SECONDS)
    settle(budget, 0.0, 0.002)
    assert budget.is_cut
    settle(budget, 0.0, 0.0005)

    assert budget.num_samples == 64


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e9])
@given(full=st.integers(2, 500), least=st.integers(2, 500), overhead=st.floats(0.0, 0.99))
def test_the_number_stays_in_range(seconds: float, full: int, least: int, overhead: float):
    budget = SampleBudget(full, least, SECONDS, overhead=overhead)
    for _ in range(3):
        budget.add_duration(seconds)
        assert min(least, full) <= budget.num_samples <= full
