"""K-shot predictions: the same windows for every k, and nothing but the newest k transitions known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.windows import WindowSampler
from sim.episodes.policies import RandomPolicy
from sim.episodes.run import run_scenarios
from sim.evaluation.evidence import common_unit, evidence_errors
from sim.robot.robot import load_robot
from sim.scenarios.scenario import Scenario

MakeCheckpoint = Callable[..., Path]
ROBOT = load_robot("cartpole")
STEPS, CHANGE = 60, 20


@pytest.fixture(scope="module")
def episodes() -> tuple[Episode, ...]:
    scenarios = [Scenario("cartpole", STEPS, seed) for seed in (1, 2)]
    return run_scenarios(ROBOT, scenarios, RandomPolicy(ROBOT.spec, [1, 2], STEPS), source="random").episodes


def controller(make_checkpoint: MakeCheckpoint, folder: Path, rule: str) -> AdaptiveController:
    made = AdaptiveController.load(make_checkpoint(folder / rule, rule=rule))
    with torch.no_grad():
        # an untrained rule may start without any influence
        for parameter in made.settings.adapter.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return made


def test_only_the_newest_transitions_stay_valid(episodes: tuple[Episode, ...]):
    recent = WindowSampler(episodes[:1], 4, 2).at(torch.tensor([1, 10])).recent

    assert recent.newest(2).valid.tolist() == [[False, False, False, True], [False, False, True, True]]
    assert not recent.newest(0).valid.any()
    assert torch.equal(recent.newest(9).valid, recent.valid)


def test_no_transitions_give_the_priors_errors(make_checkpoint: MakeCheckpoint, tmp_path: Path, episodes: tuple[Episode, ...]):
    """Against predictions made one window at a time."""
    made = controller(make_checkpoint, tmp_path, "gradient")
    found = evidence_errors(made, episodes, [CHANGE, CHANGE], evidence=(0, 2, 8))

    unit = common_unit(ROBOT.spec, episodes)
    expected = []
    with torch.no_grad():
        prior = made.settings.adapter.condition(made.settings.adapter.prior(1))
        for t in range(CHANGE + 8, STEPS - 10 + 1, 5):
            obs, action = (torch.from_numpy(x) for x in (episodes[0].obs, episodes[0].action))
            futures = prior.roll_out(obs[t][None], action[None, None, t : t + 10]).next_obs[:, 0, 0]
            expected.append(unit.error(futures, obs[t + 1 : t + 11]).mean(0).square().mean(-1).sqrt().mean())
    assert found.windows == (len(expected), len(expected))
    assert found.errors[0, 0] == pytest.approx(float(torch.stack(expected).mean()), rel=1e-4)


@pytest.mark.parametrize("rule", ["gradient", "context", "recurrent"])
def test_evidence_beyond_the_window_counts_for_recursive_rules_only(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, episodes: tuple[Episode, ...], rule: str
):
    """The window of the checkpoint has 4 transitions."""
    made = controller(make_checkpoint, tmp_path, rule)
    assert made.window == 4

    errors = evidence_errors(made, episodes, [CHANGE, CHANGE], evidence=(0, 1, 4, 16)).errors[0]

    assert len(np.unique(errors[:3])) == 3
    assert (errors[2] == errors[3]) == (rule != "recurrent")


def test_only_what_fits_between_change_and_end_is_asked(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, episodes: tuple[Episode, ...]
):
    made = controller(make_checkpoint, tmp_path, "none")

    # 40 steps after the first change, 12 after the second one: 10 of them are predicted
    found = evidence_errors(made, episodes, [CHANGE, STEPS - 12])
    assert found.evidence == (0, 1, 2, 4, 8, 16)
    assert found.windows == (3, 0)
    assert np.isfinite(found.errors[0]).all()
    assert np.isnan(found.errors[1]).all()
    nothing = evidence_errors(made, episodes, [STEPS - 5, STEPS - 5])
    assert (nothing.evidence, nothing.errors.shape) == ((), (2, 0))


def test_the_unit_belongs_to_the_episodes(episodes: tuple[Episode, ...]):
    unit = common_unit(ROBOT.spec, episodes)
    obs = torch.from_numpy(np.concatenate([e.obs[:-1] for e in episodes]))
    next_obs = torch.from_numpy(np.concatenate([e.obs[1:] for e in episodes]))

    targets = unit.target(obs, next_obs)

    torch.testing.assert_close(targets.std(0, unbiased=False), torch.ones(ROBOT.spec.obs_dim), atol=1e-3, rtol=0)
