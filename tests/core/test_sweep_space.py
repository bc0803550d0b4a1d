"""The file of a sweep: what it searches, and that a mistake is one line with file, key and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from adaptive_mbrl import cli
from adaptive_mbrl.config import from_mapping, load_yaml, with_settings
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import SweepOptions, TrainOptions
from adaptive_mbrl.sweeps.command import words_of_sweep
from adaptive_mbrl.sweeps.space import SweepConfig, assignment, figures_of, load_space
from adaptive_mbrl.training.config import TrainConfig

ROOT = Path(__file__).resolve().parent.parent.parent
CONTENT: dict[str, Any] = {"data": {"episodes_from": "logs", "iterations": 0}, "outer": {"query": 4}}
SPACE: dict[str, Any] = {
    "objective": "validation/adapted_error_4_steps",
    "space": {
        "outer.learning_rate": {"low": "1e-4", "high": 1e-2, "log": True},
        "window": {"low": 4, "high": 9, "integer": True},
        "adaptation": {"choices": ["none", [{"gradient": {"steps": 2}}]]},
    },
}


def space_file(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump(SPACE | changes))
    return path


def test_each_trial_is_a_configuration_within_the_ranges(tmp_path: Path):
    _, space = load_space(space_file(tmp_path), CONTENT)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    configs = []
    for _ in range(20):
        trial = study.ask()
        settings = [assignment(key, setting.suggest(trial, key)) for key, setting in space.items()]
        configs.append(from_mapping(TrainConfig, with_settings(CONTENT, settings), source="test"))
        study.tell(trial, 1.0)

    assert {c.window for c in configs} == {4, 5, 6, 7, 8, 9}
    assert {c.adaptation[0].TAG for c in configs} == {"none", "gradient"}
    rates = [c.outer.learning_rate for c in configs]
    assert 1e-4 <= min(rates) < 1e-3 < max(rates) <= 1e-2
    assert {c.outer.query for c in configs} == {4}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"space": {"outer.learnng_rate": {"low": 0.1, "high": 0.2}}},
            "key 'space.outer.learnng_rate' at 0.1: unknown key 'outer.learnng_rate' (did you mean 'learning_rate'?); allowed",
        ),
        (
            {"space": {"window": {"low": 4, "high": 9}}},
            "key 'space.window' at 4.0: key 'window': expected a whole number, got 4.0",
        ),
        (
            {"space": {"window": {"low": 4, "high": 2000, "integer": True}}},
            "key 'space.window' at 2000: key 'window': 2000 is out of range; allowed: 1 to 1000",
        ),
        ({"space": {"window": {"low": 9, "high": 4}}}, "key 'space.window': low 9 is not below high 4"),
        (
            {"space": {"window": {"low": 0, "high": 4, "log": True}}},
            "key 'space.window': low 0 has no logarithm; allowed with log: above 0",
        ),
        (
            {"space": {"window": {"low": 0.5, "high": 4, "integer": True}}},
            "key 'space.window': low 0.5 and high 4: allowed with integer: whole numbers",
        ),
        (
            {"space": {"window": {"lo": 1, "high": 4}}},
            "unknown key 'space.window.lo' (did you mean 'low'?); allowed keys: low, high, log, integer",
        ),
        (
            {"space": {"window": 4}},
            "key 'space.window': got 4; allowed: {low: 1, high: 9} with log or integer, or {choices: [...]}",
        ),
        ({"space": {"window": {"choices": []}}}, "key 'space.window': choices: there is none; allowed: one or more values"),
        ({"space": {}}, "key 'space': is empty; allowed: keys of the training configuration with their ranges"),
        (
            {"space": {"adaptation": {"choices": ["none", "gradiant"]}}},
            "key 'space.adaptation' at \"gradiant\": key 'adaptation': unknown kind 'gradiant' (did you mean 'gradient'?)",
        ),
        (
            {"objective": "validation/adapted_error_5_steps"},
            "key 'objective': no figure 'validation/adapted_error_5_steps' (did you mean 'validation/adapted_error_",
        ),
        ({"direction": "down"}, "key 'direction': got 'down'; allowed: minimise, maximise"),
        ({"pruning": {"warmup": 1}}, "unknown key 'pruning.warmup' (did you mean 'warmup_rounds'?)"),
        (
            {"space": {"outer.query": {"choices": [4, 3]}}},
            "key 'space.outer.query' at 3: key 'objective': no figure 'validation/adapted_error_4_steps'",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, changes: dict[str, Any], problem: str):
    path = space_file(tmp_path, **changes)

    with pytest.raises(ConfigError) as caught:
        load_space(path, CONTENT)

    assert str(caught.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(caught.value)


def test_the_return_is_a_figure_where_a_controller_collects():
    assert "collect/return" in figures_of(TrainConfig("a:train"))
    assert "collect/return" not in figures_of(from_mapping(TrainConfig, CONTENT, source="test"))


def test_the_example_can_be_searched_in_the_settings_for_recordings():
    config, space = load_space(ROOT / "examples/sweep/space.yaml", CONTENT | {"outer": {"query": 10}})
    assert config == load_yaml(ROOT / "examples/sweep/space.yaml", SweepConfig)
    assert set(space) == {"outer.learning_rate", "window", "model.members", "adaptation"}


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ("--trials 0 --config c", "--trials: 0 is out of range; allowed: at least 1"),
        ("--jobs 0 --config c", "--jobs: 0 is out of range; allowed: at least 1"),
        ("", "sweep: got neither of --config and --data; give one, or both"),
        ("--seed -1 --config c", "--seed: -1 is out of range; allowed: 0 to 2147483647"),
    ],
)
def test_flags_out_of_range_are_one_line(flags: str, problem: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["sweep", "--space", "s.yaml", *flags.split()]) == 2
    assert capsys.readouterr().err == f"error: {problem}\n"


def test_the_words_of_a_sweep_are_its_options():
    options = SweepOptions(Path("s.yaml"), "c", trials=9, jobs=2, set=("a=1",), run=Path("r"), storage="sqlite:///x", seed=1)
    assert cli.parse(words_of_sweep(options)) == options
    assert SweepOptions(Path("s.yaml"), "mine/c.yaml", set=("a=1",)).folder == Path("runs/sweep/c+a=1")
    assert options.training(("b=2",), Path("t")) == TrainOptions(
        "c", set=("a=1", "b=2"), compare=False, run=Path("t"), threads=1, report=False
    )
