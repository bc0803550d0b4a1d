"""The same numbers on a GPU as on the CPU, and nothing that a GPU would make the host wait for. Run by `make test-gpu`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation.belief import map_belief
from adaptive_mbrl.canary import check_canary, make_canary
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.control.step import ControlSettings, StepInputs, StepNoise, control_step, initial_state
from adaptive_mbrl.controller import AdaptiveController, StepOptions
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.meta.fine_tune import fine_tuned
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.planning import Score, make_planner
from sim.episodes.policies import ControllerPolicy
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from tests.core.analytic import POINT, POINT_OUTER, POINT_WINDOW, point_episodes
from tests.core.driving import PLANNERS, REACH
from tests.core.rules import RULES, point_adapter

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; torch finds none here"),
]
ROBOTS, STEPS = 2, 8
OBS = torch.tensor([[0.3, 0.0], [-0.2, 0.5]])


def settings_on(device: str, rule: str, method: str) -> ControlSettings:
    return ControlSettings(point_adapter(rule).to(device), make_planner(POINT, PLANNERS[method], 0, device), Score(REACH))


def inputs_on(device: str, t: int) -> StepInputs:
    """The same observations on every device, whatever was planned, so that rounding does not add up."""
    obs = (OBS + 0.05 * t * torch.tensor([[1.0, -1.0], [0.5, 1.0]])).to(device)
    sent = torch.full((ROBOTS, 1), 0.1 * (t % 3), device=device)
    connected = torch.ones(ROBOTS, dtype=torch.bool, device=device)
    share, frozen = torch.full((ROBOTS, 1), 0.5, device=device), torch.zeros(ROBOTS, dtype=torch.bool, device=device)
    return StepInputs(obs, obs, torch.ones(ROBOTS, 1, device=device), sent, connected, sent[:, None], share, frozen)


@pytest.mark.parametrize("method", PLANNERS)
@pytest.mark.parametrize("rule", RULES)
def test_a_control_step_is_the_same_as_on_the_cpu(rule: str, method: str):
    """Every step from the CPU's state: elites may differ where two candidates are equally good, which rounding decides."""
    cpu, gpu = settings_on("cpu", rule, method), settings_on("cuda", rule, method)
    state = initial_state(cpu, ROBOTS, POINT_WINDOW, POINT.obs_dim)
    for t in range(STEPS):
        noise = StepNoise(cpu.planner.draw_noise(), cpu.adapter.draw_noise(state.gate.belief, cpu.planner.generators[0]))
        moved_state, moved_noise = (map_belief(lambda x: x.cuda(), v) for v in (state, tuple(n for n in noise if n is not None)))
        state, plan, report = control_step(state, inputs_on("cpu", t), noise, cpu)
        _, gpu_plan, gpu_report = control_step(moved_state, inputs_on("cuda", t), StepNoise(*moved_noise), gpu)
        torch.testing.assert_close(gpu_plan.actions.cpu(), plan.actions, rtol=1e-2, atol=1e-2)
        for name in ("prior_error", "adapted_error", "predicted_return"):
            got, wanted = getattr(gpu_report, name).cpu(), getattr(report, name)
            torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-3, equal_nan=True)


@pytest.mark.parametrize("method", PLANNERS)
@pytest.mark.parametrize("rule", RULES)
def test_a_control_step_does_not_wait_for_the_device(rule: str, method: str):
    settings = settings_on("cuda", rule, method)
    state = initial_state(settings, ROBOTS, POINT_WINDOW, POINT.obs_dim)
    all_inputs = [inputs_on("cuda", t) for t in range(3)]
    for t, inputs in enumerate(all_inputs):
        # the first step loads kernels, for which the host may wait
        torch.cuda.set_sync_debug_mode("default" if t == 0 else "error")
        try:
            noise = StepNoise(
                settings.planner.draw_noise(), settings.adapter.draw_noise(state.gate.belief, settings.planner.generators[0])
            )
            state, _, _ = control_step(state, inputs, noise, settings)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("rule", RULES)
def test_training_on_the_gpu_is_training_on_the_cpu(rule: str):
    losses = {}
    for device in ("cpu", "cuda"):
        dataset = EpisodeDataset(POINT, point_episodes(4, 0), point_episodes(2, 9), POINT_WINDOW, POINT_OUTER.query, device)
        trainer = MetaTrainer(point_adapter(rule), POINT_OUTER, 0, device)
        scalars = trainer.fit(dataset, 5)
        losses[device] = [scalars["train/query_loss"], trainer.validate(dataset)["validation/adapted_loss"]]

    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=1e-2)


def test_fine_tuning_on_the_gpu_gives_a_checkpoint_on_the_cpu():
    made = load_checkpoint("cartpole")
    scenarios = [Scenario("cartpole", 40, seed, (ScheduledChange(0, Change(actuator_gain=0.7)),)) for seed in range(2)]
    policy = ControllerPolicy(AdaptiveController.load("cartpole", device="cuda"))
    episodes = run_scenarios(load_robot("cartpole"), scenarios, policy, source="policy").episodes

    tuned, before, after = fine_tuned(made, episodes[:1], episodes[1:], POINT_OUTER, updates=2, device="cuda")

    assert {p.device.type for p in tuned.adapter.parameters()} == {"cpu"}
    assert before.keys() == after.keys()
    assert tuned.canary is not None
    check_canary(tuned.adapter, tuned.canary, "fine-tuned on the GPU")


def test_a_shipped_checkpoint_predicts_on_the_gpu_what_was_recorded():
    made = load_checkpoint("quadrotor")
    assert made.canary is not None
    on_gpu = load_checkpoint("quadrotor", "cuda")
    windows = map_belief(lambda tensor: tensor.cuda(), made.canary.windows)

    recorded = make_canary(on_gpu.adapter, windows)

    check_canary(made.adapter, recorded, "quadrotor")


def test_a_controller_on_the_cpu_takes_over_from_one_on_the_gpu():
    """Its window fills with the same transitions, so that both predict the same before long."""
    on_gpu, on_cpu = (AdaptiveController.load("cartpole", seed=3, device=device) for device in ("cuda", "cpu"))
    rng = np.random.default_rng(0)
    obs, sent = 0.3 * rng.standard_normal((30, 4)), rng.uniform(-1, 1, (30, 1))
    errors = []
    for t in range(30):
        drivers = (on_gpu, on_cpu) if t >= 10 else (on_gpu,)
        options = StepOptions(sent=sent[t])
        commands = [driver.step(obs[t], options=options) for driver in drivers]
        assert all(np.isfinite(command.plan).all() and command.plan.dtype == np.float32 for command in commands)
        errors.append([(c.info.prior_error.item(), c.info.adapted_error.item()) for c in commands])

    # a window of 16 transitions has been filled by both
    settled = np.array(errors[28:])
    np.testing.assert_allclose(settled[:, 1], settled[:, 0], rtol=1e-3)
