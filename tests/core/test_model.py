"""The dynamics model: members and tasks do not mix, angles are averaged on the circle, and the std means what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import Rules, make_adapter
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import mixed_adapter, mixed_model, mixed_transitions


def next_obs_of_members(predictor: NetworkPredictor, obs: Tensor, action: Tensor) -> Tensor:
    """Each member's prediction of one step, (P, B, N, obs_dim)."""
    normalizer = predictor.model.normalizer
    return normalizer.wrap(normalizer.affine().advance(obs, predictor.target(obs, action).mean))


def test_each_member_and_task_has_parameters_of_its_own():
    """Member e of task t answers as a network that has nothing but the parameters [e, t]."""
    adapter = mixed_adapter(parameters="all", model={"members": 3}).double()
    recent = Transitions(*(x.double() if x.is_floating_point() else x for x in mixed_transitions(2, 5)))
    predictor = adapter.condition(adapter.infer(recent))

    together = next_obs_of_members(predictor, recent.obs, recent.action)

    lonely = mixed_model(members=1).double()
    for member in range(3):
        for task in range(2):
            own = NetworkPredictor(lonely, {n: p[member : member + 1, task] for n, p in predictor.parameters.items()})
            alone = next_obs_of_members(own, recent.obs[task : task + 1], recent.action[task : task + 1])
            torch.testing.assert_close(together[member, task], alone[0, 0], rtol=1e-12, atol=1e-12)


def test_members_start_different_and_the_seed_decides_how():
    model, again, other = (mixed_model(seed) for seed in (0, 0, 1))
    data = mixed_transitions(1, 4)

    members, same, different = (next_obs_of_members(NetworkPredictor(m), data.obs, data.action) for m in (model, again, other))

    assert (members[0] - members[1]).abs().max() > 0.01
    assert torch.equal(members, same)
    assert (members - different).abs().max() > 0.01


@pytest.mark.parametrize("learned_variance", [False, True])
@pytest.mark.parametrize("adapted", ["nothing", "modulation", "all"])
def test_a_rollout_is_one_step_after_the_other_each_member_on_its_own_trajectory(adapted: str, learned_variance: bool):
    adapter = mixed_adapter(
        parameters="all" if adapted == "all" else "modulation", model={"members": 3, "learned_variance": learned_variance}
    ).double()
    data = Transitions(*(x.double() if x.is_floating_point() else x for x in mixed_transitions(2, 5)))
    predictor = NetworkPredictor(adapter.model) if adapted == "nothing" else adapter.condition(adapter.infer(data))
    actions = torch.randn(2, 5, 4, 2, generator=torch.Generator().manual_seed(0)).double()
    # on both sides of where angles are wrapped
    obs = torch.tensor([[0.3, math.pi - 0.05, -0.2, 1.0], [-0.4, 0.05 - math.pi, 0.1, -1.0]]).double()

    rollout = predictor.roll_out(obs, actions).next_obs

    for member in range(3):
        state = obs[:, None].expand(-1, 5, -1)
        for h in range(4):
            state = next_obs_of_members(predictor, state, actions[:, :, h])[member]
            torch.testing.assert_close(rollout[member, :, :, h], state, atol=1e-9, rtol=1e-9)


# --- the mixture --------------------------------------------------------------------------------------------------------------

TURN = RobotSpec("turn", 0.1, (Channel("x", "m"), Channel("angle", "rad", "angle")), (ActionChannel("a", "1", -1.0, 1.0),))


def constant_changes(changes: list[list[float]], fixed_std: float = 0.1) -> NetworkPredictor:
    """Members that always predict the same change of (x, angle)."""
    model = DynamicsModel(TURN, ModelConfig(hidden=(2,), members=len(changes), context_dim=0, fixed_std=fixed_std))
    with torch.no_grad():
        model.net.get_parameter("weight_1").zero_()
        model.net.get_parameter("bias_1").copy_(torch.tensor(changes)[:, None])
    return NetworkPredictor(model)


def test_members_on_both_sides_of_pi_are_averaged_on_the_circle():
    predictor = constant_changes([[0.0, 0.0], [2.0, 0.1]])
    obs = torch.tensor([[[1.0, math.pi - 0.05]]])

    prediction = predictor.predict(obs, torch.zeros(1, 1, 1))

    x, angle = prediction.mean[0, 0]
    assert x.item() == pytest.approx(2.0, abs=1e-5)
    assert abs(angle.item()) == pytest.approx(math.pi, abs=1e-5)


def test_the_std_is_of_the_mixture():
    """Each member's own std, plus the spread of their means; in SI units."""
    predictor = constant_changes([[0.0, 0.0], [2.0, 0.1], [4.0, 0.2]], fixed_std=0.5)
    predictor.model.normalizer.target_std.copy_(torch.tensor([3.0, 0.25]))

    prediction = predictor.predict(torch.tensor([[[1.0, math.pi - 0.05]]]), torch.zeros(1, 1, 1))

    spread = math.sqrt(2 / 3)
    expected = [math.hypot(3.0 * 0.5, 3.0 * 2.0 * spread), math.hypot(0.25 * 0.5, 0.25 * 0.1 * spread)]
    assert prediction.std[0, 0].tolist() == pytest.approx(expected, rel=1e-4)
    assert prediction.mean[0, 0, 0].item() == pytest.approx(1.0 + 3.0 * 2.0, rel=1e-5)


def test_one_member_is_an_ensemble_too():
    predictor = constant_changes([[1.0, 0.2]], fixed_std=0.5)

    prediction = predictor.predict(torch.zeros(1, 2, 2), torch.zeros(1, 2, 1))

    assert prediction.mean[0].tolist() == [pytest.approx([1.0, 0.2])] * 2
    assert prediction.std[0].tolist() == [pytest.approx([0.5, 0.5])] * 2


# --- learned variance ---------------------------------------------------------------------------------------------------------

QUIET, LOUD = 0.1, 0.4
NOISY = RobotSpec("noisy", 0.1, (Channel("x", "m"),), (ActionChannel("a", "1", -1.0, 1.0),))


def noisy_episode(seed: int, steps: int = 60) -> Episode:
    """x' = 0.5 x + a + noise, which is loud where a > 0 and quiet elsewhere."""
    rng = np.random.default_rng(seed)
    action = rng.uniform(-1, 1, (steps, 1)).astype(np.float32)
    obs = np.zeros((steps + 1, 1), np.float32)
    for t in range(steps):
        noise = rng.standard_normal() * (LOUD if action[t, 0] > 0 else QUIET)
        obs[t + 1] = 0.5 * obs[t] + action[t] + noise
    return Episode(obs, action, np.zeros(steps, np.float32))


@pytest.mark.parametrize(
    "rules",
    [(NoneConfig(),), (GradientConfig(steps=1, learning_rate=0.003, second_order=True),)],
    ids=["none", "gradient"],
)
def test_a_learned_std_follows_the_noise_of_the_system(rules: Rules):
    config = ModelConfig(hidden=(24,), members=2, context_dim=1, learned_variance=True)
    adapter = make_adapter(DynamicsModel(NOISY, config, seed=0), rules, window=4)
    trainer = MetaTrainer(adapter, OuterConfig(query=1, meta_batch_size=128, learning_rate=1e-2), seed=0)

    trainer.fit(EpisodeDataset(NOISY, [noisy_episode(i) for i in range(40)], [], window=4, query=1), 250)

    action = torch.tensor([[[-0.8], [-0.4], [0.4], [0.8]]])
    prediction = adapter.condition(adapter.prior(1)).predict(torch.zeros(1, 4, 1), action)
    for std, wanted in zip(prediction.std[0, :, 0].tolist(), [QUIET, QUIET, LOUD, LOUD], strict=True):
        assert 0.75 * wanted < std < 1.5 * wanted
    torch.testing.assert_close(prediction.mean, action, atol=0.15, rtol=0)
