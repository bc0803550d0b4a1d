"""A rollout is one step after the other, and a step is a plain network per particle and task, however its layers are grouped."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.data.statistics import transition_statistics
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.dynamics.network import Parameters
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from tests.core.analytic import MIXED, POINT

ROBOTS = {
    "mixed": MIXED,
    "no angles": POINT,
    "angles only": RobotSpec(
        "pendulums", 0.1, (Channel("a", "rad", "angle"), Channel("b", "rad", "angle")), (ActionChannel("u", "N m", -2.0, 2.0),)
    ),
}
SHAPES = {"two hidden layers": (7, 5), "one hidden layer": (6,), "no hidden layer": ()}
MEMBERS, TASKS, CANDIDATES, HORIZON = 2, 3, 4, 5

# which parameters have a value of their own for each task, by the number of layers
GROUPINGS: dict[str, Callable[[str, int], bool]] = {
    "all shared": lambda name, layers: False,
    "all per task": lambda name, layers: True,
    "modulation per task": lambda name, layers: name in ("action_gain", "context"),
    "first layer per task": lambda name, layers: name.endswith("_0"),
    "last layer per task": lambda name, layers: name.endswith(f"_{layers - 1}"),
    "last weight per task": lambda name, layers: name == f"weight_{layers - 1}",
    "first bias per task": lambda name, layers: name == "bias_0",
    "second bias per task": lambda name, layers: name == "bias_1",
    "last bias per task": lambda name, layers: name == f"bias_{layers - 1}",
    "all but the last layer per task": lambda name, layers: not name.endswith(f"_{layers - 1}"),
}


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def model_of(robot: RobotSpec, hidden: tuple[int, ...] = (7, 5)) -> DynamicsModel:
    """Statistics and limits of predictions that are not the default ones."""
    model = DynamicsModel(robot, ModelConfig(hidden=hidden, members=MEMBERS, activation="tanh", context_dim=3), seed=1)
    obs = random(300, robot.obs_dim, seed=2)
    change = 0.3 * random(300, robot.obs_dim, seed=3)
    model.normalizer.fit(transition_statistics(robot, [(obs, obs + change)]))
    return model.double()


def parameters_of(model: DynamicsModel, grouping: str, copies: int = 1) -> dict[str, Tensor]:
    """The model's parameters moved at random, some of them task by task; `copies` particles for each member."""
    layers, moved = model.net.num_layers, {}
    for i, (name, value) in enumerate(model.net.parameters_by_name().items()):
        start = value.detach().repeat(copies, *[1] * (value.dim() - 1))
        if GROUPINGS[grouping](name, layers):
            start = start[:, None].expand(-1, TASKS, *start.shape[1:])
        moved[name] = start + 0.3 * random(*start.shape, seed=10 + i)
    return moved


def plain_step(model: DynamicsModel, parameters: Parameters, p: int, t: int, obs: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The next observation of particle p and task t, for one observation and one action."""
    spec, statistics = model.spec, {name: value.numpy() for name, value in model.normalizer.named_buffers()}

    def own(name: str) -> np.ndarray:
        value = parameters[name].numpy()
        return value[p, t] if value.ndim == 4 else value[p]

    angle = np.array([c.kind == "angle" for c in spec.obs])
    direct = np.array([c.target == "direct" for c in spec.obs])
    low, high = np.array([[a.low, a.high] for a in spec.action]).T
    scores = (obs - statistics["obs_mean"]) / statistics["obs_std"]
    driven = own("action_gain")[0] * (2 * (action - low) / (high - low) - 1)
    h = np.concatenate([scores[~angle], np.sin(obs[angle]), np.cos(obs[angle]), driven, own("context")[0]])
    for layer in range(model.net.num_layers):
        h = np.einsum("i,io->o", h if layer == 0 else np.tanh(h), own(f"weight_{layer}")) + own(f"bias_{layer}")[0]
    change = statistics["target_mean"] + statistics["target_std"] * h
    after = np.clip(np.where(direct, change, obs + change), statistics["obs_low"], statistics["obs_high"])
    return np.where(angle, np.arctan2(np.sin(after), np.cos(after)), after)


def plain_rollout(model: DynamicsModel, parameters: Parameters, obs: Tensor, actions: Tensor) -> np.ndarray:
    particles = len(parameters["weight_0"])
    steps = np.zeros((particles, *actions.shape[:-1], obs.shape[-1]))
    for p, t, n in np.ndindex(particles, *actions.shape[:2]):
        state = obs[t].numpy()
        for h in range(actions.shape[2]):
            state = steps[p, t, n, h] = plain_step(model, parameters, p, t, state, actions[t, n, h].numpy())
    return steps


def start_and_actions(robot: RobotSpec) -> tuple[Tensor, Tensor]:
    """Angles begin just below pi, so that many are carried over it; actions go beyond their limits."""
    obs = random(TASKS, robot.obs_dim, seed=4)
    for column, channel in enumerate(robot.obs):
        if channel.kind == "angle":
            obs[:, column] = math.pi - 0.05 * obs[:, column].abs()
    return obs, random(TASKS, CANDIDATES, HORIZON, robot.action_dim, seed=5)


def assert_on_the_circle(model: DynamicsModel, got: Tensor, expected: Tensor) -> None:
    """Equal, also where rounding took one of two angles across pi."""
    difference = model.normalizer.wrap(got - expected)
    torch.testing.assert_close(difference, torch.zeros_like(difference), atol=1e-11, rtol=0)


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("hidden", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS.keys())
def test_a_rollout_is_a_plain_network_per_particle_and_task(robot: RobotSpec, hidden: tuple[int, ...], grouping: str):
    model = model_of(robot, hidden)
    parameters = parameters_of(model, grouping)
    obs, actions = start_and_actions(robot)

    rollout = NetworkPredictor(model, parameters).roll_out(obs, actions)

    assert rollout.alive is None
    expected = torch.from_numpy(plain_rollout(model, parameters, obs, actions))
    assert rollout.next_obs.shape == expected.shape
    assert_on_the_circle(model, rollout.next_obs, expected)


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS.keys())
def test_a_rollout_is_one_step_after_the_other_each_particle_on_its_own_trajectory(robot: RobotSpec, grouping: str):
    model = model_of(robot)
    predictor, normalizer = NetworkPredictor(model, parameters_of(model, grouping)), model.normalizer
    obs, actions = start_and_actions(robot)

    rollout = predictor.roll_out(obs, actions).next_obs

    for p in range(MEMBERS):
        state = obs[:, None].expand(-1, CANDIDATES, -1)
        for h in range(HORIZON):
            target = predictor.target(state, actions[:, :, h]).mean[p]
            state = normalizer.wrap(normalizer.affine().advance(state, target))
            assert_on_the_circle(model, rollout[p, :, :, h], state)


@pytest.mark.parametrize("grouping", ["all shared", "all per task", "last layer per task"])
def test_there_may_be_several_particles_for_each_member(grouping: str):
    model = model_of(MIXED)
    parameters = parameters_of(model, grouping, copies=3)
    obs, actions = start_and_actions(MIXED)

    rollout = NetworkPredictor(model, parameters).roll_out(obs, actions).next_obs

    assert len(rollout) == 3 * MEMBERS
    assert_on_the_circle(model, rollout, torch.from_numpy(plain_rollout(model, parameters, obs, actions)))


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("hidden", [(7, 5), (6,)])
def test_the_last_layer_makes_targets_of_features(hidden: tuple[int, ...], grouping: str):
    model = model_of(MIXED, hidden)
    parameters = parameters_of(model, grouping)
    predictor = NetworkPredictor(model, parameters)
    obs, action = random(TASKS, CANDIDATES, 4, seed=6), random(TASKS, CANDIDATES, 2, seed=7)

    features, (target, _, with_target) = predictor.features(obs, action), predictor.target(obs, action)

    assert torch.equal(with_target, features)
    assert features.shape == (MEMBERS, TASKS, CANDIDATES, hidden[-1])
    weight, bias = (parameters[f"{kind}_{len(hidden)}"] for kind in ("weight", "bias"))
    weight, bias = (x if x.dim() == 4 else x[:, None].expand(-1, TASKS, -1, -1) for x in (weight, bias))
    torch.testing.assert_close(torch.einsum("ptnf,ptfo->ptno", features, weight) + bias, target, atol=1e-12, rtol=1e-12)


def test_lower_precision_is_nearly_the_same_and_observations_keep_theirs():
    model = model_of(MIXED).float()
    predictor = NetworkPredictor(model)
    obs, actions = (x.float() for x in start_and_actions(MIXED))

    exact, rough = (p.roll_out(obs, actions).next_obs for p in (predictor, predictor.to(torch.bfloat16)))

    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    assert model.normalizer.error(rough, exact).abs().mean() < 0.02
    assert predictor.parameters["weight_0"].dtype == torch.float32
