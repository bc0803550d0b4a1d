"""The planner's work is cut to the time that there is, and grows again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_bridge.control.sample_budget import SampleBudget


def settle(budget: SampleBudget, seconds_per_sample: float, steps: int = 100) -> float:
    """Time that a plan takes in the end, on a machine that needs so long for a sample [s]."""
    for _ in range(steps):
        budget.took(budget.num_samples * seconds_per_sample)
    return budget.num_samples * seconds_per_sample


def test_a_fast_machine_uses_all_samples():
    budget = SampleBudget(64, 8, 0.04)
    settle(budget, 0.0005)

    assert budget.num_samples == 64
    assert not budget.is_cut


@given(st.floats(1e-5, 4e-3))
def test_a_slow_machine_keeps_the_deadline_with_as_many_as_fit(seconds_per_sample: float):
    budget = SampleBudget(64, 8, 0.04)
    took = settle(budget, seconds_per_sample)

    assert took <= 0.04
    assert budget.num_samples == 64 or took + seconds_per_sample > 0.75 * 0.04


def test_a_machine_that_is_too_slow_for_anything_gets_the_least():
    budget = SampleBudget(64, 8, 0.04)
    settle(budget, 1.0)

    assert budget.num_samples == 8


def test_after_a_slow_spell_all_samples_come_back():
    budget = SampleBudget(64, 8, 0.04)
    settle(budget, 0.002)
    assert budget.is_cut
    settle(budget, 0.0005)

    assert budget.num_samples == 64


def test_one_miss_is_enough_for_a_cut():
    budget = SampleBudget(64, 8, 0.04)
    budget.took(0.064)

    assert budget.num_samples == 32


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e9])
@given(full=st.integers(2, 500), least=st.integers(2, 500))
def test_the_number_stays_in_range(seconds: float, full: int, least: int):
    budget = SampleBudget(full, least, 0.04)
    for _ in range(3):
        budget.took(seconds)
        assert min(least, full) <= budget.num_samples <= full
