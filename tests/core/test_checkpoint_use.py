"""A checkpoint is found by folder or name, and refused where it was trained on another robot."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from adaptive_mbrl import checkpoint as module
from adaptive_mbrl.checkpoint import find_checkpoint, load_checkpoint, require_robot, save_checkpoint
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.spec import RobotSpec
from tests.core.analytic import MIXED
from tests.core.mixed_checkpoint import checkpoint, message


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "saved", checkpoint())
    return tmp_path / "saved"


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
