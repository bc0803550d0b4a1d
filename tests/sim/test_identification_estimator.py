"""The posterior over the parameters of a robot's physics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation.belief import select, tensors_of
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions
from sim.identification.adapter import PhysicsAdapter
from sim.identification.mistaken import mistaken
from sim.identification.residuals import Window
from sim.identification.state import StateReader
from sim.scenarios.change import Change
from sim.simulation.batch import BatchSimulation
from tests.sim.identification import WINDOW, adapter_for, drive, estimates, follow, normalizer_of, robot_named


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
    step = adapter.simulations.step

    def breaking(changes: Sequence[Change], *rest: Any) -> Any:
        next_obs = step(changes, *rest)
        next_obs[[change.actuator_gain["slide"] > limit for change in changes]] = np.nan  # type: ignore[index]
        return next_obs

    monkeypatch.setattr(adapter.simulations, "step", breaking)


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
