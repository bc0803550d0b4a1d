"""A checkpoint is what was saved, to the bit; whatever is wrong with one is said in one line, and none is ever overwritten."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptive_mbrl import checkpoint as module
from adaptive_mbrl.adaptation import AdaptationConfig, make_adapter
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.checkpoint import (
    FORMAT_VERSION,
    Checkpoint,
    Description,
    find_checkpoint,
    load_checkpoint,
    require_robot,
    save_checkpoint,
)
from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError, ConfigError
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import MPPI, PlannerConfig
from adaptive_mbrl.spec import RobotSpec
from tests.core.analytic import MIXED, TINY_PLANNER, mixed_model, mixed_transitions

MODEL = {"hidden": (7, 5), "members": 2, "activation": "tanh", "context_dim": 3}
TERMS = (Term("linear", 1.0, ("speed",)), Term("cosine", 0.5, ("pitch",), goal=("wanted_pitch",)))


def checkpoint(seed: int = 0, rule: str = "gradient", **model: object) -> Checkpoint:
    adaptation = AdaptationConfig(rule, window=4, gradient=GradientConfig(steps=2, step_sizes="per_parameter"))  # type: ignore[arg-type]
    config = ModelConfig(**{**MODEL, **model})  # type: ignore[arg-type]
    description = Description(FORMAT_VERSION, MIXED, TERMS, ("wanted_pitch",), config, adaptation, TINY_PLANNER, {"updates": 3})
    return Checkpoint(description, make_adapter(mixed_model(seed, **model), adaptation))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "saved", checkpoint())
    return tmp_path / "saved"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def message(path: Path | str, error: type[AdaptiveMBRLError] = CheckpointError) -> str:
    with pytest.raises(error) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
        beliefs = adapter.prior(3), adapter.update(adapter.prior(3), recent)
        predictions += [adapter.predict(belief, recent.obs, recent.action) for belief in beliefs]
    for before, after in zip(predictions[:2], predictions[2:], strict=True):
        assert torch.equal(before.mean, after.mean)
        assert torch.equal(before.std, after.std)
    assert rule == "none" or not torch.equal(predictions[0].mean, predictions[1].mean)


def test_the_loaded_controller_acts_like_the_original(saved: Path):
    original = checkpoint()
    first, second = AdaptiveController.load(saved, seed=3), AdaptiveController.load(saved, seed=3)
    other = AdaptiveController.load(saved, seed=4)
    first.adapter = original.adapter.eval()
    obs, goal = np.array([0.1, 3.0, 0.5, -1.0], np.float32), np.array([0.4])

    actions = [[c.step(obs + 0.1 * t, goal).action for t in range(4)] for c in (first, second, other)]

    np.testing.assert_array_equal(actions[0], actions[1])
    assert np.abs(np.subtract(actions[0], actions[2])).max() > 1e-3


def test_planner_and_objective_can_be_replaced_when_loading(saved: Path):
    objective = Objective(MIXED, (Term("linear", -1.0, ("speed",)),))
    planner = PlannerConfig("mppi", horizon=3, num_samples=12)

    controller = AdaptiveController.load(saved, objective=objective, planner=planner, adapt=False)

    assert isinstance(controller.planner, MPPI)
    assert controller.planner.config == planner
    assert controller.objective is objective
    assert not controller.adapt
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
        ("format_version: 1", "format_version: 99", "key 'format_version': got 99; allowed: 1"),
        ("format_version: 1", "format_verison: 1", "unknown key 'format_verison' (did you mean 'format_version'?)"),
        ("members: 2", "members: 0", "key 'model.members': 0 is out of range; allowed: 1 to 64"),
        ("members: 2", "members: two", "key 'model.members': expected a whole number, got 'two'"),
        ("rule: gradient", "rule: magic", "key 'adaptation.rule': got 'magic'"),
        ("format_version: 1", "format_version: 1\nformat_version: 1", "stands there twice"),
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


def renamed(spec: RobotSpec) -> RobotSpec:
    return dataclasses.replace(spec, name="cousin")


def slower(spec: RobotSpec) -> RobotSpec:
    return dataclasses.replace(spec, dt=0.1)


def other_unit(spec: RobotSpec) -> RobotSpec:
    return dataclasses.replace(spec, obs=(dataclasses.replace(spec.obs[0], unit="mm"), *spec.obs[1:]))


def other_order(spec: RobotSpec) -> RobotSpec:
    return dataclasses.replace(spec, obs=spec.obs[::-1])


def other_kind(spec: RobotSpec) -> RobotSpec:
    return dataclasses.replace(spec, obs=(spec.obs[0], dataclasses.replace(spec.obs[1], kind="linear"), *spec.obs[2:]))


def other_limit(spec: RobotSpec) -> RobotSpec:
    return dataclasses.replace(spec, action=(dataclasses.replace(spec.action[0], high=4.5), *spec.action[1:]))


def one_more(spec: RobotSpec) -> RobotSpec:
    return dataclasses.replace(spec, action=(*spec.action, dataclasses.replace(spec.action[0], name="extra")))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (renamed, ["name", "mixed", "cousin"]),
        (slower, ["dt", "0.05", "0.1"]),
        (other_unit, ["obs", "height", "mm"]),
        (other_order, ["obs", "height", "pitch_rate"]),
        (other_kind, ["obs", "pitch", "angle", "linear"]),
        (other_limit, ["action", "motor", "3.0", "4.5"]),
        (one_more, ["action", "extra"]),
    ],
)
def test_a_checkpoint_of_another_robot_is_refused_by_what_differs(saved: Path, change, words: list[str]):
    with pytest.raises(CheckpointError) as caught:
        AdaptiveController.load(saved, spec=change(MIXED))

    text = str(caught.value)
    assert text.startswith(f"{saved}: trained on another robot: ")
    assert "\n" not in text
    for word in words:
        assert word in text


def test_the_same_robot_is_accepted(saved: Path):
    require_robot(load_checkpoint(saved), dataclasses.replace(MIXED), "here")

    assert AdaptiveController.load(saved, spec=MIXED).spec == MIXED


# --- where checkpoints are found ----------------------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that ships two checkpoints."""
    monkeypatch.setattr(module.resources, "files", lambda package: tmp_path / package)
    for name in ("beta", "alpha"):
        save_checkpoint(tmp_path / "adaptive_mbrl" / "pretrained" / name, checkpoint())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "adaptive_mbrl" / "pretrained"


def test_a_shipped_checkpoint_is_found_by_name_and_others_are_listed(shipped: Path):
    assert find_checkpoint("alpha") == shipped / "alpha"
    assert message("gamma") == f"gamma: no such checkpoint folder in {Path.cwd()}; shipped checkpoints: alpha, beta"
    assert message("runs/alpha").endswith("(did you mean 'alpha'?); shipped checkpoints: alpha, beta")


def test_a_folder_comes_before_a_shipped_checkpoint_of_the_same_name(shipped: Path, tmp_path: Path):
    save_checkpoint(tmp_path / "alpha", checkpoint(seed=1))

    assert find_checkpoint("alpha") == Path("alpha")


def test_a_folder_that_is_no_checkpoint_is_named(shipped: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()

    assert message(tmp_path / "empty") == (
        f"{tmp_path / 'empty'}: not a checkpoint (it has no checkpoint.yaml); shipped checkpoints: alpha, beta"
    )


def test_a_broken_shipped_description_is_a_config_error(shipped: Path):
    (shipped / "alpha" / "checkpoint.yaml").write_text("- 1\n")

    assert "expected a mapping" in message("alpha", ConfigError)
