"""A residual that is learned on top of estimated physics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.belief import select, tensors_of
from adaptive_mbrl.controller import StepOptions
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning import GradientPlannerConfig, ICEMConfig
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.transitions import Transitions
from sim.identification.adapter import PhysicsAdapter
from sim.identification.controller import hybrid_controller
from sim.identification.hybrid import HybridAdapter
from sim.identification.mistaken import mistaken
from sim.identification.residual import LinearResidual, Memory, ResidualConfig
from sim.robot.robot import Robot, load_robot
from sim.scenarios.change import Change
from sim.simulation.batch import BatchSimulation
from tests.sim.identification import WINDOW, drive, follow, normalizer_of, robot_named

RAIL = """
<mujoco model="rail">
  <option timestep="0.01"/>
  <worldbody>
    <body name="mass">
      <joint name="rail" type="slide" axis="1 0 0" stiffness="{stiffness}" damping="0.2"/>
      <geom name="block" type="box" size="0.1 0.1 0.1" mass="1"/>
    </body>
  </worldbody>
  <actuator>
    <motor name="pull" joint="rail" gear="5" ctrllimited="true" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""
ROBOT = """
mjcf: {mjcf}
dt: 0.05
obs:
  - {{name: position, unit: m, source: {{qpos: rail}}}}
  - {{name: speed, unit: m/s, kind: velocity, source: {{qvel: rail}}}}
objective:
  - {{kind: tolerance, channels: [position], target: [0.5], scale: 0.3}}
reset: {{qpos_noise: 0.2, qvel_noise: 0.1}}
"""


@pytest.fixture(scope="module")
def rails(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Robot]:
    """A mass on a rail with a spring, and the same by an MJCF that lacks it."""
    folder, robots = tmp_path_factory.mktemp("rails"), {}
    for name, stiffness in (("robot", 6.0), ("model", 0.0)):
        (folder / f"{name}.xml").write_text(RAIL.format(stiffness=stiffness))
        (folder / f"{name}.yaml").write_text(ROBOT.format(mjcf=f"{name}.xml"))
        robots[name] = load_robot(folder / f"{name}.yaml")
    return robots


def rail_normalizer(robot: Robot) -> Normalizer:
    normalizer = Normalizer(robot.spec)
    normalizer.obs_std.copy_(torch.tensor([0.5, 1.0]))
    normalizer.target_std.copy_(torch.tensor([0.05, 0.2]))
    return normalizer


def rail_adapter(robot: Robot, **residual: Any) -> HybridAdapter:
    return HybridAdapter(robot, rail_normalizer(robot), WINDOW, residual=ResidualConfig(**residual))


def rail_alone(robot: Robot) -> PhysicsAdapter:
    return PhysicsAdapter(robot, rail_normalizer(robot), WINDOW)


def part(transitions: Transitions, begin: int, end: int) -> Transitions:
    return Transitions(*(x[:, begin:end] for x in transitions))


def open_loop_error(adapter: PhysicsAdapter | HybridAdapter, belief: Any, ahead: Transitions) -> float:
    """RMS over all steps and channels [target stds] of what is predicted from the first observation on."""
    predicted = adapter.condition(belief).roll_out(ahead.obs[:, 0], ahead.action[:, None]).next_obs[0, :, 0]
    return float(adapter.normalizer.error(predicted, ahead.next_obs).square().mean().sqrt())


def some_memory(spec: RobotSpec, config: ResidualConfig, robots: int) -> Memory:
    """Random transitions of robots whose actions may be one step late; a few are not valid, and some are from before a change."""
    rng = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(robots, config.memory, *shape, generator=rng, dtype=torch.float64)

    valid = torch.rand(robots, config.memory, generator=rng) > 0.2
    present = torch.arange(config.memory) >= config.memory // 2
    return Memory(
        draw(spec.obs_dim), draw(2, spec.action_dim), draw(spec.obs_dim), draw(spec.obs_dim), valid, present.expand_as(valid)
    )


def test_the_residual_is_the_regression_whose_evidence_is_largest():
    """By normal equations and the density of what was missed, in float64."""
    normalizer = normalizer_of("quadrotor")
    spec, config = normalizer.spec, ResidualConfig(memory=120, noise=0.1, forgetting=0.995)
    memory, delay = some_memory(spec, config, 2), torch.tensor([1, 0])
    # some channels are explained by a feature, more or less well, and the others are noise
    strength = torch.tensor([0.0, 0.3, 1.0, 10.0]).repeat(spec.obs_dim // 4 + 1)[: spec.obs_dim].double()
    memory = memory._replace(missed=0.3 * memory.missed + strength * memory.obs[..., :1])
    asked = torch.randn(2, 3, spec.obs_dim), torch.rand(2, 3, spec.action_dim)

    residual = LinearResidual(normalizer, memory, delay, config)

    mean, variance = residual.mean(*asked) / normalizer.target_std, residual.variance(*asked)
    is_angle = np.array([c.kind == "angle" for c in spec.obs])
    center, scale = normalizer.obs_mean.numpy()[~is_angle], normalizer.obs_std.numpy()[~is_angle]

    def features(obs: Tensor, action: Tensor) -> np.ndarray:
        linear, angles = obs.double().numpy()[:, ~is_angle], obs.double().numpy()[:, is_angle]
        # the quadrotor's actions are from -1 to 1 already
        return np.column_stack([(linear - center) / scale, np.sin(angles), np.cos(angles), action.numpy(), np.ones(len(obs))])

    chosen = set()
    for robot in range(2):
        counts = memory.valid[robot]
        weight = (0.995 ** np.arange(119, -1, -1))[counts]
        phi, at = features(memory.obs[robot], memory.applied[robot, :, delay[robot]]), features(asked[0][robot], asked[1][robot])
        phi, degrees = phi[counts], 1 + weight.sum() / 2
        for channel in range(spec.obs_dim):
            missed = memory.missed[robot, counts, channel].numpy()
            found = []
            for width in (0.0, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4):
                spread = np.diag(1 / weight) + width * phi @ phi.T
                unexplained = 0.1**2 + missed @ np.linalg.solve(spread, missed) / 2
                evidence = -np.linalg.slogdet(spread)[1] / 2 - degrees * np.log(unexplained)
                found.append((evidence + (np.log(100) if width == 0 else 0), width, unexplained / degrees))
            _, width, noise = max(found)
            chosen.add(width)
            if width == 0:
                assert not mean[robot, :, channel].any()
                assert not variance[robot, :, channel].any()
                continue
            precision = (phi.T * weight) @ phi + np.eye(phi.shape[1]) / width
            weights = np.linalg.solve(precision, (phi.T * weight) @ missed)
            np.testing.assert_allclose(mean[robot, :, channel], at @ weights, atol=1e-4)
            expected = noise * np.einsum("ni,ij,nj->n", at, np.linalg.inv(precision), at)
            np.testing.assert_allclose(variance[robot, :, channel], expected, rtol=1e-4)
    assert len(chosen) > 2


def test_far_from_what_was_seen_the_residual_is_limited():
    normalizer = normalizer_of("cartpole")
    spec, config = normalizer.spec, ResidualConfig(memory=64)
    memory = some_memory(spec, config, 1)
    memory = memory._replace(missed=memory.obs)
    residual = LinearResidual(normalizer, memory, torch.tensor([0]), config)

    said = residual.mean(1e6 * torch.ones(1, 1, spec.obs_dim), torch.ones(1, 1, 1))[0, 0] / normalizer.target_std

    largest = memory.missed[0][memory.valid[0]].abs().amax(0)
    torch.testing.assert_close(said.abs(), 3 * largest)


def test_a_memory_keeps_what_was_missed_before_a_change():
    config = ResidualConfig(memory=4)
    memory, one = Memory.empty(3, config, 1, 2, 1), torch.ones(3, 2, dtype=torch.float64)
    action, always, never = one[:, None, :1], torch.ones(3, dtype=torch.bool), torch.zeros(3, dtype=torch.bool)

    def missed(value: float) -> Tensor:
        return torch.full((3, 4, 2), value, dtype=torch.float64)

    # the second robot changes at the last step, and the third one shows nothing then
    for k in range(3):
        memory = memory.append(k * one, action, one, always, never, 1).explained(missed(k))
    after = memory.append(3 * one, action, one, torch.tensor([True, True, False]), torch.tensor([False, True, False]), 1)
    found = after.explained(missed(7.0))

    assert found.missed[:, :, 0].tolist() == [[7.0] * 4, [2.0, 2.0, 2.0, 7.0], [0.0, 7.0, 7.0, 7.0]]
    assert found.obs[:, :, 0].tolist() == [[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 1.0, 2.0]]
    assert found.present.tolist() == [[True] * 4, [False, False, False, True], [False, True, True, True]]
    # the one right before the change may be from after it
    assert found.valid.tolist() == [[True] * 4, [True, True, False, True], [False, True, True, True]]
    # one transition broke when it was simulated under new parameters: it no longer counts
    broken = missed(8.0)
    broken[0, 1] = torch.nan
    assert found.explained(broken).valid[0].tolist() == [True, False, True, True]
    assert found.explained(broken).missed[0, :, 0].tolist() == [8.0, 7.0, 8.0, 8.0]


def test_a_spring_that_the_mjcf_lacks_is_learned(rails: dict[str, Robot]):
    """When the motor becomes weak, the spring is still missing, and is not learned anew."""
    before, after = (drive(rails["robot"], [Change(actuator_gain=gain)], 56)[1] for gain in (1.0, 0.6))
    hybrid, physics = rail_adapter(rails["model"]), rail_alone(rails["model"])
    first = part(before, 0, 40)
    known = [follow(adapter, first) for adapter in (hybrid, physics)]
    seen = Transitions(*(torch.cat([a[:, -WINDOW:], b[:, :6]], 1) for a, b in zip(first, after, strict=True)))

    together, alone = (open_loop_error(a, b, part(before, 40, 56)) for a, b in zip((hybrid, physics), known, strict=True))
    assert together < 0.1 * alone
    then = [follow(a, part(seen, WINDOW, WINDOW + 6), b) for a, b in zip((hybrid, physics), known, strict=True)]
    together, alone = (open_loop_error(a, b, part(after, 6, 22)) for a, b in zip((hybrid, physics), then, strict=True))
    assert together < 0.3 * alone
    anew = open_loop_error(hybrid, follow(hybrid, part(after, 0, 6)), part(after, 6, 22))
    assert together < 0.5 * anew


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("cartpole", [Change(), Change(actuator_gain=0.7)]),
        ("quadrotor", [Change(), Change(actuator_gain=0.7)]),
        ("quadrotor", [Change(obs_noise=0.01)]),
    ],
)
def test_where_the_mjcf_is_right_it_is_physics(name: str, changes: list[Change]):
    """With noise in what is observed, too: it is not learned."""
    transitions = drive(name, changes, 40)[1]
    hybrid = HybridAdapter(robot_named(name), normalizer_of(name), WINDOW)
    seen, ahead = part(transitions, 0, 30), part(transitions, 30, 40)

    believed = follow(hybrid, seen)

    added = hybrid.residual(believed).mean(ahead.obs, ahead.action) / hybrid.normalizer.target_std
    assert added.abs().max() < hybrid.physics.config.least_noise
    alone = open_loop_error(hybrid.physics, follow(hybrid.physics, seen), ahead)
    assert open_loop_error(hybrid, believed, ahead) < alone + hybrid.physics.config.least_noise


def test_physics_alone_takes_over_from_two_that_agree_on_something_wrong(rails: dict[str, Robot]):
    """A motor that is believed to be weak, and a residual that makes up for it where the robot has been."""
    transitions = drive(rails["model"], [Change()], 40)[1]
    hybrid, physics = rail_adapter(rails["model"]), rail_alone(rails["model"])
    seen, then, ahead = part(transitions, 0, 20), part(transitions, 20, 30), part(transitions, 30, 40)
    weak = follow(physics, drive(rails["model"], [Change(actuator_gain=0.3)], 20)[1])
    belief = follow(hybrid, seen)
    missed = 0.2 * belief.memory.obs.flip(-1)
    trapped = belief._replace(physics=weak, memory=belief.memory._replace(missed=missed), lead=torch.ones(1).double())
    assert open_loop_error(hybrid, trapped, then) > 0.5

    after = follow(hybrid, then, trapped)

    assert after.lead < hybrid.config.least_lead
    expected = open_loop_error(physics, follow(physics, then, belief.alone), ahead)
    assert open_loop_error(hybrid, after, ahead) < expected + 1e-3


def test_every_step_of_a_rollout_goes_on_from_the_corrected_observation():
    """Under a mistaken quadrotor, whose state has angles and a quaternion behind them."""
    hybrid = HybridAdapter(mistaken(robot_named("quadrotor"), 0.2), normalizer_of("quadrotor"), WINDOW)
    transitions = drive("quadrotor", [Change(), Change()], 14)[1]
    belief = follow(hybrid, part(transitions, 0, 12))
    predictor, obs = hybrid.condition(belief), transitions.obs[:, -1]
    actions = 0.1 * torch.randn(2, 3, 4, hybrid.physics.robot.spec.action_dim, generator=torch.Generator().manual_seed(0))

    futures = predictor.roll_out(obs, actions).next_obs[0]

    at = obs[:, None].expand(-1, 3, -1)
    for step in range(4):
        at = predictor.predict(at, actions[:, :, step]).mean
        assert predictor.error(futures[:, :, step], at).abs().max() < 1e-4
    uncorrected = hybrid.physics.condition(belief.physics).roll_out(obs, actions).next_obs[0]
    added = hybrid.residual(belief).mean(obs[:, None].expand(-1, 3, -1), actions[:, :, 0])
    assert added.abs().max() > 1e-3
    torch.testing.assert_close(futures[:, :, 0] - uncorrected[:, :, 0], added.float(), atol=1e-5, rtol=0.0)


def test_a_batch_is_as_one_by_one_and_beliefs_can_be_mixed(rails: dict[str, Robot]):
    adapter = rail_adapter(rails["model"], memory=6)
    transitions = drive(rails["robot"], [Change(), Change(actuator_gain=0.5)], 12)[1]
    belief = follow(adapter, transitions)
    obs, actions = transitions.obs[:, -1], transitions.action[:, None, :5]

    together = adapter.condition(belief).roll_out(obs, actions).next_obs[0]

    for robot in range(2):
        alone = follow(adapter, Transitions(*(x[robot : robot + 1] for x in transitions)))
        rows = slice(robot, robot + 1)
        expected = adapter.condition(alone).roll_out(obs[rows], actions[rows]).next_obs[0]
        torch.testing.assert_close(together[rows], expected, rtol=1e-4, atol=1e-5)
    mixed = select(torch.tensor([True, False]), adapter.prior(2), belief)
    nominal = adapter.condition(adapter.prior(2)).roll_out(obs, actions).next_obs[0]
    said = adapter.condition(mixed).roll_out(obs, actions).next_obs[0]
    torch.testing.assert_close(said, torch.stack([nominal[0], together[1]]))
    assert not torch.allclose(nominal[1], together[1], atol=1e-2)


def test_a_gap_adds_nothing_and_takes_nothing(rails: dict[str, Robot]):
    adapter, transitions = rail_adapter(rails["model"]), drive(rails["robot"], [Change()], 12)[1]
    belief = follow(adapter, transitions)
    gap = transitions._replace(valid=torch.zeros_like(transitions.valid))

    after = adapter.update(belief, gap._replace(next_obs=torch.full_like(gap.next_obs, torch.nan)))

    assert all(torch.equal(a, b) for a, b in zip(tensors_of(after.memory), tensors_of(belief.memory), strict=True))
    assert adapter.diagnose(after).mean.tolist() == adapter.diagnose(belief).mean.tolist()


def test_infer_is_the_same_as_step_by_step(rails: dict[str, Robot]):
    adapter, transitions = rail_adapter(rails["model"]), drive(rails["robot"], [Change()], WINDOW)[1]

    inferred, followed = adapter.infer(transitions), follow(adapter, transitions)

    assert all(torch.equal(a, b) for a, b in zip(tensors_of(inferred), tensors_of(followed), strict=True))


def test_a_controller_learns_the_residual_of_several_robots_and_forgets_it(rails: dict[str, Robot]):
    planner = ICEMConfig(horizon=4, num_samples=8, num_iterations=1, num_elites=3)
    controller = hybrid_controller(rails["model"], rail_normalizer(rails["model"]), planner)
    simulation = BatchSimulation(rails["robot"], 2)
    obs, errors = simulation.reset([0, 1]), []

    for step in range(30):
        command = controller.step(obs, options=StepOptions(after_gap=step == 20))
        obs = simulation.step(command.action)
        errors.append((command.info.prior_error, command.info.adapted_error))

    prior, adapted = (np.stack(e)[-6:] for e in zip(*errors, strict=True))
    assert (adapted.mean(0) < 0.1 * prior.mean(0)).all()
    # neither the first step nor that after a gap ends a transition
    assert controller.belief.memory.valid.sum(1).tolist() == [28, 28]  # type: ignore[union-attr]
    controller.reset()
    assert controller.belief is None


def test_what_cannot_be_corrected_step_by_step_is_refused(rails: dict[str, Robot], tmp_path: Path):
    """Without the speed as a channel there is no state to go on from; a derivative to plan with there is never."""
    (tmp_path / "rail.xml").write_text(RAIL.format(stiffness=0.0))
    (tmp_path / "rail.yaml").write_text(re.sub(r".*name: speed.*\n", "", ROBOT).format(mjcf="rail.xml"))
    blind = load_robot(tmp_path / "rail.yaml")

    with pytest.raises(
        ConfigError, match="physics needs the whole state, and no channel tells the velocity of joint 'rail'"
    ) as caught:
        HybridAdapter(blind, Normalizer(blind.spec), WINDOW)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="physics has no derivative to plan with"):
        hybrid_controller(rails["model"], rail_normalizer(rails["model"]), GradientPlannerConfig())
