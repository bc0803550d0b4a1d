"""Checkpoints of format 1 are read, predict what they predicted, and are written as format 2."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.checkpoint import load_checkpoint, save_checkpoint
from adaptive_mbrl.config import read_mapping
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.errors import AdaptiveMBRLError
from adaptive_mbrl.planning import CEMConfig, ICEMConfig, MPPIConfig, RandomShootingConfig
from tests.core.analytic import MIXED, mixed_transitions
from tests.core.mixed_checkpoint import message

DATA = Path(__file__).parent / "data"
OLD = DATA / "checkpoint_v1"
"""The rule adapts all parameters with step sizes per parameter; the planner is MPPI."""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(OLD, tmp_path / "old")
    return tmp_path / "old"


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "checkpoint.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def assert_predicts_what_format_1_predicted(adapter: NetworkAdapter) -> None:
    query = mixed_transitions(2, 3, seed=5)

    predictor = adapter.condition(adapter.infer(mixed_transitions(2, 5, seed=4)))

    expected = load_file(DATA / "checkpoint_v1_predictions.safetensors")
    prediction = predictor.predict(query.obs, query.action)
    rollout = predictor.roll_out(query.obs[:, 0], query.action[:, None]).next_obs
    for got, name in ((prediction.mean, "mean"), (prediction.std, "std"), (rollout, "rollout")):
        torch.testing.assert_close(got, expected[name], atol=1e-6, rtol=0, msg=name)


def test_it_predicts_what_it_predicted():
    assert_predicts_what_format_1_predicted(load_checkpoint(OLD).adapter)


def test_its_settings_are_those_of_its_rule_and_its_planner_alone():
    about = load_checkpoint(OLD).description

    assert about.spec == MIXED
    assert about.window == 5
    assert about.adaptation == (
        GradientConfig(parameters="all", steps=1, learning_rate=0.1, step_sizes="per_parameter", second_order=True, clip=0.0),
    )
    assert about.planner == MPPIConfig(
        horizon=4,
        num_samples=8,
        num_iterations=2,
        sigma=0.5,
        noise_beta=1.0,
        uncertainty_penalty=0.0,
        temperature=0.5,
        sigma_decay=0.7,
    )
    assert about.provenance == {"made by": "format 1"}


def test_it_controls():
    controller = AdaptiveController.load(OLD, spec=MIXED)

    actions = [controller.step(row.numpy()).action for row in mixed_transitions(1, 3).obs[0]]

    assert torch.isfinite(torch.tensor([a.tolist() for a in actions])).all()


def test_saved_again_it_is_of_format_2_and_the_same(tmp_path: Path):
    old = load_checkpoint(OLD)
    save_checkpoint(tmp_path / "new", old)

    new = load_checkpoint(tmp_path / "new")

    content = read_mapping(tmp_path / "new" / "checkpoint.yaml")
    assert content["format_version"] == 2
    assert list(content["planner"]) == ["mppi"]
    assert "method" not in content["planner"]["mppi"]
    assert [list(entry) for entry in content["adaptation"]] == [["gradient"]]
    assert new.description == old.description
    assert all(torch.equal(t, old.adapter.state_dict()[name]) for name, t in new.adapter.state_dict().items())
    assert_predicts_what_format_1_predicted(new.adapter)


@pytest.mark.parametrize(
    ("method", "config"),
    [
        ("icem", ICEMConfig(horizon=4, num_samples=8, num_elites=8, num_elites_kept=3, momentum=0.1)),
        ("cem", CEMConfig(horizon=4, num_samples=8, num_elites=8, momentum=0.1)),
        ("random_shooting", RandomShootingConfig(horizon=4, num_samples=8)),
    ],
)
def test_every_planner_of_format_1_is_known(copied: Path, method: str, config: object):
    edit(copied, "method: mppi", f"method: {method}")

    assert load_checkpoint(copied).description.planner == config


def test_a_model_without_adaptation_is_the_rule_none(copied: Path):
    edit(copied, "rule: gradient", "rule: none")
    weights = copied / "weights.safetensors"
    save_file({n: t for n, t in load_file(weights).items() if not n.startswith("log_step_sizes")}, weights)

    checkpoint = load_checkpoint(copied)

    assert checkpoint.description.adaptation == (NoneConfig(),)
    assert checkpoint.description.window == 5


def test_settings_that_are_left_out_mean_what_they_meant(copied: Path):
    """Some of the defaults of format 2 are others."""
    for line in ("    learning_rate: 0.1\n", "    second_order: true\n", "  window: 5\n"):
        edit(copied, line, "")

    about = load_checkpoint(copied).description

    (rule,) = about.adaptation
    assert isinstance(rule, GradientConfig)
    assert (rule.learning_rate, rule.second_order) == (0.1, True)
    assert about.window == 16


@pytest.mark.parametrize("version", ["0", "3", "99", "two", "1.5", "null"])
def test_another_format_is_refused(copied: Path, version: str):
    edit(copied, "format_version: 1", f"format_version: {version}")

    got = {"null": "None"}.get(version, version)
    assert message(copied) == f"{copied / 'checkpoint.yaml'}: key 'format_version': got {got}; allowed: 1, 2"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("adaptation:", "adaption:", "missing key 'adaptation'"),
        ("planner:\n", "planner: mppi\nmore:\n", "key 'planner': expected a mapping, got 'mppi'"),
        ("  rule: gradient", "  rule: magic", "key 'adaptation.rule': got 'magic'; allowed: gradient, none"),
        ("  rule: gradient", "  rule: [gradient]", "key 'adaptation.rule': got ['gradient']; allowed: gradient, none"),
        ("  window: 5", "  windwo: 5", "unknown key 'adaptation.windwo'; allowed keys: rule, window, gradient"),
        ("  window: 5", "  window: 0", "key 'window': 0 is out of range; allowed: 1 to 1000"),
        ("  gradient:\n", "  gradient: 3\n  more:\n", "key 'adaptation.gradient': expected a mapping, got 3"),
        ("    steps: 1", "    steps: 0", "key 'adaptation[0].gradient.steps': 0 is out of range"),
        ("    steps: 1", "    step: 1", "unknown key 'adaptation[0].gradient.step' (did you mean 'steps'?)"),
        ("method: mppi", "method: mpip", "key 'planner.method': got 'mpip'; allowed: icem, cem, mppi, random_shooting"),
        ("  temperature: 0.5", "  temprature: 0.5", "unknown key 'planner.mppi.temprature' (did you mean 'temperature'?)"),
        ("members: 2", "members: two", "key 'model.members': expected a whole number, got 'two'"),
        ("goal_names: []", "goal_name: []", "unknown key 'goal_name'"),
    ],
)
def test_a_damaged_description_is_named(copied: Path, old: str, new: str, expected: str):
    edit(copied, old, new)

    text = message(copied, AdaptiveMBRLError)

    assert text.startswith(f"{copied / 'checkpoint.yaml'}: ")
    assert expected in text


@pytest.mark.parametrize("shape", [(2,), (2, 3, 7), (2, 1, 7), ()])
@pytest.mark.parametrize("name", ["model.net.weight_0", "log_step_sizes.weight_0"])
def test_weights_of_another_shape_are_named(copied: Path, name: str, shape: tuple[int, ...]):
    weights = copied / "weights.safetensors"
    save_file({**load_file(weights), name: torch.zeros(shape)}, weights)

    assert f"{name}' has shape {shape}; needed: (2, 10, 7)" in message(copied)


def test_the_robots_channels_decide_the_order_of_the_weights(copied: Path):
    """A channel that is no angle any more has one input less: the weights do not fit, and nothing is put in order wrongly."""
    edit(copied, "kind: angle", "kind: linear")

    assert "needed: (2, 9, 7)" in message(copied)
