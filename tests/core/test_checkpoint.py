"""A checkpoint is what was saved, to the bit; whatever is wrong with one is said in one line, and none is overwritten."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptive_mbrl.checkpoint import Description, load_checkpoint, save_checkpoint
from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import MPPI, MPPIConfig, make_planner
from tests.core.analytic import MIXED, mixed_transitions
from tests.core.mixed_checkpoint import checkpoint, message


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "saved", checkpoint())
    return tmp_path / "saved"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --- what was saved -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["gradient", "none"])
@pytest.mark.parametrize("learned_variance", [False, True])
def test_the_loaded_model_equals_the_original_bit_by_bit(tmp_path: Path, rule: str, learned_variance: bool):
    """Prior and adapted, mean and std: weights, step sizes and normaliser travel together."""
    original = checkpoint(seed=4, rule=rule, learned_variance=learned_variance)
    save_checkpoint(tmp_path / "c", original)

    loaded = load_checkpoint(tmp_path / "c")

    recent = mixed_transitions(3, 4)
    assert loaded.description == original.description
    predictions = []
    for adapter in (original.adapter.eval(), loaded.adapter):
        beliefs = adapter.prior(3), adapter.infer(recent)
        predictions += [adapter.condition(belief).predict(recent.obs, recent.action) for belief in beliefs]
    for before, after in zip(predictions[:2], predictions[2:], strict=True):
        assert torch.equal(before.mean, after.mean)
        assert torch.equal(before.std, after.std)
    assert rule == "none" or not torch.equal(predictions[0].mean, predictions[1].mean)


def test_the_loaded_controller_acts_like_the_original(saved: Path):
    original = checkpoint()
    first, second = AdaptiveController.load(saved, seed=3), AdaptiveController.load(saved, seed=3)
    other = AdaptiveController.load(saved, seed=4)
    first.settings = dataclasses.replace(first.settings, adapter=original.adapter.eval())
    obs, goal = np.array([0.1, 3.0, 0.5, -1.0], np.float32), np.array([0.4])

    actions = [[c.step(obs + 0.1 * t, goal).action for t in range(4)] for c in (first, second, other)]

    np.testing.assert_array_equal(actions[0], actions[1])
    assert np.abs(np.subtract(actions[0], actions[2])).max() > 1e-3


def test_planner_and_objective_can_be_replaced_when_loading(saved: Path):
    objective = Objective(MIXED, (Term("linear", -1.0, ("speed",)),))
    planner = MPPIConfig(horizon=3, num_samples=12, temperature=0.7)

    controller = AdaptiveController.load(saved, objective=objective, planner=planner, adapt=False)

    settings = controller.settings
    assert isinstance(settings.planner, MPPI)
    wanted = vars(make_planner(MIXED, planner))
    for name, value in vars(settings.planner).items():
        same = torch.equal(value, wanted[name]) if isinstance(value, torch.Tensor) else value == wanted[name]
        assert same or name == "generators", name
    assert settings.score.reward is objective
    assert not settings.adapt
    assert controller.step(np.zeros(4, np.float32)).action.shape == (2,)


def test_a_checkpoint_is_never_overwritten(saved: Path):
    before = contents(saved)

    with pytest.raises(CheckpointError, match="exists already"):
        save_checkpoint(saved, checkpoint(seed=1))

    assert contents(saved) == before


def test_a_fault_while_saving_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "rename", fail)

    with pytest.raises(OSError, match="no space"):
        save_checkpoint(tmp_path / "c", checkpoint())

    assert list(tmp_path.iterdir()) == []


# --- what can be wrong --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_truncated_weights_are_named(saved: Path, share: float):
    weights = saved / "weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: int(share * len(content))])

    assert message(saved).startswith(f"{weights}: damaged weights")


def test_missing_weights_are_named(saved: Path):
    (saved / "weights.safetensors").unlink()

    assert message(saved) == f"{saved / 'weights.safetensors'}: missing"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("model.net.weight_1", None, "tensor 'model.net.weight_1' is missing"),
        ("model.normalizer.obs_std", None, "tensor 'model.normalizer.obs_std' is missing"),
        ("model.net.weight_1", torch.zeros(2, 5, 7), r"'model.net.weight_1' has shape (2, 5, 7); needed: (2, 7, 5)"),
        ("model.net.weight_9", torch.zeros(1), "unknown tensor 'model.net.weight_9'"),
        ("model.net.bias_0", torch.full((2, 1, 7), torch.nan), "tensor 'model.net.bias_0' holds NaN"),
    ],
    ids=["missing weight", "missing statistic", "wrong shape", "unknown", "nan"],
)
def test_tensors_that_do_not_fit_are_named(saved: Path, name: str, value: torch.Tensor | None, expected: str):
    weights = saved / "weights.safetensors"
    tensors = {n: t for n, t in load_file(weights).items() if n != name}
    save_file(tensors if value is None else {**tensors, name: value}, weights)

    text = message(saved)

    assert text.startswith(f"{weights}: ")
    assert expected in text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("format_version: 2", "format_version: 99", "key 'format_version': got 99; allowed: 1, 2"),
        ("format_version: 2", "format_verison: 2", "unknown key 'format_verison' (did you mean 'format_version'?)"),
        ("members: 2", "members: 0", "key 'model.members': 0 is out of range; allowed: 1 to 64"),
        ("members: 2", "members: two", "key 'model.members': expected a whole number, got 'two'"),
        ("- gradient:", "- magic:", "key 'adaptation[0]': unknown kind 'magic'; allowed: none, gradient, "),
        ("    steps: 2", "    steps: 0", "key 'adaptation[0].gradient.steps': 0 is out of range; allowed: 1 to 50"),
        ("  icem:", "  icme:", "key 'planner': unknown kind 'icme' (did you mean 'icem'?); allowed: icem, cem, "),
        ("window: 4", "window: 0", "key 'window': 0 is out of range; allowed: 1 to 1000"),
        ("window: 4", "windwo: 4", "unknown key 'windwo' (did you mean 'window'?)"),
        ("format_version: 2", "format_version: 2\nformat_version: 2", "stands there twice"),
    ],
)
def test_a_wrong_description_is_named(saved: Path, old: str, new: str, expected: str):
    file = saved / "checkpoint.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))

    assert expected in message(saved, AdaptiveMBRLError)
    assert str(file) in message(saved, AdaptiveMBRLError)


def test_a_description_of_another_size_does_not_take_the_weights(saved: Path):
    description = load_yaml(saved / "checkpoint.yaml", Description)
    wider = dataclasses.replace(description, model=dataclasses.replace(description.model, hidden=(8, 5)))
    save_yaml(saved / "checkpoint.yaml", wider)

    assert "needed" in message(saved)
