"""A planner that replaces a checkpoint's."""

from __future__ import annotations

import pytest

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning import (
    CEMConfig,
    GradientPlannerConfig,
    ICEMConfig,
    MPPIConfig,
    PlannerConfig,
    RandomShootingConfig,
)
from adaptive_mbrl.planning.override import override_planner

SHIPPED = ICEMConfig(horizon=9, num_samples=20, num_iterations=3, sigma=0.7, noise_beta=0.5, num_elites=5, momentum=0.2)
COMMON = {"horizon": 9, "num_samples": 20, "num_iterations": 3, "sigma": 0.7, "noise_beta": 0.5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("icem", SHIPPED),
        ("cem", CEMConfig(**COMMON, num_elites=5, momentum=0.2)),
        ("mppi", MPPIConfig(**COMMON)),
        ("{mppi: {num_samples: 7, temperature: 0.1}}", MPPIConfig(**(COMMON | {"num_samples": 7}), temperature=0.1)),
        ("random_shooting: {}", RandomShootingConfig(**COMMON)),
        ("gradient", GradientPlannerConfig(horizon=9)),
    ],
)
def test_it_keeps_the_settings_that_both_planners_share(text: str, expected: PlannerConfig):
    assert override_planner(SHIPPED, text, "--planner") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cme", "--planner: key 'planner': unknown kind 'cme' (did you mean 'cem'?); allowed: icem, cem, mppi, "),
        ("{cem: {samples: 3}}", "--planner: unknown key 'planner.cem.samples' (did you mean 'num_samples'?); allowed keys: "),
        ("{cem: {num_samples: 3}}", "--planner: key 'planner.cem': num_elites 5 must not exceed num_samples 3"),
        ("{cem: 3}", "--planner: key 'planner.cem': expected a mapping, got 3"),
        ("{cem: {}, mppi: {}}", "--planner: key 'planner': expected one kind with its settings"),
        ("[cem]", "--planner: key 'planner': expected one kind with its settings"),
        ("{cem", "--planner: '{cem' is not valid YAML; allowed: a planner such as {mppi: {num_samples: 32}}"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(text: str, message: str):
    with pytest.raises(ConfigError) as refused:
        override_planner(SHIPPED, text, "--planner")

    assert str(refused.value).startswith(message)
