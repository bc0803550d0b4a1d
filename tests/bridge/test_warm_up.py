"""How long plans take here, with a clock of the test's own, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adaptive_mbrl.controller import AdaptiveController, StepOptions
from adaptive_mbrl.planning import ICEMConfig
from robot_bridge.control import warm_up as module
from robot_bridge.control.warm_up import lead_for, warm_up


@pytest.mark.parametrize(
    ("seconds", "lead"),
    [(0.001, 0.026 / 0.9), (0.01, 0.26 / 0.9), (0.02, 1.0), (0.2, 1.0)],
    ids=["gpu", "fast", "slow", "too slow"],
)
def test_planning_begins_as_late_as_the_machine_allows_or_a_whole_period_ahead(seconds: float, lead: float):
    assert lead_for(seconds, dt=0.05, deadline=0.9) == pytest.approx(lead)


@pytest.mark.parametrize(
    ("fixed", "coarse", "per_sample", "half", "took", "overhead", "bfloat16"),
    [
        (0.010, 0.010, 0.0005, 0.5, 0.026, 10 / 26, True),
        (0.010, 0.010, 0.0005, 0.95, 0.042, 10 / 42, False),
        (0.010, 0.030, 0.0006, 0.25, 0.0484, 10 / 48.4, False),
        (0.060, 0.038, 0.0005, 0.2, 0.0444, 38 / 44.4, True),
        (0.038, 0.060, 0.0005, 0.2, 0.070, 38 / 70, False),
        (0.002, 0.002, 0.0005, 0.5, 0.034, 2 / 34, False),
        (0.004, 0.004, 0.0, 1.0, 0.004, 0.9, False),
    ],
    ids=[
        "no time for float32",
        "bfloat16 is no faster",
        "bfloat16 is faster but cannot be cut",
        "no time for float32 with any number",
        "no time with any number in either",
        "time for float32",
        "gpu",
    ],
)
def test_warming_up_finds_what_a_step_takes_and_what_fewer_candidates_would_save(
    monkeypatch: pytest.MonkeyPatch,
    make_checkpoint: Callable[..., Path],
    tmp_path: Path,
    fixed: float,
    coarse: float,
    per_sample: float,
    half: float,
    took: float,
    overhead: float,
    bfloat16: bool,
):
    """In bfloat16 candidates take the share `half` of their time, and everything else takes `coarse` instead of `fixed`."""
    planner = ICEMConfig(horizon=5, num_samples=64, num_elites=3)
    controller = AdaptiveController.load(make_checkpoint(tmp_path / "checkpoint"), planner=planner)
    clock, step = [0.0], AdaptiveController.step

    def timed(self: AdaptiveController, obs, goal, options: StepOptions):
        in_bfloat16 = self.settings.precision == "bfloat16"
        clock[0] += (coarse if in_bfloat16 else fixed) + options.num_samples * per_sample * (half if in_bfloat16 else 1.0)
        return step(self, obs, goal, options)

    monkeypatch.setattr(AdaptiveController, "step", timed)
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])

    ready = warm_up(controller, seconds=0.045)
    assert (ready.seconds, ready.overhead) == (pytest.approx(took), pytest.approx(overhead))
    assert ready.controller.settings.precision == ("bfloat16" if bfloat16 else "float32")
    assert ready.controller._state is None
