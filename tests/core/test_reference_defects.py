"""The seven defects of the reference implementation (iclavera/learning_to_adapt), each of which a reader copies by accident."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.none import NoAdapter
from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.meta.losses import multi_step_loss
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import CEM, PlannerConfig, make_planner
from adaptive_mbrl.planning.random_shooting import RandomShooting
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.transitions import Transitions
from sim.scenarios.change import Change
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.loading import load_scenario
from sim.training.config import TrainConfig
from tests.core.analytic import (
    POINT,
    POINT_ADAPTATION,
    POINT_MODEL,
    POINT_OUTER,
    TINY_PLANNER,
    TO_ORIGIN,
    mixed_adapter,
    mixed_transitions,
    point_episodes,
    push,
)

TRAIN_CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs" / "train").glob("**/*.yaml"))
WINDOW, QUERY = POINT_ADAPTATION.window, POINT_OUTER.query


def untrained() -> MetaTrainer:
    return MetaTrainer(POINT, POINT_MODEL, POINT_ADAPTATION, POINT_OUTER, seed=0, device=torch.device("cpu"))


class RolloutRecorder(RandomShooting):
    """A planner that notes what its model says about one fixed plan."""

    probe = torch.linspace(-1, 1, TINY_PLANNER.horizon).reshape(1, 1, -1, 1)

    def plan(self, state, rollout, reward, goal, obs, noise=None):
        self.seen = rollout(self.probe)
        return super().plan(state, rollout, reward, goal, obs, noise)


def drive(controller: AdaptiveController, obs: np.ndarray, steps: int, gain: float) -> list[np.ndarray]:
    actions = []
    for _ in range(steps):
        actions.append(controller.step(obs).action)
        obs = push(obs, actions[-1], gain)
    return actions


# (1) its first rollout after a fit silently restores the weights from before the fit


@pytest.mark.parametrize("anew", [False, True], ids=["same controller", "new controller"])
def test_the_first_rollout_after_a_fit_uses_the_fitted_weights(anew: bool):
    trainer, obs = untrained(), np.array([0.5, -0.2], np.float32)

    def controller_of() -> AdaptiveController:
        return AdaptiveController(POINT, trainer.adapter, RolloutRecorder(POINT, TINY_PLANNER), TO_ORIGIN, WINDOW)

    controller = controller_of()
    drive(controller, obs, 8, gain=0.5)
    trainer.fit(WindowSampler(point_episodes(8, 0), WINDOW, QUERY), 10)
    controller = controller_of() if anew else controller
    controller.reset()

    controller.step(obs)

    model, probe, start = trainer.adapter.model, RolloutRecorder.probe, torch.from_numpy(obs)[None, None]
    fitted = model.roll_out(model.shared_parameters(), start, probe)
    assert torch.equal(controller.planner.seen, fitted)
    fresh = untrained().adapter.model
    assert not torch.allclose(fitted, fresh.roll_out(fresh.shared_parameters(), start, probe), atol=0.05)


# (2) its adapted weights leak from one episode into the next


def test_adapted_parameters_do_not_leak_into_the_next_episode(trained: MetaTrainer):
    obs = np.array([0.5, -0.2], np.float32)
    used = AdaptiveController(POINT, trained.adapter, make_planner(POINT, TINY_PLANNER, seed=1), TO_ORIGIN, WINDOW)
    drive(used, obs, 12, gain=0.2)

    used.reset()
    used.planner.seed(1)
    second_episode = drive(used, obs, 12, gain=1.4)

    fresh = AdaptiveController(POINT, trained.adapter, make_planner(POINT, TINY_PLANNER, seed=1), TO_ORIGIN, WINDOW)
    np.testing.assert_array_equal(second_episode, drive(fresh, obs, 12, gain=1.4))


@pytest.mark.parametrize("parameters", ["modulation", "all"])
def test_adapting_leaves_the_prior_as_it_was(parameters: str):
    adapter = mixed_adapter(parameters=parameters)
    stored = {n: t.clone() for n, t in adapter.state_dict().items()}
    prior = adapter.prior(3)
    values = {n: t.clone() for n, t in prior.adapted.items()}

    belief = adapter.update(prior, mixed_transitions(3, 5))

    assert all(not torch.equal(belief.adapted[n], values[n]) for n in values)
    assert all(torch.equal(prior.adapted[n], values[n]) for n in values)
    assert all(torch.equal(t, stored[n]) for n, t in adapter.state_dict().items())


# (3) its window omits the newest transition


class Witness(NoAdapter):
    """Notes what it is shown."""

    def update(self, belief, recent: Transitions):
        self.recent = recent
        return belief


def test_the_window_ends_with_the_newest_transition():
    witness = Witness(untrained().adapter.model)
    controller = AdaptiveController(POINT, witness, make_planner(POINT, TINY_PLANNER), TO_ORIGIN, window=3)
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
    held_out = WindowSampler(point_episodes(6, seed=500), WINDOW, QUERY)
    every = held_out.at(torch.linspace(0, len(held_out) - 1, POINT_OUTER.validation_windows).long())
    adapter, batch = trained.adapter, POINT_OUTER.validation_windows

    scalars = trained.validate(held_out)

    with torch.no_grad():
        belief = adapter.update(adapter.prior(batch), every.recent)
        after = multi_step_loss(adapter.model, adapter.parameters_of(belief), every).mean().item()
        before = multi_step_loss(adapter.model, adapter.model.shared_parameters(), every).mean().item()
    assert scalars["validation/adapted_loss"] == pytest.approx(after, rel=1e-5)
    assert scalars["validation/prior_loss"] == pytest.approx(before, rel=1e-5)
    assert after < 0.5 * before


# (5) its normalisation is recomputed from the newest batch only


def test_normalisation_uses_all_data_and_not_the_newest_batch():
    trainer = untrained()
    old, new = point_episodes(4, seed=0), point_episodes(4, seed=100)
    slow = [type(e)(0.01 * e.obs, 0.01 * e.action, e.reward) for e in old]

    trainer.fit(WindowSampler(old, WINDOW, QUERY), 1)
    trainer.fit(WindowSampler([*old, *slow, *new], WINDOW, QUERY), 1)

    everything = np.concatenate([e.obs[:-1] for e in (*old, *slow, *new)])
    changes = np.concatenate([np.diff(e.obs, axis=0) for e in (*old, *slow, *new)])
    normalizer = trainer.adapter.model.normalizer
    np.testing.assert_allclose(normalizer.obs_mean, everything.mean(0), atol=1e-5)
    np.testing.assert_allclose(normalizer.obs_std, everything.std(0), rtol=1e-4)
    np.testing.assert_allclose(normalizer.target_std, changes.std(0), rtol=1e-4)
    assert abs(normalizer.obs_std[1] / np.concatenate([e.obs[:-1] for e in new]).std(0)[1] - 1) > 0.1


def test_statistics_stay_as_they_are_while_an_episode_runs(trained: MetaTrainer):
    stored = {n: t.clone() for n, t in trained.adapter.model.normalizer.state_dict().items()}
    controller = AdaptiveController(POINT, trained.adapter, make_planner(POINT, TINY_PLANNER), TO_ORIGIN, WINDOW)

    drive(controller, np.array([30.0, -40.0], np.float32), 10, gain=1.0)

    assert all(torch.equal(t, stored[n]) for n, t in trained.adapter.model.normalizer.state_dict().items())


# (6) its CEM scores unclipped actions, pools elites across environments and returns an argmax

ONE = RobotSpec("one", 0.1, (Channel("x", "m"),), (ActionChannel("a", "1", -1.0, 1.0),))
CONFIG = PlannerConfig("cem", horizon=3, num_samples=40, num_iterations=1, num_elites=6, momentum=0.0, sigma=1.5)


@pytest.mark.parametrize("method", ["cem", "icem", "mppi", "random_shooting"])
def test_what_is_scored_is_what_could_be_sent(method: str):
    scored: list[Tensor] = []
    objective = Objective(ONE, (Term("linear", 1.0, ("x",)),))
    planner = make_planner(ONE, PlannerConfig(method, horizon=3, num_samples=40, num_elites=6, sigma=1.5))

    planner.plan(planner.init(1), lambda a: (scored.append(a), a[None])[1], objective, torch.zeros(1, 0), torch.zeros(1, 1))

    assert torch.cat(scored).abs().max() <= 1.0
    if method != "random_shooting":
        assert (torch.cat(scored).abs() == 1.0).any()


def test_elites_are_each_robots_own():
    """Two robots that want opposite things, one of which earns far more: pooled elites would all be that one's."""
    objective = Objective(ONE, (Term("linear", 1.0, ("x",)),))
    preference = torch.tensor([100.0, -1.0]).reshape(2, 1, 1, 1)
    planner = CEM(ONE, CONFIG)

    _, plan = planner.plan(planner.init(2), lambda a: (preference * a)[None], objective, torch.zeros(2, 0), torch.zeros(2, 1))

    assert (plan.actions[0].mean(), plan.actions[1].mean()) == (
        pytest.approx(0.75, abs=0.25),
        pytest.approx(-0.75, abs=0.25),
    )


def test_the_plan_is_the_mean_of_the_elites_and_not_the_best_candidate():
    scored: list[Tensor] = []
    objective = Objective(ONE, (Term("linear", 1.0, ("x",)),))
    planner = CEM(ONE, CONFIG)

    _, plan = planner.plan(
        planner.init(1), lambda a: (scored.append(a), a[None])[1], objective, torch.zeros(1, 0), torch.zeros(1, 1)
    )

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

    met = [change.dynamics for s in scenarios for change in s.changes if change.dynamics != Change()]
    in_mid_episode = [s for s in scenarios if any(change.at > 0 for change in s.changes)]
    assert len(met) > 20
    assert len({str(dynamics) for dynamics in met}) >= 4
    assert len(in_mid_episode) > 10


def test_there_are_train_configs():
    assert TRAIN_CONFIGS
