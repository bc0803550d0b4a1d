"""A belief that swings to and fro is told, one that settles is not, and beliefs of every rule can be looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation.belief import map_belief
from adaptive_mbrl.adaptation.reversal import ReversalAdapter
from adaptive_mbrl.canary import read_canary
from adaptive_mbrl.checkpoint import find_checkpoint, load_checkpoint
from adaptive_mbrl.controller import AdaptiveController
from robot_bridge.control.belief_view import DIRECTIONS, SIGN_STDS, BeliefView
from robot_bridge.control.belief_watch import BeliefWatch
from robot_bridge.control.plan_ahead import PlanAhead
from robot_bridge.safety.belief_swings import BeliefSwings
from robot_bridge.safety.config import BeliefSwingsConfig

DT = 0.05
CONFIG = BeliefSwingsConfig(stds=2.0, turns=6, seconds=3.0)


def kinds(positions: np.ndarray, config: BeliefSwingsConfig = CONFIG) -> list[list[str]]:
    """What is found at each step, for a belief that moves along all directions alike."""
    swings = BeliefSwings(config, DT)
    return [[fault.kind for fault in swings.look(np.full(8, position))] for position in positions]


def test_a_belief_that_flips_again_and_again_is_told():
    found = kinds(np.tile([0.0, 3.0], 30))

    first = next(step for step, fault in enumerate(found) if fault)
    # the way to the first far point is no turn
    assert first == 7
    assert found[-1] == ["belief_oscillates"]


def test_slow_swings_count_as_well_as_flips():
    assert kinds(1.5 * np.sin(2 * np.pi * 1.5 * np.arange(100) * DT))[-1] == ["belief_oscillates"]


@pytest.mark.parametrize(
    "positions",
    [
        np.tile([0.0, 1.9], 60),
        5 * np.sin(2 * np.pi * 0.5 * np.arange(120) * DT),
        np.concatenate([np.zeros(40), [4.0, 0.5, 3.0], np.full(60, 2.0)]),
        np.linspace(0, 100, 120),
    ],
    ids=["small", "rarely", "settles after a change", "one way"],
)
def test_other_motion_is_not(positions: np.ndarray):
    assert not any(kinds(positions))


def test_it_is_over_when_the_belief_rests():
    found = kinds(np.concatenate([np.tile([0.0, 3.0], 30), np.zeros(70)]))
    assert found[60]
    assert not found[-1]


def test_noise_on_one_direction_is_no_swing():
    swings = BeliefSwings(CONFIG, DT)
    for step in range(60):
        assert swings.look(np.array([4.0 * (step % 2), *np.zeros(7)])) == []


def test_a_belief_that_is_not_finite_and_a_new_one_are_looked_at_without_harm():
    swings = BeliefSwings(CONFIG, DT)
    for step in range(20):
        swings.look(np.full(8, 3.0 * (step % 2)))
    assert swings.turns >= 6
    assert swings.look(np.full(8, np.nan)) == []
    swings.forget()
    assert swings.turns == 0


@pytest.mark.parametrize("name", ["cartpole", "quadrotor"])
def test_the_beliefs_of_recorded_windows_are_a_standard_deviation_wide(name: str):
    checkpoint = load_checkpoint(name)
    view = BeliefView(checkpoint.adapter, checkpoint.canary)
    with torch.no_grad():
        recorded = checkpoint.adapter.infer(checkpoint.canary.windows.recent)
        positions = [view(checkpoint.adapter.prior(1))]
        number = len(checkpoint.canary.windows.recent.obs)
        positions += [view(map_belief(lambda tensor, i=i: tensor[i : i + 1], recorded)) for i in range(number)]

    assert np.array(positions).shape == (number + 1, DIRECTIONS)
    np.testing.assert_allclose(np.array(positions).std(0), 1.0, rtol=1e-6)


def test_signs_are_looked_at_and_not_what_they_are_found_from():
    """None of the arm's recorded motors is reversed."""
    controller, canary = AdaptiveController.load("arm"), load_checkpoint("arm").canary
    adapter = controller.settings.adapter
    assert isinstance(adapter, ReversalAdapter)
    view = BeliefView(adapter, canary)
    with torch.no_grad():
        belief = map_belief(lambda tensor: tensor[:1], adapter.infer(canary.windows.recent))
    moved = belief._replace(signs=belief.signs._replace(gain=belief.signs.gain + 1, information=belief.signs.information + 10))

    np.testing.assert_array_equal(view(moved), view(belief))
    turned = belief.signs.sign * torch.tensor([-1.0] + [1.0] * 6)
    step = view(belief._replace(signs=belief.signs._replace(sign=turned))) - view(belief)
    np.testing.assert_allclose(np.abs(step), 2 * SIGN_STDS)


def test_a_watch_follows_the_belief_of_the_controller(tmp_path: Path):
    controller = AdaptiveController.load("cartpole")
    watch = BeliefWatch(BeliefSwingsConfig(stds=1e-6, turns=2, seconds=3.0), controller.spec.dt)
    folder = find_checkpoint("cartpole")
    assert read_canary(folder) is not None
    watch.look_through(watch.view_of(controller, folder))
    rng = np.random.default_rng(0)
    for _ in range(12):
        controller.step(rng.normal(size=4))
        watch.after_step(controller)

    # with so small a limit every step is a turn
    assert [fault.kind for fault in watch.faults] == ["belief_oscillates"]
    assert watch.turns is not None
    assert watch.turns >= 2
    # a checkpoint without recorded windows has no scale
    for other in (watch, BeliefWatch(None, controller.spec.dt)):
        other.look_through(other.view_of(controller, tmp_path))
        other.after_step(controller)
        assert other.faults == ()
        assert other.turns is None


def test_a_belief_that_cannot_be_looked_at_costs_no_plan(caplog: pytest.LogCaptureFixture):
    class Broken:
        belief = None

    controller = AdaptiveController.load("cartpole")
    watch = BeliefWatch(CONFIG, DT)
    watch.look_through(watch.view_of(controller, find_checkpoint("cartpole")))
    watch.after_step(Broken())

    assert "the belief is not watched any more" in caplog.text
    assert watch.faults == ()


class Swinging:
    """A controller whose belief flips at each step."""

    step = 0

    @property
    def belief(self) -> np.ndarray:
        self.step += 1
        return np.full(DIRECTIONS, 3.0 * (self.step % 2))


def watch_of_a_swinging_belief() -> tuple[BeliefWatch, Swinging]:
    watch, controller = BeliefWatch(CONFIG, DT), Swinging()
    watch.look_through(lambda belief: belief)  # type: ignore[arg-type]
    for _ in range(20):
        watch.after_step(controller)  # type: ignore[arg-type]
    assert watch.faults
    return watch, controller


def test_a_new_start_does_not_begin_with_the_swings_of_the_last_one():
    watch, controller = watch_of_a_swinging_belief()
    planning = PlanAhead(AdaptiveController.load("cartpole"), DT, on_forget=watch.forget)

    planning.forget()
    assert (watch.faults, watch.turns) == ((), 0)
    watch.after_step(controller)  # type: ignore[arg-type]
    assert (watch.faults, watch.turns) == ((), 0)
    planning.close()


def test_a_reset_is_no_motion_of_the_belief():
    watch, _ = watch_of_a_swinging_belief()
    controller = AdaptiveController.load("cartpole")
    planning = PlanAhead(controller, DT, on_forget=watch.forget)

    planning.reset_belief()
    planning.start(np.zeros(4), None)
    planning.wait(60.0)
    assert (watch.faults, watch.turns) == ((), 0)
    planning.close()
