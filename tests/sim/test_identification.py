"""Estimated physics: the state behind an observation, the posterior over parameters, and plans in MuJoCo under it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation.belief import select, tensors_of
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.controller import StepOptions
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import EvaluateOptions
from adaptive_mbrl.planning import GradientPlannerConfig, ICEMConfig
from adaptive_mbrl.transitions import Transitions
from sim.evaluation.evaluate import evaluate
from sim.evaluation.plots import recovery_figure
from sim.evaluation.report import make_report, write_report
from sim.evaluation.setup import prepare
from sim.identification.adapter import PhysicsAdapter, PhysicsBelief
from sim.identification.controller import physics_controller
from sim.identification.estimator import PhysicsConfig
from sim.identification.mistaken import mistaken
from sim.identification.parameters import Parameters
from sim.identification.residuals import Window
from sim.identification.state import StateReader
from sim.robot.robot import Robot, load_robot
from sim.scenarios.change import Change
from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OraclePredictor

ROBOTS = ("cartpole", "half_cheetah", "quadrotor", "arm", "ant", "slim_humanoid", "pendulum", "hopper")
WINDOW = 16
_ROBOTS: dict[str, Robot] = {}


def robot_named(name: str) -> Robot:
    return _ROBOTS.setdefault(name, load_robot(name))


def normalizer_of(name: str) -> Normalizer:
    return load_checkpoint(name).adapter.normalizer


def adapter_for(name: str, **config: Any) -> PhysicsAdapter:
    return PhysicsAdapter(robot_named(name), normalizer_of(name), WINDOW, PhysicsConfig(**config))


def drive(name: str, changes: list[Change], steps: int, seed: int = 0) -> tuple[BatchSimulation, Transitions]:
    """Robots under `changes` from the start, moved by smooth noise; all of their transitions, (B, steps)."""
    robot = robot_named(name)
    simulation = BatchSimulation(robot, len(changes))
    obs = simulation.reset(list(range(len(changes))), changes)
    rng, action = np.random.default_rng(seed), np.zeros((len(changes), robot.spec.action_dim))
    scale = 0.15 if name == "quadrotor" else 1.0
    rows = []
    for _ in range(steps):
        action = np.clip(0.6 * action + 0.6 * rng.standard_normal(action.shape), -1, 1)
        sent = simulation.clip(scale * action)
        next_obs = simulation.step(sent)
        rows.append((obs, sent, next_obs))
        obs = next_obs
    obs, sent, next_obs = (torch.from_numpy(np.stack([row[i] for row in rows], axis=1)) for i in range(3))
    return simulation, Transitions(obs, sent, next_obs, torch.ones(len(changes), steps, dtype=torch.bool))


def follow(adapter: PhysicsAdapter, transitions: Transitions, belief: PhysicsBelief | None = None) -> PhysicsBelief:
    """The belief after all of the transitions, one control step after the other."""
    belief = adapter.prior(len(transitions.obs)) if belief is None else belief
    recent = Transitions(*(torch.zeros_like(x[:, :1]).repeat_interleave(WINDOW, 1) for x in transitions))
    for k in range(transitions.obs.shape[1]):
        recent = recent.append(*(x[:, k] for x in transitions))
        belief = adapter.update(belief, recent)
    return belief


def estimates(adapter: PhysicsAdapter, belief: PhysicsBelief, robot: int = 0) -> dict[str, tuple[float, float]]:
    names, mean, std = adapter.diagnose(belief)
    return {name: (float(m), float(s)) for name, m, s in zip(names, mean[robot], std[robot], strict=True)}


# the state behind an observation


@pytest.mark.parametrize("name", ROBOTS)
def test_an_observation_tells_the_state(name: str):
    robot = robot_named(name)
    simulation, _ = drive(name, [Change()] * 3, 8)

    qpos, qvel = StateReader(robot).state_from_obs(simulation.true_obs)

    invisible = {"half_cheetah": [0], "hopper": [0], "ant": [0, 1], "slim_humanoid": [0, 1]}.get(name, [])
    seen = [i for i in range(robot.model.nq) if i not in invisible]
    real = simulation.physics.arrays["qpos"]
    if name in ("ant", "quadrotor"):
        # a quaternion and its negative are the same rotation
        start = 3
        sign = np.sign((real[:, start : start + 4] * qpos[:, start : start + 4]).sum(1, keepdims=True))
        qpos[:, start : start + 4] *= sign
    np.testing.assert_allclose(qpos[:, seen], real[:, seen], atol=1e-5)
    np.testing.assert_allclose(qvel, simulation.physics.arrays["qvel"], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(qpos[:, invisible], np.tile(robot.model.qpos0[invisible], (3, 1)))


@pytest.mark.parametrize(
    ("robot", "left_out", "missing"),
    [
        ("cartpole", "pole_velocity", "velocity of joint 'hinge_1'"),
        ("cartpole", "pole_angle", "position of joint 'hinge_1'"),
        ("cartpole", "cart_position", "position of joint 'slider'"),
        ("half_cheetah", "x_velocity", "velocity of joint 'rootx'"),
        ("quadrotor", "yaw", "position of joint 'attitude'"),
    ],
)
def test_a_state_that_cannot_be_seen_is_refused_in_one_line(robot: str, left_out: str, missing: str):
    """The mean speed over a step is no substitute for the speed at its end, and the cart's rail has ends."""
    full = robot_named(robot)
    kept = [origin for origin, channel in zip(full.observer.origins, full.spec.obs, strict=True) if channel.name != left_out]
    blind = replace(full, observer=_observer_with(full, kept))

    with pytest.raises(ConfigError, match=f"robot '{robot}': physics needs the whole state.*{missing}") as caught:
        StateReader(blind)
    assert "\n" not in str(caught.value)


def _observer_with(robot: Robot, origins: list[tuple[str, int]]) -> Any:
    class Blind:
        needs_sensors = robot.observer.needs_sensors

        def __init__(self) -> None:
            self.origins = tuple(origins)

        def read(self, arrays: Any, previous_qpos: Any) -> Any:
            return robot.observer.read(arrays, previous_qpos)

    return Blind()


# parameters


def test_what_has_no_influence_is_left_out():
    cheetah, quadrotor = Parameters(robot_named("half_cheetah")).names, Parameters(robot_named("quadrotor")).names

    assert {"actuator_gain fthigh", "body_mass torso", "friction", "damping", "slope_deg", "external_force x"} <= set(cheetah)
    assert "external_force y" not in cheetah
    assert {"external_force x", "external_force y", "external_force z"} <= set(quadrotor)
    assert "friction" not in quadrotor
    with pytest.raises(ConfigError, match="unknown kind of parameter 'mass'"):
        Parameters(robot_named("cartpole"), ("mass",))
    with pytest.raises(ConfigError, match="none of the parameters friction has an influence"):
        Parameters(robot_named("quadrotor"), ("friction",))


def test_coordinates_mean_a_change():
    parameters = Parameters(robot_named("cartpole"), ("actuator_gain", "body_mass", "damping", "slope_deg"))
    theta = np.array([-0.5, np.log(2.0), np.log(0.5), np.log(3.0), 4.0])

    change = parameters.change(theta)

    assert change.actuator_gain == {"slide": -0.5}
    assert change.body_mass == pytest.approx({"cart": 2.0, "pole_1": 0.5})
    assert change.damping == pytest.approx(3.0)
    assert change.slope_deg == 4.0
    assert parameters.change(parameters.nominal) == Change(actuator_gain={"slide": 1.0}, body_mass={"cart": 1.0, "pole_1": 1.0})
    np.testing.assert_allclose(parameters.stds(theta, np.full(5, 0.1)), [0.1, 0.2, 0.05, 0.3, 0.1])


# the posterior


def test_a_cartpoles_gain_is_found():
    adapter = adapter_for("cartpole", kinds=("actuator_gain", "damping"))
    _, transitions = drive("cartpole", [Change(actuator_gain=-0.7), Change(actuator_gain=1.3)], 12)

    belief = follow(adapter, transitions)

    for robot, gain in enumerate((-0.7, 1.3)):
        mean, std = estimates(adapter, belief, robot)["actuator_gain slide"]
        assert mean == pytest.approx(gain, abs=0.01)
        assert std < 0.02


def test_only_the_ratio_of_a_cartpoles_force_and_mass_can_be_found():
    """Twice the force on twice the mass moves alike; the posterior says so by its std."""
    adapter = adapter_for("cartpole")
    _, transitions = drive("cartpole", [Change(actuator_gain=0.6)], 25)

    found = estimates(adapter, follow(adapter, transitions))

    gain, mass = found["actuator_gain slide"], found["body_mass cart"]
    assert gain[0] / mass[0] == pytest.approx(0.6, abs=0.01)
    assert abs(gain[0] - 0.6) < 2 * gain[1]
    assert gain[1] > 0.05


def test_a_cheetahs_gains_and_masses_are_found_after_a_second():
    changes = [Change(actuator_gain={"bshin": -1.0, "fthigh": 0.3}), Change(body_mass=1.5, damping=1.4)]
    adapter = adapter_for("half_cheetah")
    _, transitions = drive("half_cheetah", changes, 20)

    belief = follow(adapter, transitions)

    first, second = (estimates(adapter, belief, robot) for robot in range(2))
    assert first["actuator_gain bshin"][0] == pytest.approx(-1.0, abs=0.05)
    assert first["actuator_gain fthigh"][0] == pytest.approx(0.3, abs=0.05)
    assert first["actuator_gain ffoot"][0] == pytest.approx(1.0, abs=0.05)
    assert first["action_delay"] == pytest.approx((0.0, 0.0), abs=1e-3)
    assert second["body_mass torso"][0] == pytest.approx(1.5, abs=0.05)
    assert second["damping"][0] == pytest.approx(1.4, abs=0.05)
    assert second["actuator_gain bshin"][0] == pytest.approx(1.0, abs=0.05)


def test_a_change_and_a_delay_are_noticed_at_once():
    """The cart-pole's motor turns backwards behind a delay of two steps, after ten ordinary steps."""
    adapter = adapter_for("cartpole", kinds=("actuator_gain",))
    simulation, before = drive("cartpole", [Change()], 10)
    simulation.set_change(0, Change(actuator_gain=-1.0, action_delay=2))
    rng, obs, rows = np.random.default_rng(5), simulation.obs, []
    for _ in range(12):
        sent = simulation.clip(rng.uniform(-1, 1, (1, 1)))
        next_obs = simulation.step(sent)
        rows.append((obs, sent, next_obs))
        obs = next_obs
    after = [torch.from_numpy(np.stack([row[i] for row in rows], axis=1)) for i in range(3)]
    everything = Transitions(
        *(torch.cat([x, y], 1) for x, y in zip(before[:3], after, strict=True)), torch.ones(1, 22, dtype=torch.bool)
    )

    ordinary = follow(adapter, before)
    changed = follow(adapter, everything)

    assert int(ordinary.trusted[0]) == adapter.config.lag
    found = estimates(adapter, changed)
    assert found["action_delay"] == pytest.approx((2.0, 0.0), abs=1e-3)
    assert found["actuator_gain slide"][0] == pytest.approx(-1.0, abs=0.02)


def test_the_posterior_shrinks_with_data():
    adapter = adapter_for("half_cheetah")
    _, transitions = drive("half_cheetah", [Change()], 25)

    stds = [adapter.diagnose(follow(adapter, Transitions(*(x[:, :k] for x in transitions)))).std[0, :-1] for k in (0, 2, 25)]

    assert torch.allclose(stds[0][0], torch.tensor(1.0, dtype=torch.float64))
    assert (stds[1] < stds[0] + 1e-9).all()
    assert (stds[2] < stds[1]).all()
    gains = slice(0, 6)
    assert (stds[2][gains] < 0.02).all()


def test_a_wrong_start_converges():
    """A belief that is sure of nothing and far off at all parameters ends where the prior's does."""
    adapter = adapter_for("half_cheetah")
    _, transitions = drive("half_cheetah", [Change(actuator_gain={"bthigh": 0.2}, body_mass=1.3)], 25)
    far = adapter.prior(1)
    far = far._replace(theta=far.theta + 1.5 * torch.from_numpy(adapter.physical.std))

    found = estimates(adapter, follow(adapter, transitions, far))

    assert found["actuator_gain bthigh"][0] == pytest.approx(0.2, abs=0.05)
    assert found["body_mass torso"][0] == pytest.approx(1.3, abs=0.05)


def test_the_recursion_is_the_closed_form_where_nothing_is_forgotten():
    """One gain, known noise: the precision is the prior's plus the sum of all squared sensitivities."""
    noise, steps = 0.1, 14
    adapter = adapter_for("cartpole", kinds=("actuator_gain",), max_delay=0, forgetting=1.0, noise=noise, noise_memory=1.0, lag=3)
    robot, normalizer = robot_named("cartpole"), normalizer_of("cartpole")
    _, transitions = drive("cartpole", [Change()], steps)

    belief = follow(adapter, transitions)

    raised = BatchSimulation(robot, 1)
    precision = 1.0
    for k in range(steps):
        obs, action, next_obs = (x[:, k] for x in transitions[:3])
        raised.reset([0], [Change(actuator_gain=1.01)])
        raised.physics.reset(*StateReader(robot).state_from_obs(obs.numpy()))
        sensitivity = normalizer.error(torch.from_numpy(raised.step(action.numpy())), next_obs) / 0.01
        precision += float((sensitivity / noise).square().sum())
    assert float(belief.covariance[0, 0, 0, 0]) == pytest.approx(1 / precision, rel=5e-3)


def test_a_batch_is_the_same_as_one_by_one():
    changes = [Change(actuator_gain=-0.7), Change(), Change(action_delay=1, body_mass={"pole_1": 1.6})]
    adapter = adapter_for("cartpole")
    _, transitions = drive("cartpole", changes, 7)

    together = follow(adapter, transitions)
    alone = [follow(adapter, Transitions(*(x[i : i + 1] for x in transitions))) for i in range(3)]

    for whole, *parts in zip(tensors_of(together), *map(tensors_of, alone), strict=True):
        torch.testing.assert_close(whole, torch.cat(parts), rtol=1e-9, atol=1e-9)


def test_what_is_not_valid_has_no_influence():
    adapter = adapter_for("cartpole")
    _, transitions = drive("cartpole", [Change(actuator_gain=0.5)], 12)
    valid = transitions.valid.clone()
    valid[:, [0, 5]] = False
    clean = transitions._replace(valid=valid)
    spoilt = Transitions(*(torch.where(valid[..., None], x, torch.nan) for x in clean[:3]), valid)

    one, other = follow(adapter, clean), follow(adapter, spoilt)

    assert all(torch.equal(a, b) for a, b in zip(tensors_of(one), tensors_of(other), strict=True))
    last = Transitions(*(x[:, -WINDOW:] for x in transitions._replace(valid=torch.zeros_like(valid))))
    kept = adapter.update(one, Transitions(*(torch.cat([x, x], 1)[:, :WINDOW] for x in last)))
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(one[:-1]), tensors_of(kept[:-1]), strict=True))


def test_infer_is_the_same_as_step_by_step():
    adapter = adapter_for("cartpole")
    _, transitions = drive("cartpole", [Change(actuator_gain=0.5)], WINDOW)

    inferred, followed = adapter.infer(transitions), follow(adapter, transitions)

    assert all(torch.equal(a, b) for a, b in zip(tensors_of(inferred), tensors_of(followed), strict=True))


def breaks_above(limit: float, adapter: PhysicsAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cart-pole's simulation breaks under every gain above `limit`."""
    step = adapter._simulations.step

    def breaking(changes: Sequence[Change], *rest: Any) -> Any:
        next_obs = step(changes, *rest)
        next_obs[[change.actuator_gain["slide"] > limit for change in changes]] = np.nan  # type: ignore[index]
        return next_obs

    monkeypatch.setattr(adapter._simulations, "step", breaking)


def test_a_simulation_that_breaks_is_no_perfect_prediction(monkeypatch: pytest.MonkeyPatch):
    """A belief under which the simulator breaks is dropped as one that was surprised, and so is a delay."""
    adapter = adapter_for("cartpole", kinds=("actuator_gain",), max_delay=1)
    _, transitions = drive("cartpole", [Change()], 4)
    breaks_above(1.5, adapter, monkeypatch)
    prior = adapter.prior(1)
    all_broken, one_broken = torch.full_like(prior.theta, 2.0), prior.theta.clone()
    one_broken[:, 1] = 2.0

    found = follow(adapter, transitions, prior._replace(theta=all_broken))
    weighed = follow(adapter, Transitions(*(x[:, :1] for x in transitions)), prior._replace(theta=one_broken))

    assert estimates(adapter, found)["actuator_gain slide"][0] == pytest.approx(1.0, abs=0.01)
    assert weighed.log_odds[0].tolist() == [0.0, -1000.0]


def test_a_simulator_that_always_breaks_leaves_the_prior(monkeypatch: pytest.MonkeyPatch):
    adapter = adapter_for("cartpole", kinds=("actuator_gain",))
    _, transitions = drive("cartpole", [Change()], 8)
    breaks_above(-torch.inf, adapter, monkeypatch)

    belief = follow(adapter, transitions)

    assert all(tensor.isfinite().all() for tensor in tensors_of(belief))
    assert estimates(adapter, belief)["actuator_gain slide"] == (1.0, 1.0)


def test_the_estimator_stays_on_the_cpu_where_the_adapter_is_moved():
    """On the device `meta`, as on a GPU, mixing tensors with those of the CPU fails; the quadrotor has angles to wrap."""
    adapter = adapter_for("quadrotor")
    _, transitions = drive("quadrotor", [Change(body_mass=1.3)], 5)
    obs, sent, next_obs, valid = (x.numpy() for x in transitions)
    window = Window(obs, np.repeat(sent[:, None], adapter.config.max_delay + 1, axis=1), next_obs, valid)
    start = adapter._estimator.prior(1, adapter.robot.spec.obs_dim)
    before = adapter._estimator.update(start, window)

    adapter.to("meta")
    after = adapter._estimator.update(start, window)

    assert adapter.normalizer.target_std.device.type == "meta"
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_beliefs_can_be_selected():
    adapter = adapter_for("cartpole", kinds=("actuator_gain",))
    _, transitions = drive("cartpole", [Change(actuator_gain=0.5)] * 2, 8)
    prior, belief = adapter.prior(2), follow(adapter, transitions)

    mixed = select(torch.tensor([True, False]), prior, belief)

    assert estimates(adapter, mixed, 0)["actuator_gain slide"] == (1.0, 1.0)
    assert estimates(adapter, mixed, 1) == estimates(adapter, belief, 1)


def test_a_window_without_room_for_the_delay_is_refused():
    with pytest.raises(ConfigError, match="a window of 2 transitions is too short for a delay of 2 steps"):
        PhysicsAdapter(robot_named("cartpole"), normalizer_of("cartpole"), 2)


# the predictor


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cartpole", Change(actuator_gain={"slide": 0.6}, body_mass={"pole_1": 1.5}, action_delay=2)),
        ("half_cheetah", Change(actuator_gain={"bshin": -1.0}, body_mass=1.4, slope_deg=5.0)),
        ("quadrotor", Change(external_force={"base": (1.0, -2.0, 0.0)}, action_delay=1)),
    ],
)
def test_under_the_true_parameters_it_is_the_oracle(name: str, change: Change):
    adapter = adapter_for(name)
    simulation, transitions = drive(name, [change], 20)
    oracle = OraclePredictor(simulation, 5)
    prior = adapter.prior(1)
    truth = torch.tensor([true_value(p.kind, p.part, change) for p in adapter.physical.all])
    theta = torch.where(torch.tensor([p.is_log for p in adapter.physical.all]), truth.abs().clamp(min=1e-9).log(), truth)
    odds = torch.full_like(prior.log_odds, -50.0)
    odds[:, change.action_delay] = 0.0
    sent = transitions.action[:, -adapter.config.max_delay :]
    predictor = adapter.condition(prior._replace(theta=theta.expand_as(prior.theta).clone(), log_odds=odds, sent=sent))
    actions = 0.3 * torch.randn(1, 5, 10, adapter.robot.spec.action_dim, generator=torch.Generator().manual_seed(0))
    obs = torch.from_numpy(simulation.obs)

    ours, theirs = predictor.roll_out(obs, actions).next_obs, oracle.roll_out(obs, actions).next_obs

    assert ours.shape == theirs.shape
    error = predictor.error(ours, theirs)
    # float32 observations and another start of the contact solver: nothing that grows within a horizon
    assert error.abs().max() < 5e-3
    one_step = predictor.predict(obs[:, None].expand(-1, 5, -1), actions[:, :, 0])
    torch.testing.assert_close(one_step.mean, ours[0, :, :, 0])
    assert (one_step.std > 0).all()
    nominal = adapter.condition(prior).roll_out(obs, actions).next_obs
    assert predictor.error(nominal, theirs).abs().max() > 0.05


def true_value(kind: str, part: str, change: Change) -> float:
    if kind == "external_force":
        force = next(iter(change.external_force.values()), (0.0, 0.0, 0.0))
        return force["xyz".index(part)]
    value = getattr(change, kind)
    return float(value.get(part, 1.0)) if isinstance(value, dict) else float(value)


# control and evaluation


def test_a_controller_finds_out_and_tells():
    """The quadrotor hovers with one weak rotor; the ratio of its gain to the others' is what can be seen."""
    robot = robot_named("quadrotor")
    planner = ICEMConfig(horizon=8, num_samples=12, num_iterations=2, num_elites=4)
    controller = physics_controller(robot, normalizer_of("quadrotor"), planner)
    simulation = BatchSimulation(robot, 1)
    obs = simulation.reset([0], [Change(actuator_gain={"rotor_2": 0.7})])
    goals = simulation.goals(12, 8)
    assert controller.belief is None

    for t in range(12):
        command = controller.step(obs, goals[:, t : t + 8])
        obs = simulation.step(command.action)

    found = estimates(controller.settings.adapter, controller.belief)  # type: ignore[arg-type]
    assert found["actuator_gain rotor_2"][0] / found["actuator_gain rotor_1"][0] == pytest.approx(0.7, abs=0.02)
    assert float(command.info.adapted_error[0]) < 0.1 * float(command.info.prior_error[0])
    controller.reset()
    assert controller.belief is None


@pytest.mark.parametrize("max_delay", [0, 1])
def test_pending_actions_are_refused_where_a_delay_is_estimated(max_delay: int):
    """They would be missing among the actions that a delay puts off."""
    planner = ICEMConfig(horizon=3, num_samples=8, num_iterations=1, num_elites=4)
    config = PhysicsConfig(kinds=("actuator_gain",), max_delay=max_delay)
    controller = physics_controller(robot_named("cartpole"), normalizer_of("cartpole"), planner, config=config)
    obs = np.zeros(controller.spec.obs_dim, dtype=np.float32)
    pending = StepOptions(pending=np.zeros((1, 1)))

    if max_delay:
        with pytest.raises(ConfigError, match="pending: the adapter estimates the action delay itself") as caught:
            controller.step(obs, options=pending)
        assert "\n" not in str(caught.value)
        assert controller.belief is None
        controller.step(obs)
    else:
        controller.step(obs, options=pending)
    assert controller.belief is not None


def test_a_planner_with_derivatives_is_refused():
    with pytest.raises(ConfigError, match="physics has no derivative to plan with"):
        physics_controller(robot_named("cartpole"), normalizer_of("cartpole"), GradientPlannerConfig())


def test_a_mistaken_robot_is_too_heavy_and_lacks_springs():
    cheetah, cartpole = robot_named("half_cheetah"), robot_named("cartpole")

    wrong, bare = mistaken(cheetah, 0.2), mistaken(cartpole, 0.2)

    np.testing.assert_allclose(wrong.model.body_mass, 1.2 * cheetah.model.body_mass)
    thigh = cheetah.model.joint("bthigh").id
    assert wrong.model.jnt_stiffness[thigh] == pytest.approx(0.8 * cheetah.model.jnt_stiffness[thigh])
    # the place along the track is not seen, and has no spring
    assert wrong.model.jnt_stiffness[cheetah.model.joint("rootx").id] == 0
    assert (bare.model.jnt_stiffness < 0).all()
    assert (cartpole.model.jnt_stiffness == 0).all()


def test_masses_that_are_wrong_in_the_mjcf_are_estimated():
    wrong = mistaken(robot_named("half_cheetah"), 0.2)
    wrong.model.jnt_stiffness[:] = robot_named("half_cheetah").model.jnt_stiffness
    adapter = PhysicsAdapter(wrong, normalizer_of("half_cheetah"), WINDOW)
    _, transitions = drive("half_cheetah", [Change()], 20)

    found = estimates(adapter, follow(adapter, transitions))

    assert found["body_mass torso"][0] == pytest.approx(1 / 1.2, abs=0.02)
    assert found["actuator_gain bthigh"][0] == pytest.approx(1.0, abs=0.02)


def test_what_no_parameter_can_explain_counts_as_noise():
    """With springs that are too weak the belief still predicts better than the wrong prior, and it does not claim to be exact."""
    adapter = PhysicsAdapter(mistaken(robot_named("half_cheetah"), 0.2), normalizer_of("half_cheetah"), WINDOW)
    _, transitions = drive("half_cheetah", [Change()], 25)

    belief = follow(adapter, Transitions(*(x[:, :20] for x in transitions)))

    assert belief.noise.mean().sqrt() > 5 * adapter.config.least_noise
    later = Transitions(*(x[:, 20:] for x in transitions))
    prior, wrong = (
        p.error(p.predict(later.obs, later.action).mean, later.next_obs).square().mean().sqrt()
        for p in (adapter.condition(adapter.prior(1)), adapter.condition(belief))
    )
    assert wrong < prior


@pytest.fixture(scope="module")
def evaluation(make_checkpoint: Callable[..., Path], cartpole_scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "cartpole")
    return evaluate(prepare(checkpoint, cartpole_scenario, episodes=1, physics=True))


def test_physics_is_an_arm_of_an_evaluation(evaluation: Any, tmp_path: Path):
    assert tuple(evaluation.arms) == ("random", "adaptive", "frozen", "physics", "wrong_physics", "oracle")
    physics, wrong = evaluation.arms["physics"], evaluation.arms["wrong_physics"]
    # the motor weakens at step 12; at the nominal robot, the prior of the right model is exact
    assert physics.prior_error[2:12].max() < 1e-4
    assert wrong.prior_error[2:12].min() > 1e-4
    assert physics.model_error[18:].mean() < 0.2 * physics.prior_error[18:].mean()
    # the error over ten steps is that of the learned models, on the same windows as without the optional arms
    assert evaluation.open_loop is None or set(evaluation.open_loop.errors) == {"adaptive", "frozen"}
    report = make_report(evaluation)
    write_report(tmp_path / "report.json", report)
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["config"]["physics"] == ["physics", "wrong_physics"]
    assert content["config"]["physics_error"] == 0.2
    assert content["summary"]["adaptive_minus_physics"]["return_after_change"]["mean"] is not None
    drawn = {line.get_label() for line in recovery_figure(evaluation).axes[0].lines}
    assert {"physics", "wrong_physics"} <= drawn


def test_the_wrong_model_can_be_left_out_or_be_more_wrong(make_checkpoint: Callable[..., Path], tmp_path: Path):
    checkpoint = make_checkpoint(tmp_path / "cartpole")

    def set_up(**options: Any) -> Any:
        return prepare(checkpoint, "cartpole/demo", episodes=1, **options)

    without, alone, worse = set_up(), set_up(physics=True, physics_error=0.0), set_up(physics=True, physics_error=0.5)

    assert (without.physics, without.physics_error) == ({}, None)
    assert (list(alone.physics), alone.physics_error) == (["physics"], None)
    assert worse.physics_error == 0.5
    model = worse.physics["wrong_physics"].settings.adapter.robot.model
    np.testing.assert_allclose(model.body_mass, 1.5 * robot_named("cartpole").model.body_mass)


@pytest.mark.parametrize(("physics", "share"), [(True, -0.1), (True, 1.0), (False, 0.2)])
def test_an_impossible_error_of_the_model_is_refused(physics: bool, share: float):
    with pytest.raises(ConfigError, match="--physics-error"):
        EvaluateOptions(checkpoint="cartpole", scenario="cartpole/demo", physics=physics, physics_error=share)
