"""The planners that benchmarks/candidates.py compares."""

from __future__ import annotations

import dataclasses

import pytest

from adaptive_mbrl.planning import CEMConfig, CVaRRiskConfig, ICEMConfig, MeanRiskConfig, WorstRiskConfig
from benchmarks.candidates import cases_of, same_work

ICEM = ICEMConfig(horizon=15, num_samples=64, num_iterations=2, noise_beta=0.0, num_elites=8)


def predicted_steps(planner: CEMConfig) -> int:
    return planner.num_samples * planner.num_iterations * planner.horizon


def test_the_first_case_is_the_planner_that_the_others_are_compared_with():
    cases = cases_of(ICEM)

    assert next(iter(cases.items())) == ("icem 64", (ICEM, "float32"))
    assert cases["cem 64"].planner == CEMConfig(horizon=15, num_samples=64, num_iterations=2, noise_beta=0.0, num_elites=8)
    assert cases["cem 43, 3 iterations"].planner.num_iterations == 3


@pytest.mark.parametrize("name", ["icem 64", "cem 43, 3 iterations"])
def test_what_robots_ship_with_is_compared_under_other_risks(name: str):
    cases = cases_of(ICEM)
    found = {words: cases[f"{name}, {words}"].planner for words in ("cvar 0.67", "worst")}

    assert [planner.risk for planner in found.values()] == [CVaRRiskConfig(0.67), WorstRiskConfig()]
    assert {dataclasses.replace(planner, risk=MeanRiskConfig()) for planner in found.values()} == {cases[name].planner}


@pytest.mark.parametrize(
    "more", [{"num_iterations": 3}, {"num_iterations": 4}, {"horizon": 20}, {"num_iterations": 3, "horizon": 20}]
)
@pytest.mark.parametrize("samples", [64, 21])
def test_more_iterations_or_a_longer_horizon_leave_the_work_as_it_is(samples: int, more: dict[str, int]):
    planner = CEMConfig(horizon=15, num_samples=samples, num_iterations=2, num_elites=samples // 8)

    (case,) = same_work(planner, **more).values()

    assert predicted_steps(case.planner) == pytest.approx(predicted_steps(planner), rel=0.05)
    assert {name: getattr(case.planner, name) for name in more} == more
    assert case.planner.num_elites >= 2
