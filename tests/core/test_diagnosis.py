"""A diagnosis: what it reads out of a belief, how sure it says it is, and that it travels with its checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.bayes_linear import BayesLinearConfig
from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.checkpoint import (
    DIAGNOSIS_FILE,
    FORMAT_VERSION,
    Checkpoint,
    Description,
    load_checkpoint,
    save_checkpoint,
)
from adaptive_mbrl.control.inputs import InputChecker, StepOptions
from adaptive_mbrl.control.step import ControlSettings, StepNoise, control_step, initial_state
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.diagnosis import Diagnosis, DiagnosisConfig, size_of
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.errors import CheckpointError, ConfigError, DivergenceError
from adaptive_mbrl.meta.diagnosis_fit import Examples, accuracy, estimates, fit_diagnosis
from adaptive_mbrl.meta.fine_tune import fine_tuned
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import Score, make_planner
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import (
    POINT,
    POINT_MODEL,
    POINT_OUTER,
    POINT_RULES,
    POINT_WINDOW,
    TINY_PLANNER,
    point_episode,
    point_episodes,
    push,
)
from tests.core.compiling import TRACED_PLANNER, one_graph_compiler
from tests.core.rules import RULES, point_model

CONFIG = DiagnosisConfig(("gain",), hidden=(64,), updates=800, batch_size=256, learning_rate=3e-3)
QUICK = dataclasses.replace(CONFIG, updates=3, hidden=(8,), batch_size=16)
NEAR = Objective(POINT, (Term("tolerance", 1.0, ("position",), scale=0.5),))


def examples(num: int, seed: int, known: int | None = None) -> Examples:
    """Windows of point masses of random gains; their `known` newest transitions are valid, or any number of them."""
    rng = np.random.default_rng(seed)
    gains = rng.uniform(0.2, 1.5, num)
    episodes = [point_episode([gain] * POINT_WINDOW, 10_000 * seed + i) for i, gain in enumerate(gains)]
    obs, action = (torch.from_numpy(np.stack([getattr(e, name) for e in episodes])) for name in ("obs", "action"))
    numbers = rng.integers(0, POINT_WINDOW + 1, num) if known is None else np.full(num, known)
    valid = torch.arange(POINT_WINDOW, 0, -1) <= torch.from_numpy(numbers)[:, None]
    return Examples(Transitions(obs[:, :-1], action, obs[:, 1:], valid), torch.from_numpy(gains.astype(np.float32))[:, None])


@pytest.fixture(scope="module")
def diagnosis(trained: MetaTrainer) -> Diagnosis:
    return fit_diagnosis(trained.adapter, CONFIG, examples(1500, 1), examples(500, 2))


def test_it_is_near_the_truth_and_as_sure_as_it_should_be(trained: MetaTrainer, diagnosis: Diagnosis):
    (row,) = accuracy(diagnosis, trained.adapter, examples(600, 3))

    assert row.name == "gain"
    assert row.label_std == pytest.approx(1.3 / 12**0.5, rel=0.1)
    assert row.rms_error < 0.6 * row.label_std  # a seventh of these windows is empty
    assert 0.9 < row.coverage < 0.99


def test_more_transitions_say_more_and_none_say_what_is_usual(trained: MetaTrainer, diagnosis: Diagnosis):
    rows = {known: accuracy(diagnosis, trained.adapter, examples(400, 4, known))[0] for known in (0, 1, 3, POINT_WINDOW)}

    errors, stds = ([getattr(row, name) for row in rows.values()] for name in ("rms_error", "mean_std"))
    assert stds == sorted(stds, reverse=True)
    assert errors[-1] < 0.75 * errors[1] < 0.75 * 0.6 * errors[0]
    for known, row in rows.items():
        # right for few and for many, and not only on average
        assert row.mean_std == pytest.approx(row.rms_error, rel=0.5), known
    usual = estimates(diagnosis, trained.adapter, examples(1, 4, 0).recent)
    assert float(usual.mean) == pytest.approx(0.85, abs=0.1)
    assert float(usual.std) == pytest.approx(1.3 / 12**0.5, rel=0.2)


def test_calibration_makes_up_for_a_fit_that_is_too_sure(trained: MetaTrainer):
    few, others = examples(12, 5), examples(500, 6)
    fitted = fit_diagnosis(trained.adapter, CONFIG, few, others)
    raw = Diagnosis(CONFIG, size_of(trained.adapter.prior(1)))
    raw.load_state_dict(fitted.state_dict() | {"calibration": torch.ones(1)})

    found, claimed = (estimates(d, trained.adapter, others.recent) for d in (fitted, raw))

    assert float(((found.mean - others.labels) / found.std).square().mean()) == pytest.approx(1.0, rel=1e-3)
    torch.testing.assert_close(found.std, fitted.calibration * claimed.std)
    assert float(fitted.calibration) > 1.05


def test_the_adapter_stays_as_it_is(trained: MetaTrainer):
    before = {name: tensor.clone() for name, tensor in trained.adapter.state_dict().items()}
    fit_diagnosis(trained.adapter, QUICK, examples(20, 1), examples(20, 2))
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.adapter.state_dict().items())


@pytest.mark.parametrize("rule", [name for name in RULES if name != "none"])
def test_the_belief_of_any_rule_can_be_read(rule: str):
    adapter = make_adapter(DynamicsModel(POINT, point_model(rule)), RULES[rule], POINT_WINDOW).eval()
    fitted = fit_diagnosis(adapter, QUICK, examples(30, 1), examples(30, 2))

    together = estimates(fitted, adapter, examples(5, 3).recent)

    assert together.mean.shape == together.std.shape == (5, 1)
    assert bool((together.std > 0).all())
    alone = [estimates(fitted, adapter, examples(5, 3).rows(slice(i, i + 1)).recent) for i in range(5)]
    torch.testing.assert_close(together.mean, torch.cat([a.mean for a in alone]), atol=1e-3, rtol=1e-3)


def test_a_large_belief_is_reduced_along_its_main_directions():
    """Two of ten numbers differ much, and only these carry the label."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(10, 10, generator=generator)).Q[:, :2]
    flat = torch.randn(400, 2, generator=generator) @ directions.T + 0.01 * torch.randn(400, 10, generator=generator)
    read = Diagnosis(DiagnosisConfig(("a",), features=2), 10)

    read.fit_scale(flat, torch.randn(400, 1, generator=generator))
    seen = read.features(flat, torch.ones(400))

    assert seen.shape == (400, 3)
    torch.testing.assert_close(seen[:, :2].std(0), torch.ones(2), atol=0.05, rtol=0)
    # what was reduced can be put together again, but for the noise
    solved = torch.linalg.lstsq(seen[:, :2], flat - flat.mean(0)).solution
    assert float((seen[:, :2] @ solved - (flat - flat.mean(0))).std()) < 0.02


def test_what_is_the_same_in_all_beliefs_counts_for_nothing():
    flat = torch.randn(50, 3)
    flat[:, 1] = 0.3 + 1e-8 * torch.randn(50)
    read = Diagnosis(DiagnosisConfig(("a",)), 3)
    read.fit_scale(flat, torch.randn(50, 1))
    assert torch.equal(read.features(flat, torch.ones(50))[:, 1], torch.zeros(50))
    # and a belief unlike all others does not go to infinity
    assert float(read.features(torch.full((1, 3), 1e9), torch.ones(1)).max()) == 10.0


def test_a_belief_without_content_and_one_that_is_not_finite_are_refused(trained: MetaTrainer):
    none = make_adapter(DynamicsModel(POINT, POINT_MODEL), (NoneConfig(),), POINT_WINDOW)
    with pytest.raises(ConfigError, match=r"^the checkpoint does not adapt: its belief is empty"):
        fit_diagnosis(none, QUICK, examples(5, 1), examples(5, 2))
    broken = examples(5, 1, POINT_WINDOW)
    broken.recent.next_obs[0, -1] = torch.nan
    with pytest.raises(DivergenceError, match="beliefs of its fit are not finite"):
        fit_diagnosis(trained.adapter, QUICK, broken, examples(5, 2))


# --- in control ---------------------------------------------------------------------------------------------------------------


def description(diagnosis: Diagnosis | None) -> Description:
    return Description(
        FORMAT_VERSION,
        POINT,
        NEAR.terms,
        (),
        POINT_MODEL,
        POINT_RULES,
        TINY_PLANNER,
        POINT_WINDOW,
        diagnosis=None if diagnosis is None else diagnosis.config,
    )


@pytest.fixture
def saved(trained: MetaTrainer, diagnosis: Diagnosis, tmp_path: Path) -> Path:
    assert isinstance(trained.adapter, NetworkAdapter)
    save_checkpoint(tmp_path / "saved", Checkpoint(description(diagnosis), trained.adapter, diagnosis=diagnosis))
    return tmp_path / "saved"


def drive(controller: AdaptiveController, gains: Tensor, steps: int) -> list[np.ndarray]:
    """Random pushes of several point masses, and what the controller diagnosed at each step."""
    rng, found = np.random.default_rng(0), []
    obs = np.zeros((len(gains), 2), np.float32)
    sent = None
    for _ in range(steps):
        found.append(controller.step(obs, options=StepOptions(sent=sent)).info.diagnosis)
        sent = rng.uniform(-1, 1, (len(gains), 1)).astype(np.float32)
        obs = push(obs, sent, gains.numpy())
    return found


def test_the_controller_says_of_each_robot_what_it_believes_of_it(saved: Path):
    controller = AdaptiveController.load(saved)
    gains = torch.tensor([0.3, 1.4, 0.8])

    found = drive(controller, gains, 12)

    assert controller.diagnosis_names == ("gain",)
    assert [f.shape for f in found] == [(3, 2, 1)] * 12
    first, last = found[0], found[-1]
    assert (np.abs(last[:, 0, 0] - gains.numpy()) < 3 * last[:, 1, 0]).all()
    assert last[:, 0, 0].argsort().tolist() == gains.argsort().tolist()
    assert (last[:, 1, 0] < 0.6 * first[:, 1, 0]).all()
    # before any transition nothing is known, of any robot
    assert np.ptp(first[:, 0, 0]) == pytest.approx(0.0, abs=1e-5)


def test_without_adaptation_it_says_what_is_usual(saved: Path):
    frozen = drive(AdaptiveController.load(saved, adapt=False), torch.tensor([0.3]), 8)
    assert len({f.tobytes() for f in frozen}) == 1
    assert frozen[0][0, 1, 0] == pytest.approx(1.3 / 12**0.5, rel=0.25)


def test_the_plan_is_the_same_with_and_without_it(saved: Path, trained: MetaTrainer, tmp_path: Path):
    assert isinstance(trained.adapter, NetworkAdapter)
    save_checkpoint(tmp_path / "plain", Checkpoint(description(None), trained.adapter))
    plain = AdaptiveController.load(tmp_path / "plain")
    assert plain.diagnosis_names == ()
    obs = np.array([0.4, -0.2], np.float32)
    for _ in range(3):
        a, b = AdaptiveController.load(saved).step(obs), plain.step(obs)
        np.testing.assert_array_equal(a.plan, b.plan)
        assert b.info.diagnosis.shape == (1, 2, 0)
        plain = AdaptiveController.load(tmp_path / "plain")


def test_a_control_step_with_it_is_one_graph(saved: Path):
    loaded = load_checkpoint(saved)
    planner = make_planner(POINT, TRACED_PLANNER)
    settings = ControlSettings(loaded.adapter, planner, Score(NEAR), diagnosis=loaded.diagnosis)
    checker = InputChecker(POINT, 0, TRACED_PLANNER.horizon, torch.device("cpu"))
    states = [initial_state(settings, 2, POINT_WINDOW, POINT.obs_dim)]
    noise = StepNoise(planner.draw_noise())
    with one_graph_compiler() as compiler:
        compiled = compiler(lambda state, inputs, noise: control_step(state, inputs, noise, settings))
        for x in (1.0, 1.1):
            last = states[-1].last_action if len(states) > 1 else None
            inputs = checker.inputs(np.array([[x, 0.0], [0.5, x]], np.float32), None, StepOptions(), last)
            state, _, report = compiled(states[-1], inputs, noise)
            torch.testing.assert_close(report.diagnosis, control_step(states[-1], inputs, noise, settings)[2].diagnosis)
            states.append(state)
    assert compiler.graphs == 1


# --- in a checkpoint ----------------------------------------------------------------------------------------------------------


def test_it_travels_with_its_checkpoint(saved: Path, diagnosis: Diagnosis, trained: MetaTrainer):
    loaded = load_checkpoint(saved)
    assert loaded.diagnosis is not None
    assert loaded.diagnosis.names == ("gain",)
    recent = examples(20, 7).recent
    for a, b in zip(
        estimates(loaded.diagnosis, loaded.adapter, recent), estimates(diagnosis, trained.adapter, recent), strict=True
    ):
        assert torch.equal(a, b)
    assert load_checkpoint("quadrotor").diagnosis is None


def test_a_reduced_belief_travels_too(tmp_path: Path):
    rules = (BayesLinearConfig(),)
    adapter = make_adapter(DynamicsModel(POINT, POINT_MODEL), rules, POINT_WINDOW).eval()
    config = dataclasses.replace(QUICK, features=4)
    assert size_of(adapter.prior(1)) == sum(t[0].numel() for t in tensors_of(adapter.prior(1))) > config.features
    fitted = fit_diagnosis(adapter, config, examples(30, 1), examples(30, 2))
    about = dataclasses.replace(description(fitted), adaptation=rules)
    save_checkpoint(tmp_path / "saved", Checkpoint(about, adapter, diagnosis=fitted))

    loaded = load_checkpoint(tmp_path / "saved").diagnosis

    assert loaded is not None
    assert all(torch.equal(tensor, fitted.state_dict()[name]) for name, tensor in loaded.state_dict().items())
    assert loaded.projection is not None


def test_a_fine_tuned_adapter_has_other_beliefs_and_loses_it(saved: Path):
    tuned, *_ = fine_tuned(load_checkpoint(saved), point_episodes(3, 1), point_episodes(2, 2), POINT_OUTER, 1)
    assert tuned.diagnosis is None
    assert tuned.description.diagnosis is None


def test_a_missing_damaged_or_misfitting_file_is_one_line(saved: Path):
    tensors = load_file(saved / DIAGNOSIS_FILE)
    save_file(tensors | {"label_std": torch.ones(2)}, saved / DIAGNOSIS_FILE)
    with pytest.raises(CheckpointError, match=r"diagnosis\.safetensors: tensor 'label_std' has shape \(2,\); needed: \(1,\)"):
        load_checkpoint(saved)
    (saved / DIAGNOSIS_FILE).write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match=r"diagnosis\.safetensors: damaged"):
        load_checkpoint(saved)
    (saved / DIAGNOSIS_FILE).unlink()
    with pytest.raises(CheckpointError, match=r"diagnosis\.safetensors: missing"):
        load_checkpoint(saved)
