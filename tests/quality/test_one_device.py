"""Everything that a control step or a training step computes is on its own device, and a control step reads no value back.

These tests need no GPU. On torch's device `meta` tensors have shapes and no values: an operation that mixes them with a tensor of
the CPU fails, as on a GPU, and so does reading a value, for which a GPU would make the host wait.
"""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
import torch

from adaptive_mbrl.adaptation import bayes_linear, gauss_newton
from adaptive_mbrl.adaptation.belief import map_belief, tensors_of
from adaptive_mbrl.control.step import StepInputs, StepNoise, control_step, initial_state
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.planning import Planner
from tests.core.analytic import POINT, POINT_WINDOW, point_episodes
from tests.core.driving import PLANNERS, control_settings
from tests.core.point_training import point_trainer
from tests.core.rules import KINDS, RULES, point_adapter, point_model, rules_marked_slow_but

META = torch.device("meta")
ROBOTS = 2


def moved_to_meta(planner: Planner) -> None:
    """The planner's constants; its generator stays on the CPU, because `meta` has none."""
    for name, value in vars(planner).items():
        if isinstance(value, torch.Tensor):
            setattr(planner, name, value.to(META))


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """`meta` has no autocast that a rule could switch off."""
    for module in (bayes_linear, gauss_newton):
        monkeypatch.setattr(module, "full_precision", lambda like: contextlib.nullcontext())


HORIZON = 2
"""All steps of a plan are the same operations."""
QUICK = {"float32": KINDS, "bfloat16": ("gradient_second_order", "gauss_newton", "latent_samples", "bayes_linear")}
"""Rules of the quick tests: with fewer digits those that compute derivatives, solves and samples."""
CASES = [
    pytest.param(rule, "icem", precision, marks=() if rule in QUICK[precision] else pytest.mark.slow)
    for rule in RULES
    for precision in QUICK
]
CASES += [pytest.param("gradient", method, "float32") for method in PLANNERS if method != "icem"]


@pytest.mark.parametrize(("rule", "method", "precision"), CASES)
def test_a_control_step_stays_on_its_device_and_reads_nothing_back(rule: str, method: str, precision: str):
    short = dataclasses.replace(PLANNERS[method], horizon=HORIZON)
    settings = control_settings(point_adapter(rule).to(META), planner=short, precision=precision)
    planner, adapter = settings.planner, settings.adapter
    plan_noise = planner.draw_noise().to(META)
    belief_noise = adapter.draw_noise(point_adapter(rule).prior(ROBOTS), planner.generators[0])
    noise = StepNoise(plan_noise, None if belief_noise is None else belief_noise.to(META))
    moved_to_meta(planner)
    obs, sent = torch.zeros(ROBOTS, POINT.obs_dim, device=META), torch.zeros(ROBOTS, POINT.action_dim, device=META)
    connected = torch.ones(ROBOTS, dtype=torch.bool, device=META)
    share, frozen = torch.full((ROBOTS, 1), 0.5, device=META), torch.zeros(ROBOTS, dtype=torch.bool, device=META)
    inputs = StepInputs(obs, obs, obs[:, :1], sent, connected, sent[:, None], share, frozen)
    state = initial_state(settings, ROBOTS, POINT_WINDOW, POINT.obs_dim)

    for _ in range(2):
        state, plan, report = control_step(state, inputs, noise, settings)

    assert {tensor.device for tensor in tensors_of((state, plan, report))} == {META}


def test_reading_a_value_and_mixing_devices_are_noticed():
    on_meta = torch.zeros(3, device=META)
    with pytest.raises(RuntimeError, match="meta"):
        on_meta.sum().item()
    with pytest.raises(RuntimeError, match="meta"):
        _ = on_meta + torch.zeros(3)


@pytest.mark.parametrize("rule", rules_marked_slow_but(KINDS))
def test_an_outer_loss_and_its_gradient_stay_on_their_device(rule: str):
    sampler = WindowSampler(point_episodes(2, 0), POINT_WINDOW, 3)
    windows = map_belief(lambda tensor: tensor.to(META), sampler.sample(4, torch.Generator().manual_seed(0)))
    trainer = point_trainer(rules=RULES[rule], model=point_model(rule))
    trainer.adapter.to(META)

    trainer.loss(windows).mean().backward()

    gradients = [p.grad for p in trainer.adapter.parameters() if p.grad is not None]
    assert gradients
    assert {gradient.device for gradient in gradients} == {META}
