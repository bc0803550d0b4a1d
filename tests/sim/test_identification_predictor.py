"""Plans in MuJoCo under a belief about its parameters."""

from __future__ import annotations

import pytest
import torch

from sim.scenarios.change import Change
from sim.simulation.oracle import OraclePredictor
from tests.sim.identification import adapter_for, drive


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
