"""The seven defects of the reference implementation (iclavera/learning_to_adapt), each of which a reader copies by accident."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.adaptation.none import NoAdaptation, NoBelief
from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.meta.losses import multi_step_loss
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.planning import (
    CEM,
    CEMConfig,
    GradientPlannerConfig,
    ICEMConfig,
    MPPIConfig,
    RandomShootingConfig,
    Score,
    make_planner,
)
from adaptive_mbrl.planning.random_shooting import RandomShooting
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.transitions import Transitions
from sim.scenarios.change import Change
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.loading import load_scenario
from tests.core.analytic import (
    POINT,
    POINT_MODEL,
    POINT_OUTER,
    POINT_RULES,
    POINT_WINDOW,
    TINY_PLANNER,
    TO_ORIGIN,
    mixed_adapter,
    mixed_transitions,
    point_episodes,
    push,
)
from tests.core.driving import RecordingReward, control_settings

TRAIN_CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs" / "train").glob("**/*.yaml"))
PROTOCOL_SPLITS = {load_yaml(path, TrainConfig).scenarios for path in TRAIN_CONFIGS if path.parent.name == "protocols"}
QUERY = POINT_OUTER.query


def untrained() -> MetaTrainer:
    return MetaTrainer(make_adapter(DynamicsModel(POINT, POINT_MODEL, seed=0), POINT_RULES, POINT_WINDOW), POINT_OUTER, seed=0)


def dataset_of(episodes: list[Episode], held_out: list[Episode] | None = None) -> EpisodeDataset:
    return EpisodeDataset(POINT, episodes, held_out or [], POINT_WINDOW, QUERY)


def tiny_controller(adapter: NetworkAdapter, seed: int = 0) -> AdaptiveController:
    return AdaptiveController(POINT, control_settings(adapter, TO_ORIGIN, TINY_PLANNER, seed), POINT_WINDOW)


class ProbingPlanner(RandomShooting):
    """A planner that first of all asks what one fixed plan is worth."""

    probe = torch.linspace(-1, 1, TINY_PLANNER.horizon).reshape(1, 1, -1, 1)

    def improve(self, state, returns, noise, is_late=None):
        returns(self.probe)
        return super().improve(state, returns, noise, is_late)


def drive(controller: AdaptiveController, obs: np.ndarray, steps: int, gain: float) -> list[np.ndarray]:
    actions = []
    for _ in range(steps):
        actions.append(controller.step(obs).action)
        obs = push(obs, actions[-1], gain)
    return actions


# (1) its first rollout after a fit silently restores the weights from before the fit


@pytest.mark.parametrize("anew", [False, True], ids=["same controller", "new controller"])
def test_the_first_rollout_after_a_fit_uses_the_fitted_weights(anew: bool):
    trainer, obs, reward = untrained(), np.array([0.5, -0.2], np.float32), RecordingReward(TO_ORIGIN)
    planner = RandomShootingConfig(horizon=TINY_PLANNER.horizon, num_samples=TINY_PLANNER.num_samples)

    def controller_of() -> AdaptiveController:
        settings = ControlSettings(trainer.adapter, ProbingPlanner(POINT, planner), Score(reward))
        return AdaptiveController(POINT, settings, POINT_WINDOW)

    controller = controller_of()
    drive(controller, obs, 8, gain=0.5)
    trainer.fit(dataset_of(point_episodes(8, 0)), 10)
    controller = controller_of() if anew else controller
    controller.reset()
    reward.next_obs.clear()

    controller.step(obs)

    def roll_out(adapter: NetworkAdapter) -> Tensor:
        with torch.no_grad():
            return NetworkPredictor(adapter.model).roll_out(torch.from_numpy(obs)[None], ProbingPlanner.probe).next_obs

    fitted = roll_out(trainer.adapter)
    assert torch.equal(reward.next_obs[0], fitted)
    assert not torch.allclose(fitted, roll_out(untrained().adapter), atol=0.05)


# (2) its adapted weights leak from one episode into the next


def test_adapted_parameters_do_not_leak_into_the_next_episode(trained: MetaTrainer):
    obs = np.array([0.5, -0.2], np.float32)
    used = tiny_controller(trained.adapter, seed=1)
    drive(used, obs, 12, gain=0.2)

    used.reset()
    used.settings.planner.seed(1)
    second_episode = drive(used, obs, 12, gain=1.4)

    fresh = tiny_controller(trained.adapter, seed=1)
    np.testing.assert_array_equal(second_episode, drive(fresh, obs, 12, gain=1.4))


@pytest.mark.parametrize("parameters", ["modulation", "all"])
def test_adapting_leaves_the_prior_as_it_was(parameters: str):
    adapter = mixed_adapter(parameters=parameters)
    stored = {n: t.clone() for n, t in adapter.state_dict().items()}
    prior = adapter.prior(3)
    values = [tensor.clone() for tensor in tensors_of(prior)]

    belief = adapter.update(prior, mixed_transitions(3, 5))

    assert all(not torch.equal(moved, start) for moved, start in zip(tensors_of(belief), values, strict=True))
    assert all(torch.equal(tensor, start) for tensor, start in zip(tensors_of(prior), values, strict=True))
    assert all(torch.equal(t, stored[n]) for n, t in adapter.state_dict().items())


# (3) its window omits the newest transition


class Witness(NoAdaptation):
    """Notes what it is shown."""

    def update(self, belief: NoBelief, recent: Transitions, base: NetworkPredictor) -> NoBelief:
        self.recent = recent
        return belief


def test_the_window_ends_with_the_newest_transition():
    witness = Witness()
    adapter = NetworkAdapter(untrained().adapter.model, [witness])
    controller = AdaptiveController(POINT, control_settings(adapter, TO_ORIGIN, TINY_PLANNER), window=3)
    observations, actions = [], []
    for t in range(6):
        observations.append(np.array([0.1 * t, np.sin(t)], np.float32))
        actions.append(controller.step(observations[-1]).action)

        known = min(t, 3)
        recent = Transitions(*(x[0, 3 - known :].numpy() for x in witness.recent))
        assert witness.recent.valid[0].tolist() == [False] * (3 - known) + [True] * known
        np.testing.assert_array_equal(recent.next_obs, np.reshape(observations[t + 1 - known : t + 1], (known, 2)))
        np.testing.assert_array_equal(recent.obs, np.reshape(observations[t - known : t], (known, 2)))
        np.testing.assert_array_equal(recent.action, np.reshape(actions[t - known : t], (known, 1)))


def test_a_training_window_ends_where_its_query_begins():
    (episode,) = point_episodes(1, seed=0, steps=12)
    sampler = WindowSampler([episode], window=3, query=2)

    windows = sampler.at(torch.tensor([7]))

    np.testing.assert_array_equal(windows.obs[0].numpy(), episode.obs[7:10])
    np.testing.assert_array_equal(windows.recent.next_obs[0, -1].numpy(), episode.obs[7])
    np.testing.assert_array_equal(windows.recent.action[0, -1].numpy(), episode.action[6])


# (4) its early stopping watches the loss before adaptation


def test_validation_watches_the_loss_after_adaptation(trained: MetaTrainer):
    held_out = point_episodes(6, seed=500)
    sampler = WindowSampler(held_out, POINT_WINDOW, QUERY)
    every = sampler.at(torch.linspace(0, len(sampler) - 1, POINT_OUTER.validation_windows).long())
    adapter = trained.adapter

    scalars = trained.validate(dataset_of(point_episodes(2, seed=900), held_out))

    with torch.no_grad():
        after = multi_step_loss(adapter.condition(adapter.infer(every.recent)), every).mean().item()
        before = multi_step_loss(NetworkPredictor(adapter.model), every).mean().item()
    assert scalars["validation/adapted_loss"] == pytest.approx(after, rel=1e-5)
    assert scalars["validation/prior_loss"] == pytest.approx(before, rel=1e-5)
    assert after < 0.5 * before


# (5) its normalisation is recomputed from the newest batch only


def test_normalisation_uses_all_data_and_not_the_newest_batch():
    trainer = untrained()
    old, new = point_episodes(4, seed=0), point_episodes(4, seed=100)
    slow = [type(e)(0.01 * e.obs, 0.01 * e.action, e.reward) for e in old]

    trainer.fit(dataset_of(old), 1)
    trainer.fit(dataset_of([*old, *slow, *new]), 1)

    everything = np.concatenate([e.obs[:-1] for e in (*old, *slow, *new)])
    changes = np.concatenate([np.diff(e.obs, axis=0) for e in (*old, *slow, *new)])
    normalizer = trainer.adapter.normalizer
    np.testing.assert_allclose(normalizer.obs_mean, everything.mean(0), atol=1e-5)
    np.testing.assert_allclose(normalizer.obs_std, everything.std(0), rtol=1e-4)
    np.testing.assert_allclose(normalizer.target_std, changes.std(0), rtol=1e-4)
    assert abs(normalizer.obs_std[1] / np.concatenate([e.obs[:-1] for e in new]).std(0)[1] - 1) > 0.1


def test_statistics_stay_as_they_are_while_an_episode_runs(trained: MetaTrainer):
    stored = {n: t.clone() for n, t in trained.adapter.model.normalizer.state_dict().items()}
    controller = tiny_controller(trained.adapter)

    drive(controller, np.array([30.0, -40.0], np.float32), 10, gain=1.0)

    assert all(torch.equal(t, stored[n]) for n, t in trained.adapter.model.normalizer.state_dict().items())


# (6) its CEM scores unclipped actions, pools elites across environments and returns an argmax

ONE = RobotSpec("one", 0.1, (Channel("x", "m"),), (ActionChannel("a", "1", -1.0, 1.0),))
CONFIG = CEMConfig(horizon=3, num_samples=40, num_iterations=1, num_elites=6, momentum=0.0, sigma=1.5)


SAMPLING = {"horizon": 3, "num_samples": 40, "sigma": 1.5}
PLANNERS = {
    "cem": CEMConfig(**SAMPLING, num_elites=6),
    "icem": ICEMConfig(**SAMPLING, num_elites=6),
    "mppi": MPPIConfig(**SAMPLING),
    "random_shooting": RandomShootingConfig(**SAMPLING),
    "gradient": GradientPlannerConfig(horizon=3, num_samples=40, sigma=1.5),
}


def sum_of_actions(actions: Tensor) -> Tensor:
    return actions.sum((-2, -1))


@pytest.mark.parametrize("method", PLANNERS)
def test_what_is_scored_is_what_could_be_sent(method: str):
    scored: list[Tensor] = []
    planner = make_planner(ONE, PLANNERS[method])

    def returns(actions: Tensor) -> Tensor:
        scored.append(actions.detach())
        return sum_of_actions(actions)

    planner.improve(planner.init(1), returns, planner.draw_noise())

    assert torch.cat(scored).abs().max() <= 1.0
    if method != "random_shooting":
        assert (torch.cat(scored).abs() == 1.0).any()


def test_elites_are_each_robots_own():
    """Two robots that want opposite things, one of which earns far more: pooled elites would all be that one's."""
    preference = torch.tensor([100.0, -1.0]).reshape(2, 1)
    planner = CEM(ONE, CONFIG)

    _, plan = planner.improve(planner.init(2), lambda a: preference * sum_of_actions(a), planner.draw_noise())

    assert (plan.actions[0].mean(), plan.actions[1].mean()) == (
        pytest.approx(0.75, abs=0.25),
        pytest.approx(-0.75, abs=0.25),
    )


def test_the_plan_is_the_mean_of_the_elites_and_not_the_best_candidate():
    scored: list[Tensor] = []
    planner = CEM(ONE, CONFIG)

    _, plan = planner.improve(planner.init(1), lambda a: (scored.append(a), sum_of_actions(a))[1], planner.draw_noise())

    candidates = scored[0][0]
    order = candidates.sum((1, 2)).argsort(descending=True)
    torch.testing.assert_close(plan.actions[0], candidates[order[:6]].mean(0))
    assert not torch.allclose(plan.actions[0], candidates[order[0]], atol=0.05)


# (7) its default run trains with no change of dynamics at all


@pytest.mark.parametrize("path", TRAIN_CONFIGS, ids=lambda p: p.stem)
def test_training_meets_changed_dynamics_also_in_mid_episode(path: Path):
    config = load_yaml(path, TrainConfig)
    distribution = load_scenario(config.scenarios)
    assert isinstance(distribution, ScenarioDistribution)
    rng = np.random.default_rng(config.seed)

    scenarios = [distribution.sample(rng, config.data.steps) for _ in range(40)]

    met = [scheduled.change for s in scenarios for scheduled in s.changes if scheduled.change != Change()]
    in_mid_episode = [s for s in scenarios if any(change.at > 0 for change in s.changes)]
    assert len(met) > 20
    if distribution.part.change is None:
        # a published protocol holds a change for a whole episode, which is what its figures are about
        assert config.scenarios in PROTOCOL_SPLITS
        assert len({str(dynamics) for dynamics in met}) >= 3
    else:
        assert len({str(dynamics) for dynamics in met}) >= 4
        assert len(in_mid_episode) > 10


def test_there_are_train_configs():
    assert TRAIN_CONFIGS
