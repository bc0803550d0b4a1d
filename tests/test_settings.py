"""Settings of the command line that replace values of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptive_mbrl.config import with_settings
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import TrainOptions
from sim.paths import config_root
from sim.training.config import load_train_config

CONTENT = {
    "data": {"steps": 200, "oracle_episodes": 8},
    "planner": "icem",
    "seed": 0,
    "scenarios": "arm/mixed:train",
    "value": None,
}


def test_a_setting_replaces_one_value_and_leaves_the_others():
    changed = with_settings(
        CONTENT, ["data.steps=10", "outer.query=3", "planner.icem.sigma=0.25", "value.discount=0.9", "shaping=false"]
    )

    assert changed == {
        "data": {"steps": 10, "oracle_episodes": 8},
        "outer": {"query": 3},
        "planner": {"icem": {"sigma": 0.25}},
        "seed": 0,
        "scenarios": "arm/mixed:train",
        "value": {"discount": 0.9},
        "shaping": False,
    }
    assert CONTENT["data"] == {"steps": 200, "oracle_episodes": 8}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seed", r"--set: got 'seed'; expected KEY=VALUE"),
        ("data..steps=1", r"--set: got 'data..steps=1'; expected KEY=VALUE"),
        ("seed=[", r"--set: 'seed=\[': the value is not valid YAML"),
        ("seed.x=1", r"--set: 'seed.x=1': key 'seed' is 0, which has no keys"),
        ("scenarios.x=1", r"--set: 'scenarios.x=1': key 'scenarios' is 'arm/mixed:train', which has no keys"),
    ],
)
def test_what_is_no_setting_is_refused(setting: str, message: str):
    with pytest.raises(ConfigError, match=message):
        with_settings(CONTENT, [setting])


def test_a_training_takes_settings_as_strictly_as_its_file():
    assert load_train_config("cartpole", ["data.oracle_episodes=0", "seed=3"]).seed == 3
    with pytest.raises(ConfigError, match=r"cartpole.yaml with --set data.orcale_episodes=0: unknown key 'data.orcale_episodes'"):
        load_train_config("cartpole", ["data.orcale_episodes=0"])
    with pytest.raises(ConfigError, match=r"with --set seed=x: key 'seed': expected a whole number, got 'x'"):
        load_train_config("cartpole", ["seed=x"])


def test_the_run_folder_names_the_settings():
    file = str(config_root() / "train" / "cartpole.yaml")
    assert TrainOptions(file).run_folder == Path("runs/train/cartpole")
    settings = ("seed=1", "model.hidden=[64, 64]")
    assert TrainOptions("cartpole", set=settings).run_folder == Path("runs/train/cartpole+seed=1+model.hidden=_64_64_")
    assert TrainOptions("cartpole", set=settings, run=Path("x")).run_folder == Path("x")
    assert TrainOptions("my/robot/train.yaml", set=("seed=1",)).run_folder == Path("runs/train/robot+seed=1")
    with pytest.raises(ConfigError, match="--run"):
        _ = TrainOptions("cartpole", set=("seed=1",) * 30).run_folder
