"""The number format that a calibration chooses: faster, and a small part of what the planner's noise does anyway."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import adaptive_mbrl.controller
from adaptive_mbrl.control.calibration import (
    LARGEST_ERROR,
    STATES,
    Calibration,
    action_error,
    time_share,
)
from adaptive_mbrl.control.dump import StepDump
from adaptive_mbrl.control.step import PRECISIONS, Precision
from adaptive_mbrl.controller import AdaptiveController, Command
from adaptive_mbrl.timing import LEAST_STEPS, WARM_UP_STEPS
from tests.core.analytic import POINT, POINT_WINDOW, TINY_PLANNER, TO_ORIGIN
from tests.core.driving import control_settings
from tests.core.rules import point_adapter

SHIPPED = sorted(path.name for path in (Path(adaptive_mbrl.controller.__file__).parent / "pretrained").iterdir())


def controller() -> AdaptiveController:
    return AdaptiveController(POINT, control_settings(point_adapter("gradient"), TO_ORIGIN, TINY_PLANNER), POINT_WINDOW)


def test_the_error_of_an_action_is_a_share_of_its_standard_deviation_over_noise():
    half_range = np.array([2.0, 0.5], dtype=np.float32)

    def plan(precision: Precision, seeds: list[int]) -> np.ndarray:
        # the standard deviation that is estimated from the draws 1 and -1 is the square root of 2
        noise = 1.0 if seeds[0] == 0 else -1.0
        rounding = 0.1 if precision == "bfloat16" else 0.0
        return np.full((STATES, 2), noise + rounding, dtype=np.float32) * half_range

    assert action_error(plan, half_range) == pytest.approx(0.1 / np.sqrt(2), rel=1e-5)


def test_each_observation_has_noise_of_its_own():
    seen = []

    def plan(precision: Precision, seeds: list[int]) -> np.ndarray:
        seen.append(tuple(seeds))
        return np.zeros((STATES, 1), dtype=np.float32)

    assert action_error(plan, np.ones(1, dtype=np.float32)) == 0.0
    assert len(set(seen)) == 2
    assert len(set(itertools.chain(*set(seen)))) == 2 * STATES


def test_an_error_without_noise_is_not_accepted():
    def plan(precision: Precision, seeds: list[int]) -> np.ndarray:
        return np.full((STATES, 1), precision == "bfloat16", dtype=np.float32)

    assert LARGEST_ERROR < action_error(plan, np.ones(1, dtype=np.float32)) < float("inf")


def test_the_time_is_a_share_of_medians_after_warming_up(monkeypatch: pytest.MonkeyPatch):
    clock = [0.0]
    durations = {
        "float32": iter([9.0] * WARM_UP_STEPS + [2.0] * (LEAST_STEPS - 2) + [8.0, 2.0]),
        "bfloat16": iter([9.0] * WARM_UP_STEPS + [1.0] * LEAST_STEPS),
    }
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def step(precision: Precision) -> None:
        clock[0] += next(durations[precision])

    assert time_share(step) == 0.5


@pytest.mark.parametrize(
    ("share", "error", "chosen"),
    [(0.5, 0.1, "bfloat16"), (0.95, 0.1, "float32"), (0.5, 0.3, "float32"), (0.5, 1e6, "float32")],
)
def test_bfloat16_must_be_faster_and_harmless(share: float, error: float, chosen: Precision):
    found = Calibration(share, error)

    assert found.precision == chosen
    assert str(found).startswith(f"{chosen}: in bfloat16 a control step takes {share:.2f} of the time")


@pytest.mark.parametrize(("share", "chosen"), [(0.5, "bfloat16"), (1.5, "float32")])
def test_a_controller_uses_what_was_found_and_its_noise_goes_on(share: float, chosen: Precision, monkeypatch: pytest.MonkeyPatch):
    undisturbed, calibrated = controller(), controller()
    formats = []

    def measured(step: Callable[[Precision], Command]) -> float:
        for precision in PRECISIONS:
            assert np.isfinite(step(precision).action).all()
            formats.append(precision)
        return share

    def harmless(plan: Callable[[Precision, list[int]], np.ndarray], half_range: np.ndarray) -> float:
        assert action_error(plan, half_range) > 0, "both number formats are planned with"
        return 0.1

    monkeypatch.setattr(adaptive_mbrl.controller, "time_share", measured)
    monkeypatch.setattr(adaptive_mbrl.controller, "action_error", harmless)

    ready = calibrated.with_precision("auto")

    assert ready.settings.precision == chosen
    assert formats == ["float32", "bfloat16"]
    obs = np.zeros(ready.spec.obs_dim, dtype=np.float32)
    expected = undisturbed.with_precision(chosen).step(obs)
    assert np.array_equal(ready.step(obs).action, expected.action)


def test_noise_of_several_robots_goes_on_too():
    undisturbed, calibrated = controller(), controller()
    for each in (undisturbed, calibrated):
        each.settings.planner.seed([3, 4])

    calibrated.calibrate()

    obs = np.zeros((2, POINT.obs_dim), dtype=np.float32)
    assert np.array_equal(calibrated.step(obs).action, undisturbed.step(obs).action)


class WatchedDump(StepDump):
    """Counts the steps that it is shown."""

    def __init__(self) -> None:
        self.seen = 0

    def check(self, *about: object) -> None:
        self.seen += 1


def test_a_calibration_leaves_the_dump_for_the_robot():
    settings, dump = control_settings(point_adapter("gradient"), TO_ORIGIN, TINY_PLANNER), WatchedDump()
    watched = AdaptiveController(POINT, settings, POINT_WINDOW, dump)

    watched.calibrate()
    assert dump.seen == 0

    watched.step(np.zeros(POINT.obs_dim, dtype=np.float32))
    assert dump.seen == 1


def test_only_a_controller_before_its_first_step_is_calibrated():
    moving = controller()
    moving.step(np.zeros(POINT.obs_dim, dtype=np.float32))

    with pytest.raises(RuntimeError, match="calibrate: the controller has taken a step"):
        moving.calibrate()


@pytest.mark.slow
@pytest.mark.parametrize("robot", SHIPPED)
def test_rounding_changes_the_plans_of_shipped_checkpoints_less_than_is_allowed(robot: str):
    assert 0 < AdaptiveController.load(robot).calibrate().action_error < LARGEST_ERROR
